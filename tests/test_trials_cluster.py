"""Joining a cluster, or starting one here."""

from __future__ import annotations

import pytest

pytest.importorskip("ray")

from nas.trials import cluster


def test_ray_is_started_here_even_where_another_cluster_runs_on_the_machine(monkeypatch):
    asked = []
    monkeypatch.setattr(cluster.ray, "init", lambda **options: asked.append(options))
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
    cluster.connect(None)
    assert [options["address"] for options in asked] == ["local"]
