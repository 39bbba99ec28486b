"""Splits and subsets: by subject, repeatable, stable when data is added."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_tasks.split import SPLIT_SEED, divide, pick_rows, split_subjects

PEOPLE = [f"{i:04d}" for i in range(200)]


@given(st.sets(st.text("0123456789", min_size=1, max_size=5), min_size=2, max_size=60), st.integers(0, 99))
def test_nobody_is_on_both_sides_and_nobody_is_lost(people, seed):
    train, held_out = split_subjects(people, seed)
    assert set(train) | set(held_out) == people and not set(train) & set(held_out)
    assert train and held_out and list(train) == sorted(train)
    assert len(held_out) == max(round(0.2 * len(people)), 1)


def test_the_split_is_a_function_of_the_names_and_the_seed_alone():
    rows = np.repeat(PEOPLE, 3)
    shuffled = np.random.default_rng(0).permutation(rows)
    assert split_subjects(rows, 1) == split_subjects(shuffled, 1)
    assert split_subjects(rows, 1) != split_subjects(rows, 2)


def test_further_people_move_few_of_the_others_across():
    before = set(split_subjects(PEOPLE, 0)[1])
    after = set(split_subjects([*PEOPLE, *(f"x{i}" for i in range(20))], 0)[1])
    assert len(before & after) >= len(before) - 6


def test_each_person_is_held_out_by_one_seed_in_five():
    held = sum("0042" in split_subjects(PEOPLE, seed)[1] for seed in range(500))
    assert 70 <= held <= 130  # mean 100, standard deviation 9


@pytest.mark.parametrize(("people", "share"), [(["a"], 0.2), ([], 0.2), (["a", "b"], 0.0), (["a", "b"], 1.0)])
def test_a_split_that_cannot_be_is_refused(people, share):
    with pytest.raises(ValueError, match=r"split by subject|validation share"):
        split_subjects(people, 0, share)


def test_all_rows_of_the_people_and_of_nobody_else_by_default():
    column = np.repeat(PEOPLE[:6], 5)
    np.random.default_rng(0).shuffle(column)
    rows = pick_rows(column, PEOPLE[1:3], 0)
    np.testing.assert_array_equal(rows, np.flatnonzero(np.isin(column, PEOPLE[1:3])))


def test_frames_are_bounded_for_each_person_and_spread_over_their_rows():
    column = np.repeat(PEOPLE[:10], 100)
    rows = pick_rows(column, PEOPLE[:10], 3, max_frames=4)
    frames = (rows % 100).reshape(10, 4)
    assert (np.diff(frames, axis=1) >= 24).all() and (np.diff(rows) > 0).all()
    assert len(np.unique(frames[:, 0])) > 3  # not the same frame of every person


def test_fewer_subjects_are_a_subset_of_more():
    column = np.repeat(PEOPLE, 2)
    few, many = (pick_rows(column, PEOPLE, 7, max_subjects=n) for n in (10, 50))
    assert len(few) == 20 and len(many) == 100 and set(few) < set(many)


def test_people_with_few_rows_give_all_of_them_and_absent_ones_none():
    column = np.array(["a", "b", "b", "b"])
    np.testing.assert_array_equal(pick_rows(column, ["a", "zz"], 0, max_frames=2), [0])
    assert len(pick_rows(column, [], 0)) == 0


def test_people_who_are_named_validate_and_the_others_train():
    assert divide(["c", "a", "b", "a"], ["b"]) == (("a", "c"), ("b",))
    assert divide(["c", "a", "b"], ()) == split_subjects(["c", "a", "b"], SPLIT_SEED)


@pytest.mark.parametrize(("named", "said"), [(["x"], "names 'x', who is not in the data"), (["a"], "nobody")])
def test_a_list_of_people_that_cannot_be_meant_is_refused(named, said):
    with pytest.raises(ValueError, match=said):
        divide(["a"], named)
