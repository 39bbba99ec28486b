"""The stand-in has the shape of a search's problem."""

import numpy as np

from nas.trials.standin import START_MM, Standin, expected_mm, learning_curve
from nas.trials.training import ProxyTraining
from nas.trials.trial import ObjectiveSpec
from proxy_tasks.proxy import Proxy
from space import REFERENCES, Budget, FeasibleSet, Space

PROXY = Proxy("p", resolution=64, epochs=6, batch=32)
SPECS = FeasibleSet(Space(), Budget.parse("5.1GFLOPs")).draw(300, np.random.default_rng(0))


def test_resnet34_is_good_and_not_the_best_and_the_searched_network_is_better():
    errors = np.array([expected_mm(s) for s in SPECS])
    resnet, searched = (expected_mm(REFERENCES[n]) for n in ("resnet34", "jmlr-searched"))
    assert searched < resnet < np.quantile(errors, 0.05)


def test_a_curve_falls_from_the_mean_face_to_the_final_error():
    curve = learning_curve(SPECS[0], 0, 10, noise_mm=0.0)
    assert START_MM > curve[0] > curve[5] > curve[-1] == expected_mm(SPECS[0])


def test_curves_cross_so_that_a_rung_can_be_wrong():
    early = [learning_curve(s, 0, 6, 0.15)[0] for s in SPECS]
    final = [learning_curve(s, 0, 6, 0.15)[-1] for s in SPECS]
    assert 0.3 < np.corrcoef(np.argsort(np.argsort(early)), np.argsort(np.argsort(final)))[0, 1] < 0.98


def test_an_objective_is_found_by_the_name_that_it_had_when_an_earlier_run_was_recorded():
    assert isinstance(ObjectiveSpec("nas.standin:Standin", {"seconds": 0.0}).make(), Standin)
    assert isinstance(
        ObjectiveSpec("nas.trial:ProxyTraining", {"data": "x", "device": "cpu"}).make(), ProxyTraining
    )


def test_seeds_differ_by_the_stated_noise():
    finals = [learning_curve(SPECS[0], seed, 6, 0.15)[-1] for seed in range(400)]
    assert abs(np.std(finals) / 0.15 - 1) < 0.1


def test_a_run_goes_on_from_its_checkpoint_to_the_same_numbers(tmp_path):
    whole = Standin().run(SPECS[0], 0, PROXY, tmp_path / "a", lambda epoch: True)
    seen = []

    def stop_at_two(epoch):
        seen.append(epoch.number)
        return epoch.number < 2

    Standin().run(SPECS[0], 0, PROXY, tmp_path / "b", stop_at_two)
    rest = Standin().run(SPECS[0], 0, PROXY, tmp_path / "b", lambda e: bool(seen.append(e.number)) or True)
    assert seen == [1, 2, 3, 4, 5, 6] and rest.epochs == whole.epochs
