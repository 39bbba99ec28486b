"""The answer of a search in words, numbers and files, from the records alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from nas.record.run_dir import RunDir, write_json
from nas.record.select import Estimate, Selection
from nas.record.store import TrialRecord

LEARNT = 0.9  # of the mean face's error; a proxy above it has told apart almost nothing
ROWS = 10  # of the final table, the control's row always among them


def table(selection: Selection, baseline_mm: float | None, rows: int = ROWS) -> str:
    """Rank, architecture, GFLOPs and L_error of the best, the control and the trivial baseline."""
    shown = _shown(selection, rows)
    width = max([len(_label(e)) for _, e in shown] + [40])
    lines = [f"{'rank':>4}  {'architecture':<{width}}  {'GFLOPs':>7}  {'L_error, mm':>15}  runs"]
    lines += [
        f"{rank:>4}  {_label(e):<{width}}  {e.macs / 1e9:>7.3f}  {error(e):>15}  {len(e.values):>4}"
        for rank, e in shown
    ]
    if baseline_mm is not None:
        lines.append(
            f"{'':>4}  {'mean face for every image (baseline)':<{width}}  {'':>7}  {baseline_mm:>8.2f}"
        )
    return "\n".join(lines)


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
    baseline_mm: float | None = None,
    demonstration: bool = False,
    stopped_early: bool = False,
) -> str:
    """The verdict, the gain over the control with its interval, and what the numbers are worth."""
    lines = [selection.verdict[0].upper() + selection.verdict[1:] + "."]
    if selection.gain and selection.best and selection.control:
        gain, low, high = selection.gain
        lines.append(
            f"{selection.best.arch.id} against the control: {_signed(gain)} (95 % interval: {_signed(low)} "
            f"to {_signed(high)}; from one seed to the next {selection.noise_sd_mm:.2f} mm)."
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


def write_best(run: RunDir, selection: Selection, records: Sequence[TrialRecord]) -> list[str]:
    """best/<arch id>.json for the best and all tied with it, the first named in best/best.json too."""
    run.best.mkdir(exist_ok=True)
    rows = {e.arch.id: e for e in selection.rows}
    for old in run.best.glob("*.json"):
        old.unlink()
    chosen = [rows[arch.id] for arch in selection.tied]
    if selection.best is not None and selection.best not in chosen:
        chosen.insert(0, selection.best)
    for e in chosen:
        write_json(run.best / f"{e.arch.id}.json", specification(e, selection, records))
    if selection.best is not None:
        write_json(run.best / "best.json", specification(selection.best, selection, records))
    return [e.arch.id for e in chosen]


def specification(e: Estimate, selection: Selection, records: Sequence[TrialRecord]) -> dict[str, Any]:
    """A spec with where it comes from and how it scored."""
    runs = [r for r in records if r.arch == e.arch and r.state == "complete"]
    return {
        "arch": e.arch.to_dict(),
        "id": e.arch.id,
        "name": e.name,
        "gflops": e.macs / 1e9,
        "macs": e.macs,
        "params": e.arch.params(),
        "activations": e.arch.activations(),
        "l_error_mm": {"mean": e.mean, "spread": e.spread, "runs": list(e.values), "fidelity": e.fidelity},
        "winner": selection.winner is e,
        "tied": [arch.id for arch in selection.tied],
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
        "verdict": selection.verdict,
    }


def _control(selection: Selection) -> dict[str, Any] | None:
    c = selection.control
    if c is None:
        return None
    return {"id": c.arch.id, "name": c.name, "l_error_mm": list(c.values)}
