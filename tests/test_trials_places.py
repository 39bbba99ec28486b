"""Which nodes get no more trials, and whose fault a failure was."""

from nas.trials.places import IN_A_ROW, Place, Places

BAD, GOOD = Place("b", "bad-host"), Place("g", "good-host")


def fail(places, place, *trials):
    return [places.failed(place, trial, "CUDA error: unspecified launch failure") for trial in trials]


def test_a_node_where_three_trials_in_a_row_fail_gets_no_more_and_is_named_with_the_reason():
    places = Places()
    *before, said = fail(places, BAD, "a", "b", "c")
    assert before == [None, None] and IN_A_ROW == 3
    assert said == places.closed["b"]
    assert (
        "bad-host (Ray node b) gets no more trials" in said
        and "CUDA error: unspecified launch failure" in said
    )
    assert fail(places, BAD, "d") == [None], "said once"
    assert places.shun(()) == ("b",) and places.shun(("g",)) == ("b", "g")


def test_a_validation_between_failures_clears_the_node():
    places = Places()
    fail(places, GOOD, "a", "b")
    places.worked(GOOD)
    assert fail(places, GOOD, "c", "d") == [None, None] and not places.closed


def test_one_broken_gpu_is_found_while_its_neighbour_works():
    places = Places()
    broken, sound = Place("n", "host", "0"), Place("n", "host", "1")
    for trial in ("a", "b"):
        assert fail(places, broken, trial) == [None]
        places.worked(sound)
    assert "host (Ray node n, GPU 0) gets no more trials" in fail(places, broken, "c")[0]


def test_one_trial_that_fails_wherever_it_runs_closes_nothing():
    places = Places()
    for place in (BAD, BAD, GOOD, BAD):
        assert fail(places, place, "hopeless") == [None]
    places.blameless("hopeless")
    assert fail(places, BAD, "a", "b") == [None, None]
