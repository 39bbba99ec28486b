"""space/arch.py: what a spec holds, refuses and costs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from space import REFERENCES, ArchSpec


def test_totals_are_those_of_the_paper_s_networks():
    """Guo et al. 2022 report 5.12 and 5.13 G with a tool that counts slightly more."""
    assert REFERENCES["resnet34"].macs() == 5_100_775_424
    assert REFERENCES["jmlr-searched"].macs() == 5_111_457_792
    assert REFERENCES["resnet18"].macs() == 2_684_856_320


@pytest.mark.parametrize(
    ("name", "millions"), [("resnet18", 11.71), ("resnet34", 21.82), ("resnet50", 25.58)]
)
def test_references_have_the_parameters_of_timm_s_resnet_d(name, millions):
    """resnet18d, resnet34d, resnet50d with 1,000 classes, from the table of results that timm publishes."""
    assert round(REFERENCES[name].params(outputs=1000) / 1e6, 2) == millions


def test_stage_macs_sum_to_the_total():
    spec = REFERENCES["resnet50"]
    parts = spec.stage_macs()
    assert list(parts) == ["stem", "layer1", "layer2", "layer3", "layer4", "fc"]
    assert sum(parts.values()) == spec.macs()


def test_id_is_short_and_tells_blocks_apart():
    assert REFERENCES["jmlr-searched"].id == "d5-3-4-2_w64-160-272-512"
    assert REFERENCES["resnet50"].id == "d3-4-6-3_w64-128-256-512_bottleneck"


@pytest.mark.parametrize("name", REFERENCES)
def test_json_takes_a_spec_there_and_back(name):
    spec = REFERENCES[name]
    assert ArchSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_rows_of_an_array_become_plain_integers():
    spec = ArchSpec(np.array([1, 2, 3, 4]), np.array([8, 16, 24, 32], np.int32))
    assert spec == ArchSpec((1, 2, 3, 4), (8, 16, 24, 32))
    assert all(type(value) is int for value in (*spec.depths, *spec.widths))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"depths": [1, 1, 1], "widths": [8] * 4}, "depths are 4 whole numbers"),
        ({"depths": [1, 1, 1, 0], "widths": [8] * 4}, "at least 1"),
        ({"depths": [1, 1, 1, 1.5], "widths": [8] * 4}, "whole numbers"),
        ({"depths": "1111", "widths": [8] * 4}, "whole numbers"),
        ({"depths": 3, "widths": [8] * 4}, "whole numbers"),
        ({"depths": [1] * 4, "widths": [8] * 4, "block": "conv"}, "block is one of basic, bottleneck"),
        ({"depths": [1] * 4}, "needs depths and widths"),
        ([1, 2], "needs depths and widths"),
        ({"depths": [1] * 4, "widths": [8] * 4, "width": 3}, r"got \['width'\] too"),
    ],
)
def test_a_spec_that_is_none_is_refused_in_words(data, words):
    with pytest.raises(ValueError, match=words):
        ArchSpec.from_dict(data)
