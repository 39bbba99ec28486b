"""A file is the old one or the new one, and what is wrong with a JSON file has words."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from space.files import read_object, replacing, write_json, write_whole

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    with pytest.raises(RuntimeError, match="power"), replacing(path) as file:
        file.write(b"half")
        raise RuntimeError("power")
    assert read_object(path) == {"a": 1} and list(tmp_path.iterdir()) == [path]


def test_an_interrupt_while_writing_leaves_the_old_file(tmp_path):
    write_whole(tmp_path / "x", "old")
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "x") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert (tmp_path / "x").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_a_file_that_cannot_be_written_is_known_by_its_own_name(tmp_path):
    with pytest.raises(FileNotFoundError) as raised:
        write_whole(tmp_path / "no" / "x", "text")
    assert raised.value.filename == str(tmp_path / "no" / "x")


def test_a_name_of_255_bytes_can_be_replaced(tmp_path):
    path = tmp_path / ("n" * 255)
    write_whole(path, "one")
    write_whole(path, b"two", wait=False)
    assert path.read_text() == "two" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("damaged", [b"", b"{", b"[1]", b"\xb9", b"null", b"3", b"[" * 100_000, b'{"a": }'])
def test_what_is_no_json_object_is_a_value_error_with_words(tmp_path, damaged):
    (tmp_path / "x").write_bytes(damaged)
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        read_object(tmp_path / "x")


@given(contents=st.binary(max_size=200))
def test_any_bytes_are_an_object_or_a_value_error(tmp_path_factory, contents):
    path = tmp_path_factory.getbasetemp() / f"any-{os.getpid()}"
    path.write_bytes(contents)
    try:
        assert isinstance(read_object(path), dict)
    except ValueError as error:
        assert str(error)


@given(contents=st.dictionaries(st.text(), JSON))
def test_what_is_written_is_read(tmp_path_factory, contents):
    path = tmp_path_factory.getbasetemp() / f"whole-{os.getpid()}"
    write_json(path, contents, wait=False)
    assert read_object(path) == json.loads(json.dumps(contents))
