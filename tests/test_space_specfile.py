"""space/specfile.py: an architecture by name or file, in every form that is written."""

from __future__ import annotations

import json

import pytest

from space import REFERENCES, ArchSpec
from space.specfile import FORMAT, VERSION, read_spec, reference_name, spec_in

SPEC = ArchSpec((2, 1, 3, 1), (16, 24, 24, 40), "bottleneck")
BARE = SPEC.to_dict()
EXPORTED = {"format": FORMAT, "version": VERSION, "id": SPEC.id, "architecture": BARE, "scores": []}


@pytest.mark.parametrize("name", REFERENCES)
def test_a_reference_is_read_by_its_name_and_named_again(name):
    assert read_spec(name) == REFERENCES[name]
    assert reference_name(REFERENCES[name]) == name
    assert reference_name(SPEC) == ""


@pytest.mark.parametrize(
    "value", [BARE, {"arch": BARE, "l_error_mm": 34.1}, EXPORTED], ids=["bare", "best", "exported"]
)
def test_every_form_that_is_written_is_read(value, tmp_path):
    file = tmp_path / "spec.json"
    file.write_text(json.dumps(value))
    assert read_spec(str(file)) == spec_in(value) == SPEC


def test_a_missing_block_means_basic():
    assert spec_in({"depths": [1, 1, 1, 1], "widths": [8, 8, 8, 8]}).block == "basic"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1, 2]", "a spec needs depths and widths"),
        ("{}", "a spec needs depths and widths"),
        ('{"arch": 3}', "a spec needs depths and widths"),
        ('{"depths": [1, 1, 1, 0], "widths": [8, 8, 8, 8]}', "depths are 4 whole numbers of at least 1"),
        ('{"depths": [1, 1, 1, 1], "widths": [8, 8, 8, 8], "step": 8}', r"but got \['step'\] too"),
        (json.dumps(EXPORTED | {"version": 2}), "of version 2, and this program reads version 1"),
        (json.dumps(EXPORTED | {"version": None}), "of version None, and this program reads version 1"),
        (json.dumps(EXPORTED | {"format": "scrfd"}), "a file of format 'scrfd' holds no architecture"),
        (json.dumps({"format": FORMAT, "version": VERSION}), "without its architecture"),
        ("{", "neither one of resnet18, .* nor a readable spec file"),
    ],
)
def test_a_file_without_an_architecture_is_one_sentence_that_names_it(text, words, tmp_path):
    file = tmp_path / "broken.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=words) as caught:
        read_spec(str(file))
    assert "broken.json" in str(caught.value) and "\n" not in str(caught.value)


def test_neither_a_name_nor_a_file_says_which_names_there_are():
    with pytest.raises(ValueError, match="'resnet99' is neither one of resnet18, resnet34, resnet50"):
        read_spec("resnet99")
