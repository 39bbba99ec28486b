"""The paper's Table 1: which runs stand for which line, and how they are shown."""

from proxy_tasks.bench.ablation import SCORE, AblationPlan
from proxy_tasks.bench.plan import TABLES
from proxy_tasks.proxy import PROXIES
from space import ArchSpec

CONTROL, SEARCHED = ArchSpec((3, 4, 6, 3), (24, 48, 104, 200)), ArchSpec((5, 3, 4, 2), (24, 64, 104, 200))
PLAN = AblationPlan(PROXIES["mini"], CONTROL, SEARCHED)


def test_each_line_changes_one_thing_against_resnet34():
    base, none, resnet18, resnet50, searched, edge, both = PLAN.lines
    assert base.archs == none.archs == edge.archs == (CONTROL,)
    assert none.changes == {"flip": False} and edge.changes == {"edge_weight": 0.0}
    assert not any(line.changes for line in (base, resnet18, resnet50, searched, both))
    assert both.archs == (CONTROL, SEARCHED)
    assert resnet50.archs[0].block == "bottleneck"
    # the paper's networks have 3.42, 5.12 and 5.71 GFLOPs: ours keep their order and come near their ratios
    small, middle, large = (line.archs[0].macs() for line in (resnet18, base, resnet50))
    assert abs(small / middle - 3.42 / 5.12) < 0.05 and abs(large / middle - 5.71 / 5.12) < 0.1


def test_every_run_has_its_own_key_and_the_plain_ones_are_those_of_the_large_table():
    entries = list(PLAN.entries())
    assert len({e.key for e in entries}) == len(entries) == 3 * 7
    table = {e.key for e in TABLES["cpu-1.2G"].entries()}
    assert sum(e.key in table for e in TABLES["cpu-1.2G-table1"].entries()) == 3 * 2  # ResNet-34 and searched


def test_the_table_shows_mean_spread_and_the_papers_number():
    keys = [e.key for e in PLAN.lines[1].entries(PLAN.proxy, 3)]
    rows = [{"key": key, SCORE: value} for key, value in zip(keys, (50.0, 51.0, 52.0), strict=True)]
    _, first, second, *_ = PLAN.text([*rows, {"key": "of another table"}]).splitlines()
    assert second.split() == ["none", "ResNet-34", "L", "1.21", "3", "51.00", "±", "1.00", "34.76"]
    assert first.split() == ["flip", "ResNet-34", "L", "1.21", "0", "-", "34.31"]


def test_ours_stands_after_the_network_that_the_paper_found():
    ours = AblationPlan(PROXIES["mini"], CONTROL, SEARCHED, ArchSpec((8, 5, 1, 4), (24, 24, 112, 256)))
    assert [line.network for line in ours.lines][4:6] == ["searched", "ours"]
