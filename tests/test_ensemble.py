"""Ensembles: chosen on one half, scored on the other, averaged in the full image's frame."""

import csv
import json
import shutil
from types import SimpleNamespace

import finished_search
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.ensemble import build
from nas.ensemble.__main__ import main
from nas.ensemble.greedy import BlendError, compute, greedy, halves
from nas.ensemble.table import subject_interval, subject_resamples
from nas.predict.inference import Predictor
from nas.retrain.trained import Member, find_members, titles
from proxy_tasks.jmlr import heads
from proxy_tasks.jmlr.predicting import MeshSamples
from proxy_tasks.jmlr.wcpa.dataset import WcpaDataset

points = st.lists(st.floats(-5, 5), min_size=1, max_size=6)


def distance_to_zero(values):
    """Error of an average of members that are numbers: how far it lies from 0."""
    return lambda draws: abs(float(np.mean([values[i] for i in draws])))


@given(points)
@settings(max_examples=60, deadline=None)
def test_greedy_selection_is_never_worse_on_its_own_split_than_the_best_member(values):
    error = distance_to_zero(values)
    blend = greedy([1] * len(values), error)
    assert blend.path[-1] <= min(error((i,)) for i in range(len(values)))
    assert all(later < earlier for earlier, later in zip(blend.path, blend.path[1:], strict=False))
    assert sum(blend.weights) == len(blend.path)


def test_greedy_selection_draws_a_member_twice_where_that_is_best():
    blend = greedy([1, 1], distance_to_zero([1.0, -2.0]))  # 1 + 1 - 2 = 0
    assert blend.weights == (2, 1) and blend.path[-1] == 0.0


@given(points, st.data())
@settings(max_examples=40, deadline=None)
def test_a_compute_cap_counts_each_distinct_member_once(values, data):
    macs = data.draw(st.lists(st.integers(1, 9), min_size=len(values), max_size=len(values)))
    cap = data.draw(st.integers(min(macs), sum(macs)))
    blend = greedy(macs, distance_to_zero(values), cap=cap)
    assert 0 < compute(macs, blend.chosen) <= cap


def test_a_cap_below_every_member_says_what_the_smallest_needs():
    with pytest.raises(BlendError, match=r"budget of 1 GFLOPs: the smallest needs 2"):
        greedy([3_000_000_000, 2_000_000_000], lambda draws: 1.0, cap=1_000_000_000)


def test_halves_share_nobody_and_leave_nobody_out():
    people = [f"{i:03d}" for i in range(9)]
    first, second = halves(people * 3, seed=1)
    assert sorted([*first, *second]) == people and (len(first), len(second)) == (4, 5)
    assert halves(people, seed=1) == (first, second) != halves(people, seed=2)
    with pytest.raises(BlendError, match="two validation subjects or more"):
        halves(["001"], seed=0)


def test_the_interval_resamples_people_not_images():
    """Two people of 1 and 3 images: a resample is twice the one, each once, or twice the other."""
    values, people = [0.0, 4.0, 4.0, 4.0], ["a", "b", "b", "b"]
    means = subject_resamples(values, people, seed=0, resamples=20_000)
    share = {value: np.mean(np.isclose(means, value)) for value in (0.0, 3.0, 4.0)}
    assert sum(share.values()) == pytest.approx(1.0)
    assert share[0.0] == pytest.approx(0.25, abs=0.02) and share[3.0] == pytest.approx(0.5, abs=0.02)
    assert subject_interval(values, people) == (0.0, 4.0)
    assert subject_interval(values, ["a"] * 4) is None


def test_the_interval_covers_the_mean_of_all_people_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(40), 5)
    covered = 0
    for trial in range(200):
        values = rng.normal(0, 1, 40)[people] + rng.normal(0, 0.3, 200)
        low, high = subject_interval(values, people, seed=trial, resamples=400)
        covered += low <= 0.0 <= high
    assert 0.88 <= covered / 200 <= 0.98


