"""The front of two objectives: architectures that no other beats in both L_error and cost.

Costs are known, errors are means of a few seeds. So a member is on the front by its mean, and its place
is certain only as far as the noise lets it be: one that costs more than another is *tied* with it while
its lower error may be the seeds' doing. The comparison is Student's t on the pooled seed noise,
one-sided, at 95 % over all pairs at once (Bonferroni). The hypervolume is the area that the front
dominates below a reference point (Zitzler and Thiele 1998), here in millimetres times the cost's unit.
tests/test_record_front.py
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from nas.record.compare import ALPHA
from nas.record.estimates import Estimate, Noise, pooled_noise, t_quantile
from space import ArchSpec

CostOf = Callable[[ArchSpec], float]


@dataclass(frozen=True, slots=True)
class Member:
    """An architecture of the front, its cost, the 95 % interval of its error, cheaper ones tied with it."""

    estimate: Estimate
    cost: float
    interval: tuple[float, float] | None
    tied: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Front:
    """Cheapest first. `also` could not be told from the front, and its mean lies behind it."""

    unit: str
    members: tuple[Member, ...]
    also: tuple[Estimate, ...]
    verdict: str


def front_of(rows: Sequence[Estimate], cost: CostOf, unit: str) -> Front:
    """The front of what was re-run, the control included; of all rows where nothing was."""
    rows = [e for e in rows if e.rerun and any(r.role != "control" and r.rerun for r in rows)] or list(rows)
    noise = pooled_noise([e.values for e in rows if e.rerun])
    points = [(cost(e.arch), e.mean) for e in rows]
    on = [rows[i] for i in nondominated(points)]
    pairs = len(on) * (len(on) - 1) // 2
    members = [Member(e, cost(e.arch), _interval(e, noise), _tied(e, on, cost, noise, pairs)) for e in on]
    possible = alive(rows, cost, noise)
    also = tuple(e for e in possible if e not in on)
    return Front(unit, tuple(members), also, _verdict(members, also, unit, noise))


def nondominated(points: Sequence[tuple[float, float]]) -> list[int]:
    """Positions of the (cost, error) that no other equals or betters in both, cheapest first."""
    found, lowest = [], math.inf
    for i in sorted(range(len(points)), key=lambda i: points[i]):
        if points[i][1] < lowest:
            found.append(i)
            lowest = points[i][1]
    return found


def hypervolume(points: Iterable[tuple[float, float]], reference: tuple[float, float]) -> float:
    """Area that (cost, error) points dominate below `reference`, in the product of their units."""
    inside = [(c, e) for c, e in points if c < reference[0] and e < reference[1]]
    area, height = 0.0, reference[1]
    for i in nondominated(inside):
        area += (reference[0] - inside[i][0]) * (height - inside[i][1])
        height = inside[i][1]
    return area


def alive(rows: Sequence[Estimate], cost: CostOf, noise: Noise | None) -> list[Estimate]:
    """Those that no other of at most the same cost is shown to beat; all where the noise is unknown."""
    if noise is None:
        return list(rows)
    pairs = len(rows) * (len(rows) - 1) // 2
    return [
        a
        for a in rows
        if all(
            b is a or cost(b.arch) > cost(a.arch) or a.mean - b.mean <= beyond(a, b, noise, pairs)
            for b in rows
        )
    ]


def beyond(a: Estimate, b: Estimate, noise: Noise, comparisons: int) -> float:
    """The difference of two means that the noise explains, mm."""
    critical = t_quantile(1 - ALPHA / max(1, comparisons), noise.freedom)
    return critical * noise.sd_mm * math.sqrt(1 / len(a.values) + 1 / len(b.values))


def _tied(
    e: Estimate, on: Sequence[Estimate], cost: CostOf, noise: Noise | None, pairs: int
) -> tuple[str, ...]:
    """Ids of the cheaper members that `e` is not shown to beat."""
    cheaper = [other for other in on if cost(other.arch) < cost(e.arch)]
    return tuple(
        other.arch.id
        for other in cheaper
        if noise is None or other.mean - e.mean <= beyond(other, e, noise, pairs)
    )


def _interval(e: Estimate, noise: Noise | None) -> tuple[float, float] | None:
    if noise is None:
        return None
    half = t_quantile(1 - ALPHA / 2, noise.freedom) * noise.sd_mm / math.sqrt(len(e.values))
    return e.mean - half, e.mean + half


def _verdict(members: Sequence[Member], also: Sequence[Estimate], unit: str, noise: Noise | None) -> str:
    if not members:
        return "no proposal has completed yet, so there is no front"
    first, last = members[0], members[-1]
    ends = " to ".join(f"{m.estimate.arch.id} ({_point(m, unit)})" for m in dict.fromkeys((first, last)))
    said = f"a front of {len(members)}, from {ends}" if len(members) > 1 else f"one architecture, {ends}"
    if noise is None:
        return f"{said}; the seed noise is not known yet, so no step along it is certain"
    tied = [m for m in members if m.tied]
    if tied:
        names = ", ".join(f"{m.estimate.arch.id} with {' and '.join(m.tied)}" for m in tied)
        said += f"; tied with a cheaper member, within the seed noise: {names}"
    elif len(members) > 1:
        said += "; every step along it is beyond the seed noise"
    behind = [e for e in also if e.role != "control"]
    if behind:
        said += f"; {len(behind)} more behind it cannot be told from it"
    return f"{said}; {_control(members, also)}".rstrip("; ")


def _control(members: Sequence[Member], also: Sequence[Estimate]) -> str:
    if any(m.estimate.role == "control" for m in members):
        return "the control is on it"
    return "the control cannot be told from it" if any(e.role == "control" for e in also) else ""


def _point(m: Member, unit: str) -> str:
    return f"{m.cost:.3g} {unit}, {m.estimate.mean:.2f} mm"


def table(front: Front) -> str:
    """One line a member, cheapest first: cost, L_error with its interval, runs, and whom it is tied with."""
    width = max([len(_label(m)) for m in front.members] + [len("the front, cheapest first")])
    lines = [
        f"{'the front, cheapest first':<{width}}  {front.unit:>14}  {'L_error, mm':>24}  runs  tied with"
    ]
    for m in front.members:
        between = f" [{m.interval[0]:.2f}, {m.interval[1]:.2f}]" if m.interval else ""
        error = f"{m.estimate.mean:.2f}{between}"
        runs = len(m.estimate.values)
        lines.append(
            f"{_label(m):<{width}}  {m.cost:>14.3f}  {error:>24}  {runs:>4}  {', '.join(m.tied) or '-'}"
        )
    return "\n".join(lines)


def _label(m: Member) -> str:
    return m.estimate.arch.id + (" (control)" if m.estimate.role == "control" else "")
