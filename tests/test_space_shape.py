"""A reader says what is wrong with a JSON value and where."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from space.shape import misfit

SHAPE = {
    "format?": int,
    "data": {"path": str, "shares?": [float]},
    "best": (None, {"mm": float}),
    "where?": [(({"at": int}, str), None)],
}
GOOD = {"format": 1, "data": {"path": "/x", "shares": [1, 0.5]}, "best": None, "more": object()}


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({}, ""),
        ({"best": {"mm": 1}}, ""),
        ({"format": "99"}, "format is '99', not a whole number"),
        ({"format": True}, "format is True, not a whole number"),
        ({"data": {}}, "data.path is missing"),
        ({"data": []}, "data is [], not an object"),
        ({"data": {"path": "/x", "shares": [1, "x"]}}, "data.shares[1] is 'x', not a number"),
        ({"data": {"path": "/x", "shares": 3}}, "data.shares is 3, not a list"),
        ({"best": 3}, "best is 3, not null"),
        ({"where": [True]}, "where[0] is True, not an object"),
    ],
)
def test_the_first_thing_wrong_is_told_with_where(change, wrong):
    assert misfit({**GOOD, **change}, SHAPE) == wrong


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
)
KINDS = st.sampled_from([dict, list, str, int, float, bool, None])
SHAPES = st.recursive(
    KINDS,
    lambda inner: (
        inner.map(lambda s: [s])
        | st.tuples(inner, inner)
        | st.dictionaries(st.sampled_from(["a", "b?", "c"]), inner)
    ),
)


@given(ANY, SHAPES)
@example(value=[None], shape=[((dict, dict), dict)])
@example(value=[None], shape=([{"a": int}], None))
def test_any_value_is_judged_against_any_shape(value, shape):
    assert isinstance(misfit(value, shape), str)
