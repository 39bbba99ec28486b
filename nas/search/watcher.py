"""What a search tells whoever listens: display, log, record of curves. tests/test_search_driver.py"""

from __future__ import annotations

from nas.trials.trial import Job
from proxy_tasks.engine import Epoch


class Watcher:
    """What a display or a log may want to hear; does nothing by itself."""

    def began(self, job: Job) -> None:
        """A job was handed out."""

    def progressed(self, job: Job, epoch: Epoch) -> None:
        """A job was validated once more."""

    def finished(self, job: Job, state: str, l_error_mm: float | None, reason: str) -> None:
        """A job ended and is recorded."""

    def said(self, message: str) -> None:
        """The search has something to tell."""
