"""When a search gives up: nearly all of its recent runs failed, so the rest would only fail too.

tests/test_search_waiting.py
"""

from __future__ import annotations

from collections import deque

RECENT, SOUND = 12, 2  # a search goes on while so many of its recent runs did not fail


class Failures:
    """Why the latest runs failed."""

    def __init__(self) -> None:
        self._recent: deque[str | None] = deque(maxlen=RECENT)  # None for one that did not fail

    def note(self, reason: str | None) -> None:
        """A run ended, None where it did not fail; RuntimeError where nearly all of the latest did."""
        self._recent.append(reason)
        reasons = [each for each in self._recent if each is not None]
        if len(self._recent) == RECENT and RECENT - len(reasons) < SOUND:
            commonest = max(reasons, key=reasons.count)
            raise RuntimeError(
                f"{len(reasons)} of the last {RECENT} runs failed, {reasons.count(commonest)} of them with: "
                f"{commonest}. Mend that first; what did not fail is kept"
            )
