"""A finished or running search, as a report reads it: run.json and the store, nothing else.

Opening takes one look at the store, so a report of a running search is of one moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.record.hours import device_hours
from proxy_tasks.kind import Score

if TYPE_CHECKING:
    from nas.record.costs import Latencies
    from nas.record.store import TrialRecord


@dataclass(frozen=True, slots=True)
class Run:
    """One search: what run.json says, and the records of its store."""

    path: Path
    info: dict[str, Any]
    records: tuple[TrialRecord, ...]
    active: bool = False

    @classmethod
    def open(cls, path: Path | str) -> Run:
        """RunError (a ValueError) where there is no search, or where no proposal has finished yet."""
        from nas.record.run_dir import RunDir, RunError
        from nas.record.store import Store

        folder = RunDir(Path(path))
        info = folder.read()
        run = cls(folder.path, info, tuple(Store.open(path).records()), folder.is_active())
        if not run.complete:
            counts = Counter(record.state for record in run.records)
            seen = ", ".join(f"{n} {state}" for state, n in sorted(counts.items())) or "nothing begun"
            hint = "wait for the first one, or " if run.active else ""
            raise RunError(
                f"{folder.path} has no finished proposal to report on ({seen}): {hint}"
                f"see what happened with python -m nas.status {folder.path}"
            )
        return run

    @property
    def name(self) -> str:
        """Name of its folder."""
        return self.path.resolve().name

    @property
    def proposals(self) -> list[TrialRecord]:
        """Runs that a strategy proposed: neither control nor re-runs."""
        return [record for record in self.records if record.role == "proposal"]

    @property
    def complete(self) -> list[TrialRecord]:
        """Proposals with a final error at the search's own fidelity, in the order of their finish."""
        done = [r for r in self.proposals if r.state == "complete" and r.fidelity == self.fidelity]
        return sorted(done, key=lambda record: record.finished)

    @property
    def fidelity(self) -> str:
        """The proxy that the proposals were trained under."""
        return (
            Counter(record.fidelity for record in self.proposals).most_common(1)[0][0]
            if self.proposals
            else ""
        )

    @property
    def rounds(self) -> dict[int, list[TrialRecord]]:
        """Proposals at the search's own fidelity by round."""
        proposals = [record for record in self.proposals if record.fidelity == self.fidelity]
        return {n: [r for r in proposals if r.round == n] for n in sorted({r.round for r in proposals})}

    @property
    def strategy(self) -> str:
        """How architectures were proposed."""
        return str(self.info.get("config", {}).get("strategy", "random"))

    @property
    def is_uniform(self) -> bool:
        """Whether the proposals are a uniform sample of the feasible set: then their EDF is the space's."""
        return self.strategy in ("random", "qmc")

    @property
    def own(self) -> list[TrialRecord]:
        """All but what was known before the search began."""
        return [record for record in self.records if record.role != "known"]

    def hours(self, records: Sequence[TrialRecord]) -> float:
        """Device hours of these runs: of a GPU, or of a core where they had none."""
        return device_hours(self.info, records)

    @property
    def latencies(self) -> Latencies:
        """Of the finalists and the control, as the search measured them."""
        from nas.record.costs import Latencies

        return Latencies.of(self.info)

    @property
    def baseline_mm(self) -> float | None:
        """L_error of the mean face for every image."""
        return self.info.get("baseline_l_error_mm")


def one_score(runs: Sequence[Run]) -> Score:
    """What the errors of these runs are; ValueError where they do not measure the same."""
    first, *others = (Score.of(run.info) for run in runs)
    for run, other in zip(runs[1:], others, strict=True):
        if other != first:
            raise ValueError(
                f"{runs[0].path} is scored by {first.title} and {run.path} by {other.title}, "
                "which do not compare"
            )
    return first


def errors(records: Sequence[TrialRecord]) -> list[float]:
    """L_error of the complete ones, mm."""
    return [record.l_error_mm for record in records if record.l_error_mm is not None]


def censored(records: Sequence[TrialRecord]) -> int:
    """How many a rung stopped: they count in the population, beyond the errors that are known."""
    return sum(record.state == "pruned" for record in records)
