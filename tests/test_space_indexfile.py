"""space/indexfile.py: an index comes back from its file, and a bad file does no harm."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from space import Budget, FeasibleSet, Space, indexfile

SPACE = Space(max_depth=6, width_step=32)
BUDGET = Budget.parse("2G")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JMLR_NAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "space"


def _files(cache: Path) -> list[Path]:
    return sorted(cache.iterdir())


def test_the_second_time_nothing_is_counted(cache, monkeypatch):
    built = FeasibleSet(SPACE, BUDGET)
    monkeypatch.setattr(indexfile, "build_index", lambda *_: pytest.fail("counted again"))
    loaded = FeasibleSet(SPACE, BUDGET)
    rng = np.random.default_rng
    assert loaded.count == built.count
    assert (loaded.draw_array(100, rng(0)) == built.draw_array(100, rng(0))).all()
    assert len(_files(cache)) == 1


@pytest.mark.parametrize(
    ("space", "budget"),
    [
        (SPACE, Budget.parse("2G", 0.01)),
        (SPACE, Budget.parse("2.1G")),
        (Space(max_depth=5, width_step=32), BUDGET),
        (Space("bottleneck", max_depth=6, width_step=32), BUDGET),
        (Space(max_depth=6, width_step=32, free_widths=True), BUDGET),
    ],
)
def test_another_window_or_space_is_another_file(cache, space, budget):
    FeasibleSet(SPACE, BUDGET)
    other = FeasibleSet(space, budget)
    assert len(_files(cache)) == 2
    assert other.count == FeasibleSet(space, budget, cache=False).count


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [_cut, _flip, lambda _: b"", lambda _: b"not an index"])
def test_a_damaged_file_is_built_again(cache, damage, monkeypatch):
    sound = FeasibleSet(SPACE, BUDGET)
    (path,) = _files(cache)
    path.write_bytes(damage(path.read_bytes()))
    assert FeasibleSet(SPACE, BUDGET).count == sound.count
    monkeypatch.setattr(indexfile, "build_index", lambda *_: pytest.fail("the file is still damaged"))
    rng = np.random.default_rng
    assert (FeasibleSet(SPACE, BUDGET).draw_array(99, rng(0)) == sound.draw_array(99, rng(0))).all()


def test_a_file_that_is_another_archive_is_built_again(cache):
    sound = FeasibleSet(SPACE, BUDGET)
    (path,) = _files(cache)
    np.savez(path, other=np.arange(3))
    assert FeasibleSet(SPACE, BUDGET).count == sound.count


def test_no_cache_is_no_obstacle(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("a file where the directory should be")
    monkeypatch.setenv("JMLR_NAS_CACHE", str(tmp_path / "file"))
    assert FeasibleSet(SPACE, BUDGET).count > 0


def test_without_the_cache_nothing_is_written(cache):
    FeasibleSet(SPACE, BUDGET, cache=False)
    assert not cache.exists()


def test_many_at_once_leave_one_sound_file(cache):
    with ThreadPoolExecutor(8) as pool:
        counts = set(pool.map(lambda _: FeasibleSet(SPACE, BUDGET).count, range(16)))
    assert len(counts) == 1
    assert [path.suffix for path in _files(cache)] == [".npz"]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"JMLR_NAS_CACHE": "/a/b", "XDG_CACHE_HOME": "/x"}, Path("/a/b")),
        ({"XDG_CACHE_HOME": "/x"}, Path("/x/jmlr-nas")),
        ({}, Path.home() / ".cache" / "jmlr-nas"),
    ],
)
def test_where_the_cache_lies(monkeypatch, variables, expected):
    from space.machine import cache_root

    for name in ("JMLR_NAS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_root() == expected
