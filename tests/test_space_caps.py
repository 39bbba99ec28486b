"""space/caps.py and additive.py: how caps are written, and what they count."""

from __future__ import annotations

import numpy as np
import pytest
import space_brute
from test_space_latency import table

from space import REFERENCES, ArchSpec, Space, cost
from space.additive import latency_parts
from space.caps import Caps, most_of
from space.halves import split
from space.rows import positions_of

RESNET34 = REFERENCES["resnet34"]
MODEL = table()


@pytest.mark.parametrize(
    ("texts", "caps"),
    [
        ({"params": "30M"}, Caps(params=30_000_000)),
        ({"params": "24.5e6", "activations": "6000k"}, Caps(params=24_500_000, activations=6_000_000)),
        ({"activations": "6 m"}, Caps(activations=6_000_000)),
        ({"params": "1x"}, Caps(params=RESNET34.params())),
        ({"activations": "1.2x"}, Caps(activations=RESNET34.activations() * 12 // 10)),
        ({"latency": "12ms"}, Caps(latency=12.0, model=MODEL)),
        ({"latency": "0.5s"}, Caps(latency=500.0, model=MODEL)),
        ({"latency": "800us"}, Caps(latency=0.8, model=MODEL)),
        ({}, Caps()),
    ],
)
def test_a_cap_is_a_number_with_its_unit_or_a_multiple_of_the_control(texts, caps):
    parsed = Caps.parse(texts, RESNET34, MODEL)
    assert parsed == caps and parsed.id == caps.id
    assert bool(parsed) == bool(texts)


def test_one_times_the_control_s_latency_keeps_the_control():
    caps = Caps.parse({"latency": "1x"}, RESNET34, MODEL)
    ((parts, most),) = caps.parts(Space())
    row = positions_of(Space(), np.array([[*RESNET34.depths, *RESNET34.widths]]))
    own = int(split(Space(), parts).total(row)[0])
    assert own <= most <= own * 1.001


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({"params": "30MB"}, r"--max-params '30MB' is no cap: write for example 30M, or 1.2x"),
        ({"params": "30ms"}, "--max-params '30ms' is no cap"),
        ({"activations": "6GFLOPs"}, "--max-activations '6GFLOPs' is no cap: write for example 6M"),
        ({"latency": "12"}, "--max-latency '12' is no cap: write for example 12ms"),
        ({"latency": "12M"}, "--max-latency '12M' is no cap"),
        ({"params": "-5M"}, "--max-params '-5M' is no cap"),
        ({"params": "0"}, "--max-params is above 0, not '0'"),
        ({"latency": "0x"}, "--max-latency is above 0"),
        ({"params": "many"}, "is no cap"),
        ({"params": ""}, "is no cap"),
    ],
)
def test_what_is_no_cap_is_one_sentence(texts, words):
    with pytest.raises(ValueError, match=words) as caught:
        Caps.parse(texts, RESNET34, MODEL)
    assert "\n" not in str(caught.value)


def test_caps_survive_as_plain_values_beside_their_model():
    for caps in (Caps(), Caps(params=5, activations=7), Caps(params=5, latency=2.5, model=MODEL)):
        assert Caps.from_dict(caps.to_dict(), caps.model) == caps
    with pytest.raises(ValueError, match=r"caps are of the latency model .*, and another was given"):
        Caps.from_dict(Caps(latency=2.5, model=MODEL).to_dict(), table(stem=9.0))


def test_a_cap_on_latency_needs_a_table():
    for make in (lambda: Caps(latency=12.0), lambda: Caps.parse({"latency": "12ms"}, RESNET34)):
        with pytest.raises(ValueError, match="--max-latency needs a latency table of the device"):
            make()


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), True, "30M"])
def test_a_cap_is_a_number_above_zero(value):
    with pytest.raises(ValueError, match="--max-params is a number above 0"):
        Caps(params=value)


def test_counts_are_capped_by_whole_numbers():
    with pytest.raises(ValueError, match=r"--max-activations is a whole number, not 0\.5"):
        Caps(activations=0.5)


def test_caps_of_other_numbers_or_models_are_others():
    other = table(stem=1.6)
    ids = {c.id for c in (Caps(), Caps(params=5), Caps(activations=5), Caps(latency=5.0, model=MODEL))}
    assert len(ids | {Caps(latency=5.0, model=other).id, Caps(params=6).id}) == 6
    assert Caps(params=5, model=MODEL).id == Caps(params=5).id


@pytest.mark.parametrize("value", [1, 999, 24_415_748, 12_345_678, 9_999_999, 1e3])
def test_a_cap_that_is_rounded_up_is_never_smaller(value):
    written = most_of("params", value, up=True)
    most = Caps.parse({"params": written}, RESNET34).params
    assert value <= most <= value * 1.0011 + 1


@pytest.mark.parametrize("name", space_brute.SMALL)
def test_parameters_and_activations_add_up_to_the_plan_s(name):
    space = space_brute.SMALL[name]
    specs = space_brute.every_spec(space)[:200]
    positions = positions_of(space, space_brute.table(specs))
    for caps, measure in ((Caps(params=1), cost.PARAMS), (Caps(activations=1), cost.ACTIVATIONS)):
        ((parts, _),) = caps.parts(space)
        assert split(space, parts).total(positions).tolist() == [
            cost.total(spec.plan(), measure) for spec in specs
        ]


@pytest.mark.parametrize("space", [Space(), Space(free_widths=True, min_width=16, max_depth=5)])
def test_the_parts_of_a_latency_table_add_up_to_its_times(space):
    rng = np.random.default_rng(0)
    widths = rng.integers(2, 65, (300, 4)) * 8
    rows = np.concatenate([rng.integers(1, 6, (300, 4)), widths if space.free_widths else np.sort(widths)], 1)
    found = split(space, latency_parts(MODEL, space)).total(positions_of(space, rows))
    assert found / 1e6 == pytest.approx(MODEL("basic", rows), abs=1e-4)


def test_a_model_whose_times_do_not_add_up_is_refused():
    class Crossed:
        id = "crossed"

        def __call__(self, block, rows):
            return 1.0 + rows[:, 4] * rows[:, 7] / 1e4

    with pytest.raises(ValueError, match=r"add up over the stages, .* crossed is .* % off"):
        latency_parts(Crossed(), Space())


def test_activations_at_256_are_the_elements_of_all_convolutions_outputs():
    """By hand for one block a stage: stem, then two 3x3 convolutions and a shortcut each."""
    spec = ArchSpec((1, 1, 1, 1), (64, 64, 64, 64))
    stem = (32 + 32 + 64) * 128**2
    stages = 2 * 64 * 64**2 + sum(3 * 64 * side**2 for side in (32, 16, 8))
    ((parts, _),) = Caps(activations=1).parts(Space())
    row = positions_of(Space(), np.array([[*spec.depths, *spec.widths]]))
    assert split(Space(), parts).total(row)[0] == spec.activations() == stem + stages
