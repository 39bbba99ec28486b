"""nas.retrain says what training in full takes before it begins: on request, and where it would surprise."""

from __future__ import annotations

import pytest
from finished_search import SCHEDULE, write

from nas.retrain import forecast
from nas.retrain.__main__ import main, parser, told
from nas.retrain.request import plan_jobs, where_to_train


@pytest.fixture
def run(tmp_path, wcpa_of_ten):
    return write(tmp_path / "run", wcpa_of_ten)


@pytest.fixture
def second_a_step(monkeypatch):
    """Every step of every network takes a second."""
    monkeypatch.setattr(forecast, "step_seconds", lambda arch, proxy, device, most, outputs: 1.0)


def test_a_dry_run_tells_hours_and_memory_and_writes_nothing(run, capsys):
    before = sorted(run.rglob("*"))
    assert main([str(run), *SCHEDULE, "--top", "1", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "2 networks, 3 epochs at 32x32, batch 8" in shown
    assert "time    about" in shown and "memory" in shown and "nothing was trained" in shown
    assert sorted(run.rglob("*")) == before


def planned(run, *flags):
    argv = ["--launcher", "inprocess", "--device", "cpu", "--top", "1", *flags]
    args = parser().parse_args([str(run), *argv])
    place = where_to_train(args)
    return args, plan_jobs(args, place), place


def test_hours_are_steps_and_validations_times_their_seconds(run, second_a_step):
    # 32 images in batches of 8, 100 epochs: 400 steps and 100 validations of a quarter at a third of a step
    _, jobs, place = planned(run, "--batch", "8", "--epochs", "100", "--no-control")
    found = forecast.cost(jobs, place)
    assert found.wall_hours * 3600 == pytest.approx(400 + 100 * 32 * 0.25 / 8 / 3)


def test_a_long_schedule_without_a_gpu_is_announced_before_it_begins(run, second_a_step, monkeypatch, capsys):
    args, jobs, place = planned(run, "--batch", "8", "--epochs", "10000")
    assert forecast.is_long(jobs) and not told(args, jobs, place)
    said = capsys.readouterr().err
    assert "no GPU here" in said and "time    about" in said and "Ctrl-C stops it" in said
    args, jobs, place = planned(run, "--batch", "8", "--epochs", "3", "--resolution", "32")
    assert not forecast.is_long(jobs) and not told(args, jobs, place)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("hours", "at_once", "wall"),
    [((5.0,), 8, 5.0), ((1.0,) * 9, 8, 2.0), ((3.0, 1.0, 1.0, 1.0), 2, 3.0), ((1.0, 2.0), 1, 3.0)],
)
def test_networks_side_by_side_take_as_long_as_the_fullest_place(hours, at_once, wall):
    assert forecast.wall_hours(hours, at_once) == wall
