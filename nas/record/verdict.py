"""The verdict of a search, one sentence: who won, or who cannot be told from whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas.record.estimates import Estimate


def sentence(
    best: Estimate, control: Estimate | None, noise_sd_mm: float | None, tied: Sequence[Estimate]
) -> str:
    """`tied` are all that may be the best. Starts small and has no full stop: it is quoted in others."""
    if noise_sd_mm is None:
        return "the seed noise is not known yet (no architecture has two runs), so no winner is named"
    name = f"{control.name or control.arch.id}, the control" if control else ""
    proposals = [e for e in tied if e.role != "control"]
    if control in tied:
        if not proposals:
            return (
                f"no winner: {name}, has the lowest mean, and every proposal is worse beyond the seed noise"
            )
        return _none_beats(name, best, noise_sd_mm, proposals)
    if len(proposals) > 1:
        said = f"no single winner: {len(proposals)} architectures are tied with the best"
        return f"{said}, and {name}, is not among them" if control else said
    winner = f"winner: {proposals[0].arch.id}"
    return f"{winner}, better than {name}, beyond the seed noise" if control else winner


def _none_beats(name: str, best: Estimate, noise_sd_mm: float, proposals: Sequence[Estimate]) -> str:
    """The control may be the best, and so may `proposals`; the one of the lowest mean is named."""
    first = best if best in proposals else proposals[0]
    others = len(proposals) - 1
    nor = f", nor from {others} other architecture{'s' if others > 1 else ''}" if others else ""
    return (
        f"no winner: within the seed noise ({noise_sd_mm:.2f} mm from one seed to the next) "
        f"{first.arch.id} cannot be told from {name}{nor}"
    )
