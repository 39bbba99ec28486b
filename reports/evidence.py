"""A table of trained networks as one picture: where uniform draws lie, where the control, what was confirmed.

    python -m reports.evidence --rows docs/evidence/cpu-1.2G.jsonl --out evidence.png
    python -m reports.evidence --rows ... --out ... --confirmed cpu-1.2G-confirm=confirm.jsonl other-plan=...

Files are of `python -m proxy_tasks.bench build`, of a table and of runs on fresh seeds by PLAN. Also prints
what the picture shows. Usual cost: seconds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from proxy_tasks.bench.table import PROPOSAL, UNIFORM, RunTable, is_complete
from space.commandline import a_path, door, parser_of

if TYPE_CHECKING:
    from proxy_tasks.bench.confirm import Gain
    from proxy_tasks.bench.rows import Row
    from proxy_tasks.bench.table import Floats
    from space.commandline import Parser


REFERENCE_ROLES = ("resnet18", "jmlr-searched")
ORIGINS = {  # what a picture calls a role of rows
    UNIFORM: "uniform draws",
    "shallow": "draws of few blocks",
    PROPOSAL: "proposals of a search",
}


def parser() -> Parser:
    """The flags of this command."""
    p = parser_of("reports.evidence", __doc__)
    what = p.add_argument_group("what to draw")
    what.add_argument(
        "--rows", type=a_path, nargs="+", required=True, metavar="FILE", help="the table's rows"
    )
    what.add_argument(
        "--confirmed",
        nargs="+",
        default=[],
        metavar="PLAN=FILE",
        help="runs on fresh seeds, by a -confirm plan",
    )
    what.add_argument(
        "--candidates", nargs="+", default=[], metavar="SPEC", help="spec files, for a plan that names nobody"
    )
    where = p.add_argument_group("where to")
    where.add_argument("--out", type=a_path, required=True, metavar="FILE", help="a picture, .png")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    return door(parser, _run, argv, after_interrupt="nothing was changed")


def _run(args: argparse.Namespace) -> int:
    from proxy_tasks.bench import rows
    from proxy_tasks.pictures import require_place, write_png
    from reports.figures.evidence import draw_evidence
    from reports.figures.style import png

    require_place(args.out, "--out")
    for path in args.rows:
        _require_file(path)
    looks = [look for each in args.confirmed for look in _looks(each, args.candidates)]
    table = rows.read(*args.rows)
    population, longer, origins = Population.of(RunTable.of(table)), Longer.of(table), Origins.of(table)
    write_png(args.out, png(draw_evidence(population, looks, longer, origins)), "--out")
    print("\n".join(each.text() for each in (population, longer, origins) if each))
    return 0


@dataclass(frozen=True, slots=True)
class Look:
    """A candidate's gain over the control on fresh seeds, and what to call it."""

    label: str
    gain: Gain


def _looks(text: str, candidates: Sequence[str]) -> list[Look]:
    """Of PLAN=FILE; ValueError where that is none, or its runs are too few to compare."""
    from proxy_tasks.bench import rows
    from proxy_tasks.bench.confirm import ConfirmPlan
    from proxy_tasks.bench.plan import TABLES
    from space.specfile import read_spec

    name, _, file = text.partition("=")
    plan = TABLES.get(name)
    if not isinstance(plan, ConfirmPlan) or not file:
        raise ValueError(
            f"--confirmed {text!r} is no PLAN=FILE of runs on fresh seeds: cpu-1.2G-confirm=FILE"
        )
    _require_file(Path(file))
    plan, found = plan.of([read_spec(each) for each in candidates]), rows.read(Path(file))
    gains = plan.gains(found)
    if not gains:
        raise ValueError(plan.text(found))
    how = f"{plan.proxy.epochs * plan.length:g} epochs, {{}} seeds, {100 * plan.level:g} %"
    how += " (unfinished)" if plan.is_unfinished(found) else ""
    return [Look(f"{gain.arch.id}\n{how.format(gain.runs)}", gain) for gain in gains]


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise ValueError(f"there is no file {path}: give what proxy_tasks.bench build wrote")


