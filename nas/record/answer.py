"""The answer of a search in words, numbers and files, from the records alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas.record.costs import Latencies, bargain, figures
from nas.record.costs import verdict as with_costs
from nas.record.estimates import Estimate
from nas.record.front import Front
from nas.record.run_dir import RunDir
from nas.record.select import Selection
from nas.record.store import TrialRecord
from space.files import read_object, write_json

LEARNT = 0.9  # of the mean face's error; a proxy above it has told apart almost nothing
ROWS = 10  # of the final table, the control's row always among them
_BEST = "  may be best"


def table(
    selection: Selection,
    baseline_mm: float | None,
    latencies: Latencies = Latencies(),  # noqa: B008  frozen
    rows: int = ROWS,
) -> str:
    """Rank, architecture, costs and L_error of the best, the control and the trivial baseline.

    Parameters and activations are in millions; the milliseconds are measured, and missing where none were.
    """
    shown = _shown(selection, rows)
    width = max([len(_label(e)) for _, e in shown] + [40])
    heads = ["GFLOPs", "params", "activ.", *(["ms"] if latencies.measured else [])]
    costs = "".join(f"  {head:>7}" for head in heads)
    lines = [f"{'rank':>4}  {'architecture':<{width}}{costs}  {'L_error, mm':>15}  runs{_BEST}"]
    lines += [
        f"{rank:>4}  {_label(e):<{width}}{_costs(e, latencies)}  {error(e):>15}  {len(e.values):>4}"
        + _best(e, selection)
        for rank, e in shown
    ]
    if baseline_mm is not None:
        mean_face = "mean face for every image (baseline)"
        lines.append(f"{'':>4}  {mean_face:<{width}}{'':>{len(costs)}}  {baseline_mm:>8.2f}")
    return "\n".join(lines)


def _costs(e: Estimate, latencies: Latencies) -> str:
    found = figures(e, latencies)
    shown = [
        f"{found['gflops']:.3f}",
        f"{e.params / 1e6:.2f} M",
        f"{e.activations / 1e6:.2f} M",
    ]
    if latencies.measured:
        ms = latencies.ms(e.arch)
        shown.append("-" if ms is None else f"{ms:.1f}")
    return "".join(f"  {text:>7}" for text in shown)


def _best(e: Estimate, selection: Selection) -> str:
    """Whether it is tied with the best, and its chance to be the best."""
    chance = selection.chances.get(e.arch.id)
    told = "" if chance is None else "<1 %" if chance < 0.005 else f"{chance:.0%}".replace("%", " %")
    return f"  {'yes' if e.arch in selection.tied else 'no':>4}{told:>7}"


def _shown(selection: Selection, rows: int) -> list[tuple[int, Estimate]]:
    ranked = list(enumerate(selection.rows, start=1))
    return ranked[:rows] + [pair for pair in ranked[rows:] if pair[1].role == "control"]


def _label(e: Estimate) -> str:
    marks = ([e.name] if e.name else []) + (["control"] if e.role == "control" else [])
    return e.arch.id + (f" ({', '.join(marks)})" if marks else "")


def error(e: Estimate) -> str:
    """Mean and spread between seeds, e.g. '98.12 ± 0.41'; the spread is missing from a single run."""
    return f"{e.mean:8.2f}" + (f" ± {e.spread:4.2f}" if e.spread is not None else " " * 7)


def explain(
    selection: Selection,
    *,
    latencies: Latencies = Latencies(),  # noqa: B008  frozen
    baseline_mm: float | None = None,
    demonstration: bool = False,
    stopped_early: bool = False,
) -> str:
    """The verdict, the gain over the control with its interval, and what the numbers are worth."""
    verdict = with_costs(selection, latencies)
    lines = [verdict[0].upper() + verdict[1:] + "."]
    if selection.gain and selection.best and selection.control:
        gain, low, high = selection.gain
        lines.append(
            f"{selection.best.arch.id} against the control: {_signed(gain)} (95 % bounds: {_signed(low)} to "
            f"{_signed(high)}; from one seed to the next {selection.noise_sd_mm:.2f} mm{_paired(selection)})."
        )
    if latencies.measured:
        found = bargain(selection, latencies)
        beside = f"; the best against the control: {found}" if found and found not in verdict else ""
        lines.append(f"Milliseconds are of a forward pass, measured on {latencies.where}{beside}.")
    if selection.chances:
        lines.append(
            "May be best: whether the comparisons leave it in the set that holds the best with 95 %, and its "
            "chance to be the best if architectures are like draws of a normal population."
        )
    if _flattered(selection):
        lines.append(
            "Architectures that were run again come first: their mean leaves out the run that they were "
            "chosen by, which a lucky seed may have flattered, as it may any row of a single run."
        )
    lowest = min((e.mean for e in selection.rows), default=math.inf)
    if baseline_mm is not None and math.isfinite(lowest) and lowest > LEARNT * baseline_mm:
        lines.append(
            f"The proxy has hardly learned: the lowest mean is {lowest / baseline_mm:.0%} of the mean face's "
            "error, so its ranking says little. Give it more people, more epochs or a higher resolution."
        )
    if stopped_early:
        lines.append("--max-hours kept some proposals or re-runs back; --resume goes on with them.")
    if demonstration:
        lines.append(
            "This was a reduced demonstration on a machine without a GPU: a few candidates, trained for a "
            "minute or so each. A real search takes --trials 64 or more and --proxy short on GPUs."
        )
    return "\n".join(lines)


def _paired(selection: Selection) -> str:
    """By common seeds errors are those at the average seed, not the plain means of the runs: it is said."""
    if selection.paired_sd_mm is None:
        return ""
    return f"; compared on common seeds, where it is {selection.paired_sd_mm:.2f} mm"


def _flattered(selection: Selection) -> bool:
    """Whether a row of a single run stands below one of a higher error."""
    again = [e.mean for e in selection.rows if e.rerun]
    return bool(again) and any(e.mean < max(again) for e in selection.rows if not e.rerun)


def nothing_finished(records: Sequence[TrialRecord]) -> str:
    """Why a search has no answer: no proposal completed, and the commonest reason given."""
    proposals = [r for r in records if r.role == "proposal"]
    reasons = Counter(r.reason for r in proposals if r.reason)
    why = f"; the commonest reason: {reasons.most_common(1)[0][0]}" if reasons else ""
    return f"none of {len(proposals)} proposals finished{why}"


def _signed(gain: float) -> str:
    return f"{abs(gain):.2f} mm {'better' if gain >= 0 else 'worse'}"


def write_best(
    run: RunDir,
    selection: Selection,
    records: Sequence[TrialRecord],
    latencies: Latencies = Latencies(),  # noqa: B008  frozen
    front: Front | None = None,
) -> list[str]:
    """best/<arch id>.json for the best, all tied with it and the front; the best in best/best.json too."""
    run.best.mkdir(exist_ok=True)
    rows = {e.arch.id: e for e in selection.rows}
    for old in run.best.glob("*.json"):
        if _is_ours(old):
            old.unlink()
    chosen = [rows[arch.id] for arch in selection.tied]
    if selection.best is not None and selection.best not in chosen:
        chosen.insert(0, selection.best)
    if front is not None:
        chosen += [m.estimate for m in front.members if m.estimate not in chosen]
    for e in chosen:
        write_json(run.best / f"{e.arch.id}.json", specification(e, selection, records, latencies))
    if selection.best is not None:
        write_json(run.best / "best.json", specification(selection.best, selection, records, latencies))
    return [e.arch.id for e in chosen]


def _is_ours(file: Path) -> bool:
    """Whether a search wrote this file of best/; what a person put there stays."""
    try:
        spec = read_object(file)
    except (OSError, ValueError):
        return False
    return {"arch", "id", "verdict", "trials"} <= spec.keys() and file.stem in (spec["id"], "best")


def specification(
    e: Estimate,
    selection: Selection,
    records: Sequence[TrialRecord],
    latencies: Latencies = Latencies(),  # noqa: B008  frozen
) -> dict[str, Any]:
    """A spec with where it comes from and how it scored."""
    runs = [r for r in records if r.arch == e.arch and r.state == "complete"]
    return {
        "arch": e.arch.to_dict(),
        "id": e.arch.id,
        "name": e.name,
        "macs": e.macs,
        **figures(e, latencies),
        "latency_of": latencies.where or None,
        "l_error_mm": {"mean": e.mean, "spread": e.spread, "runs": list(e.values), "fidelity": e.fidelity},
        "winner": selection.winner is e,
        "tied": [arch.id for arch in selection.tied],
        "chance_to_be_best": selection.chances.get(e.arch.id),
        "control": _control(selection),
        "trials": [
            {
                "study": r.study,
                "number": r.number,
                "seed": r.seed,
                "fidelity": r.fidelity,
                "l_error_mm": r.l_error_mm,
            }
            for r in runs
        ],
        "verdict": with_costs(selection, latencies),
    }


def _control(selection: Selection) -> dict[str, Any] | None:
    c = selection.control
    if c is None:
        return None
    return {"id": c.arch.id, "name": c.name, "l_error_mm": list(c.values)}
