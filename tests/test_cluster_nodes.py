"""A cluster of nodes on this machine: where --out lies, what workers are told, nodes that come late."""

import json
import os
import shutil
import threading
from pathlib import Path

import pytest
import wcpa_writer
from ray_nodes import Nodes

from nas.record.run_dir import RunDir
from nas.record.store import Store
from nas.search import __main__ as search
from nas.trials import cluster

SPACE = ["--max-depth", "2", "--max-width", "32", "--width-step", "16", "--tolerance", "0.15"]
SMALL = ["--budget", "0.6GFLOPs", *SPACE, "--strategy", "random", "--trials", "1", "--finalists", "1"]
STANDIN = ["--objective", "faulty_nodes:Faulty", "--objective-args"]


def standin(notes, **settings):
    return [*STANDIN, json.dumps({"notes": str(notes), **settings})]


def test_checkpoints_are_named_by_their_whole_path_wherever_out_points(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert RunDir(Path("run")).checkpoint("s", 3) == tmp_path / "run" / "checkpoints" / "s_3.pt"


def test_settings_of_ours_are_sent_to_all_workers_and_no_others(monkeypatch):
    monkeypatch.setenv("JMLR_NAS_CACHE", "/scratch/crops")
    monkeypatch.setenv("HOME_OF_SOMETHING", "/else")
    sent = {}
    monkeypatch.setattr(cluster, "check_address", lambda address: None)
    monkeypatch.setattr(cluster.ray, "init", lambda **options: sent.update(options))
    cluster.connect("head:6379")
    assert sent["runtime_env"]["env_vars"]["JMLR_NAS_CACHE"] == "/scratch/crops"
    assert all(name.startswith("JMLR_NAS_") for name in sent["runtime_env"]["env_vars"])


@pytest.mark.parametrize(
    ("types", "grows"),
    [
        ({"node_8c1f": 1, "node_77aa": 1}, False),  # as `ray start` on each node leaves it
        ({"ray.head.default": 1}, True),
        ({}, False),
    ],
)
def test_a_cluster_can_grow_where_an_autoscaler_knows_types_of_nodes(monkeypatch, types, grows):
    from ray.experimental import internal_kv

    status = json.dumps({"autoscaler_report": {"active_nodes": types}}).encode()
    monkeypatch.setattr(internal_kv, "_internal_kv_get", lambda key: status)
    monkeypatch.setattr(cluster, "_grows_by_version", lambda: False)
    assert cluster.can_grow() == grows


@pytest.mark.slow
def test_a_folder_that_was_removed_and_its_name_used_again_is_trained_anew(tmp_path, monkeypatch, capsys):
    """A relative --out was another folder to a worker, whose checkpoints a second search took up."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setenv("JMLR_NAS_CHECKPOINT_SECONDS", "0")
    proxy = {"base": "mini", "resolution": 64, "epochs": 1, "evaluations": 1, "batch": 8, "least_steps": 0}
    Path("tiny.json").write_text(json.dumps({**proxy, "subjects": 0, "frames": 0}))
    errors = []
    with Nodes(tmp_path / "elsewhere") as nodes:
        for name, seed in (("a", 1), ("b", 2)):
            data = wcpa_writer.write(tmp_path / name, subjects=10, actions=2, frames=2, seed=seed)
            argv = [*SMALL, "--proxy", "tiny.json", "--data", str(data), "--out", "again", "--quiet"]
            assert search.main([*argv, "--ray-address", nodes.address, "--gpus-per-trial", "0"]) == 0
            errors.append({(r.arch.id, r.seed): r.l_error_mm for r in Store.open(Path("again")).records()})
            assert not list(Path("again/checkpoints").iterdir())
            shutil.rmtree("again")
    left = list((tmp_path / "elsewhere").rglob("*.pt"))
    assert left == [], "nothing stays behind where the workers started"
    same = errors[0].keys() & errors[1].keys()
    assert same and all(errors[0][key] != errors[1][key] for key in same)


@pytest.mark.slow
def test_a_search_on_a_cluster_without_a_gpu_yet_waits_says_so_and_uses_the_node_that_comes(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("JMLR_NAS_CACHE", str(tmp_path / "cache-of-the-driver"))
    monkeypatch.setattr(cluster, "can_grow", lambda: True)
    from nas.trials import on_ray

    monkeypatch.setattr(on_ray, "can_grow", lambda: True)
    monkeypatch.setattr(on_ray, "REFRESH", 1.0)
    notes, out = tmp_path / "notes", tmp_path / "run"
    with Nodes(tmp_path / "elsewhere", JMLR_NAS_CACHE="") as nodes:
        come = threading.Timer(8.0, lambda: nodes.add("late", num_gpus=2))
        come.start()
        argv = [*SMALL, *standin(notes, seconds=0.5), "--out", str(out), "--ray-address", nodes.address]
        assert search.main([*argv, "--gpus-per-trial", "1/2"]) == 0
        come.join()
    said = capsys.readouterr()
    assert "no node has that yet" in said.err and "waiting for the cluster to grow" in said.err
    trained = [json.loads(line) for line in notes.read_text().splitlines()]
    assert {note[3] for note in trained} == {"late"}
    assert {note[5] for note in trained} == {str(tmp_path / "cache-of-the-driver")}, "and knew of the cache"
    assert {r.state for r in Store.open(out).records()} == {"complete"}


@pytest.mark.slow
def test_a_dry_run_with_an_address_times_a_worker_of_the_cluster(tmp_path, capsys):
    with Nodes(tmp_path / "elsewhere") as nodes:
        nodes.add("pretends", num_gpus=2)
        argv = [*SMALL, "--proxy", "mini", "--dry-run", "--ray-address", nodes.address]
        assert search.main([*argv, "--gpus-per-trial", "0", "--out", str(tmp_path / "never")]) == 0
        assert "with 3 at once" in capsys.readouterr().out, "the head's core, and two of the node"
        assert search.main([*argv, "--gpus-per-trial", "1", "--out", str(tmp_path / "never")]) != 0
        assert "this run holds a GPU and torch" in capsys.readouterr().err, "it never times the wrong device"
    assert not os.path.exists(tmp_path / "never")
