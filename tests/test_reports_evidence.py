"""The picture of a table: where uniform draws lie beside the control, and what fresh seeds say."""

import numpy as np
import pytest

from proxy_tasks.bench import rows
from proxy_tasks.bench.confirm import SCORE, ConfirmPlan
from proxy_tasks.bench.plan import CONTROL, SMALL, TABLES
from proxy_tasks.bench.table import RunTable
from reports import evidence
from reports.figures.evidence import draw_evidence
from space import ArchSpec

CANDIDATE = ArchSpec((8, 5, 1, 4), (24, 24, 112, 256))


@pytest.fixture
def table(tmp_path):
    """Rows as of a table: the control near 54.0 mm, twelve draws from 53 on, in steps of a quarter."""
    path, rng = tmp_path / "rows.jsonl", np.random.default_rng(0)
    entries = list(TABLES["cpu-1.2G"].entries())
    some = [e for e in entries if e.length == 1 and e.role != "uniform" and e.seed < 3]
    some += [e for e in entries if e.role == "uniform" and e.seed == 0 and e.length == 1][:12]
    drawn = iter(53 + 0.25 * np.arange(12))
    for entry in some:
        end = next(drawn) if entry.role == "uniform" else 54 + rng.normal(0, 0.05)
        point = {"epochs": 3.0, "seconds": 1.0, "l_error_mm": end}
        rows.append(
            path,
            {"key": entry.key, "arch": entry.arch.to_dict(), "role": entry.role, "seed": entry.seed,
             "length": 1.0, "proxy": "p", "data": "d", "status": "complete", "l_error_mm": end,
             "curve": [point], "seconds": 9.0},
        )  # fmt: skip
    return path


