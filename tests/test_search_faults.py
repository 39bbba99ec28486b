"""Kills, full disks and failing trials: nothing finished is lost, nothing is done twice."""

import errno
import json
import os
import random
import signal
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from nas_tools import driver, proposals, search, small_plan

from nas.record.run_dir import RunDir
from nas.record.storage import StoreError
from nas.record.store import REPEATS, Store
from nas.search.driver import Driver
from nas.search.waiting import ATTEMPTS
from nas.trials.inprocess import run_all
from nas.trials.standin import Standin
from nas.trials.trial import DONE, Ending, Job
from proxy_tasks import checkpoint as checkpoints


class Logged(Standin):
    """The stand-in, which notes every interval that it trains where a kill cannot undo it."""

    def __init__(self, notes, killed_after=(None, 0.0), **settings):
        super().__init__(**settings)
        self.notes = notes
        self.left, self.seconds_later = killed_after

    def run(self, spec, seed, proxy, checkpoint, report):
        def noted(epoch):
            with open(self.notes, "a") as file:
                file.write(json.dumps([spec.id, seed, proxy.id, epoch.number]) + "\n")
            if self.left is not None:
                self.left -= 1
                if self.left == 0:
                    die_in(self.seconds_later)
            return report(epoch)

        return super().run(spec, seed, proxy, checkpoint, noted)


