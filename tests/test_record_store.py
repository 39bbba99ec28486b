"""The store: what was written is what is read, whatever happened in between."""

import json
import os
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from nas.record.run_dir import RunDir, RunError
from nas.record.store import Store
from nas.search.config import SearchConfig
from nas.search.plan import resolve
from nas.search.provenance import describe
from space import ArchSpec

SPEC = ArchSpec((3, 4, 6, 3), (64, 128, 256, 512))


def job(seed=0, **changes):
    values = {
        "role": "proposal",
        "round": 1,
        "arch": SPEC.to_dict(),
        "name": "resnet34",
        "unit": [0.5] * 8,
        "feasible_id": "f",
        "seed": seed,
        "fidelity": "mini-abc",
        "macs": 10,
        "params": 5,
        "activations": 3,
        "epochs": 6,
        "intervals": 3,
    }
    return {**values, **changes}


@pytest.fixture
def run(tmp_path):
    run = RunDir(tmp_path)
    run.write({"store": {"url": None, "prefix": ""}})
    return run


def begin(store, study="round1", **changes):
    trial_id = store.storage.create_new_trial(store.ensure_study(study))
    store.begin(trial_id, job(**changes))
    return trial_id


def test_a_record_comes_back_as_it_was_written(run):
    store = Store.open(run.path, write=True)
    trial = begin(store)
    store.report(trial, 1, 150.0)
    store.report(trial, 2, 120.0)
    store.finish(trial, "complete", l_error_mm=110.0, parts={"median_mm": 100.0}, seconds=3.5, hardware="CPU")

    (record,) = Store.open(run.path).records()
    assert record.arch == SPEC and record.state == "complete" and record.l_error_mm == 110.0
    assert record.curve == ((2.0, 150.0), (4.0, 120.0))
    assert record.parts == {"median_mm": 100.0} and record.seconds == 3.5 and record.hardware == "CPU"
    assert record.key == (SPEC.id, 0, "mini-abc")
    assert record.started.endswith("+00:00") and record.finished >= record.started


def test_a_pruned_trial_keeps_its_curve_and_has_no_value(run):
    store = Store.open(run.path, write=True)
    trial = begin(store)
    store.report(trial, 1, 150.0)
    store.finish(trial, "pruned", reason="stopped at a rung")
    (record,) = store.records()
    assert record.state == "pruned" and record.l_error_mm is None and record.curve == ((2.0, 150.0),)
    assert store.storage.get_trial(trial).values is None


def test_a_value_that_is_not_finite_ends_as_failed_and_nothing_stays_running(run):
    store = Store.open(run.path, write=True)
    trial = begin(store)
    store.report(trial, 1, float("nan"))
    store.finish(trial, "complete", l_error_mm=float("nan"))
    (record,) = store.records()
    assert record.state == "failed" and "not finite" in record.reason and record.curve == ()
    assert store.storage.get_trial(trial).state == TrialState.FAIL


def test_a_reader_follows_a_search_that_is_still_writing(run):
    writer = Store.open(run.path, write=True)
    trial = begin(writer)
    reader = Store.open(run.path)
    assert [r.state for r in reader.records()] == ["running"]
    writer.finish(trial, "complete", l_error_mm=1.0)
    assert [r.state for r in reader.records()] == ["complete"]


@pytest.mark.parametrize("torn", [b'{"op_code": 8, "wor', b"\0\0\0\0\n", b'{"op_code": 4}garbage\n'])
def test_a_torn_last_line_is_cut_off_before_the_next_is_written(run, torn):
    store = Store.open(run.path, write=True)
    begin(store)
    with open(run.study_log, "ab") as file:
        file.write(torn)
    again = Store.open(run.path, write=True)
    begin(again, seed=1)
    assert [r.seed for r in Store.open(run.path).records()] == [0, 1]
    for line in run.study_log.read_text().splitlines():
        json.loads(line)


