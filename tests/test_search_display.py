"""What a person sees of a search: counts, the best, the control, and no more runs than there is room for."""

import io
from dataclasses import replace

from nas_tools import PROXY, driver, small_plan

from nas.search.display import Display
from nas.trials.trial import Ending, Job
from proxy_tasks.engine import Epoch


def begun(one, count):
    jobs = [one.next() for _ in range(count)]
    assert all(isinstance(job, Job) for job in jobs)
    return jobs


def shown(tmp_path, act, *, quiet=False, slots=2, **changes):
    """What a display on a pipe says while `act(driver)` goes on."""
    one, stream = driver(tmp_path, small_plan(**changes)), io.StringIO()
    one.slots = slots
    display = Display(one, stream, quiet=quiet)
    one.watchers.append(display)
    act(one)
    display.close()
    return stream.getvalue()


def complete(value):
    return Ending("complete", "", tuple((i, value) for i in range(1, PROXY.epochs + 1)))


def test_a_job_that_waits_for_a_slot_is_not_called_running(tmp_path):
    assert "0 of at most" in shown(tmp_path / "a", lambda one: begun(one, 1))
    assert ", 2/2 running" in shown(tmp_path / "b", lambda one: begun(one, 3))
    assert ", 3/4 running" in shown(tmp_path / "c", lambda one: begun(one, 3), slots=4)


def test_counts_the_best_and_the_control_with_its_spread(tmp_path):
    def act(one):
        for job, value in zip(begun(one, 4), (70.0, 72.0, 71.0, 65.5), strict=True):
            one.ended(job, complete(value))
        broken = begun(one, 1)[0]
        one.ended(broken, Ending("failed", "the device is gone"))

    said = shown(tmp_path, act, trials=3)
    last = said.splitlines()[-1]
    assert "control 71.00 ± 1.00 mm" in last and "best 65.50 mm d" in last and "1 failed" in last
    assert "failed: the device is gone" in said, "a failure is never held back"


def test_time_left_is_shown_once_half_a_run_is_done(tmp_path):
    def epochs(count):
        def act(one):
            job = begun(one, 1)[0]
            for number in range(1, count + 1):
                one.progress(job, Epoch(number, float(number), {"l_error_mm": 80.0}, 1.0))

        return act

    assert "left" not in shown(tmp_path / "a", epochs(2))
    assert "1 min left" in shown(tmp_path / "b", epochs(4))


def test_the_best_is_the_least_mean_of_an_architectures_runs(tmp_path):
    one, stream = driver(tmp_path, small_plan(trials=3)), io.StringIO()
    display = Display(one, stream)
    jobs = begun(one, 6)
    lucky, steady = (job for job in jobs if job.role == "proposal" and job.number < 2)
    for job, value in ((lucky, 60.0), (steady, 62.0), (replace(lucky, role="repeat", seed=1), 66.0)):
        display.finished(job, "complete", value, "")
    display.close()
    assert f"best 62.00 mm {steady.arch.id}" in stream.getvalue().splitlines()[-1]


def test_the_time_left_counts_on_rungs_stopping_as_many_proposals_as_they_did(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("nas.search.display.time.monotonic", lambda: clock[0])

    def hours(stopped_after):
        one = driver(tmp_path / str(stopped_after), small_plan(trials=40))
        clock[0], display = 0.0, Display(one, io.StringIO())
        one.watchers.append(display)
        jobs = [job for job in begun(one, 8) if job.role == "proposal"]
        display.began(jobs[0])  # taken up again after its worker died: still one proposal
        for job in jobs[:4]:
            for number in range(1, stopped_after + 1):
                clock[0] += 600.0
                display.progressed(job, Epoch(number, float(number), {}, 600.0))
            display.finished(job, "complete" if stopped_after == job.intervals else "pruned", None, "")
        return float(display._minutes_left().split()[0])

    assert hours(PROXY.validations) > 1.7 * hours(PROXY.validations // 2)


def test_quiet_says_nothing(tmp_path):
    assert shown(tmp_path, lambda one: begun(one, 1), quiet=True) == ""


def test_where_there_is_no_terminal_a_running_trial_is_heard_of_now_and_then(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("nas.search.display.time.monotonic", lambda: clock[0])
    stream = io.StringIO()
    display = Display(driver(tmp_path, small_plan()), stream)
    for second in range(1, 301):
        clock[0] = float(second)
        display.tick()
    lines = stream.getvalue().splitlines()
    assert 5 <= len(lines) <= 20 and "0 of at most" in lines[0]
