"""The report of a search for a front."""

import nas_tools
import numpy as np
import pandas as pd
import pytest

from nas.record.run_dir import RunDir
from nas.record.select import select
from reports import build
from reports.run import Run
from reports.sections import front


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("front") / "run"
    nas_tools.search(path, nas_tools.small_plan(trials=16, finalists=5, objectives="l_error,activations"))
    about = RunDir(path).read() | {"config": {"objectives": "l_error,activations", "strategy": "random"}}
    RunDir(path).write(about)
    return Run.open(path)


def test_the_front_is_told_with_intervals_and_its_hypervolume_only_grows(run):
    found = front.section(run, select(run.records))
    members, curve = found.tables
    assert members.rows and all(row["low_mm"] < row["l_error_mm"] < row["high_mm"] for row in members.rows)
    assert [row["cost"] for row in members.rows] == sorted(row["cost"] for row in members.rows)
    areas = [row["hypervolume"] for row in curve.rows]
    assert len(areas) == 16 and (np.diff(areas) >= 0).all() and areas[-1] > 0
    assert "front of" in found.facts["verdict"].value or "one architecture" in found.facts["verdict"].value


def test_the_page_shows_the_front_behind_the_answer(run, tmp_path):
    page = build.build(run, tmp_path / "report")
    text = page.read_text()
    assert "The front" in text and text.index("The answer") < text.index("The front")
    assert len(pd.read_csv(tmp_path / "report" / "tables" / "front.csv")) >= 1


def test_a_search_for_l_error_alone_has_no_such_section(tmp_path):
    nas_tools.search(tmp_path / "run", nas_tools.small_plan(trials=2))
    alone = Run.open(tmp_path / "run")
    assert front.section(alone, select(alone.records)) is None
