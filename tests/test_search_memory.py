"""Memory and cost predicted from specs, and GPUs in slices that Ray can place."""

import dataclasses

import pytest
from nas_tools import plan

from nas.search import request
from nas.search.config import SearchConfig, gpu_share
from nas.search.forecast import device_seconds
from nas.search.memory import cpu_slots, fitting_share, largest_peak, slices
from nas.trials.needs import Calibration, peak_bytes, scoring_bytes, seconds_per_run, training_images
from nas.trials.resources import Resources
from nas.trials.rungs import asha_share
from proxy_tasks.kind import find_kind
from proxy_tasks.proxy import Proxy, Synthetic
from space import REFERENCES, ArchSpec

PROXY = Proxy("p", resolution=128, epochs=10, batch=100, synthetic=Synthetic(100, 10, 320))
RESNET = REFERENCES["resnet34"]


def test_memory_is_activations_parameters_and_a_fixed_part():
    calibration = Calibration(activation_bytes=6.0, fixed_bytes=1e9)
    expected = 1e9 + 6 * 100 * RESNET.activations(128) + 12 * RESNET.params()
    assert peak_bytes(RESNET, PROXY, calibration) == pytest.approx(expected)


def test_scoring_counts_where_a_batch_is_small_and_so_do_moments_and_an_average():
    alone = Calibration(activation_bytes=6.0, fixed_bytes=0.0)
    images = 2048 * (3 * 128**2 * 5 + 6100 * 40)
    scoring = images + 256 * RESNET.activations(128)  # a quarter of them alive, in float32
    assert scoring_bytes(RESNET, PROXY, alone) == pytest.approx(scoring + 12 * RESNET.params())
    small = dataclasses.replace(plan(), proxy=PROXY.replace(batch=8))
    assert largest_peak(small, alone) > scoring, "not of a batch of eight"
    more = peak_bytes(RESNET, PROXY.replace(optimizer="adamw", average=0.25), alone)
    assert more - peak_bytes(RESNET, PROXY, alone) == pytest.approx(8 * RESNET.params())


def test_a_share_follows_what_was_measured_and_the_data():
    made = dataclasses.replace(plan(), proxy=PROXY.replace(batch=512))
    small, large = (Calibration(activation_bytes=b, fixed_bytes=1e9) for b in (4.0, 16.0))
    (few, few_data), (many, many_data) = (
        [fitting_share(made, data, (c, 80e9)) for data in (0.0, 60e9)] for c in (small, large)
    )
    assert few < many and few < few_data and many <= many_data


def test_at_equal_flops_memory_follows_where_the_flops_are():
    early, late = ArchSpec((24, 1, 1, 1), (48, 48, 48, 48)), ArchSpec((1, 1, 1, 9), (112, 112, 112, 512))
    assert abs(early.macs() / late.macs() - 1) < 0.3
    alone = Calibration(fixed_bytes=0.0)
    assert peak_bytes(early, PROXY, alone) > 1.5 * peak_bytes(late, PROXY, alone)


def test_a_share_is_an_exact_slice_and_never_more_than_the_device():
    assert slices(peak=10e9, device_bytes=80e9) == 7
    assert slices(peak=10e9, device_bytes=80e9, data_bytes=5e9) == 4, "each has a copy of the data"
    assert slices(peak=10e9, device_bytes=80e9, data_bytes=500e9) == 3, "up to half of its share"
    assert slices(peak=200e9, device_bytes=80e9) == 1
    made = plan()
    peak = largest_peak(made, Calibration())
    assert peak > peak_bytes(made.control, made.proxy, Calibration())


def test_a_laptop_of_eight_gigabytes_trains_two_networks_of_five_gflops_at_once():
    made = plan()
    assert [cpu_slots(made, gigabytes * 1e9) for gigabytes in (2, 4, 8, 16, 64)] == [1, 1, 2, 5, 25]


