"""Averaged weights: the recurrence, and that a run is scored by them and trains without them."""

import torch
from test_proxy_engine import PROXY, Net, Toy, numbers

from proxy_tasks.average import WeightAverage, decay
from proxy_tasks.engine import fit

AVERAGED = PROXY.replace(average=0.2)


def test_the_average_is_the_exponential_recurrence():
    model = torch.nn.Linear(1, 1, bias=False)
    average = WeightAverage(model, 0.1, 100)
    kept, expected = decay(0.1, 100), None
    for value in (1.0, 4.0, -2.0):
        torch.nn.init.constant_(model.weight, value)
        average.update()
        expected = value if expected is None else kept * expected + (1 - kept) * value
    with average.shown():
        assert abs(model.weight.item() - expected) < 1e-6
    assert model.weight.item() == -2.0


def test_a_window_below_a_step_is_the_last_weights():
    assert decay(0.01, 10) == 0.0
    assert numbers(fit(Net(), Toy(), PROXY.replace(average=1e-6), seed=0)) == numbers(
        fit(Net(), Toy(), PROXY, seed=0)
    )


def test_averaging_changes_the_score_and_not_the_training():
    plain, averaged = fit(Net(), Toy(), PROXY, seed=0), fit(Net(), Toy(), AVERAGED, seed=0)
    assert plain.final["train_loss"] == averaged.final["train_loss"]
    assert plain.final["l_error_mm"] != averaged.final["l_error_mm"]


def test_the_model_holds_the_scored_weights_in_the_callback_and_afterwards():
    task, model, seen = Toy(), Net(), []

    def look(epoch):
        model.eval()
        with torch.no_grad():
            seen.append(task.evaluate(model)["l_error_mm"] - epoch.metrics["l_error_mm"])
        model.train()
        return True

    outcome = fit(model, task, AVERAGED, seed=0, on_epoch=look)
    assert max(map(abs, seen)) < 1e-3
    model.eval()
    with torch.no_grad():
        assert abs(task.evaluate(model)["l_error_mm"] - outcome.final["l_error_mm"]) < 1e-3


def test_a_resumed_run_goes_on_with_its_average(tmp_path):
    whole, path = fit(Net(), Toy(), AVERAGED, seed=0), tmp_path / "c.pt"
    fit(Net(), Toy(), AVERAGED, seed=0, checkpoint=path, on_epoch=lambda e: e.number < 2)
    assert numbers(fit(Net(seed=9), Toy(), AVERAGED, seed=0, checkpoint=path)) == numbers(whole)


def test_adamw_learns_and_resumes(tmp_path):
    proxy, path = PROXY.replace(optimizer="adamw", lr=0.1), tmp_path / "c.pt"
    whole = fit(Net(), Toy(), proxy, seed=0)
    assert whole.final["l_error_mm"] < whole.epochs[0].metrics["l_error_mm"]
    fit(Net(), Toy(), proxy, seed=0, checkpoint=path, on_epoch=lambda e: e.number < 2)
    assert numbers(fit(Net(seed=9), Toy(), proxy, seed=0, checkpoint=path)) == numbers(whole)


def test_settings_that_came_later_leave_the_ids_of_old_proxies_alone():
    from proxy_tasks.proxy import PROXIES

    assert PROXIES["full"].id == "full-f20df4"
    assert PROXIES["full"].replace(average=0.1).id != PROXIES["full"].id