@pytest.mark.parametrize("flip", [False, True])
def test_members_that_see_other_crops_and_mirrors_agree_in_the_full_image(flip, retrained, wcpa_of_ten):
    """Networks that answer the truth in their own crop's frame: every average is the truth."""
    members = find_members(retrained)[:2]
    dataset = WcpaDataset.open(wcpa_of_ten)
    sizes = {m.name: s for m, s in zip(members, (32, 48), strict=True)}
    fakes = [
        SimpleNamespace(name=m.name, resolution=sizes[m.name], model=m.model, record=m.record)
        for m in members
    ]
    crops = MeshSamples.of(dataset, fakes, "train")
    predictor = Predictor(fakes, [1, 3], crops, device="cpu", flip=flip)
    rows = np.array([3, 11, 30])
    predictor.models = [truth_teller(crops.caches[size], rows, flip) for size in (32, 48)]
    (part,) = predictor.stream(rows)
    verts, points = part.answers.split([3, 2], dim=2)
    torch.testing.assert_close(verts, torch.from_numpy(crops.any.verts[rows]), atol=1e-6, rtol=0)
    torch.testing.assert_close(points, torch.from_numpy(crops.any.points[rows]), atol=1e-3, rtol=0)


def truth_teller(cache, rows, flip):
    """A network's outputs on `rows`, then on their mirror images, from the labels alone."""
    size = cache.resolution
    verts = torch.from_numpy(cache.verts[rows])
    points = heads.to_crop(torch.from_numpy(cache.points[rows]), torch.from_numpy(cache.crop[rows]))
    index = torch.from_numpy(np.array(cache.topology.flip_index))
    mirrored_verts, mirrored_points = verts[:, index] * torch.tensor([-1.0, 1, 1]), points[:, index]
    mirrored_points = torch.stack([size - 1 - mirrored_points[..., 0], mirrored_points[..., 1]], -1)
    answers = [heads.encode(verts, points, size)]
    answers += [heads.encode(mirrored_verts, mirrored_points, size)] if flip else []
    return lambda images: answers.pop(0)


@pytest.fixture(scope="module")
def run(retrained, tmp_path_factory):
    """A copy of the retrained run with an ensemble."""
    run = tmp_path_factory.mktemp("ensemble") / "run"
    shutil.copytree(retrained, run)
    assert main([str(run), "--device", "cpu", "--quiet"]) == 0
    return run


