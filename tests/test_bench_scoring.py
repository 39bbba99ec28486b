"""What is told of architectures without training them, and kept beside a table's rows."""

import math

import pytest
from bench_rows import simulated_rows, write_rows

from proxy_tasks import fidelity
from proxy_tasks.bench import __main__ as bench
from proxy_tasks.bench import rows as table_rows
from proxy_tasks.bench.scoring import (
    ZERO_COST,
    archs_of,
    by_architecture,
    latency_key,
    latency_rows,
    missing,
)
from proxy_tasks.latency.device import conditions_here
from space import ArchSpec

TINY = ArchSpec((1, 1, 1, 1), (8, 8, 8, 8))
SMALL = ArchSpec((1, 1, 1, 2), (8, 8, 16, 16))


def told(arch, **values):
    return {"key": f"{arch.id}|{sorted(values)}", "arch": arch.to_dict(), **values}


def scored(arch, value, data="faces"):
    return told(arch, data=data, **dict.fromkeys(ZERO_COST, value), seconds=2.0)


def timed(arch, milliseconds, conditions="a laptop", sitting=1):
    return told(arch, conditions=conditions, latency_ms=milliseconds, sitting=sitting)


def test_each_architecture_is_told_of_once_in_the_order_of_the_rows():
    rows = simulated_rows(3, repeated=2)
    found = archs_of(rows)
    assert len(found) == 4 == len({arch.id for arch in found})
    assert found[0].to_dict() == rows[0]["arch"]


def test_scores_and_latency_of_an_architecture_are_joined():
    find = by_architecture([scored(TINY, 1.0), timed(TINY, 5.0), scored(SMALL, 2.0)])
    assert find(TINY) == {**dict.fromkeys(ZERO_COST, 1.0), "seconds": 2.0, "latency_ms": 5.0}
    assert find(SMALL) == {**dict.fromkeys(ZERO_COST, 2.0), "seconds": 2.0}
    assert find(ArchSpec((2, 2, 2, 2), (8, 8, 8, 8))) == {}


def test_times_of_two_sittings_are_not_mixed():
    find = by_architecture([timed(TINY, 5.0), timed(TINY, 9.0, sitting=2), timed(SMALL, 9.5, sitting=2)])
    assert find(TINY) == {"latency_ms": 9.0} and find(SMALL) == {"latency_ms": 9.5}


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([scored(TINY, 1.0), scored(SMALL, 2.0, data="other faces")], "data"),
        ([timed(TINY, 5.0), timed(SMALL, 6.0, conditions="a server")], "conditions"),
    ],
)
def test_scores_of_two_batches_or_two_machines_are_not_mixed(rows, kind):
    with pytest.raises(ValueError, match=f"mix different {kind}"):
        by_architecture(rows)


def test_forward_passes_are_timed_together_and_only_where_one_is_missing():
    conditions = conditions_here("cpu", threads=1)
    rows = list(latency_rows([TINY, SMALL], conditions))
    assert [row["key"] for row in rows] == [latency_key(arch, conditions, 1) for arch in (TINY, SMALL)]
    assert all(0 < row["latency_ms"] == min(row["halves_ms"]) for row in rows)
    there = [row["key"] for row in rows]
    assert list(missing([TINY, SMALL], there, None, conditions)) == []
    again = list(missing([TINY, SMALL], there[:1], None, conditions))
    assert [row["key"] for row in again] == [latency_key(arch, conditions, 2) for arch in (TINY, SMALL)]
    assert list(missing([TINY, SMALL], [*there, *(row["key"] for row in again)], None, conditions)) == []


def test_the_command_adds_what_its_file_lacks_and_fidelity_reads_it(tmp_path, tiny_wcpa, capsys):
    rows = simulated_rows(4, repeated=0)
    table, out = write_rows(tmp_path / "rows.jsonl", rows), tmp_path / "scores.jsonl"
    asked = ["score", "--rows", str(table), "--out", str(out), "--data", str(tiny_wcpa)]
    assert bench.main(asked) == 0
    assert "5 rows added for 5 architectures" in capsys.readouterr().out
    first = table_rows.read(out)
    assert all(math.isfinite(row[name]) for row in first for name in ZERO_COST)
    out.write_text("".join(out.read_text().splitlines(keepends=True)[:3]))
    assert bench.main(asked) == 0
    assert "2 rows added" in capsys.readouterr().out
    again = {row["key"]: row for row in table_rows.read(out)}
    for row in first:
        kept = again[row["key"]]
        assert [kept[name] for name in ZERO_COST] == pytest.approx([row[name] for name in ZERO_COST])
    assert fidelity.main([str(table), "--scores", str(out)]) == 0
    assert all(name in capsys.readouterr().out for name in ("log_synflow",))
    assert fidelity.main([str(table), "--scores", str(tmp_path / "none")]) == 2
    assert "there is no file" in capsys.readouterr().err


def test_a_score_of_nothing_is_refused(tmp_path, capsys):
    table = write_rows(tmp_path / "rows.jsonl", simulated_rows(1, repeated=0))
    assert bench.main(["score", "--rows", str(table), "--out", str(tmp_path / "s.jsonl")]) == 2
    assert "give --data for scores of untrained networks, --latency, or both" in capsys.readouterr().err
    assert (
        bench.main(["score", "--rows", str(tmp_path / "no"), "--out", str(tmp_path / "s"), "--latency"]) == 2
    )
    assert "there are no rows" in capsys.readouterr().err