def test_the_picture_and_its_words_count_the_draws_below_the_control(table, tmp_path, capsys):
    out = tmp_path / "pictures" / "evidence.png"
    assert evidence.main(["--rows", str(table), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "12 uniform draws: best 53.00, median 54.38, worst 55.75 mm" in said
    assert "4 of 12 single runs" in said or "5 of 12 single runs" in said  # the control lies at 54.0 +- noise
    first = out.read_bytes()
    assert first.startswith(b"\x89PNG")
    assert evidence.main(["--rows", str(table), "--out", str(out)]) == 0  # our own may be drawn again
    assert out.read_bytes() == first


def test_gains_on_fresh_seeds_stand_beside_it(table, tmp_path, monkeypatch):
    plan = ConfirmPlan(SMALL, CONTROL, (CANDIDATE,), runs=4)
    monkeypatch.setitem(TABLES, "fresh", plan)
    fresh, rng = tmp_path / "fresh.jsonl", np.random.default_rng(1)
    for entry in plan.entries():
        rows.append(fresh, {"key": entry.key, SCORE: 53 + (entry.arch == CONTROL) + rng.normal(0, 0.1)})
    out = tmp_path / "evidence.png"
    words = ["--rows", str(table), "--confirmed", f"fresh={fresh}", "--out", str(out)]
    assert evidence.main(words) == 0
    alone = tmp_path / "alone.png"
    assert evidence.main([*words[:2], "--out", str(alone)]) == 0
    width = [int.from_bytes(path.read_bytes()[16:20], "big") for path in (out, alone)]  # of a PNG's header
    (look,) = evidence._looks(f"fresh={fresh}", [])
    assert look.label.startswith(CANDIDATE.id) and look.label.endswith("4 seeds, 95 %")
    (figure,) = (
        axes for axes in draw_evidence(_population(table), [look]).axes if "fresh" in axes.get_title("left")
    )
    low, high = sorted(figure.containers[0].lines[2][0].get_segments()[0][:, 0])
    assert (low, high) == pytest.approx(
        (look.gain.low_mm, look.gain.high_mm)
    ) and low < look.gain.gain_mm < high
    fresh.write_text("\n".join(fresh.read_text().splitlines()[:-1]))
    assert evidence._looks(f"fresh={fresh}", [])[0].label.endswith("3 seeds, 95 % (unfinished)")
    assert width[0] > 1.8 * width[1]


def _population(table):
    return evidence.Population.of(RunTable.of(rows.read(table)))


def test_longer_runs_of_the_same_architectures_have_a_panel_of_their_own(table, tmp_path, capsys):
    out, alone = tmp_path / "evidence.png", tmp_path / "alone.png"
    assert evidence.main(["--rows", str(table), "--out", str(alone)]) == 0
    drawn = [row for row in rows.read(table) if row["role"] == "uniform"]
    control = [row for row in rows.read(table) if row["role"] == "control"]
    for row in [*drawn, *control]:
        end = row["l_error_mm"] - 10 if row["role"] == "uniform" else 40 + 0.5 * row["seed"]
        _add_longer(table, row, row["role"], end)
    capsys.readouterr()
    assert evidence.main(["--rows", str(table), "--out", str(out)]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert "4 times as long, 13 architectures lie from 40.50 to 45.75 mm" in said
    assert "seeds by 0.50 (2 degrees of freedom)" in said and "tau with the shorter runs +0." in said
    width = [int.from_bytes(path.read_bytes()[16:20], "big") for path in (out, alone)]
    assert width[0] > 1.8 * width[1]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--out", "x.pdf"], "is no picture's name"),
        (["--out", "x.jpg"], "is to be a .png"),
        (["--out", "x.png", "--rows", "none.jsonl"], "no file"),
        (["--out", "x.png", "--confirmed", "cpu-1.2G=ROWS"], "no PLAN=FILE of runs"),
        (["--out", "x.png", "--confirmed", "cpu-1.2G-confirm"], "no PLAN=FILE of runs"),
        (["--out", "x.png", "--confirmed", "cpu-1.2G-confirm=none.jsonl"], "no file none.jsonl"),
        (["--out", "x.png", "--confirmed", "cpu-1.2G-confirm=ROWS"], "too few runs to compare"),
    ],
)
def test_a_request_that_cannot_be_meant_is_refused(table, words, why, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = [word.replace("ROWS", str(table)) for word in words]
    assert evidence.main(["--rows", str(table), *words]) == 2
    assert why in capsys.readouterr().err
    assert not (tmp_path / "x.png").exists()


def test_longer_runs_of_several_origins_are_told_apart(table, tmp_path, capsys):
    for row in rows.read(table):
        if row["role"] in ("uniform", "control"):
            end = 44 if row["role"] == "uniform" else 42.5
            _add_longer(table, row, row["role"], end + 0.1 * row["seed"])
    out, alone = tmp_path / "evidence.png", tmp_path / "alone.png"
    assert evidence.main(["--rows", str(table), "--out", str(alone)]) == 0
    assert "proposals" not in capsys.readouterr().out
    last = next(row for row in rows.read(table) if row["role"] == "uniform")
    drawn = TABLES["cpu-1.2G-shallow"].entries()
    for entry, end in zip(drawn, (42.0, 42.5, 43.0), strict=False):
        _add_longer(table, {**last, "key": entry.key, "arch": entry.arch.to_dict()}, "proposal", end)
    assert evidence.main(["--rows", str(table), "--out", str(out)]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith("4 times as long, mean and range, mm: the control 42.60; 12 uniform draws 44.00")
    assert said.endswith("3 proposals of a search 42.50 (42.00 to 43.00)")
    width = [int.from_bytes(path.read_bytes()[16:20], "big") for path in (out, alone)]
    assert width[0] > 1.4 * width[1], "a panel of its own"


def _add_longer(table, row, role, end):
    point = {"epochs": 12.0, "seconds": 4.0, "l_error_mm": end}
    changed = {"key": row["key"] + "long", "length": 4.0, "l_error_mm": end, "curve": [point], "role": role}
    rows.append(table, {**row, **changed})
