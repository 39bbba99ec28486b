"""space/latency.py and grid.py: a network's time from a table of blocks."""

from __future__ import annotations

import json

import numpy as np
import pytest

from space import REFERENCES, ArchSpec, Space
from space.latency import Conditions, LatencyTable
from space.rows import rows_at

WIDTHS = (8, 16, 32, 64, 96, 128, 192, 256, 384, 512)
HERE = Conditions("test device, 1 thread", software="torch 2.13.0")


def first_ms(stage: int, before: float, width: float) -> float:
    return 0.05 + 1e-6 * (before * width * 10 + 9 * width**2) / 2**stage


def further_ms(stage: int, width: float) -> float:
    return 0.04 + 18e-6 * width**2 / 2**stage


def table(conditions: Conditions = HERE, **parts) -> LatencyTable:
    """A device whose blocks cost a launch and their channels in times their channels out."""
    before = ((64,), WIDTHS, WIDTHS, WIDTHS)
    content = {
        "stem": 1.5,
        "widths": (WIDTHS,) * 4,
        "before": before,
        "first": tuple(np.array([[first_ms(s, b, w) for w in WIDTHS] for b in before[s]]) for s in range(4)),
        "further": tuple(np.array([further_ms(s, w) for w in WIDTHS]) for s in range(4)),
        "head": np.array([0.1 + 1e-4 * w for w in WIDTHS]),
    }
    return LatencyTable(conditions, **content | parts)


def by_hand(spec: ArchSpec) -> float:
    total, before = 1.5 + 0.1 + 1e-4 * spec.widths[-1], 64
    for stage, (depth, width) in enumerate(zip(spec.depths, spec.widths, strict=True)):
        first = further_ms(stage, width) if (stage, width) == (0, 64) else first_ms(stage, before, width)
        total += first + (depth - 1) * further_ms(stage, width)
        before = width
    return total


def _some_rows(n: int, seed: int = 0) -> np.ndarray:
    rng, space = np.random.default_rng(seed), Space()
    positions = np.concatenate([rng.integers(0, 24, (n, 4)), np.sort(rng.integers(0, 64, (n, 4)))], axis=1)
    return rows_at(space, positions)


@pytest.mark.parametrize("spec", [REFERENCES["resnet34"], ArchSpec((1, 2, 3, 4), (8, 96, 384, 512))])
def test_on_the_grid_a_network_is_the_sum_of_its_parts(spec):
    assert table().of(spec) == pytest.approx(by_hand(spec), rel=1e-12)


def test_between_the_points_it_stays_close_to_what_a_block_costs():
    model, rows = table(), _some_rows(500)
    expected = [by_hand(ArchSpec(row[:4], row[4:])) for row in rows]
    assert np.abs(model("basic", rows) / expected - 1).max() < 0.02


def test_a_first_block_that_keeps_the_stem_s_channels_is_a_further_block():
    narrow, kept = ArchSpec((1, 1, 1, 1), (64, 64, 64, 64)), table()
    other = table(first=tuple(each + 1.0 for each in kept.first))
    assert other.of(narrow) - kept.of(narrow) == pytest.approx(3.0)  # stages 2, 3 and 4


def test_a_bottleneck_s_first_block_keeps_the_channels_at_a_quarter_of_the_width():
    conditions = Conditions("test device", block="bottleneck")
    spec = ArchSpec((1, 1, 1, 1), (16, 16, 16, 16), "bottleneck")
    one = table(conditions=conditions)
    other = table(conditions=conditions, first=tuple(each + 1.0 for each in one.first))
    assert other.of(spec) - one.of(spec) == pytest.approx(3.0)


def test_all_architectures_at_once_are_each_by_itself():
    model, rows = table(), _some_rows(50)
    assert model("basic", rows) == pytest.approx([model.of(ArchSpec(r[:4], r[4:])) for r in rows])
    assert model("basic", rows[:0]).shape == (0,)


def test_pairs_that_cannot_occur_need_no_time():
    """Exactly on the grid a missing neighbour is not looked at; where it is needed, one sentence."""
    falling = np.array(WIDTHS)[:, None] > np.array(WIDTHS)
    first = tuple(np.where(falling, np.nan, t) if i else t for i, t in enumerate(table().first))
    model = table(first=first)
    assert model.of(REFERENCES["resnet34"]) == pytest.approx(table().of(REFERENCES["resnet34"]))
    with pytest.raises(ValueError, match=r"no time for a pair of widths of d1-1-1-1_w64-128-64-512"):
        model.of(ArchSpec((1, 1, 1, 1), (64, 128, 64, 512)))


def test_a_table_survives_json_and_its_name_follows_its_content():
    first = (table().first[0], *(np.where(each < 0.06, np.nan, each) for each in table().first[1:]))
    for model in (table(), table(first=first)):
        again = LatencyTable.from_dict(json.loads(json.dumps(model.to_dict(), allow_nan=False)))
        assert again == model and again.to_dict() == model.to_dict() and len({again, model}) == 1
    assert len({table().id, table(stem=1.6).id, table(conditions=Conditions("another")).id}) == 3


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"widths": ((8, 8),) * 4}, "increasing whole numbers"),
        ({"widths": ((8, 16),) * 4}, r"first, stage 1 has shape \(1, 10\), and its grids ask for \(1, 2\)"),
        ({"further": (np.zeros(10),) * 3}, "further are 4, one for each stage"),
        ({"stem": -1.0}, "stem holds a time that is no number"),
        ({"head": np.full(10, np.nan)}, "head holds a time that is no number"),
        ({"before": (WIDTHS,) * 4}, "the width before stage 1 is the stem's 64"),
    ],
)
def test_a_table_that_cannot_be_is_refused(parts, words):
    with pytest.raises(ValueError, match=words):
        table(**parts)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "this is no latency table"),
        ({"format": "other"}, "this is no latency table"),
        ({"format": "jmlr-nas/latency", "version": 7}, "is of version 7, and this program reads 1"),
        ({"format": "jmlr-nas/latency", "version": 1}, "lacks conditions, stem"),
        (table().to_dict() | {"conditions": {"name": "x"}}, "is damaged"),
        (table().to_dict() | {"conditions": {"device": ""}}, "names its device"),
    ],
)
def test_a_file_that_holds_no_table_is_one_sentence(data, words, tmp_path):
    file = tmp_path / "table.json"
    file.write_text(json.dumps(data))
    with pytest.raises(ValueError, match=words):
        LatencyTable.load(file)


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="is no readable latency table"):
        LatencyTable.load(tmp_path / "missing.json")


def test_a_table_of_another_device_is_refused():
    table().require(device="test device, 1 thread", precision="float32")
    with pytest.raises(ValueError, match="measured at device test device, 1 thread, not H100"):
        table().require(device="H100")
    with pytest.raises(ValueError, match="measured at precision float32, not bfloat16"):
        table().require(precision="bfloat16")


def test_widths_beyond_the_grid_and_other_blocks_are_refused():
    with pytest.raises(ValueError, match="holds widths 8 to 512, and 520 lies outside"):
        table().of(ArchSpec((1, 1, 1, 1), (64, 64, 64, 520)))
    with pytest.raises(ValueError, match="is of basic blocks, not of bottleneck blocks"):
        table().of(REFERENCES["resnet50"])
