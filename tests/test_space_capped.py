"""space/capped.py and meet.py: caps beside the budget, against every architecture one by one."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest
import space_brute
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from test_space_latency import table

from space import REFERENCES, ArchSpec, Budget, FeasibleSet, Space
from space.caps import Caps
from space.meet import kept_counts
from space.walk import COORDINATES

SPACE = Space(max_depth=3, min_width=32, max_width=128, width_step=32)
MODEL = table()
SPECS = space_brute.every_spec(SPACE)
BUDGET = Budget(sorted(spec.macs() for spec in SPECS)[len(SPECS) // 2], 0.2)
INSIDE = [spec for spec in SPECS if spec.macs() in BUDGET]
HAVE = {
    "params": [spec.params() for spec in INSIDE],
    "activations": [spec.activations() for spec in INSIDE],
    "latency": [MODEL.of(spec) for spec in INSIDE],
}


def _caps(**shares: float) -> Caps:
    """Caps at these quantiles of the window, a nanosecond above where it is a time."""
    most = {name: np.quantile(HAVE[name], q, method="lower") for name, q in shares.items()}
    whole = {name: int(value) for name, value in most.items() if name != "latency"}
    return Caps(**whole, **({"latency": most["latency"] + 1e-4, "model": MODEL} if "latency" in most else {}))


def _keeps(caps: Caps) -> list[ArchSpec]:
    return [
        spec
        for at, spec in enumerate(INSIDE)
        if all(HAVE[name][at] <= most for name, most in caps.asked.items())
    ]


CASES = {
    "a third of the parameters": _caps(params=0.3),
    "few activations": _caps(activations=0.02),
    "some milliseconds": _caps(latency=0.5),
    "two that fight": _caps(params=0.4, activations=0.4),
    "all three": _caps(params=0.7, activations=0.6, latency=0.5),
    "nearly everything": _caps(params=1.0),
    "one architecture": _caps(params=0.0),
}


@pytest.fixture(scope="module", params=CASES)
def capped(request) -> tuple[FeasibleSet, list[ArchSpec]]:
    """A set with caps, and all that it should hold by enumeration."""
    caps = CASES[request.param]
    return FeasibleSet(SPACE, BUDGET, caps, cache=False), _keeps(caps)


def _p_value(rows: np.ndarray, inside: list[ArchSpec]) -> float:
    seen = Counter(map(tuple, rows.tolist()))
    counts = [seen.pop((*spec.depths, *spec.widths), 0) for spec in inside]
    assert not seen, "a draw left the caps"
    return float(chisquare(counts).pvalue) if len(inside) > 1 else 1.0


def test_what_is_left_is_counted_exactly_and_the_window_too(capped):
    feasible, inside = capped
    assert (feasible.left, feasible.count) == (len(inside), len(INSIDE))
    assert feasible.window.left == feasible.window.count == len(INSIDE)


def test_draws_are_uniform_over_what_the_caps_leave(capped):
    feasible, inside = capped
    assert _p_value(feasible.draw_array(60 * len(inside), np.random.default_rng(0)), inside) > 1e-3


def test_draws_by_rank_are_uniform_too(capped, monkeypatch):
    monkeypatch.setattr("space.capped.REJECT", 0)
    feasible, inside = capped
    assert _p_value(feasible.draw_array(60 * len(inside), np.random.default_rng(1)), inside) > 1e-3


def test_uniform_points_give_uniform_architectures(capped):
    feasible, inside = capped
    points = np.random.default_rng(2).random((15 * len(inside), 8))
    assert _p_value(feasible.from_unit_array(points), inside) > 1e-3


def test_every_architecture_that_keeps_the_caps_has_a_point_and_comes_back(capped):
    feasible, inside = capped
    rows = space_brute.table(inside)
    points = feasible.to_unit_array(rows)
    assert ((points > 0) & (points < 1)).all()
    assert (feasible.from_unit_array(points) == rows).all()
    assert feasible.from_unit(feasible.to_unit(inside[0])) == inside[0]


def test_membership_is_space_budget_and_caps(capped):
    feasible, inside = capped
    rows = space_brute.table(SPECS)
    assert feasible.holds(rows).tolist() == [spec in set(inside) for spec in SPECS]
    assert all((spec in feasible) == (spec in set(inside)) for spec in SPECS[::7])


def test_values_only_grow_along_a_coordinate(capped):
    """So that near points stay near: a step along a coordinate never jumps back and forth."""
    feasible, _ = capped
    base = np.random.default_rng(3).random(8)
    for at, name in enumerate(COORDINATES):
        column = ("d1", "d2", "d3", "d4", "w1", "w2", "w3", "w4").index(name)
        points = np.tile(base, (200, 1))
        points[:, at] = np.linspace(0, 1, 200)
        assert (np.diff(feasible.from_unit_array(points)[:, column]) >= 0).all()


def test_a_set_with_caps_travels_by_its_recipe_and_has_its_own_id():
    feasible = FeasibleSet(SPACE, BUDGET, CASES["all three"], cache=False)
    again = pickle.loads(pickle.dumps(feasible))
    assert (again.id, again.left) == (feasible.id, feasible.left)
    assert feasible.id != feasible.window.id == FeasibleSet(SPACE, BUDGET, cache=False).id
    assert feasible.window.within(feasible.caps).id == feasible.id
    assert "latency" in repr(feasible)


def test_counts_are_kept_in_the_cache_and_made_again_where_they_are_damaged(tmp_path, monkeypatch):
    monkeypatch.setenv("JMLR_NAS_CACHE", str(tmp_path))
    caps = CASES["two that fight"]
    left = FeasibleSet(SPACE, BUDGET, caps).left
    (file,) = (tmp_path / "space").glob("caps-*.npz")
    monkeypatch.setattr("space.indexfile.kept_counts", lambda *_: pytest.fail("counted again"))
    assert FeasibleSet(SPACE, BUDGET, caps).left == left
    file.write_bytes(file.read_bytes()[:100])
    monkeypatch.setattr("space.indexfile.kept_counts", kept_counts)
    assert FeasibleSet(SPACE, BUDGET, caps).left == left
    FeasibleSet(SPACE, BUDGET, CASES["few activations"])
    assert len(list((tmp_path / "space").glob("caps-*.npz"))) == 2


@given(
    st.tuples(*[st.one_of(st.none(), st.floats(0, 1))] * 3),
    st.lists(st.tuples(*[st.floats(0, 1)] * 8), min_size=1, max_size=20),
)
@settings(deadline=None, max_examples=40)
def test_no_point_leaves_the_caps_and_each_comes_back(quantiles, points):
    names = ("params", "activations", "latency")
    caps = _caps(**{name: q for name, q in zip(names, quantiles, strict=True) if q is not None})
    try:
        feasible = FeasibleSet(SPACE, BUDGET, caps, cache=False)
    except ValueError as error:
        assert not _keeps(caps) and "no architecture inside the budget keeps" in str(error)
        return
    rows = feasible.from_unit_array(np.array(points))
    assert feasible.holds(rows).all()
    assert (feasible.from_unit_array(feasible.to_unit_array(rows)) == rows).all()


def test_a_cap_below_every_architecture_says_the_smallest_that_would_do():
    least = min(HAVE["params"])
    with pytest.raises(
        ValueError, match=r"keeps --max-params 0.01M: the smallest that would do is"
    ) as caught:
        FeasibleSet(SPACE, BUDGET, Caps(params=10_000), cache=False)
    written = str(caught.value).rpartition("--max-params ")[2]
    most = Caps.parse({"params": written}, REFERENCES["resnet34"]).params
    assert least <= most <= 1.001 * least
    assert FeasibleSet(SPACE, BUDGET, Caps(params=most), cache=False).left >= 1
    with pytest.raises(ValueError, match="no architecture inside the budget keeps"):
        FeasibleSet(SPACE, BUDGET, Caps(params=least - 1), cache=False)


def test_caps_that_fight_say_what_each_would_have_to_be():
    """Each is possible alone; together nothing is left until one of them is raised as far as said."""
    fewest = {name: min(HAVE[name]) for name in ("params", "activations")}
    caps = Caps(**fewest)
    with pytest.raises(ValueError, match=r"--max-params .*M or --max-activations .*M") as caught:
        FeasibleSet(SPACE, BUDGET, caps, cache=False)
    params = min(p for p, a in zip(HAVE["params"], HAVE["activations"], strict=True) if a <= caps.activations)
    assert f"--max-params {params / 1e6:.4g}"[:14] in str(caught.value).rpartition(":")[2]


def test_caps_that_are_all_too_small_say_what_they_would_have_to_be_together():
    with pytest.raises(ValueError, match=r"do is --max-params .*M with --max-latency .*ms$") as caught:
        FeasibleSet(SPACE, BUDGET, Caps(params=1000, latency=0.01, model=MODEL), cache=False)
    words = str(caught.value).rpartition("do is ")[2].replace("--max-", "").split(" with ")
    together = Caps.parse(dict(word.split() for word in words), REFERENCES["resnet34"], MODEL)
    assert FeasibleSet(SPACE, BUDGET, together, cache=False).left >= 1


def test_an_architecture_that_breaks_a_cap_has_no_point_and_hears_why():
    feasible = FeasibleSet(SPACE, BUDGET, CASES["a third of the parameters"], cache=False)
    heavy = INSIDE[int(np.argmax(HAVE["params"]))]
    with pytest.raises(ValueError, match=r"it has [\d.]+ M parameters, above --max-params"):
        feasible.to_unit(heavy)
    with pytest.raises(ValueError, match="1 of 1 architectures are not in the set"):
        feasible.to_unit_array(space_brute.table([heavy]))


@pytest.mark.parametrize("name", ["free", "bottleneck", "ranges by stage", "step of one"])
def test_other_spaces_are_counted_exactly_too(name):
    space = space_brute.SMALL[name]
    specs = space_brute.every_spec(space)
    budget = Budget(sorted(spec.macs() for spec in specs)[len(specs) // 2], 0.3)
    inside = [spec for spec in specs if spec.macs() in budget]
    caps = Caps(
        params=int(np.median([spec.params() for spec in inside])),
        activations=int(np.quantile([spec.activations() for spec in inside], 0.8)),
    )
    kept = [s for s in inside if s.params() <= caps.params and s.activations() <= caps.activations]
    feasible = FeasibleSet(space, budget, caps, cache=False)
    assert feasible.left == len(kept)
    assert set(feasible.draw(30 * len(kept), np.random.default_rng(0))) == set(kept)


def test_too_many_architectures_to_try_are_refused(monkeypatch):
    monkeypatch.setattr("space.meet._MOST_PAIRS", 100)
    with pytest.raises(ValueError, match="too many to try each against caps: raise width_step"):
        FeasibleSet(SPACE, BUDGET, CASES["all three"], cache=False)
