"""The flags of a search are the fields of its settings, with the defaults that the fields have."""

import dataclasses

import pytest

from nas.search import flags
from nas.search.config import STRATEGIES, SearchConfig


def test_every_field_that_is_a_flag_is_taken_and_none_is_filled_in_unasked():
    given = flags.parser("a search").parse_args(["--budget", "1G"])
    assert flags.to_config(given) == SearchConfig(budget="1G")


@pytest.mark.parametrize(
    "field", [f for f in dataclasses.fields(SearchConfig) if f.metadata], ids=lambda f: f.name
)
def test_the_help_says_the_default_that_a_field_has(field):
    text = field.metadata["argparse"]["help"]
    plain = isinstance(field.default, str | int | float) and not isinstance(field.default, bool)
    if plain:
        assert text.endswith(f"(default {field.default})")
    else:
        assert field.default == () or "(default " in text or text.endswith("(required)")


def test_the_help_names_every_strategy():
    assert all(name in flags.parser("a search").format_help() for name in STRATEGIES)
