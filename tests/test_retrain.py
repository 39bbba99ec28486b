"""Full training: several processes as one, kills that change nothing, folders that never mix."""

import csv
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import finished_search
import pytest
import torch
import torch.distributed as dist
from finished_search import CONTROL, SCHEDULE, SMALL, WIDER

from nas.record.run_dir import RunError
from nas.retrain.__main__ import SCHEDULE as SETTINGS
from nas.retrain.__main__ import main, parser
from nas.retrain.folder import RetrainFolder
from nas.retrain.job import RetrainJob
from nas.retrain.on_ray import reason
from nas.retrain.request import schedule, searched_data
from nas.retrain.run import progress_line
from nas.retrain.train import train
from nas.retrain.trained import MemberError, find_members
from proxy_tasks import checkpoint as checkpoints
from proxy_tasks.backbone import build_model
from proxy_tasks.distributed import distribute, replace_norms, shared_predictor, world
from proxy_tasks.engine import Epoch, fit
from proxy_tasks.jmlr.wcpa.dataset import WcpaDataset
from proxy_tasks.proxy import Proxy, Synthetic
from proxy_tasks.task import World

PROXY = Proxy("test", 32, epochs=3, batch=8, lr=3.2, precision="fp32")
ROOT = Path(__file__).resolve().parent.parent


class Regression:
    """A task of 64 noise images and 10 targets, whose batches are slices of the global batch."""

    outputs, train_size, fingerprint = 10, 64, "toy"

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.images = torch.randn(64, 3, 32, 32, generator=generator)
        self.targets = torch.randn(64, 10, generator=generator)

    def prepare(self, model):
        pass

    def batches(self, steps, place):
        for step in steps:
            mine = step.indices[place.part(len(step.indices))]
            yield self.images[mine], self.targets[mine]

    def loss(self, outputs, targets):
        return (outputs - targets).square().mean()

    def evaluate(self, predict):
        return {"l_error_mm": float((predict(self.images[:37]) - self.targets[:37]).abs().mean())}


def train_noise(rank, size, folder):
    """One process of `size`; leaves what the first ends with in folder/<size>-<rank>.pt."""
    torch.set_num_threads(1)
    if size > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=size)
    model = build_model(SMALL, 10, seed=1)
    proxy = PROXY.replace(batch=16, epochs=2)
    outcome = fit(
        distribute(model, torch.device("cpu")), Regression(), proxy, seed=0, device="cpu", world=world()
    )
    torch.save([model.state_dict(), [e.metrics for e in outcome.epochs]], f"{folder}/{size}-{rank}.pt")
    if size > 1:
        dist.destroy_process_group()


def test_two_processes_train_the_network_that_one_trains_on_the_same_global_batch(tmp_path):
    train_noise(0, 1, tmp_path)
    torch.multiprocessing.spawn(train_noise, (2, tmp_path), nprocs=2)
    alone, metrics = torch.load(tmp_path / "1-0.pt")
    first, second = (torch.load(tmp_path / f"2-{rank}.pt") for rank in (0, 1))
    fresh = build_model(SMALL, 10, seed=1).state_dict()
    assert list(alone) == list(first[0])
    for name, value in alone.items():
        moved = (value.double() - fresh[name].double()).norm()
        assert (first[0][name].double() - value.double()).norm() <= 1e-3 * moved + 1e-5, name
        torch.testing.assert_close(first[0][name], second[0][name], rtol=0, atol=0)
    assert first[1] == second[1]  # both scored the same outputs
    for ours, theirs in zip(metrics, first[1], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)


def test_batch_norm_over_processes_is_batch_norm_over_the_whole_batch(monkeypatch):
    """Two halves of a batch whose moments are averaged as the processes would average them."""
    from proxy_tasks import distributed

    torch.manual_seed(0)
    whole = torch.randn(8, 5, 4, 4, dtype=torch.float64) * 3 + 1
    plain, ours = torch.nn.BatchNorm2d(5).double(), torch.nn.Sequential(torch.nn.BatchNorm2d(5).double())
    replace_norms(ours)
    assert list(ours[0].state_dict()) == list(plain.state_dict())
    moments = torch.stack([whole.mean((0, 2, 3)), whole.square().mean((0, 2, 3))])
    monkeypatch.setattr(distributed, "_mean", lambda x: moments)
    monkeypatch.setattr(distributed.dist, "get_world_size", lambda: 2)
    expected = plain(whole)
    torch.testing.assert_close(ours(whole[:4]), expected[:4])
    torch.testing.assert_close(ours[0].running_var, plain.running_var)


