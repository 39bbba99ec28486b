"""What one trial takes of a machine or cluster, and that it may not fit."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


ANSWER = 5.0  # seconds that a cluster has to answer


class NoRoom(ValueError):
    """No cluster answers, or it cannot hold a single trial."""


@dataclass(frozen=True, slots=True)
class Resources:
    """CPUs and GPUs of one trial, and the cluster to join: None starts Ray on this machine."""

    cpus: float
    gpus: float = 0.0
    address: str | None = None


def check_address(address: str) -> None:
    """NoRoom where no cluster listens at `address`: Ray itself tries for minutes, then ends the process.

    With `auto` Ray looks for a node on this machine, which is quick, unless RAY_ADDRESS says where.
    """
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", "auto")
        if address == "auto":
            return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        raise NoRoom(f"--ray-address is auto or the HOST:PORT of a cluster's head, not {address!r}")
    try:
        with socket.create_connection((host, int(port)), timeout=ANSWER) as connection:
            if not os.environ.get("RAY_USE_TLS") and not _speaks_grpc(connection):
                raise NoRoom(
                    f"what listens at {address} is no Ray cluster: give the HOST:PORT that "
                    "`ray start --head` printed (6379, unless it was told otherwise)"
                )
    except (OSError, OverflowError) as error:
        raise NoRoom(no_cluster(address)) from error


def _speaks_grpc(connection: socket.socket) -> bool:
    """Whether the other side greets as a gRPC server does, which a cluster's control service is.

    Any other server says something else, or nothing; Ray would wait for it, silent, for minutes.
    """
    settings, kind = b"\0\0\0\4\0\0\0\0\0", 3  # an empty frame of settings, and where its kind stands
    try:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings)
        answer = connection.recv(len(settings))
    except OSError:
        return False
    return len(answer) > kind and answer[kind] == settings[kind] and answer[:2] == b"\0\0"


def not_let_in(address: str) -> str:
    """What to say where a cluster listens and Ray cannot join it."""
    return (
        f"the Ray cluster at {address} does not let this machine join: it needs the same version of Ray, and "
        "the same token (~/.ray/auth_token, or RAY_AUTH_MODE=disabled on both sides)"
    )


def no_cluster(address: str) -> str:
    """What to say where no cluster answers."""
    where = "on this machine" if address == "auto" else f"at {address}"
    return f"no Ray cluster answers {where}: start one with `ray start --head`, or leave --ray-address out"
