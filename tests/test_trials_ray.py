"""Searches on Ray Tune: the traps of 2.60 with Optuna 5, and that we are not caught in them.

One search is run for the whole module, as a user would, in a process of its own: halving, a worker
that dies, a trial that runs out of memory, errors that are not finite.
"""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

import pytest
from optuna.trial import TrialState

from nas.record.store import REPEATS, Store
from nas.search import __main__ as search

TESTS = Path(__file__).parent
ROOT = TESTS.parent
SPACE = ["--max-depth", "6", "--max-width", "128", "--width-step", "16", "--tolerance", "0.1"]


def command(out, notes, *more, **settings):
    arguments = json.dumps({"notes": str(notes), **settings})
    base = [sys.executable, "-m", "nas.search", "--out", str(out), *more]
    if "--resume" in more:
        return base
    proxy = out.parent / "six.json"
    proxy.write_text(json.dumps({"epochs": 6, "evaluations": 0}))
    objective = ["--proxy", str(proxy), "--objective", "noted_objective:Noted", "--objective-args", arguments]
    return [*base, "--budget", "0.5GFLOPs", *SPACE, *objective]


def environment(**more):
    return {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{TESTS}", "OMP_NUM_THREADS": "1", **more}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    root = tmp_path_factory.mktemp("ray")
    settings = {"die_once": 5, "memory_once": 8, "diverge": 0.15, "seconds": 0.12}
    more = ["--strategy", "random", "--trials", "14", "--scheduler", "asha", "--seed", "3"]
    done = subprocess.run(
        command(root / "run", root / "notes", *more, **settings),
        capture_output=True, text=True, env=environment(), cwd=root, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + (root / "run" / "log.txt").read_text()
    return root, done


def frozen(root, state):
    store = Store.open(root / "run")
    ids = [i for name, i in store.studies().items() if name != REPEATS]
    return [t for i in ids for t in store.storage.get_all_trials(i) if t.state == state]


def notes(root):
    return [json.loads(line) for line in (root / "notes").read_text().splitlines()]


def test_a_trial_that_a_rung_stopped_is_pruned_with_its_curve_and_without_a_value(searched):
    pruned = frozen(searched[0], TrialState.PRUNED)
    assert pruned and all(t.values is None for t in pruned)
    assert all(1 <= len(t.intermediate_values) < 6 for t in pruned)
    for t in pruned:  # its last validation is a rung's: 2 or 4 of 6
        assert max(t.intermediate_values) in (2, 4)


def test_an_error_that_is_not_finite_ends_as_failed(searched):
    failed = [r for r in Store.open(searched[0] / "run").records() if r.state == "failed"]
    assert failed and all("L_error is nan" in r.reason for r in failed)


def test_nothing_is_left_running_for_the_constant_liar_to_steer_around(searched):
    assert frozen(searched[0], TrialState.RUNNING) == []


def test_actors_are_reused(searched):
    begun = [n for n in notes(searched[0]) if n[0] == "begun"]
    processes = Counter(n[3] for n in begun)
    assert len(begun) > 17
    assert len(processes) <= 6, "two slots, a death, a run alone, and the end of a round"


def test_a_trial_whose_worker_died_goes_on_from_its_checkpoint(searched):
    root = searched[0]
    assert (root / "notes.death").exists()
    by_run = Counter((n[1], n[2], n[0]) for n in notes(root) if n[0] != "begun")
    assert sum(count > 1 for count in by_run.values()) <= 1, "one interval at most is trained twice"
    assert "lost its worker" in (root / "run" / "log.txt").read_text()


def test_a_trial_out_of_memory_is_run_again_alone(searched):
    root = searched[0]
    assert (root / "notes.memory").exists()
    assert "once more, alone" in (root / "run" / "log.txt").read_text()
    assert not any("memory" in r.reason for r in Store.open(root / "run").records())


def test_no_architecture_is_trained_twice_with_a_seed(searched):
    records = Store.open(searched[0] / "run").records()
    assert len({r.key for r in records}) == len(records)


def test_the_terminal_shows_our_lines_and_nobody_elses(searched):
    done = searched[1]
    assert "architecture" in done.stdout and "baseline" in done.stdout
    first, *lines = done.stderr.splitlines()
    assert first == "starting Ray on this machine"
    for line in lines:
        assert line[2] == line[5] == ":" and " runs, " in line, line
        assert "Warning" not in line and "ray" not in line.lower()


def test_ray_leaves_nothing_in_the_run_directory(searched):
    names = {p.name for p in (searched[0] / "run").iterdir()}
    assert names == {"best", "checkpoints", "lock", "log.txt", "run.json", "study.log", "tensorboard"}
    assert list((searched[0] / "run" / "checkpoints").iterdir()) == []


def test_every_trial_has_its_tensorboard_curve(searched):
    folders = {p.name for p in (searched[0] / "run" / "tensorboard").iterdir()}
    records = Store.open(searched[0] / "run").records()
    assert {f"{r.study}_{r.number}" for r in records if r.curve} <= folders


def test_what_ray_pickles_at_its_start_holds_no_open_store_and_no_terminal():
    import pickle

    from nas.trials.on_ray import Asha, _Source, _Tick
    from nas.trials.trial import ObjectiveSpec

    held = [_Source(open, ObjectiveSpec("a:B")), _Tick(lambda: None), Asha(6, "mini")]
    for one in held:  # a closure or an open file among their fields cannot be pickled
        assert b"lambda" not in pickle.dumps(one)


def test_a_metric_that_is_a_tensor_arrives_as_a_number(monkeypatch, tmp_path):
    import torch

    from nas.trials import worker
    from nas.trials.places import Place
    from nas.trials.trial import Job
    from proxy_tasks.engine import Epoch, Outcome
    from proxy_tasks.proxy import Proxy
    from space import REFERENCES

    class Tensors:
        def hardware(self):
            return "here"

        def run(self, spec, seed, proxy, checkpoint, report):
            epoch = Epoch(1, 1.0, {"l_error_mm": torch.tensor(7.5)}, 1.0)
            report(epoch)
            return Outcome("complete", "", (epoch,))

    seen = []
    monkeypatch.setitem(worker.made, "{}", Tensors())
    worker.put_mark(tmp_path, "ours")
    proxy = Proxy("p", resolution=64, epochs=1, batch=32)
    job = Job("s", 0, "proposal", REFERENCES["resnet34"], 0, proxy, str(tmp_path / "c.pt"), 1)
    config = {"job": json.dumps(job.to_dict()), "objective": "{}", "mark": "ours", "gpus": 0.0}
    ending = worker.train(config, seen.append, Place("n", "here"))
    assert json.loads(seen[0]["place"]) == {"node": "n", "host": "here", "device": ""}
    assert json.loads(seen[1]["epoch"])["metrics"] == {"l_error_mm": 7.5}
    assert json.loads(ending.to_json())["points"] == [[1, 7.5]]
    assert all(isinstance(v, str) for report in seen for v in report.values())


def refused(out, *more):
    """The one sentence of a refusal that only Ray can give, once it has been checked to leave nothing."""
    done = command(out, out.parent / "notes", "--trials", "2", *more)
    printed = io.StringIO()
    with redirect_stderr(printed):
        assert search.main(done[3:]) == 2
    start, *said = printed.getvalue().splitlines()
    assert start.startswith(("starting Ray on this machine", "joining the Ray cluster at "))
    assert not out.exists() and len(said) == 1
    return said[0]


def test_without_a_cluster_to_join_a_search_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    from nas.trials import cluster

    def alone(**options):
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(cluster.ray, "init", alone)
    text = refused(tmp_path / "run", "--ray-address", "auto")
    assert "no Ray cluster answers on this machine: start one with `ray start --head`" in text


def test_where_no_node_holds_a_trial_the_search_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    from nas.trials import cluster

    monkeypatch.setattr(cluster, "connect", lambda address: None)
    monkeypatch.setattr(cluster, "nodes", lambda without=(): [{"CPU": 2.0}, {"CPU": 8.0, "GPU": 1.0}])
    text = refused(tmp_path / "run", "--cpus-per-trial", "9")
    assert "a trial needs 9 CPUs and 0 GPUs" in text and "8 CPUs and 1 GPUs" in text


@contextmanager
def started(out, seen, *more, address=None, **settings):
    """A search in the background; what it prints is in the file beside `out`."""
    env = environment(**({"RAY_ADDRESS": address} if address else {}))
    with open(out.parent / "printed", "w") as printed:
        process = subprocess.Popen(
            command(out, seen, *more, **settings),
            env=env, cwd=out.parent, stdout=printed, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for_notes(path, count, process):
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and process.poll() is None:
        if path.exists() and len(path.read_text().splitlines()) >= count:
            return
        time.sleep(0.02)
    raise AssertionError(f"the search did not get far enough: {(path.parent / 'printed').read_text()}")


def children(pid):
    """Every process below `pid`, with its name: (pid, name)."""
    parents, names = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text()
            except OSError:
                continue
            head, _, tail = text.rpartition(")")
            parents[int(entry.name)] = int(tail.split()[1])
            names[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ") or head
    found, front = [], [pid]
    while front:
        front = [p for p, parent in parents.items() if parent in front]
        found += [(p, names[p]) for p in front]
    return found


def find(victim, process):
    """The process id of a victim, once it exists."""
    name = {"raylet": "raylet/raylet", "worker": "ray::ImplicitFunc", "driver": ""}[victim]
    while name and process.poll() is None:
        found = [p for p, text in children(process.pid) if name in text]
        if found:
            return found[0]
        time.sleep(0.05)
    return process.pid


def lines(path):
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["driver", "worker", "raylet"])
def test_three_kills_of_a_victim_lose_and_repeat_nothing(tmp_path, victim):
    """Workers outlive their raylet by the 15 s that Ray needs to miss it, so there must be work for those."""
    trials, seconds = (20, 7.0) if victim == "raylet" else (10, 1.5)
    out, seen = tmp_path / "run", tmp_path / "notes"
    more, kills = ["--strategy", "random", "--trials", str(trials)], 0
    while kills < 3:
        with started(out, seen, *more, seconds=seconds) as process:
            while kills < 3:
                wait_for_notes(seen, lines(seen) + 5, process)
                os.kill(find(victim, process), signal.SIGKILL)
                kills += 1
                if victim != "worker":
                    status = process.wait(timeout=600)
                    break
            if victim == "worker":
                status = process.wait(timeout=900)
        text = (tmp_path / "printed").read_text()
        assert status == {"driver": -signal.SIGKILL, "worker": 0, "raylet": 1}[victim], text
        assert victim != "raylet" or f"go on with: python -m nas.search --resume --out {out}" in text
        more = ["--resume"]
    with started(out, seen, "--resume") as process:
        assert process.wait(timeout=900) == 0, (tmp_path / "printed").read_text()
    nothing_was_lost_or_repeated(tmp_path, trials=trials, kills=3)


def nothing_was_lost_or_repeated(root, *, trials, kills):
    records = Store.open(root / "run").records()
    assert {r.state for r in records} == {"complete"}
    assert len([r for r in records if r.role == "proposal"]) == trials
    assert len({r.key for r in records}) == len(records)
    trained = Counter((n[1], n[2], n[0]) for n in notes(root) if n[0] != "begun")
    again = sum(count - 1 for count in trained.values())
    assert again <= 3 * kills, "an interval a slot and a kill at most"


@pytest.mark.slow
def test_ctrl_c_ends_with_how_to_resume_and_two_searches_do_not_share_a_folder(tmp_path):
    out, seen = tmp_path / "run", tmp_path / "notes"
    with started(out, seen, "--trials", "8", seconds=1.5) as process:
        wait_for_notes(seen, 3, process)
        second = subprocess.run(
            command(out, seen, "--resume"), env=environment(), cwd=tmp_path, capture_output=True, text=True
        )
        assert second.returncode == 2 and "already running" in second.stderr
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=300) == 130
    assert f"go on with: python -m nas.search --resume --out {out}" in (tmp_path / "printed").read_text()
    with started(out, seen, "--resume") as process:
        assert process.wait(timeout=900) == 0


TWO_NODES = """
import sys
from ray.cluster_utils import Cluster
room = {"num_cpus": 1, "object_store_memory": 128 * 2**20}
cluster = Cluster(initialize_head=True, head_node_args={**room, "include_dashboard": False})
second = cluster.add_node(**room)
print("ready", cluster.address, second.all_processes["raylet"][0].process.pid, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@pytest.fixture
def two_nodes():
    """A cluster of two nodes with a core each: its address, and the process of the second node's raylet."""
    process = subprocess.Popen(
        [sys.executable, "-c", TWO_NODES], env=environment(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    words = next(line.split() for line in process.stdout if line.startswith("ready"))
    yield words[1], int(words[2])
    process.stdin.close()
    process.wait(timeout=120)
    process.stdout.close()


@pytest.mark.slow
def test_a_search_on_a_cluster_outlives_a_node_and_leaves_the_cluster_up(tmp_path, two_nodes):
    address, raylet = two_nodes
    (tmp_path / "one").mkdir()
    out, seen = tmp_path / "one" / "run", tmp_path / "one" / "notes"
    with started(out, seen, "--strategy", "random", "--trials", "12", "--ray-address", address,
                 seconds=5.0) as process:  # fmt: skip
        wait_for_notes(seen, 9, process)
        os.kill(raylet, signal.SIGKILL)
        assert process.wait(timeout=900) == 0, (tmp_path / "one" / "printed").read_text()
    assert "lost its worker" in (out / "log.txt").read_text()
    nothing_was_lost_or_repeated(tmp_path / "one", trials=12, kills=1)

    out, seen = tmp_path / "run", tmp_path / "notes"
    with started(
        out, seen, "--trials", "4", "--ray-address", "auto", address=address, seconds=1.5
    ) as process:
        wait_for_notes(seen, 9, process)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=300) == 130
    with started(out, seen, "--resume", "--ray-address", "auto", address=address) as process:
        assert process.wait(timeout=900) == 0, (tmp_path / "printed").read_text()
    nothing_was_lost_or_repeated(tmp_path, trials=4, kills=1)
