"""What differs between runs so that comparing them is not like with like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from reports.run import Run

UNKNOWN = "unknown"


def differences(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    """One sentence for each thing that should be equal and is not; [] where the comparison is fair."""
    found = [_differs(runs, names, words, get) for words, get in _EQUAL.items()]
    found += [_chosen(run, name) for run, name in zip(runs, names, strict=True)]
    found += [_lucky(run, name) for run, name in zip(runs, names, strict=True)]
    return [text for text in found if text]


def _data(run: Run) -> Any:
    data = run.info.get("data")
    return data.get("fingerprint", UNKNOWN) if isinstance(data, dict) else data or UNKNOWN


def _seed(run: Run) -> Any:
    return run.info.get("seed", run.info.get("config", {}).get("seed", UNKNOWN))


def _budget(run: Run) -> Any:
    """Multiply-adds aimed at, and how far off they may be."""
    asked = run.info.get("budget")
    return f"{asked['target'] / 1e9:g} G within {asked['tolerance']:.0%}" if asked else UNKNOWN


def _scheduler(run: Run) -> Any:
    return run.info.get("config", {}).get("scheduler", UNKNOWN)


_EQUAL: dict[str, Callable[[Run], Any]] = {
    "data: errors on different images are not comparable": _data,
    "proxy: a run trained longer or larger has lower errors for that reason alone": lambda run: run.fidelity,
    "seed: data splits and initial weights may differ too": _seed,
    "budget: a dearer network has lower errors for that reason alone": _budget,
    "scheduler: rungs stop the worse part of one population": _scheduler,
    "hardware: sums are rounded differently, which is small": lambda run: ", ".join(
        sorted({r.hardware for r in run.records if r.hardware})
    ),
}


def _differs(runs: Sequence[Run], names: Sequence[str], words: str, get: Callable[[Run], Any]) -> str:
    values = [str(get(run)) for run in runs]
    if len(set(values)) == 1:
        return ""
    what, why = words.split(": ")
    listed = ", ".join(f"{name} has {value or UNKNOWN}" for name, value in zip(names, values, strict=True))
    return f"The runs differ in {what} ({listed}): {why}."


def _chosen(run: Run, name: str) -> str:
    if run.is_uniform and len({record.round for record in run.proposals}) > 1:
        return (
            f"{name} has two rounds, and the second drew from what the first one's best left: its "
            "architectures are no uniform sample of its space, so the comparison is of searches, not of "
            "design spaces."
        )
    if run.is_uniform:
        return ""
    return (
        f"{name} was searched with {run.strategy}, which favours what looked good: its architectures are no "
        "uniform sample of its space, so the comparison is of searches, not of design spaces."
    )


def _lucky(run: Run, name: str) -> str:
    repeated = len(run.complete) - len({record.arch for record in run.complete})
    if not repeated:
        return ""
    return f"{name} holds {repeated} repeated draws of an architecture, which the tests take for independent."
