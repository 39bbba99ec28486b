"""Where trials fail before they have begun to train: which nodes get no more of them, and why.

A node without the data, or a GPU whose driver hangs, fails a trial in milliseconds and is free for the
next, so one of two slots can eat a search. A failure of this kind is a mark against the node and against
its GPU; a validation takes the marks off again, and those of a trial that failed everywhere were the
trial's own. Marks of three trials in a row close a node. tests/test_trials_places.py
"""

from __future__ import annotations

from dataclasses import dataclass, field

IN_A_ROW = 3  # trials that fail at a place, with none between them that was validated there


@dataclass(frozen=True, slots=True)
class Place:
    """A node by Ray's id and by a name for people, and the GPU there that a trial held ("" for none)."""

    node: str
    host: str
    device: str = ""

    def __str__(self) -> str:
        return f"{self.host} (Ray node {self.node[:8]}" + (f", GPU {self.device})" if self.device else ")")


@dataclass(slots=True)
class Places:
    """What is known of the nodes; `closed` has a sentence for each that gets no more trials."""

    closed: dict[str, str] = field(default_factory=dict)
    _marks: dict[tuple[str, str | None], dict[str, str]] = field(default_factory=dict)  # place: {trial: why}

    def failed(self, place: Place, trial: str, reason: str) -> str | None:
        """Mark a failure before the first validation; what to tell people where it closes the node."""
        spots = [(place.node, None)] + ([(place.node, place.device)] if place.device else [])
        marks = [self._marks.setdefault(spot, {}) for spot in spots]
        for mark in marks:
            mark[trial] = reason
        if place.node in self.closed or max(map(len, marks)) < IN_A_ROW:
            return None
        by_device = len(marks[0]) < IN_A_ROW
        self.closed[place.node] = (
            f"{place if by_device else Place(place.node, place.host)} gets no more trials: "
            f"{IN_A_ROW} in a row failed there before their first validation ({reason})"
        )
        return self.closed[place.node]

    def worked(self, place: Place) -> None:
        """A trial was validated: what failed before it on this node and on this GPU was not the place."""
        self._marks.pop((place.node, None), None)
        self._marks.pop((place.node, place.device), None)

    def blameless(self, trial: str) -> None:
        """A trial that failed everywhere: its marks are its own fault."""
        for marks in self._marks.values():
            marks.pop(trial, None)

    def shun(self, failed_on: tuple[str, ...]) -> tuple[str, ...]:
        """Nodes that a trial which failed on some is kept away from, sorted."""
        return tuple(sorted({*self.closed, *failed_on}))
