"""Jobs tried again: elsewhere, later, alone; and a search that stops where nearly everything fails."""

import dataclasses

import pytest
from nas_tools import driver, search, small_plan

from nas.search import waiting
from nas.search.driver import DONE
from nas.search.failures import RECENT
from nas.search.waiting import ATTEMPTS, EVICTIONS
from nas.search.watcher import Watcher
from nas.trials.places import Place
from nas.trials.standin import Standin
from nas.trials.trial import Ending, Job, run

NODES = [Place(name, f"host-{name}") for name in "abcd"]


def misplaced(place, reason="RuntimeError: CUDA error: device-side assert triggered"):
    return Ending("misplaced", reason, place=place)


def complete(value=1.0):
    return Ending("complete", "", ((1, value),))


def test_what_fails_unvalidated_goes_elsewhere_and_after_three_nodes_is_the_trials_own_fault(tmp_path):
    one = driver(tmp_path, small_plan())
    job = one.next()
    for place in NODES[:ATTEMPTS]:
        one.ended(job, misplaced(place))
        again = one.next()
        if place is not NODES[ATTEMPTS - 1]:
            assert again.key == job.key and again.failed_on == (*job.failed_on, place.node)
        job = again
    assert again.key != "repeats_0", "it failed on three nodes that nothing else failed on"
    record = one.store.records("repeats")[0]
    assert record.state == "failed" and "device-side assert" in record.reason
    assert not one.places.closed


def test_a_bad_node_costs_no_trial_and_is_said_once(tmp_path):
    one, said = driver(tmp_path, small_plan(trials=20)), []

    class Says(Watcher):
        def said(self, message):
            said.append(message)

    one.watchers.append(Says())
    jobs = [one.next() for _ in range(10)]  # a bad slot gets every job first
    for job in jobs:
        one.ended(job, misplaced(NODES[0]))
    assert len(said) == 1 and "host-a (Ray node a) gets no more trials" in said[0]
    assert {r.state for r in one.store.records()} == {"running"}
    assert {one.next().key for _ in jobs} == {job.key for job in jobs}


def test_a_trial_that_was_ended_for_its_machines_memory_waits_longer_each_time(tmp_path, monkeypatch):
    now = [0.0]
    one = driver(tmp_path, small_plan())
    monkeypatch.setattr(one.waiting, "_clock", lambda: now[0])
    job, pauses = one.next(), []
    for _ in range(EVICTIONS - 1):
        one.ended(job, Ending("evicted", "its machine ran out of memory"))
        assert job.key not in {other.key for other in [one.waiting.pop()] if other}
        began = now[0]
        while True:
            now[0] += 1.0
            again = one.waiting.pop()
            if again is not None and again.key == job.key:
                break
        pauses.append(now[0] - began)
        job = again
    assert pauses[:3] == [10, 20, 40] and max(pauses) == waiting.LONGEST_PAUSE
    one.ended(job, Ending("evicted", "its machine ran out of memory"))
    assert one.store.records("repeats")[0].state == "failed"


def test_a_search_waits_for_what_pauses_and_is_not_done(tmp_path):
    one = driver(tmp_path, small_plan(trials=1))
    jobs = []
    while (job := one.next()) is not None:
        jobs.append(job)
    one.ended(jobs[0], Ending("evicted", "its machine ran out of memory"))
    for job in jobs[1:]:
        one.ended(job, complete())
    assert one.next() is None and one.next() != DONE


def test_jobs_that_need_a_whole_device_start_when_nothing_else_is_left(tmp_path):
    made = small_plan(trials=6)
    one = driver(tmp_path, made)
    one.slots, one.slots_alone = 4, 2
    first = one.next()
    one.ended(first, Ending("memory", "CUDA out of memory"))
    order = []
    while isinstance(job := one.next(), type(first)):
        order.append(job)
        one.in_flight.pop(job.key)
        one.in_flight[job.key] = job
    assert [job.alone for job in order] == [False] * (len(order) - 1) + [True]
    assert order[-1].key == first.key and len(order) == 6 + made.repeats


def test_an_architecture_that_needed_a_whole_device_gets_one_at_once_the_next_time(tmp_path):
    one = driver(tmp_path, small_plan())
    one.slots_alone = 2
    job = one.next()
    one.ended(job, Ending("memory", "CUDA out of memory"))
    same = dataclasses.replace(job, number=99, seed=99)
    one.waiting.add(same)
    assert [j.key for j in one.waiting.held_back] == [job.key, same.key]
    assert all(j.alone for j in one.waiting.held_back)


def test_a_search_in_which_nearly_all_recent_runs_fail_stops_and_says_why(tmp_path):
    with pytest.raises(RuntimeError, match=rf"{RECENT} of the last {RECENT} runs failed.*simulated network"):
        search(tmp_path, small_plan(trials=40), Standin(fail=1.0))
    assert sum(r.state == "failed" for r in driver(tmp_path, small_plan()).store.records()) == RECENT


class Breaks(Standin):
    """Fails with an error after so many validations."""

    def __init__(self, after, error):
        super().__init__()
        self.after, self.error = after, error

    def run(self, spec, seed, proxy, checkpoint, report):
        def break_after(epoch):
            if epoch.number > self.after:
                raise self.error
            return report(epoch)

        return super().run(spec, seed, proxy, checkpoint, break_after)


@pytest.mark.parametrize(
    ("after", "error", "status"),
    [
        (0, ValueError("no such data set"), "misplaced"),
        (2, ValueError("a bug of the network's"), "failed"),
        (2, RuntimeError("CUDA error: an illegal memory access was encountered"), "misplaced"),
        (0, RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), "memory"),
        (2, RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "memory"),
    ],
)
def test_what_an_error_says_of_the_place_depends_on_when_it_came(tmp_path, after, error, status):
    job = driver(tmp_path, small_plan()).next()
    assert run(job, Breaks(after, error), lambda epoch: True).status == status


def utilisation(one, *, devices, large):
    """Share of slot-time that is worked while proposals last, as Ray places jobs: two halves a device."""
    one.slots, free = 2 * devices, [2] * devices
    pending, running, now, worked, ended_at = [], [], 0.0, 0.0, 0.0
    while True:
        while len(pending) + len(running) < one.slots + 1 and isinstance(job := one.next(), Job):
            pending.append(job)
        for job in list(pending):
            need = 2 if job.alone else 1
            device = next((i for i, room in enumerate(free) if room >= need), None)
            if device is not None:
                pending.remove(job)
                free[device] -= need
                fails = job.arch.id in large and not job.alone
                length = 0.1 if fails else 1.0 + 0.2 * (job.number % 3)
                running.append((now + length, job.key, job, device, need, fails))
                worked += need * length if job.role != "repeat" else 0.0
        if not running:
            return worked / (one.slots * ended_at)
        first = min(running)
        running.remove(first)
        now, _, job, device, need, fails = first
        free[device] += need
        if job.role == "proposal":
            ended_at = now
        one.ended(job, Ending("memory", "CUDA out of memory") if fails else complete(40.0 + job.number))


def test_trials_that_wait_for_a_whole_device_leave_nine_tenths_of_the_slots_at_work(tmp_path):
    made = small_plan(trials=40)
    drawn = [r.arch.id for r in search(tmp_path / "names", made) if r.role == "proposal"]
    large = set(drawn[::6])
    one = driver(tmp_path / "drill", made)
    one.slots_alone = 2
    assert utilisation(one, devices=4, large=large) > 0.9
    assert all(r.state == "complete" for r in one.store.records())
