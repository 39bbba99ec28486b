"""TensorBoard curves at a constant cost: one file a trial, however many trials run at once."""

import math
import os
import struct

from nas_tools import driver, small_plan
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import masked_crc32c

from nas.record.run_dir import RunDir
from nas.search.curves import VERSION, Curves
from proxy_tasks.engine import Epoch


def events(file):
    data, found = file.read_bytes(), []
    while data:
        length, check = struct.unpack("<QI", data[:12])
        assert check == masked_crc32c(data[:8])
        body, data = data[12 : 12 + length], data[12 + length :]
        assert struct.unpack("<I", data[:4]) == (masked_crc32c(body),)
        data = data[4:]
        found.append(Event.FromString(body))
    return found


def test_at_256_slots_a_report_costs_one_append_and_no_file_stays_open(tmp_path):
    one = driver(tmp_path, small_plan(trials=256))
    curves, jobs = Curves(RunDir(tmp_path)), [one.next() for _ in range(256)]
    before = len(os.listdir("/proc/self/fd"))
    for number in (1, 2, 3):
        for job in jobs:
            curves.progressed(job, Epoch(number, number, {"l_error_mm": 9.0 / number}, 1.0))
    assert len(os.listdir("/proc/self/fd")) == before
    files = [f for folder in (tmp_path / "tensorboard").iterdir() for f in folder.iterdir()]
    assert len(files) == 256, "no report began a file of its own"
    sizes = {f.stat().st_size for f in files}
    assert max(sizes) - min(sizes) < 10 and max(sizes) < 300


def test_a_curve_holds_every_finite_metric_at_its_validation(tmp_path):
    one = driver(tmp_path, small_plan())
    curves, job = Curves(RunDir(tmp_path)), one.next()
    curves.progressed(job, Epoch(1, 1.0, {"l_error_mm": 50.0, "train_loss": math.nan}, 1.0))
    curves.progressed(job, Epoch(2, 2.0, {"l_error_mm": 40.0, "train_loss": 0.5}, 1.0))
    (file,) = (tmp_path / "tensorboard" / job.key).iterdir()
    assert file.name.startswith("events.out.tfevents.")
    first, *rest = events(file)
    assert first.file_version == VERSION
    assert [(e.step, [(v.tag, v.simple_value) for v in e.summary.value]) for e in rest] == [
        (1, [("l_error_mm", 50.0)]),
        (2, [("l_error_mm", 40.0), ("train_loss", 0.5)]),
    ]