def test_an_ensemble_writes_its_members_scores_and_table(run):
    members = json.loads((run / "ensemble" / "members.json").read_text())
    metrics = json.loads((run / "ensemble" / "metrics.json").read_text())
    names = {f.parent.name for f in run.glob("retrain/*/metrics.json")}
    assert {m["folder"] for m in members["members"]} <= names and members["flip"] is True
    assert members["macs"] == sum(m["macs"] for m in members["members"])
    with (run / "ensemble" / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [r["network"] for r in rows][-2:] == ["Mean of all members", "Ensemble (greedy)"] and len(
        rows
    ) == 5
    for row in rows:
        parts = [float(row[k]) for k in ("v1_v2_mm", "v1_v3_mm", "v1_v4_x10_mm")]
        assert float(row["l_error_mm"]) == pytest.approx(sum(parts))
        assert float(row["l_error_mm"]) == metrics["held_out"][row["network"]]["l_error_mm"]
    assert sorted(p.name for p in (run / "ensemble").iterdir()) == [
        "members.json", "metrics.json", "table.csv", "table.md",
    ]  # fmt: skip


def test_the_people_that_chose_an_ensemble_do_not_score_it(run):
    metrics = json.loads((run / "ensemble" / "metrics.json").read_text())
    choosing, scoring = set(metrics["selection"]["subjects"]), set(metrics["held_out_subjects"])
    assert choosing and scoring and not choosing & scoring
    assert metrics["validation"]["subjects"] == len(choosing | scoring)
    assert metrics["selection"]["l_error_mm"] <= metrics["selection"]["best_member_l_error_mm"]


def test_a_budget_caps_the_whole_ensemble(run, tmp_path, capsys):
    capped = tmp_path / "run"
    shutil.copytree(run, capped)
    assert main([str(capped), "--device", "cpu", "--quiet", "--budget", "0.5GFLOPs"]) == 0
    assert json.loads((capped / "ensemble" / "members.json").read_text())["macs"] <= 500_000_000
    metrics = json.loads((capped / "ensemble" / "metrics.json").read_text())
    best = metrics["gain_over_best_member"]["best_member"]
    assert metrics["held_out"][best]["gflops"] <= 0.5  # what it is compared with keeps to the budget too
    over = (capped / "ensemble" / "table.md").read_text().split("Beyond the budget of 0.5 GFLOPs")[1]
    assert "Mean of all members" in over and best not in over
    before = (capped / "ensemble" / "members.json").read_bytes()
    assert main([str(capped), "--device", "cpu", "--quiet", "--budget", "0.1GFLOPs"]) == 2
    assert "the smallest needs 0.49" in capsys.readouterr().err
    assert (capped / "ensemble" / "members.json").read_bytes() == before


def edit(run, change):
    """Apply `change` to one member's metrics.json."""
    file = sorted(run.glob("retrain/*/metrics.json"))[0]
    record = json.loads(file.read_text())
    change(record)
    file.write_text(json.dumps(record))


def alter(key, **values):
    return lambda record: record[key].update(values)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda record: record.update(data_id="elsewhere"), "different data sets"),
        (alter("split", id="other"), "different subject splits"),
        (alter("topology", id="other"), "different meshes"),
    ],
)
def test_members_that_do_not_belong_together_are_refused(change, said, retrained, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(retrained, run)
    edit(run, change)
    assert main([str(run), "--device", "cpu", "--quiet"]) == 2
    message = capsys.readouterr().err
    assert said in message and message.count("\n") == 1 and not (run / "ensemble").exists()


def test_bad_requests_are_one_sentence_and_write_nothing(retrained, tmp_path, wcpa_of_ten, tiny_wcpa, capsys):
    bare = finished_search.write(tmp_path / "bare", wcpa_of_ten)
    requests = [
        ([str(bare)], "no finished retraining"),
        ([str(tmp_path)], "no search"),
        ([str(retrained), "--members", "nobody"], "'nobody'"),
        ([str(retrained), "--budget", "5GB"], "counts bytes"),
        ([str(retrained), "--frames", "-1"], "--frames"),
        ([str(retrained), "--data", str(tiny_wcpa)], "trained on another data set"),
    ]
    for argv, said in requests:
        assert main([*argv, "--device", "cpu", "--quiet"]) == 2
        message = capsys.readouterr().err
        assert said in message and message.count("\n") == 1, message
    assert not (retrained / "ensemble").exists() and not (bare / "ensemble").exists()


def test_a_budget_that_no_member_fits_is_refused_before_anything_is_predicted(retrained, monkeypatch, capsys):
    monkeypatch.setattr(build, "_predict", None)  # not reached
    assert main([str(retrained), "--device", "cpu", "--quiet", "--budget", "0.001GFLOPs"]) == 2
    assert "no member fits a budget of 0.001 GFLOPs" in capsys.readouterr().err


def test_weights_of_another_mesh_are_refused(retrained, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(retrained, run)
    for file in run.glob("retrain/*/best.pt*"):
        saved = torch.load(file, weights_only=True)
        saved["about"]["topology"] = {"id": "other", "vertices": 99}
        torch.save(saved, file)
    assert main([str(run), "--device", "cpu", "--quiet"]) == 2
    message = capsys.readouterr().err
    assert "mesh of 99 vertices" in message and not (run / "ensemble").exists()


def test_weights_of_another_architecture_are_refused(retrained, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(retrained, run)
    one, other = sorted(run.glob("retrain/*/best.pt"))[:2]
    other.write_bytes(one.read_bytes())
    assert main([str(run), "--device", "cpu", "--quiet"]) == 2
    message = capsys.readouterr().err
    assert "the folder mixes two runs" in message and message.count("\n") == 1
    assert not (run / "ensemble").exists()


def test_damaged_weights_are_named_and_the_ones_before_used(retrained, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(retrained, run)
    for file in run.glob("retrain/*/best.pt"):
        file.with_name("best.pt.previous").write_bytes(file.read_bytes())
        file.write_bytes(file.read_bytes()[:1000])
    assert main([str(run), "--device", "cpu", "--quiet"]) == 0
    assert capsys.readouterr().err.count("best.pt is damaged") == 3


def test_rows_of_one_architecture_and_seed_under_two_schedules_have_two_names(retrained):
    member = find_members(retrained)[0]
    other = Member(member.folder, member.record | {"settings_id": "another"})
    one, two = titles([member, other])
    assert one != two and "another" in two and titles([member]) == [member.title]