def test_validation_is_divided_and_put_together_in_order(monkeypatch):
    from proxy_tasks import distributed

    images = torch.arange(7.0).reshape(7, 1)
    seen = {}

    def gather(parts, mine):
        for rank, part in enumerate(parts):
            rows = images[rank * 3 : (rank + 1) * 3]
            part.zero_()[: len(rows)] = rows * 2
        assert torch.equal(parts[seen["rank"]], mine)

    monkeypatch.setattr(distributed.dist, "all_gather", gather)
    for rank in range(3):
        seen["rank"] = rank
        assert torch.equal(shared_predictor(lambda x: x * 2, World(rank, 3))(images), images * 2)


def job(data: Path, **changes) -> RetrainJob:
    values = {"name": "", "proxy": PROXY, "seed": 0, "data": str(data), "data_id": WcpaDataset.open(data).id}
    return RetrainJob(SMALL, **{**values, **changes})


def curve(folder: Path) -> list[dict[str, float]]:
    """The history without the seconds."""
    with (folder / "history.csv").open() as file:
        return [{k: float(v) for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def same_weights(a: Path, b: Path) -> bool:
    one, other = (torch.load(f / "best.pt", weights_only=True) for f in (a, b))
    return one["epoch"] == other["epoch"] and all(
        torch.equal(v, other["model"][k]) for k, v in one["model"].items()
    )


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, wcpa_of_ten):
    run = tmp_path_factory.mktemp("straight")
    train(job(wcpa_of_ten), run, device="cpu")
    return job(wcpa_of_ten).folder(run)


class Killed(BaseException):
    """Stands for a kill: nothing of ours catches it."""


def train_until(epoch: int, a_job: RetrainJob, run: Path) -> Path:
    def kill(e: Epoch) -> bool:
        if e.number == epoch:
            raise Killed
        return True

    with pytest.raises(Killed):
        train(a_job, run, device="cpu", on_epoch=kill)
    return a_job.folder(run)


def test_a_killed_and_resumed_run_gives_the_uninterrupted_numbers(tmp_path, wcpa_of_ten, uninterrupted):
    folder = train_until(2, job(wcpa_of_ten), tmp_path)
    assert json.loads((folder / "metrics.json").read_text())["status"] == "running"
    train(job(wcpa_of_ten), tmp_path, device="cpu")
    assert curve(folder) == curve(uninterrupted) and same_weights(folder, uninterrupted)
    assert json.loads((folder / "metrics.json").read_text())["status"] == "complete"


def test_an_epoch_that_only_the_checkpoint_knows_is_recorded_on_resume(tmp_path, wcpa_of_ten, uninterrupted):
    folder = train_until(2, job(wcpa_of_ten), tmp_path)
    lines = (folder / "history.csv").read_text().splitlines(keepends=True)
    (folder / "history.csv").write_text("".join(lines[:2]))  # killed after the checkpoint, before the row
    (folder / "best.pt").unlink()
    train(job(wcpa_of_ten), tmp_path, device="cpu")
    assert curve(folder) == curve(uninterrupted) and same_weights(folder, uninterrupted)


def test_a_truncated_checkpoint_is_named_and_the_one_before_used(tmp_path, wcpa_of_ten, uninterrupted):
    folder = train_until(2, job(wcpa_of_ten), tmp_path)
    whole = (folder / "checkpoint.pt").read_bytes()
    (folder / "checkpoint.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.warns(UserWarning, match=r"checkpoint\.pt is damaged \([^.]*\); trying the one"):
        train(job(wcpa_of_ten), tmp_path, device="cpu")
    assert curve(folder) == curve(uninterrupted) and same_weights(folder, uninterrupted)


def test_a_checkpoint_of_another_network_is_refused_before_anything_is_written(tmp_path, wcpa_of_ten, capsys):
    run = finished_search.write(tmp_path / "run", wcpa_of_ten)
    argv = [str(run), *SCHEDULE, "--top", "0", "--no-control", "--spec"]
    (tmp_path / "spec.json").write_text(json.dumps(WIDER.to_dict()))
    assert main([*argv, str(tmp_path / "spec.json")]) == 0
    (own,) = run.glob("retrain/*")
    (own / "metrics.json").unlink()
    whole = torch.load(own / "checkpoint.pt", weights_only=True)
    before = {f.name: f.read_bytes() for f in own.iterdir() if f.is_file() and "checkpoint" not in f.name}
    for arch, outputs, said in ((SMALL, 1275, "another architecture"), (WIDER, 500, "100 vertices")):
        torch.save({**whole, "model": build_model(arch, outputs).state_dict()}, own / "checkpoint.pt")
        capsys.readouterr()
        assert main([*argv, str(tmp_path / "spec.json")]) == 2
        message = capsys.readouterr().err
        assert said in message and message.count("\n") == 1, message
    assert before == {f.name: f.read_bytes() for f in own.iterdir() if f.name in before}
    assert not (own / "metrics.json").exists()


def test_damaged_metrics_are_mended_from_the_checkpoint(retrained, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(retrained, run)
    file = sorted(run.glob("retrain/*/metrics.json"))[0]
    best = json.loads(file.read_text())["best"]
    file.write_text('{"arch": ')
    with pytest.raises(MemberError, match=r"metrics\.json is damaged"):
        find_members(run)
    finished_search.retrain(run, "--top", "2")
    assert json.loads(file.read_text())["best"] == best and len(find_members(run)) == 3


def test_kill_minus_nine_of_the_command_and_the_same_command_again(tmp_path, wcpa_of_ten, capsys):
    run = finished_search.write(tmp_path / "killed", wcpa_of_ten)
    argv = [str(run), *SCHEDULE, "--top", "1", "--no-control", "--epochs", "12"]
    process = subprocess.Popen([sys.executable, "-m", "nas.retrain", *argv], cwd=ROOT)
    (arch,) = [WIDER]
    while not (rows := list(run.glob("retrain/*/history.csv"))) or len(curve(rows[0].parent)) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert main(argv) == 0
    straight = finished_search.write(tmp_path / "straight", wcpa_of_ten)
    assert main([str(straight), *argv[1:]]) == 0
    (killed,), (whole,) = (list(r.glob(f"retrain/{arch.id}-*")) for r in (run, straight))
    assert curve(killed) == curve(whole) and len(curve(whole)) == 12 and same_weights(killed, whole)


def test_runs_that_differ_in_anything_that_changes_the_numbers_never_share_a_folder(wcpa_of_ten):
    base = job(wcpa_of_ten)
    others = [
        job(wcpa_of_ten, seed=1),
        job(wcpa_of_ten, trainval=True),
        job(wcpa_of_ten, data_id="other"),
        job(wcpa_of_ten, proxy=PROXY.replace(lr=0.2)),
        job(wcpa_of_ten, proxy=PROXY.replace(validation_images=1)),
    ]
    assert len({j.folder_name for j in [base, *others]}) == 6
    assert job(wcpa_of_ten, proxy=PROXY.replace(name="other")).folder_name == base.folder_name
    assert base.folder_name.startswith(SMALL.id) and base.folder_name.endswith("-s0")
    assert RetrainJob.from_dict(json.loads(json.dumps(base.to_dict()))) == base


def test_the_best_weights_are_those_of_the_lowest_validation_error(tmp_path):
    folder = RetrainFolder(tmp_path)
    for number, error in enumerate([3.0, 1.0, 2.0], start=1):
        epoch = Epoch(number, number, {"l_error_mm": error}, 0.1)
        folder.add(epoch, {"w": torch.tensor(float(number))}, {})
    saved = checkpoints.load(folder.best)
    assert saved["epoch"] == 2 and saved["model"]["w"] == 2.0
    assert folder.summarise({}, "complete")["best"]["l_error_mm"] == 1.0


def test_without_validation_the_last_weights_are_the_best(tmp_path):
    folder = RetrainFolder(tmp_path, trainval=True)
    for number, error in enumerate([1.0, 2.0], start=1):
        folder.add(Epoch(number, number, {"l_error_mm": error}, 0.1), {"w": torch.tensor(number)}, {})
    assert checkpoints.load(folder.best)["epoch"] == 2


def test_trainval_trains_on_every_subject(tmp_path, wcpa_of_ten):
    run = finished_search.write(tmp_path / "run", wcpa_of_ten)
    finished_search.retrain(run, "--top", "1", "--no-control", "--epochs", "1")
    finished_search.retrain(run, "--top", "1", "--no-control", "--epochs", "1", "--trainval")
    records = [json.loads(f.read_text()) for f in sorted(run.glob("retrain/*/metrics.json"))]
    images = {r["trainval"]: r["images"]["training"] for r in records}
    assert images == {False: 32, True: 40}


def test_a_run_trains_the_best_the_control_and_named_specs_and_keeps_curves(retrained):
    records = [json.loads(f.read_text()) for f in retrained.glob("retrain/*/metrics.json")]
    assert {r["arch_id"] for r in records} == {SMALL.id, WIDER.id, CONTROL.id}
    assert {r["name"] for r in records} == {"", "resnet34-scaled"}
    for file in retrained.glob("retrain/*/history.csv"):
        assert [row["epoch"] for row in curve(file.parent)] == [1, 2, 3]
        events = b"".join(f.read_bytes() for f in (file.parent / "tensorboard").iterdir())
        assert b"l_error_mm" in events
    assert not list(retrained.glob("retrain/*/*.tmp"))


def test_fewer_finished_architectures_than_asked_for_are_said(retrained, capsys):
    finished_search.retrain(retrained, "--top", "9")
    assert "2 finished architectures at the fidelity that decides, not 9" in capsys.readouterr().err
    assert len(list(retrained.glob("retrain/*"))) == 3


def test_what_is_complete_is_not_trained_again(retrained, capsys):
    before = {f: f.stat().st_mtime_ns for f in retrained.glob("retrain/*/checkpoint.pt")}
    finished_search.retrain(retrained, "--top", "2")
    assert {f: f.stat().st_mtime_ns for f in before} == before
    assert capsys.readouterr().out.count("complete") == 3


def test_two_processes_never_train_in_one_folder(tmp_path, wcpa_of_ten, capsys):
    run = finished_search.write(tmp_path / "run", wcpa_of_ten)
    argv = [str(run), *SCHEDULE, "--top", "0", "--no-control", "--spec", "resnet18"]
    spec = job(wcpa_of_ten, proxy=PROXY)
    from space import REFERENCES

    mine = RetrainJob(REFERENCES["resnet18"], "resnet18", spec.proxy, 0, spec.data, spec.data_id)
    with RetrainFolder(mine.folder(run)).locked():
        assert main(argv) == 1
    assert "being trained by another process" in capsys.readouterr().err


def test_a_diverged_run_is_recorded_and_the_command_fails(tmp_path, wcpa_of_ten, capsys):
    run = finished_search.write(tmp_path / "run", wcpa_of_ten)
    assert main([str(run), *SCHEDULE, "--no-control", "--lr", "1e30"]) == 1
    (file,) = run.glob("retrain/*/metrics.json")
    assert json.loads(file.read_text())["status"] == "diverged"
    assert "not finite" in capsys.readouterr().err


def test_bad_requests_are_one_sentence_and_write_nothing(tmp_path, wcpa_of_ten, capsys):
    run = finished_search.write(tmp_path / "run", wcpa_of_ten)
    unfinished = finished_search.write(tmp_path / "unfinished", wcpa_of_ten, finished=False)
    requests = [
        ([str(unfinished)], "no finished trial"),
        ([str(tmp_path)], "no search"),
        ([str(run), "--top", "-1"], "--top"),
        ([str(run), "--top", "0", "--no-control"], "nothing to train"),
        ([str(run), "--spec", "resnet99"], "'resnet99' is neither"),
        ([str(run), "--proxy", "huge"], "--proxy"),
        ([str(run), "--epochs", "0"], "epochs"),
        ([str(run), "--lr", "nan"], "learning rate"),
        ([str(run), "--gpus", "2"], "--launcher inprocess"),
        ([str(run), "--batch-per-gpu", "4"], "twice"),
        ([str(run), "--launch-steps", "graphs"], "--launch-steps graphs is for a network on one GPU"),
        ([str(run), "--data", str(tmp_path / "absent")], "no data folder"),
        ([str(run), "--batch", "64"], "32 training images"),
    ]
    for argv, said in requests:
        status = main([argv[0], *SCHEDULE, *argv[1:]])
        message = capsys.readouterr().err
        assert said in message, message
        assert status == 2 and message.count("\n") == 1, message
    assert not list(tmp_path.glob("*/retrain"))


def test_synthetic_faces_that_left_the_cache_are_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("JMLR_NAS_CACHE", str(tmp_path))
    faces = PROXY.replace(synthetic=Synthetic(subjects=2, frames=1, size=96)).to_dict()
    facts = {"data": {"path": str(tmp_path / "gone")}, "config": {"data": None}, "proxy": faces}
    assert len(WcpaDataset.open(searched_data(tmp_path, facts, quiet=True)).rows["train"]) == 2
    given = facts | {"config": {"data": "mine"}}
    assert searched_data(tmp_path, given, quiet=True) == str(tmp_path / "gone")
    with pytest.raises(RunError, match="without a data set: give one with --data"):
        searched_data(tmp_path, {"data": {"path": ""}}, quiet=True)  # a simulation


def test_a_global_batch_must_split_evenly(tmp_path, wcpa_of_ten, capsys):
    run = finished_search.write(tmp_path / "run", wcpa_of_ten)
    assert main([str(run), "--device", "cpu", "--gpus", "3", "--batch", "32"]) == 2
    assert "--batch 30" in capsys.readouterr().err


def test_every_setting_of_the_schedule_has_a_flag():
    of_the_search = {"name", "synthetic", "validation_people"}  # who judged it judges its winners too
    settings = {field.name for field in dataclasses.fields(Proxy)} - of_the_search
    assert settings == {*SETTINGS, "flip"}
    assert settings <= vars(parser().parse_args(["run"])).keys()


def test_epochs_that_were_asked_for_are_not_stretched_to_the_least_steps():
    assert schedule("mini", {}, None, 1).least_steps > 0
    assert schedule("mini", {"epochs": 1}, None, 1).least_steps == 0
    assert schedule("mini", {"epochs": 1, "least_steps": 9}, None, 1).least_steps == 9


def test_a_progress_line_says_where_a_run_stands(wcpa_of_ten):
    rows = [{"epoch": e, "l_error_mm": 39.0 + e, "seconds": 80.0 * e} for e in (1, 2)]
    line = progress_line(job(wcpa_of_ten), rows, rows[1])
    assert "2/3" in line and "41.00 mm (best 40.00)" in line and "2 min left" in line


def test_rays_nested_report_becomes_its_innermost_sentence():
    report = """Worker group failed:
[Rank 0 Error Snippet]:
Traceback (most recent call last):
  File "train_fn.py", line 3, in train
    raise RuntimeError("the data set has changed")
RuntimeError: the data set has changed
"""
    assert reason(RuntimeError(report)) == "the data set has changed"
    assert reason(RuntimeError()) == "RuntimeError"


@pytest.mark.slow
def test_a_ray_train_job_of_two_workers_gives_the_numbers_of_one_process(tmp_path, wcpa_of_ten):
    run = finished_search.write(tmp_path / "ray", wcpa_of_ten)
    schedule = [a for a in SCHEDULE if a not in ("--launcher", "inprocess")]
    assert main([str(run), *schedule, "--no-control", "--gpus", "2", "--seed", "5"]) == 0
    alone = finished_search.write(tmp_path / "alone", wcpa_of_ten)
    finished_search.retrain(alone, "--no-control", "--seed", "5")
    (two,), (one,) = (list(r.glob("retrain/*")) for r in (run, alone))
    assert json.loads((two / "metrics.json").read_text())["processes"] == 2
    for ours, theirs in zip(curve(one), curve(two), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)
