"""What one trial takes of a machine or cluster, and that it may not fit."""

from __future__ import annotations

from dataclasses import dataclass


class NoRoom(ValueError):
    """No cluster answers, or it cannot hold a single trial."""


@dataclass(frozen=True, slots=True)
class Resources:
    """CPUs and GPUs of one trial, and the cluster to join: None starts Ray on this machine."""

    cpus: float
    gpus: float = 0.0
    address: str | None = None
