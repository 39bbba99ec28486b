"""The drill of tests/drill_cluster.py, and what must hold of it."""

import drill_cluster
import pytest


@pytest.mark.slow
def test_a_search_survives_bad_nodes_a_death_and_a_late_node_and_answers_right(tmp_path):
    found = drill_cluster.drill(tmp_path)
    print(found.table())
    assert found.status == 0, found.printed
    assert {r.state for r in found.records} == {"complete"}, "nothing was lost to a bad node"
    trained = {note[3] for note in found.validations}
    assert trained == {"first", "late"}, "and nothing trained on one"
    assert all(note[4] in ("0", "1") for note in found.validations), "nor on a CPU"
    assert found.repeated <= 2, "an interval of each slot of the node that died"
    key = lambda r: (r.role, r.arch.id, r.seed, r.fidelity)  # noqa: E731
    assert {key(r): r.l_error_mm for r in found.records} == {key(r): r.l_error_mm for r in found.quiet}
    assert "gets no more trials: 3 in a row failed there before their first validation" in found.printed
