"""Whatever a person types and whatever a file holds, a reader answers with its value or in words."""

import argparse
import contextlib
import copy
import json
import os
from pathlib import Path

import doors_place
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nas.record.run_dir import RunDir, RunError
from nas.record.storage import from_anywhere, is_in_memory, sqlite_file, without_password
from nas.retrain.trained import MemberError, find_members
from nas.search.config import gpu_share
from nas.search.resume import read_request
from nas.status import status
from nas.trials.resources import NoRoom, check_address
from proxy_tasks.jmlr.wcpa.dataset import DataError, read_list
from proxy_tasks.jmlr.wcpa.sample import DamagedSample, read_landmarks
from proxy_tasks.jmlr.wcpa.topology import read_obj
from space import ArchSpec, Budget, Space
from space.commandline import a_path
from space.flags import add_space_flags, space_from
from space.specfile import spec_in

WORDS = st.text(max_size=12) | st.from_regex(r"-?[0-9.,eE+/:GMxfFlLoOpPsSinfna]{0,14}", fullmatch=True)
VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just([]) | st.just({})
)
JSON = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner)
)
FILES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


def sentence(error: BaseException) -> bool:
    """Whether an error is words for a person and no trace of a library's own."""
    text = str(error)
    return " " in text and "Traceback" not in text and "object has no attribute" not in text


@given(WORDS, st.floats() | WORDS)
def test_a_budget_is_one_or_none_in_words(text, tolerance):
    try:
        budget = Budget.parse(text, tolerance if isinstance(tolerance, float) else 0.02)
    except ValueError as error:
        assert sentence(error)
    else:
        assert 0 < budget.low <= budget.high


@given(WORDS)
def test_a_share_of_a_gpu_is_one_ray_keeps_or_none_in_words(text):
    try:
        share = gpu_share(text)
    except ValueError as error:
        assert sentence(error) and "--gpus-per-trial" in str(error)
    else:
        assert share >= 0 and (share == int(share) or abs(1 / share - round(1 / share)) < 1e-9)


FLAGS = st.sampled_from(
    ["--min-depth", "--max-depth", "--min-width", "--max-width", "--width-step", "--block"]
)


@given(st.dictionaries(FLAGS, WORDS, max_size=3))
def test_a_space_is_one_or_none_in_words(flags):
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_space_flags(parser)
    try:
        assert isinstance(space_from(parser.parse_args([f"{k}={v}" for k, v in flags.items()])), Space)
    except ValueError as error:
        assert sentence(error)


@given(WORDS)
def test_an_address_that_is_none_is_refused_in_words(text):
    if text == "auto" or (":" in text and text.rpartition(":")[2].isdigit()):
        return  # it may lead somewhere
    with pytest.raises(NoRoom, match="--ray-address is auto or the HOST:PORT") as raised:
        check_address(text)
    assert sentence(raised.value)


@given(st.text(max_size=30) | st.from_regex(r"sqlite(\+x)?:/{0,4}[a-z:.?]{0,9}", fullmatch=True))
def test_any_text_is_judged_as_a_storage(url):
    assert isinstance(is_in_memory(url), bool) and isinstance(without_password(url), str)
    assert from_anywhere(url) is not None and (sqlite_file(url) is None or not is_in_memory(url) or True)


@given(st.text(max_size=20))
def test_a_path_is_never_empty(text):
    try:
        assert str(a_path(text)) not in ("", ".") or text.strip().strip("/.") == ""
    except argparse.ArgumentTypeError as error:
        assert sentence(error) and not text.strip()


@given(JSON)
def test_any_json_is_a_spec_or_none_in_words(value):
    try:
        assert isinstance(spec_in(value), ArchSpec)
    except ValueError as error:
        assert sentence(error)


def scratch(tmp_path_factory, name: str) -> Path:
    return tmp_path_factory.getbasetemp() / f"{name}-{os.getpid()}"


@given(st.binary(max_size=120) | st.text(alphabet='01ab,"\n\r ', max_size=60).map(str.encode))
def test_any_bytes_are_a_list_of_rows_or_none_in_words(tmp_path_factory, contents):
    file = scratch(tmp_path_factory, "list.csv")
    file.write_bytes(b"subject_id,facial_action,img_id\n" + contents)
    try:
        assert all(all(part and "/" not in part for part in row) for row in read_list(file))
    except DataError as error:
        assert sentence(error)


@given(st.binary(max_size=80) | st.text(alphabet="vf 0123/-.\n", max_size=80).map(str.encode))
def test_any_bytes_are_a_mesh_or_none_in_words(tmp_path_factory, contents):
    file = scratch(tmp_path_factory, "mesh.obj")
    file.write_bytes(contents)
    try:
        vertices, triangles = read_obj(file)
    except ValueError as error:
        assert sentence(error)
    else:
        assert vertices.shape[1] == triangles.shape[1] == 3


@given(
    st.binary(max_size=400) | st.lists(st.floats(), min_size=136, max_size=136).map(lambda v: str(v).encode())
)
def test_any_bytes_are_landmarks_or_none_in_words(tmp_path_factory, contents):
    file = scratch(tmp_path_factory, "marks.txt")
    file.write_bytes(contents)
    try:
        assert read_landmarks(file).shape == (68, 2)
    except DamagedSample as error:
        assert sentence(error)


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    root = tmp_path_factory.mktemp("old")
    return doors_place.runs(root)["old"]


def spoil(data, value):
    """`value` with one thing in it, at any depth, gone or replaced."""
    value = copy.deepcopy(value)
    place, path = value, []
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        path.append(key)
        if isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
            place = place[key]
            continue
        if data.draw(st.booleans()):
            del place[key]
        else:
            place[key] = data.draw(VALUES)
        return value


@FILES
@given(data=st.data())
def test_a_run_json_that_is_wrong_anywhere_is_read_or_refused_in_words(old, data):
    run = RunDir(old)
    whole = run.run_json.read_text()
    run.run_json.write_text(json.dumps(spoil(data, json.loads(whole))))
    try:
        for read in (lambda: status(old), lambda: read_request(run, run.read())):
            with contextlib.suppress(ValueError, RuntimeError):
                read()
        try:
            read_request(run, run.read())
        except RunError as error:
            assert sentence(error)
    finally:
        run.run_json.write_text(whole)


@FILES
@given(data=st.data())
def test_a_journal_that_is_cut_or_spoilt_anywhere_is_read_or_refused_in_words(old, data):
    log = RunDir(old).study_log
    whole = log.read_bytes()
    at = data.draw(st.integers(0, len(whole)))
    log.write_bytes(
        whole[:at] + data.draw(st.binary(max_size=10)) + whole[at + data.draw(st.integers(0, 40)) :]
    )
    try:
        assert status(old)["run"] == str(old)
    except (ValueError, RuntimeError) as error:
        assert str(error)
    finally:
        log.write_bytes(whole)


@FILES
@given(data=st.data())
def test_a_metrics_json_that_is_wrong_anywhere_is_read_or_refused_in_words(old, data):
    (file,) = (old / "retrain").glob("*/metrics.json")
    whole = file.read_text()
    file.write_text(json.dumps(spoil(data, json.loads(whole))))
    try:
        for member in find_members(old):
            assert member.title and member.arch and member.validated
    except MemberError as error:
        assert sentence(error)
    finally:
        file.write_text(whole)
