"""Why a worker is gone: dead, ended by Ray's memory monitor, or never come; and when no node is left."""

from types import SimpleNamespace

import pytest
from nas_tools import driver, small_plan

from nas.trials import deaths, on_ray
from nas.trials.places import Place
from nas.trials.resources import Resources
from nas.trials.trial import Ending, Job, ObjectiveSpec

NODE = Place("n1", "host", "0")


@pytest.fixture
def nodes(monkeypatch):
    """Two nodes, of which one is alive."""
    listed = [
        {"NodeID": "n1", "Alive": True, "NodeManagerHostname": "host", "Resources": {"CPU": 4.0}},
        {"NodeID": "n2", "Alive": False, "NodeManagerHostname": "gone", "Resources": {"CPU": 4.0}},
    ]
    monkeypatch.setattr(deaths.ray, "nodes", lambda: listed)
    return listed


def deaths_of(exception):
    """What Ray Tune, and then the search, hear when a worker's task fails with `exception`."""
    manager, heard, told = deaths._Manager(resource_manager=SimpleNamespace()), [], []

    def on_error(actor, error):
        heard.append(error)
        told.append(deaths.ending_of(1, NODE))

    actor = SimpleNamespace(actor_id="a", _on_error=None)
    manager._cleanup_actor = lambda tracked_actor: None
    manager._actor_task_failed(SimpleNamespace(_tracked_actor=actor, _on_error=on_error), exception)
    return heard, told


def test_tune_is_made_to_use_what_expects_all_deaths(monkeypatch):
    from ray.tune.execution import tune_controller

    monkeypatch.setattr(tune_controller, "RayActorManager", deaths.RayActorManager)
    deaths.expect_all()
    assert tune_controller.RayActorManager is deaths._Manager


def test_workers_that_rays_memory_monitor_ends_do_not_end_the_search(nodes):
    from ray.exceptions import OutOfMemoryError, RayActorError

    text = "2 worker(s) were killed due to the node running low on memory."
    with pytest.raises(RuntimeError, match="Caught unexpected exception"):  # what Ray itself does
        manager = deaths.RayActorManager(resource_manager=SimpleNamespace())
        manager._actor_task_failed(SimpleNamespace(_tracked_actor=None), OutOfMemoryError(text))
    heard, told = deaths_of(OutOfMemoryError(text))
    assert isinstance(heard[0], RayActorError) and text in str(heard[0])
    assert told[0].status == "evicted"
    assert deaths._Manager.cause is None


def test_a_dead_worker_is_lost_with_the_reason_that_ray_gives(nodes):
    from ray.exceptions import ActorDiedError

    heard, told = deaths_of(ActorDiedError())
    assert isinstance(heard[0], ActorDiedError)
    assert told[0].status == "lost" and "the worker process died (The actor died" in told[0].reason


def test_a_process_that_dies_before_it_is_validated_may_be_its_places_fault(nodes):
    assert deaths.ending_of(0, NODE).status == "misplaced"
    assert deaths.ending_of(1, NODE).status == "lost"
    assert deaths.ending_of(0, Place("n2", "gone")).status == "lost", "the whole node died"
    assert deaths.ending_of(0, None).status == "lost", "nobody knows where it was"


def test_a_search_ends_where_every_node_fails(tmp_path, monkeypatch, nodes):
    one = driver(tmp_path, small_plan(trials=20))
    monkeypatch.setattr(on_ray, "count_slots", lambda resources, without=(): 0 if "n1" in without else 4)
    one.slots = 4
    source = on_ray._Source(one, ObjectiveSpec("a:B"), Resources(1.0))
    for trial in ("t1", "t2", "t3"):
        assert source.suggest(trial)["without"] == []
        source.on_trial_result(trial, {"ending": Ending("misplaced", "CUDA error", place=NODE).to_json()})
        source.on_trial_complete(trial, error=True)
        one.waiting._ready.rotate(-1)  # the next trial, not the same once more
    assert "no node is left to train on: host" in str(source.error)
    assert "3 in a row failed there before their first validation (CUDA error)" in str(source.error)


def test_a_trial_is_kept_from_the_nodes_that_it_failed_on_while_there_are_others(tmp_path, monkeypatch):
    one = driver(tmp_path, small_plan())
    one.slots = 4
    source = on_ray._Source(one, ObjectiveSpec("a:B"), Resources(1.0, 0.5))
    monkeypatch.setattr(on_ray, "count_slots", lambda resources, without=(): 4 - len(without))
    source.suggest("t1")
    source.on_trial_result("t1", {"ending": Ending("misplaced", "CUDA error", place=NODE).to_json()})
    source.on_trial_complete("t1", error=True)
    config = source.suggest("t2")
    assert config["without"] == ["n1"]
    request = on_ray._bundle(config, Resources(1.0, 0.5))
    assert request._kwargs["bundle_label_selector"] == [{"ray.io/node-id": "!in(n1)"}]
    assert isinstance(source._live["t2"].job, Job) and source._live["t2"].job.failed_on == ("n1",)
