"""Joining a cluster, or starting one here."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("ray")

from nas.trials import cluster, on_ray
from nas.trials.trial import Ending


def test_ray_is_started_here_even_where_another_cluster_runs_on_the_machine(monkeypatch):
    asked = []
    monkeypatch.setattr(cluster.ray, "init", lambda **options: asked.append(options))
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
    cluster.connect(None)
    assert [options["address"] for options in asked] == ["local"]


@pytest.mark.parametrize(
    ("held", "share"), [({"CPU": 1.0, "GPU": 0.25}, 0.25), ({"CPU": 1.0, "GPU": 1.0}, 1.0)]
)
def test_a_worker_is_lent_the_share_that_its_trial_holds(monkeypatch, held, share):
    context = SimpleNamespace(get_trial_resources=lambda: SimpleNamespace(required_resources=held))
    runtime = SimpleNamespace(get_node_id=lambda: "node")
    monkeypatch.setattr(on_ray.tune, "get_context", lambda: context)
    monkeypatch.setattr(on_ray.tune, "report", lambda result: None)
    monkeypatch.setattr(on_ray.ray, "get_runtime_context", lambda: runtime)
    monkeypatch.setattr(on_ray.ray, "get_gpu_ids", lambda: [0])
    monkeypatch.setattr(on_ray.worker, "leave", lambda ending: None)
    lent = []
    monkeypatch.setattr(on_ray, "lend", lent.append)
    monkeypatch.setattr(on_ray.worker, "train", lambda *_: Ending("complete"))
    on_ray._train({})
    assert lent == [share]


def test_a_cluster_that_listens_and_lets_nobody_in_is_told_from_none(monkeypatch):
    from nas.trials.resources import NoRoom

    def refuses(**options):
        raise ConnectionError("Failed to connect to Ray cluster")

    monkeypatch.setattr(cluster, "check_address", lambda address: None)
    monkeypatch.setattr(cluster.ray, "init", refuses)
    with pytest.raises(NoRoom, match=r"head:6379 does not let this machine join.* the same token"):
        cluster.connect("head:6379")
    with pytest.raises(NoRoom, match="no Ray cluster answers on this machine"):
        cluster.connect("auto")
