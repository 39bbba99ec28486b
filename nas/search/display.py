"""What a person sees while a search runs.

One calm display: a bar on a terminal, plain lines where stderr is a file or a
pipe, nothing with --quiet. Third parties' chatter never reaches it: for the
length of a search the process's own stdout and stderr go to log.txt
(nas/cli.py), and the display writes to the terminal behind their back.
"""

from __future__ import annotations

import statistics
import time
from typing import Any, TextIO

from nas.search.driver import Driver
from nas.search.watcher import Watcher
from nas.trials.trial import Job
from proxy_tasks.engine import Epoch
from proxy_tasks.kind import Score
from proxy_tasks.progress import has_a_screen, is_time

REFRESH = 0.5  # seconds between redraws of the bar
LINE_EVERY = 2.0  # seconds between plain lines at least, unless something failed


class Display(Watcher):
    """Counts, the best, the control, device use and the time left."""

    def __init__(
        self, driver: Driver, stream: TextIO, *, quiet: bool = False, score: Score | None = None
    ) -> None:
        self._driver, self._stream, self._score = driver, stream, score or Score()
        self._began = self._drawn = self._line = time.monotonic()
        self._fractions: dict[str, float] = {}
        self._counts = {"complete": 0, "pruned": 0, "failed": 0}
        self._errors: dict[str, list[float]] = {}  # of the runs of each architecture but the control
        self._control: list[float] = []
        self._worked = 0.0  # runs' worth of work done here, in runs of the control, for the time left
        self._worth: dict[str, float] = {}  # of the runs that go on, in the same
        self._begun = [0.0, 0]  # the worth of all runs begun here, and their number
        self._proposed: set[str] = set()  # proposals that have begun here, by key
        self._ended = 0  # proposals that ended in an earlier call
        self._spent = [0.0, 0]  # the work of proposals that ended here, and their number: rungs stop some
        self._earlier()
        self._mode = "quiet" if quiet else "bar" if has_a_screen(stream) else "lines"
        self._bar: Any = self._make_bar() if self._mode == "bar" else None

    def _earlier(self) -> None:
        """Count what a resumed search has already; what was known before it is none of its runs."""
        for r in self._driver.store.records():
            if r.state in self._counts and r.role != "known":
                self._counts[r.state] += 1
                self._ended += r.role == "proposal"
            if r.l_error_mm is not None and r.fidelity == self._driver.plan.proxy.id:
                self._note(r.role, r.arch.id, r.l_error_mm)

    def _make_bar(self) -> Any:
        from tqdm import tqdm

        return tqdm(
            total=self._total(),
            file=self._stream,
            dynamic_ncols=True,
            bar_format="{percentage:3.0f}%|{bar:20}| {desc}",
        )

    # --- what happens ---

    def began(self, job: Job) -> None:
        self._fractions[job.key] = 0.0
        plan = self._driver.plan
        self._worth[job.key] = self._driver.pace.share(job.arch) * job.proxy.epochs / plan.proxy.epochs
        self._begun = [self._begun[0] + self._worth[job.key], self._begun[1] + 1]
        if job.role == "proposal":
            self._proposed.add(job.key)  # once, however often it is begun again

    def progressed(self, job: Job, epoch: Epoch) -> None:
        done = epoch.number / job.intervals
        self._worked += (done - self._fractions.get(job.key, 0.0)) * self._worth.get(job.key, 1.0)
        self._fractions[job.key] = done

    def finished(self, job: Job, state: str, l_error_mm: float | None, reason: str) -> None:
        work = self._fractions.pop(job.key, 0.0) * self._worth.pop(job.key, 1.0)
        if job.role == "proposal" and state != "failed":
            self._spent = [self._spent[0] + work, self._spent[1] + 1]
        self._counts[state] += 1
        if l_error_mm is not None and job.proxy.id == self._driver.plan.proxy.id:
            self._note(job.role, job.arch.id, l_error_mm)
        if self._mode == "lines" and (state == "failed" or time.monotonic() - self._line > LINE_EVERY):
            self._line = time.monotonic()
            outcome = self._score.text(l_error_mm) if l_error_mm is not None else f"{state}: {reason}"
            self._print(f"{job.role} {job.arch.id}, seed {job.seed}: {outcome}; {self._summary()}")

    def said(self, message: str) -> None:
        if self._bar is not None:
            self._bar.write(message, file=self._stream)
        elif self._mode == "lines":
            self._print(message)

    def tick(self) -> None:
        """Redraw, at most every half second; without a screen a line now and then, for life is seen by it."""
        now = time.monotonic()
        if self._mode == "lines" and is_time(self._line - self._began, now - self._began):
            self._line = now
            self._print(self._summary())
        if self._bar is not None and now - self._drawn > REFRESH:
            self._drawn = now
            self._draw()

    def close(self) -> None:
        if self._bar is not None:
            self._draw()
            self._bar.close()
        elif self._mode == "lines":
            self._print(self._summary())

    # --- how it looks ---

    def _note(self, role: str, arch: str, value: float) -> None:
        if role == "control":
            self._control.append(value)
        elif role != "known" and arch != self._driver.plan.control.id:
            self._errors.setdefault(arch, []).append(value)

    def _total(self) -> int:
        return max(sum(self._driver.plan.runs_at_most().values()), self._over())

    def _over(self) -> int:
        return sum(self._counts.values())

    def _draw(self) -> None:
        assert self._bar is not None, "only a bar is drawn"
        self._bar.total = self._total()
        self._bar.n = min(self._over() + sum(self._fractions.values()), self._bar.total)
        self._bar.set_description_str(self._summary(), refresh=True)

    def _print(self, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", file=self._stream, flush=True)

    def _summary(self) -> str:
        slots = self._driver.slots
        running = min(len(self._fractions), slots)  # one more may wait for the next free slot
        parts = [f"{self._over()} of at most {self._total()} runs", f"{running}/{slots} running"]
        parts += [f"{n} {state}" for state, n in self._counts.items() if n and state != "complete"]
        if self._errors:
            best, arch = min((statistics.fmean(values), arch) for arch, values in self._errors.items())
            parts.append(f"best {self._score.amount(best)} {arch}")
        if self._control:
            spread = f" ± {statistics.stdev(self._control):.2f}" if len(self._control) > 1 else ""
            parts.append(f"control {statistics.fmean(self._control):.2f}{spread} {self._score.unit}".rstrip())
        left = self._minutes_left()
        return ", ".join(parts) + (f", {left} left" if left else "")

    def _minutes_left(self) -> str:
        if self._worked < 0.5 or not self._fractions:
            return ""
        going = sum(self._worth[key] * (1 - done) for key, done in self._fractions.items())
        to_come = self._total() - self._over() - len(self._fractions)
        begun = self._ended + len(self._proposed)
        proposals = min(to_come, max(0, self._driver.plan.trials - begun))
        whole = self._begun[0] / max(1, self._begun[1])
        enough = self._spent[1] >= 2 * self._driver.slots  # the first to end are those that rungs stop
        usual = self._spent[0] / self._spent[1] if enough else whole
        remaining = going + proposals * usual + (to_come - proposals) * whole
        seconds = remaining * (time.monotonic() - self._began) / self._worked
        return f"{seconds / 3600:.1f} h" if seconds > 5400 else f"{max(1, round(seconds / 60))} min"
