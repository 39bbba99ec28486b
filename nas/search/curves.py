"""TensorBoard curves, one folder a trial: `tensorboard --logdir RUN/tensorboard`.

A report is one record, appended to the trial's file and closed again: the same cost at 4 slots as at 1,000,
with no thread and no open file a trial. A record is its length, the length's checksum, an event, the event's
checksum. tests/test_search_curves.py
"""

from __future__ import annotations

import math
import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import masked_crc32c

from nas.record.run_dir import RunDir
from nas.search.watcher import Watcher
from nas.trials.trial import Job
from proxy_tasks.engine import Epoch

VERSION = "brain.Event:2"  # the first record of a file says so


class Curves(Watcher):
    """Writes the metrics of every validation; a search that is resumed begins a second file of a trial."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}"

    def progressed(self, job: Job, epoch: Epoch) -> None:
        file = self._run.tensorboard(job.study, job.number) / self._name
        event = _scalars(epoch.metrics, epoch.number)
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            _append(file, Event(wall_time=event.wall_time, file_version=VERSION))
        _append(file, event)


def _scalars(metrics: Mapping[str, float], step: int) -> Event:
    values = [Summary.Value(tag=n, simple_value=v) for n, v in metrics.items() if math.isfinite(v)]
    return Event(wall_time=time.time(), step=step, summary=Summary(value=values))


def _append(file: Path, event: Event) -> None:
    data = event.SerializeToString()
    length = struct.pack("<Q", len(data))
    checks = [struct.pack("<I", masked_crc32c(part)) for part in (length, data)]
    with open(file, "ab") as stream:
        stream.write(length + checks[0] + data + checks[1])
