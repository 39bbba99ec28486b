"""space/design.py: ranges, ties and steps."""

from __future__ import annotations

import json
from math import comb

import pytest
import space_brute
from hypothesis import given
from hypothesis import strategies as st

from space import REFERENCES, ArchSpec, Space


def test_the_default_space_has_the_size_of_the_closed_form():
    assert Space().size == 24**4 * comb(67, 4) == 254_299_668_480
    assert Space(free_widths=True).size == 24**4 * 64**4


@pytest.mark.parametrize("name", space_brute.SMALL)
def test_size_is_the_number_of_architectures(name):
    space = space_brute.SMALL[name]
    specs = space_brute.every_spec(space)
    assert space.size == len(specs) == len(set(specs))
    assert all(spec in space for spec in specs)


def test_references_lie_in_the_space_of_their_block():
    assert REFERENCES["resnet34"] in Space() and REFERENCES["jmlr-searched"] in Space()
    assert REFERENCES["resnet50"] not in Space() and REFERENCES["resnet50"] in Space("bottleneck")


@pytest.mark.parametrize(
    "spec",
    [
        ArchSpec((1, 1, 1, 25), (8, 8, 8, 8)),
        ArchSpec((1, 1, 1, 1), (8, 8, 8, 520)),
        ArchSpec((1, 1, 1, 1), (8, 8, 8, 12)),
        ArchSpec((1, 1, 1, 1), (16, 8, 8, 8)),
    ],
)
def test_what_breaks_one_rule_is_outside(spec):
    assert spec not in Space()


def test_free_widths_may_decrease():
    assert ArchSpec((1, 1, 1, 1), (16, 8, 8, 8)) in Space(free_widths=True)


def test_one_bound_stands_for_all_four_stages():
    assert Space(max_depth=5) == Space(max_depth=(5, 5, 5, 5)) == Space(max_depth=[5, 5, 5, 5])


def test_spaces_of_the_same_architectures_are_equal():
    assert Space(min_width=1, max_width=515) == Space()
    assert Space(min_width=(16, 8, 8, 8)) == Space(min_width=16)
    assert Space(max_width=(512, 512, 512, 64)) == Space(max_width=64)
    assert Space(min_width=(16, 8, 8, 8), free_widths=True) != Space(min_width=16, free_widths=True)


def test_ids_tell_spaces_apart_and_stay():
    spaces = [
        Space(),
        Space(free_widths=True),
        Space("bottleneck"),
        Space(max_depth=23),
        Space(width_step=16),
    ]
    assert len({space.id for space in spaces}) == len(spaces)
    assert Space().id == Space(max_depth=(24, 24, 24, 24)).id == "14926d2046"


def test_narrowed_keeps_what_lies_in_both():
    space = Space().narrowed(max_depth=(4, 30, 8, 24), min_width=33)
    assert [each[-1] for each in space.depth_choices] == [4, 24, 8, 24]
    assert [each[0] for each in space.width_choices] == [40] * 4
    assert Space().narrowed() == Space()


@given(st.lists(st.integers(1, 6), min_size=4, max_size=4), st.integers(8, 64), st.integers(64, 128))
def test_narrowing_to_an_architecture_in_both_never_loses_it(depths, low, high):
    wide = Space(max_depth=6, max_width=128)
    spec = ArchSpec(tuple(depths), (64, 64, 64, 64))
    narrow = wide.narrowed(min_depth=min(depths), max_depth=tuple(depths), min_width=low, max_width=high)
    assert spec in narrow
    assert narrow.size <= wide.size


def test_narrowing_to_nothing_is_refused():
    with pytest.raises(ValueError, match="stage 1 has no depth left"):
        Space(max_depth=4).narrowed(min_depth=5)
    with pytest.raises(ValueError, match="stage 1 has no width left"):
        Space().narrowed(max_width=(512, 64, 512, 512), min_width=(128, 8, 8, 8))
    with pytest.raises(ValueError, match="max_width is a whole number from 1"):
        Space().narrowed(max_width=0)


@pytest.mark.parametrize("name", space_brute.SMALL)
def test_json_takes_a_space_there_and_back(name):
    space = space_brute.SMALL[name]
    assert Space.from_dict(json.loads(json.dumps(space.to_dict()))) == space


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"block": "conv"}, "block is one of"),
        ({"max_depth": 0}, "max_depth is a whole number from 1"),
        ({"max_depth": 2.0}, "max_depth is a whole number"),
        ({"max_depth": (1, 2, 3)}, "or four of them"),
        ({"max_width": 10**6}, "max_width is a whole number from 1 to 16384"),
        ({"width_step": 0}, "width_step is a whole number"),
        ({"min_depth": 5, "max_depth": (9, 9, 4, 9)}, "stage 3 has no depth left"),
        ({"min_width": 9, "max_width": 15}, "stage 1 has no width left: no multiple of 8"),
        ({"min_width": (64, 8, 8, 8), "max_width": (64, 8, 8, 8)}, "not below the stage before"),
        ({"max_width": 4096, "width_step": 1}, "raise width_step above 1"),
        ({"width": 8}, r"got \['width'\] too"),
    ],
)
def test_a_space_that_is_none_is_refused_in_words(fields, words):
    with pytest.raises(ValueError, match=words):
        Space.from_dict(fields)