@dataclass(frozen=True, slots=True)
class Population:
    """Final validation errors of a table, mm: the first run of each uniform draw, all of the references."""

    uniform: Floats  # (n,) sorted
    references: dict[str, Floats]  # by role, the control among them
    control: tuple[float, float, float]  # mean and the ends of its 95 % (Student's t)

    @classmethod
    def of(cls, table: RunTable) -> Population:
        """ValueError where there are no uniform draws, or fewer than two runs of the control."""
        uniform: list[float] = []
        found: dict[str, list[Floats]] = {}
        for arch, role in zip(table.archs, table.roles, strict=True):
            runs = table.curves[arch.id]
            if role == UNIFORM:
                uniform.append(runs[min(runs)][-1])
            else:
                found.setdefault(role, []).append(np.array([curve[-1] for curve in runs.values()]))
        references = {role: np.concatenate(errors) for role, errors in found.items()}
        if not len(uniform) or len(references.get("control", ())) < 2:
            raise ValueError("a picture needs uniform draws and two runs of the control or more")
        return cls(np.sort(np.array(uniform)), references, _interval(references["control"]))

    def text(self) -> str:
        """What the picture shows, in two lines."""
        mean, low, high = self.control
        better = int((self.uniform < mean).sum())
        n = len(self.uniform)
        return (
            f"control {mean:.2f} mm (95 % {low:.2f} to {high:.2f}, {len(self.references['control'])} seeds); "
            f"{n} uniform draws: best {self.uniform[0]:.2f}, median {np.median(self.uniform):.2f}, worst "
            f"{self.uniform[-1]:.2f} mm\n{better} of {n} single runs lie below the control's mean, "
            f"{int((self.uniform < low).sum())} below its interval"
        )


@dataclass(frozen=True, slots=True)
class Longer:
    """The architectures of a table that were trained longer too: final validation errors of both, mm."""

    times: float  # as long
    roles: tuple[str, ...]  # (n,)
    short_mm: Floats  # (n,) means over seeds
    long_mm: Floats  # (n,)
    seeds: tuple[float, int]  # SD of the longer runs between seeds, and its degrees of freedom

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Longer | None:
        """None where fewer than two architectures have both."""
        found = _shortest_and_longest(rows)
        if found is None:
            return None
        short, long = found
        at = {arch.id: mean for arch, mean in zip(short.archs, short.means[:, -1], strict=True)}
        both = [i for i, arch in enumerate(long.archs) if arch.id in at]
        if len(both) < 2:
            return None
        return cls(
            times=long.length / short.length,
            roles=tuple(long.roles[i] for i in both),
            short_mm=np.array([at[long.archs[i].id] for i in both]),
            long_mm=long.means[both, -1],
            seeds=long.seed_sd(),
        )

    def text(self) -> str:
        """What the panel shows, in a line."""
        from proxy_tasks.bench.views import tau

        drawn = np.array([role == UNIFORM for role in self.roles])
        sd, freedom = self.seeds
        spread = f"; the draws differ by {self.long_mm[drawn].std(ddof=1):.2f} mm" if drawn.sum() > 1 else ""
        noise = f", seeds by {sd:.2f} ({freedom} degrees of freedom)" if freedom else ""
        return (
            f"trained {self.times:g} times as long, {len(self.roles)} architectures lie from "
            f"{self.long_mm.min():.2f} to {self.long_mm.max():.2f} mm{spread}{noise}; tau with the shorter "
            f"runs {tau(self.short_mm, self.long_mm):+.2f}"
        )


@dataclass(frozen=True, slots=True)
class Origins:
    """Who chose the architectures that were trained longest: final validation errors by role, mm.

    An origin of one architecture alone is left out.
    """

    times: float  # as long
    groups: dict[str, Floats]  # by role, sorted; an architecture counts once, by the mean of its runs
    control_mm: float
    sd_mm: float  # between runs of one seed

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Origins | None:
        """None where all that were trained longer are of one origin, or the control was not."""
        both = _shortest_and_longest(rows)
        if both is None:
            return None
        short, table = both
        groups: dict[str, list[float]] = {}
        for role, error in zip(table.roles, table.means[:, -1], strict=True):
            groups.setdefault(role, []).append(float(error))
        control = groups.pop("control", None)
        chosen = [role for role, errors in groups.items() if role not in REFERENCE_ROLES and len(errors) > 1]
        found = {role: np.sort(np.array(groups[role])) for role in chosen}
        if control is None or len(found) < 2:
            return None
        return cls(table.length / short.length, found, control[0], table.run_sd()[0])

    def labels(self) -> list[str]:
        """How many of each origin, in words."""
        return [f"{len(errors)} {ORIGINS.get(role, role)}" for role, errors in self.groups.items()]

    def text(self) -> str:
        """What the panel shows, in a line."""
        said = "; ".join(
            f"{label} {errors.mean():.2f} ({errors[0]:.2f} to {errors[-1]:.2f})"
            for label, errors in zip(self.labels(), self.groups.values(), strict=True)
        )
        return f"{self.times:g} times as long, mean and range, mm: the control {self.control_mm:.2f}; {said}"


def _shortest_and_longest(rows: Iterable[Row]) -> tuple[RunTable, RunTable] | None:
    """None where all complete runs are of one length."""
    rows = list(rows)
    lengths = {float(row["length"]) for row in rows if is_complete(row)}
    return (RunTable.of(rows, min(lengths)), RunTable.of(rows, max(lengths))) if len(lengths) > 1 else None


def _interval(values: Floats) -> tuple[float, float, float]:
    from scipy.stats import t

    mean, half = values.mean(), t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return float(mean), float(mean - half), float(mean + half)


if __name__ == "__main__":
    sys.exit(main())