def die_in(seconds):
    """The kernel ends this process after `seconds`, as kill -9 would: nothing of ours runs."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def in_a_child(act):
    """Run `act` in a forked process; whether a signal ended it."""
    child = os.fork()
    if child == 0:
        try:
            act()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("strategy", ["random", "tpe"])
def test_twenty_kills_at_random_moments_lose_and_repeat_nothing(tmp_path, strategy):
    made = small_plan(strategy=strategy, trials=12)
    whole = search(tmp_path / "whole", made)
    notes, moment = tmp_path / "notes", random.Random(strategy)

    def go(intervals=None, seconds=0.0):
        if intervals == 0:
            die_in(seconds)  # before it has trained anything: while it opens the store, or proposes
        run_all(driver(tmp_path / "run", made), Logged(notes, (intervals, seconds), seconds=0.06))

    for _ in range(20):
        when = moment.randint(0, 3), moment.uniform(0.0001, 0.02)
        assert in_a_child(lambda when=when: go(*when)), "the search ended before it was killed"
    go()

    records = Store.open(tmp_path / "run").records()
    assert {r.state for r in records} == {"complete"}
    assert len({r.key for r in records}) == len(records) == len(whole)
    assert [r.l_error_mm for r in records] == [r.l_error_mm for r in whole]
    assert all(len(r.curve) == made.proxy.epochs for r in records)
    trained = notes.read_text().splitlines()
    again = len(trained) - len(set(trained))
    assert again <= 20, "a kill costs one interval of training at most"


@pytest.mark.parametrize("strategy", ["random", "qmc"])
def test_an_interrupted_search_proposes_what_an_uninterrupted_one_does(tmp_path, strategy):
    made = small_plan(strategy=strategy, trials=8)
    whole = search(tmp_path / "whole", made)
    for stop_after in (2, 5):
        one = driver(tmp_path / "run", made)
        for _ in range(stop_after):
            job = one.next()
            one.ended(job, Ending("complete", "", ((1, 1.0),)))
        one.next()  # begun, never ended
    again = search(tmp_path / "run", made)
    assert [r.arch for r in proposals(again)] == [r.arch for r in proposals(whole)]
    assert [r.seed for r in proposals(again)] == [r.seed for r in proposals(whole)]


def test_an_ending_that_no_driver_heard_of_is_found_in_the_checkpoint(tmp_path):
    made = small_plan(trials=1)
    one = driver(tmp_path, made)
    job = one.next()
    Path(job.checkpoint).parent.mkdir()
    Standin().run(job.arch, job.seed, job.proxy, Path(job.checkpoint), lambda epoch: True)
    records = search(tmp_path, made)  # the driver died before it was told
    assert len(records[0].curve) == made.proxy.epochs
    assert all(r.state == "complete" for r in records)


def first_job(one) -> Job:
    job = one.next()
    assert isinstance(job, Job)
    return job


def test_a_lost_worker_costs_nothing_but_the_third_time_the_trial_is_given_up(tmp_path):
    one = driver(tmp_path, small_plan())
    job = first_job(one)
    for attempt in range(1, ATTEMPTS):
        one.ended(job, Ending("lost", "the worker process died"))
        again = first_job(one)
        assert (again.key, again.attempt) == (job.key, attempt + 1)
        job = again
    one.ended(job, Ending("lost", "the worker process died"))
    record = one.store.records(job.study)[job.number]
    assert (record.state, record.reason) == ("failed", "the worker process died")


def test_out_of_memory_is_tried_once_more_alone_then_recorded(tmp_path):
    one = driver(tmp_path, small_plan())
    job = first_job(one)
    one.ended(job, Ending("memory", "MemoryError: out of memory"))
    again = first_job(one)
    assert again.key == job.key and again.alone and not job.alone
    one.ended(again, Ending("memory", "MemoryError: out of memory"))
    record = one.store.records(job.study)[job.number]
    assert record.state == "failed" and "out of memory" in record.reason


class Fails(Standin):
    """The second proposal breaks, the third runs out of memory twice, the fourth diverges."""

    calls = 0

    def run(self, spec, seed, proxy, checkpoint, report):
        self.calls += 1
        if self.calls == 5:
            raise RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED\nand a long story")
        if self.calls in (6, 7):
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.diverge = float(self.calls == 8)
        return super().run(spec, seed, proxy, checkpoint, report)


def test_every_kind_of_failure_ends_as_recorded_and_none_stays_running(tmp_path):
    made = small_plan(trials=5)
    records = search(tmp_path, made, Fails())
    reasons = [r.reason for r in proposals(records) if r.state == "failed"]
    assert reasons == [
        "RuntimeError: cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
        "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB",
        "L_error is nan after the last epoch",
    ]
    assert not [r for r in records if r.state == "running"]
    assert [r.state for r in proposals(records)].count("complete") == 2


def test_a_nan_is_a_failed_trial_and_the_search_goes_on(tmp_path):
    records = search(tmp_path, small_plan(trials=4), Standin(diverge=1.0))
    nan = [r for r in records if r.state == "failed"]
    assert nan and all("L_error is nan" in r.reason for r in nan)
    assert not [r for r in records if r.state == "running"]


def test_a_control_that_fails_is_tried_again_and_then_left(tmp_path):
    class Broken(Standin):
        def run(self, spec, seed, proxy, checkpoint, report):
            raise RuntimeError("no such kernel")

    records = search(tmp_path, small_plan(trials=2), Broken())
    assert {r.state for r in records} == {"failed"}
    assert len([r for r in records if r.role == "control"]) <= 4


class Kept(Standin):
    """The stand-in with a checkpoint of the engine beside its own, and a look at the folder each interval."""

    seen: ClassVar[list[set[str]]] = []

    def run(self, spec, seed, proxy, checkpoint, report):
        def looked(epoch):
            checkpoints.save(checkpoint.with_name(f"{checkpoint.name}.engine"), {"epoch": epoch.number})
            self.seen.append({p.name.partition(".pt")[0] for p in checkpoint.parent.iterdir()})
            return report(epoch)

        return super().run(spec, seed, proxy, checkpoint, looked)


def test_checkpoints_are_of_the_live_trial_alone_and_do_not_outlive_it(tmp_path):
    records = search(tmp_path, small_plan(trials=4), Kept())
    assert Kept.seen == [{f"{r.study}_{r.number}"} for r in by_start(records) for _ in r.curve]
    assert list((tmp_path / "checkpoints").iterdir()) == []


def by_start(records):
    """In the order of their training: the control, the proposals, the race."""
    return sorted(records, key=lambda r: (r.role == "repeat", r.role == "proposal", r.number))


def test_the_storage_alone_is_enough_to_rebuild_every_table(tmp_path):
    from nas.record.answer import table
    from nas.record.select import select

    one = driver(tmp_path / "run", small_plan(trials=6))
    run_all(one, Standin())
    before = table(select(one.store.records()), 154.0)
    alone = RunDir(tmp_path / "alone")
    alone.path.mkdir()
    alone.study_log.write_bytes((tmp_path / "run" / "study.log").read_bytes())
    found = Store.connect(alone, None).records()
    assert found == one.store.records() and table(select(found), 154.0) == before


def test_a_full_disk_stops_the_driver_with_a_sentence(tmp_path, monkeypatch):
    one = driver(tmp_path, small_plan())
    for _ in range(3):
        first_job(one)  # the control's, which were written when the search began

    def full(descriptor, data):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StoreError, match=r"No space left on device.*--resume"):
        first_job(one)
    monkeypatch.undo()
    assert Store.open(tmp_path).records(REPEATS)
    assert isinstance(driver(tmp_path, small_plan()).next(), Job)


@pytest.mark.parametrize("how", ["a plain write", "torch.save"])
def test_a_disk_too_full_for_a_checkpoint_ends_the_search_and_fails_no_trial(tmp_path, how):
    class Full(Standin):
        def run(self, spec, seed, proxy, checkpoint, report):
            with open("/dev/full", "wb") as file:
                torch.save({"a": torch.zeros(100_000)}, file) if how == "torch.save" else file.write(
                    b"a" * 10**6
                )

    with pytest.raises(StoreError, match=r"could not write its checkpoint.*no space left.*--resume"):
        search(tmp_path, small_plan(trials=3), Full())
    assert {r.state for r in Store.open(tmp_path).records()} == {"running"}
    assert {r.state for r in search(tmp_path, small_plan(trials=3))} == {"complete"}


def test_a_driver_says_done_only_when_nothing_is_in_flight(tmp_path):
    one = driver(tmp_path, small_plan(trials=1))
    jobs = [first_job(one) for _ in range(4)]
    assert one.next() is None
    for job in jobs:
        one.ended(job, Ending("complete", "", ((1, 100.0 + job.number),)))
    assert isinstance(one, Driver) and one.next() != DONE  # the winner's re-runs


def test_a_trial_whose_interrupt_a_library_swallowed_stays_unfinished(tmp_path):
    class Swallows(Standin):
        def run(self, spec, seed, proxy, checkpoint, report):
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt:
                raise RuntimeError("enforce fail at inline_container.cc:672")  # noqa: B904

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, small_plan(trials=2), Swallows())
    assert {r.state for r in Store.open(tmp_path).records()} == {"running"}