def test_trials_on_a_cpu_take_more_cores_where_memory_is_short(monkeypatch):
    config, made = SearchConfig("5.1GFLOPs"), plan()
    monkeypatch.setattr(request, "cores", lambda: 8)
    for gigabytes, cpus in ((64, 1), (16, 2), (8, 4), (4, 8)):
        monkeypatch.setattr(request, "memory_bytes", lambda g=gigabytes: g * 10**9)
        assert request._resources(config, made, 0, 0.0).cpus == cpus
    assert request._resources(config.replace(cpus_per_trial=1.0), made, 0, 0.0).cpus == 1
    assert request._resources(config.replace(ray_address="auto"), made, 0, 0.0).cpus == 1


def test_how_steps_are_launched_reaches_the_trials_and_is_checked_before_them(tmp_path):
    made, data = plan(), str(tmp_path)
    config = SearchConfig("5.1GFLOPs", data=data, launch_steps="compiled")
    spec = request._objective(config, made, Resources(1.0, 0.5))
    assert spec.arguments["launch"] == "compiled" and spec.make().launch == "compiled"
    with pytest.raises(ValueError, match="--launch-steps graphs is for trials on a GPU"):
        request._objective(config.replace(launch_steps="graphs"), made, Resources(1.0))
    with pytest.raises(ValueError, match="--launch-steps is auto, eager, graphs, "):
        config.replace(launch_steps="fast")
    assert SearchConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("text", "share"), [("1", 1), ("2", 2), ("1/3", 1 / 3), ("0.25", 0.25), ("0.3333", 1 / 3)]
)
def test_a_slice_is_read_and_made_exact(text, share):
    assert gpu_share(text) == share


def test_the_images_of_a_run_are_four_fifths_of_the_subjects_within_the_proxys_bounds():
    faces = find_kind("jmlr").look(None, PROXY)
    assert training_images(PROXY, faces) == 800
    assert training_images(PROXY.replace(subjects=10, frames=3), faces) == 30


def test_a_run_costs_its_steps_and_its_validations():
    # 8 steps an epoch, 10 epochs; 200 images validated 10 times at a third of a step's cost
    assert seconds_per_run(PROXY, 800, 1.0) == pytest.approx(80 + 10 * 2 / 3)
    with pytest.raises(ValueError, match="7 training images do not fill one batch"):
        seconds_per_run(PROXY, 7, 1.0)


def test_halving_costs_a_proposal_its_expected_share():
    # rungs after 3 and 6 of 9: 3/9 + 3/9 / 2 + 3/9 / 4
    assert asha_share(9) == pytest.approx(3 / 9 + 3 / 18 + 3 / 36)


def test_the_forecast_adds_proposals_control_and_races():
    made = plan(trials=10, finalists=2, repeats=3)
    assert device_seconds(made, 1.0) == 10 + 3 + 6
    longer = plan(trials=10, finalists=2, repeats=3, race_epochs=2.0)
    assert device_seconds(longer, 1.0) == 19 + 2 * 9


@pytest.mark.gpu
def test_the_calibrated_prediction_covers_a_measured_run():
    import torch

    from nas.search.memory import _measure, calibrate

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    made = plan()
    predicted = peak_bytes(made.control, made.proxy, calibrate(made))
    assert _measure(made.control, made.proxy, made.proxy.batch) < predicted


def test_a_cpu_times_part_of_a_large_batch_and_scales_it(monkeypatch):
    from nas.search import forecast
    from nas.trials import needs

    batches, clock = [], iter(range(100))

    def step_of(arch, proxy, batch, device, outputs):
        batches.append(batch)
        return lambda: None

    monkeypatch.setattr(needs, "training_step", step_of)
    monkeypatch.setattr(needs.time, "perf_counter", lambda: float(next(clock)))
    large, small = (plan(trials=1).proxy.replace(batch=b) for b in (512, 8))
    made = plan(trials=1)
    step = forecast.seconds_per_step(dataclasses.replace(made, proxy=large), "cpu")
    assert batches == [needs.CPU_BATCH] and step == 512 / needs.CPU_BATCH  # a tick of the clock each
    assert forecast.seconds_per_step(dataclasses.replace(made, proxy=large), "cuda") == 1.0
    assert forecast.seconds_per_step(dataclasses.replace(made, proxy=small), "cpu") == 1.0
    assert batches == [needs.CPU_BATCH, 512, 8]
