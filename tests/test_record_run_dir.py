"""One writer in a run directory, whole files in it, and the newest of several."""

import os

import pytest

from nas.record.run_dir import RunDir, RunError, newest
from space.files import write_json


def test_a_second_writer_is_refused_with_who_holds_it(tmp_path):
    with RunDir(tmp_path).locked():
        assert RunDir(tmp_path).is_active()
        with (
            pytest.raises(RunError, match=f"already running in .* \\(process {os.getpid()} on "),
            RunDir(tmp_path).locked(),
        ):
            pass
    assert not RunDir(tmp_path).is_active()


def test_a_lock_that_a_killed_search_left_is_free(tmp_path):
    child = os.fork()
    if child == 0:
        with RunDir(tmp_path).locked():
            os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    assert not RunDir(tmp_path).is_active()
    with RunDir(tmp_path).locked():
        assert RunDir(tmp_path).is_active()


def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert path.read_text() == '{\n  "a": 1\n}\n' and list(tmp_path.iterdir()) == [path]


def test_the_newest_run_is_the_one_started_last(tmp_path):
    for age, name in enumerate(["c", "a", "b"]):
        (tmp_path / name).mkdir()
        RunDir(tmp_path / name).write({})
        os.utime(tmp_path / name / "run.json", (1000 + age, 1000 + age))
    assert newest(tmp_path).path.name == "b"


def test_a_run_that_ended_last_is_not_the_one_started_last(tmp_path):
    for name, started, written in (("early", "10:00", 2000), ("late", "11:00", 1000)):
        (tmp_path / name).mkdir()
        RunDir(tmp_path / name).write({"started": f"2026-01-01T{started}:00+00:00"})
        os.utime(tmp_path / name / "run.json", (written, written))
    assert newest(tmp_path).path.name == "late"


def test_a_damaged_run_json_is_named(tmp_path):
    for damaged in (b"{", b"[1]", b"\xb9"):
        (tmp_path / "run.json").write_bytes(damaged)
        with pytest.raises(RunError, match=r"run\.json is damaged \(.*\): restore it"):
            RunDir(tmp_path).read()