def test_a_reader_survives_a_torn_last_line_and_leaves_it_alone(run):
    begin(Store.open(run.path, write=True))
    with open(run.study_log, "ab") as file:
        file.write(b'{"op_code": 8, "wor')
    before = run.study_log.read_bytes()
    assert len(Store.open(run.path).records()) == 1
    assert run.study_log.read_bytes() == before


def test_damage_before_the_end_is_named_and_nothing_after_it_is_dropped(run):
    store = Store.open(run.path, write=True)
    for seed in range(3):
        begin(store, seed=seed)
    lines = run.study_log.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2][:10] + b"\xb9\n"
    run.study_log.write_bytes(b"".join(lines))
    for write in (False, True):
        with pytest.raises(RunError, match=r"study\.log is damaged before its end .* restore it"):
            Store.open(run.path, write=write).records()
    assert run.study_log.read_bytes() == b"".join(lines)


def test_a_lock_file_that_a_dead_writer_left_does_not_hang_the_next(run):
    begin(Store.open(run.path, write=True))
    lock = Path(f"{run.study_log}.lock")
    os.symlink(run.study_log, lock)
    begin(Store.open(run.path, write=True), seed=1)  # Optuna's own lock would wait 30 s here
    assert not lock.exists() and not lock.is_symlink()


def test_optuna_itself_reads_the_journal(run):
    store = Store.open(run.path, write=True)
    store.finish(begin(store), "complete", l_error_mm=7.0)
    backend = optuna.storages.journal.JournalFileBackend(str(run.study_log))
    study = optuna.load_study(study_name="round1", storage=optuna.storages.JournalStorage(backend))
    assert study.best_value == 7.0


FILL_THE_DISK = """
import os, resource, sys
sys.path.insert(0, {tests!r})
from nas.record.storage import StoreError
from test_record_store import begin, Store
store = Store.open({run!r}, write=True)
begin(store)
resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize({run!r} + "/study.log") + 100,) * 2)
try:
    begin(store, seed=1)
except StoreError as error:
    print(error)
"""


def test_a_full_disk_is_a_clear_error_and_the_study_stays_readable(run):
    code = FILL_THE_DISK.format(tests=str(Path(__file__).parent), run=str(run.path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "cannot write" in done.stdout and "--resume" in done.stdout
    assert run.study_log.read_bytes().endswith(b"\n")
    assert [r.seed for r in Store.open(run.path).records()] == [0]


def test_any_optuna_storage_serves_and_searches_in_it_keep_apart(tmp_path):
    url = f"sqlite:///{tmp_path}/db.sqlite"
    one = Store.connect(RunDir(tmp_path), url, "a/", write=True)
    two = Store.connect(RunDir(tmp_path), url, "b/", write=True)
    one.finish(begin(one), "complete", l_error_mm=1.0)
    begin(two, seed=5)
    assert [r.state for r in Store.connect(RunDir(tmp_path), url, "a/").records()] == ["complete"]
    assert [r.seed for r in Store.connect(RunDir(tmp_path), url, "b/").records()] == [5]


def test_a_storage_that_cannot_be_reached_is_one_sentence_without_its_password(tmp_path):
    url = "nosuchdb://user:secret@host/db"
    with pytest.raises(RunError, match="cannot open the storage nosuchdb://user@host/db") as caught:
        Store.connect(RunDir(tmp_path), url)
    assert "secret" not in str(caught.value)
    plan = resolve(SearchConfig("5.1GFLOPs", storage=url), gpus=0)
    about = describe(SearchConfig("5.1GFLOPs", storage=url), plan, RunDir(tmp_path), ["--storage", url])
    assert about["command"].endswith("--storage nosuchdb://user@host/db") and about["store"]["url"] == url


def test_a_folder_without_a_search_is_named(tmp_path):
    with pytest.raises(RunError, match="holds no search"):
        Store.open(tmp_path)
