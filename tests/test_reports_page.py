"""A report from a run's storage alone: what it holds, and that every number on the page stands in a table."""

import csv
import re
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from reports_simulated import INFO, records, run, write_run

from reports.build import build, main
from reports.run import Run
from reports.tables import Column, Table, show
from space import REFERENCES
from space.files import read_object, write_json
from space.outputs import MANIFEST


def made_up_latencies(architectures, cache):
    return {arch.id: 50.0 + arch.params() / 1e6 for arch in architectures}, "CPU, 2 threads"


def small_picture(figure, folder, name, kinds=("png", "svg")):
    """In place of a drawn figure, where the test is of the words and numbers."""
    for kind in kinds:
        (folder / f"{name}.{kind}").write_text(name)


@pytest.fixture(autouse=True)
def no_measuring(monkeypatch):
    """Latencies are measured in a test of their own."""
    monkeypatch.setattr("reports.sections.tradeoffs.measured", made_up_latencies)


@pytest.fixture
def undrawn(monkeypatch):
    monkeypatch.setattr("reports.figures.style.write", small_picture)


class Page(HTMLParser):
    """Every marked cell of a page, and the text that no mark covers."""

    def __init__(self, text: str):
        super().__init__()
        self.cells: list[tuple[str, str, str]] = []  # where, digits, text
        self.loose: list[str] = []
        self._open: list[tuple[str, dict]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "img", "source", "br"):
            self._open.append((tag, dict(attrs)))
            if "data-cell" in self._open[-1][1]:
                self.cells.append((self._open[-1][1]["data-cell"], self._open[-1][1]["data-digits"], ""))

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        inside = [tag for tag, _ in self._open]
        if any("data-cell" in attrs for _, attrs in self._open):
            where, digits, text = self.cells[-1]
            self.cells[-1] = (where, digits, text + data)
        elif not {"style", "title", "cite", "code"} & set(inside):
            self.loose.append(data)


@lru_cache(maxsize=64)
def rows_of(folder: Path, name: str) -> list[dict[str, str]]:
    with open(folder / "tables" / f"{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def printed(folder: Path, where: str, digits: str) -> str:
    """What the page should say, from the CSV alone."""
    table, rest = where.split("/", 1)
    row, column = rest.rsplit("/", 1)
    rows = rows_of(folder, table)
    found = next(r for r in rows if r["key"] == row) if table == "facts" else rows[int(row)]
    value = found[column]
    text = show(float(value), digits) if digits and value else show(value or None)
    return f"{text}\u202f{found['unit']}" if table == "facts" and found["unit"] else text


CASES = {
    "sixty-four": {"n": 64},
    "failures, prunings and ties": {"n": 40, "pruned": 0.5, "failed": 0.15, "ties": True},
    "eight": {"n": 8},
    "one": {"n": 1, "controls": 0, "repeats": 1},
    "still running": {"n": 12, "running": 4, "controls": 1, "repeats": 1},
}


@pytest.fixture(scope="module", params=CASES)
def built(request, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reports.sections.tradeoffs.measured", made_up_latencies)
        if request.param != "failures, prunings and ties":  # one with real pictures is enough here
            patch.setattr("reports.figures.style.write", small_picture)
        return build(run(**CASES[request.param]), tmp_path_factory.mktemp("report"))


def test_every_number_on_the_page_is_that_of_a_table_beside_it(built):
    page = Page(built.read_text())
    assert len(page.cells) > 60
    for where, digits, text in page.cells:
        assert text == printed(built.parent, where, digits), where


def test_no_number_stands_on_the_page_without_its_source(built):
    page = Page(built.read_text())
    names = re.compile(r"\bC[2-5]\b|[₀-₉]|ResNet-34")
    stray = [text for text in page.loose if re.search(r"[0-9]", names.sub("", text))]
    assert stray == ["All: 1st quartile (%)", "3rd quartile", "Best tenth: 1st quartile (%)", "3rd quartile"]


def test_the_page_needs_nothing_but_itself(built):
    text = built.read_text()
    assert not re.search(r"""(src|href|srcset)=["'](?!data:|#)""", text)
    assert "url(" not in text and "@import" not in text and "<script" not in text


def test_every_figure_is_written_as_png_and_svg_and_shown(built):
    figures = built.parent / "figures"
    names = {path.stem for path in figures.glob("*.svg")}
    assert names >= {"architecture", "edf", "where", "redistribution", "tradeoffs", "learning"}
    assert names <= {path.stem for path in figures.glob("*.png")}
    shown = len(re.findall(r"<img ", built.read_text()))
    assert shown == len(names)


def test_every_caption_says_how_many():
    for template in Path("reports/templates").glob("*.html.j2"):
        for caption in re.findall(r"<figcaption>(.*?)</figcaption>", template.read_text(), re.S):
            assert "n = {{" in caption or template.name == "answer.html.j2", template.name


def test_a_report_builds_from_the_storage_alone(tmp_path, undrawn):
    made = records(12, pruned=0.3, failed=0.2)
    path = write_run(tmp_path / "run", made)
    opened = Run.open(path)
    assert sorted(r.state for r in opened.records) == sorted(r.state for r in made)
    page = build(opened)
    assert page == path / "report" / "index.html"
    trials = rows_of(page.parent, "trials")
    assert sorted(float(t["l_error_mm"]) for t in trials if t["l_error_mm"]) == pytest.approx(
        sorted(r.l_error_mm for r in made if r.l_error_mm)
    )


def test_a_rebuilt_report_is_the_same_and_keeps_nothing_of_the_last(tmp_path, undrawn):
    simulated = run(3, controls=1, repeats=1)
    page = build(simulated, tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.glob("*/*")}
    html = page.read_text()
    (tmp_path / "figures" / "old.png").write_bytes(b"")  # a figure that the last build still had
    written = read_object(tmp_path / MANIFEST)
    write_json(tmp_path / MANIFEST, {**written, "files": [*written["files"], "figures/old.png"]})
    build(simulated, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*/*")} == first
    assert page.read_text() == html


def test_a_figure_drawn_twice_is_the_same_file(tmp_path):
    from reports.figures.architecture import draw
    from reports.figures.style import write

    for name in ("first", "second"):
        write(draw([("ResNet-34", REFERENCES["resnet34"])]), tmp_path, name)
    for kind in ("png", "svg"):
        first, second = ((tmp_path / f"{name}.{kind}").read_bytes() for name in ("first", "second"))
        assert first == second


def test_command_line_prints_where_the_page_is(tmp_path, capsys, undrawn):
    path = write_run(tmp_path / "run", records(3, controls=1, repeats=1))
    assert main([str(path), "--out", str(tmp_path / "elsewhere")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "elsewhere" / "index.html")


def test_a_run_that_is_still_running_says_so(tmp_path, undrawn):
    path = write_run(tmp_path / "run", records(6, running=2, controls=0, repeats=1))
    opened = Run.open(path)
    page = build(Run(opened.path, opened.info, opened.records, active=True))
    assert "the search is still running" in page.read_text()
    assert "python -m nas.status" in page.read_text()


def test_a_run_without_a_finished_proposal_is_one_sentence(tmp_path, capsys):
    path = write_run(tmp_path / "run", records(3, running=3, controls=2, repeats=1))
    assert main([str(path)]) == 2
    error = capsys.readouterr().err
    assert "has no finished proposal to report on (2 complete, 3 running)" in error
    assert error.count("\n") == 1 and not (path / "report").exists()


def test_a_folder_without_a_search_is_one_sentence(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "holds no search (no run.json)" in capsys.readouterr().err


def test_a_report_that_cannot_be_as_asked_is_one_sentence_and_writes_nothing(tmp_path, capsys):
    path = write_run(tmp_path / "run", records(3))
    for flag, given, said in (
        ("--out", path / "run.json", "is a file"),
        ("--predictions", tmp_path / "no.npz", "no.npz "),
    ):
        assert main([str(path), flag, str(given)]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1 and not (path / "report").exists()


def test_a_sampler_that_chose_is_not_shown_as_the_space(tmp_path, undrawn):
    chosen = run(10, info={"config": INFO["config"] | {"strategy": "tpe"}})
    assert "no uniform sample" in build(chosen, tmp_path).read_text()
    assert "no uniform sample" not in build(run(10), tmp_path).read_text()


@pytest.mark.parametrize(
    ("value", "digits", "words"),
    [
        (1.005, ".1f", "1.0"),
        (-0.5, "+.2f", "−0.50"),
        (float("nan"), ".2f", "–"),
        (None, ".2f", "–"),
        (float("inf"), ".2f", "∞"),
        (float("-inf"), ".2f", "−∞"),
        (12345, ",d", "12,345"),
        ("d1-2", "", "d1-2"),
    ],
)
def test_values_are_printed_as_their_format_says(value, digits, words):
    assert show(value, digits) == words


def test_a_row_with_an_unknown_key_is_our_own_mistake():
    with pytest.raises(AssertionError, match="table t has a row with a key"):
        Table.make("t", [Column("a", "A")], [{"b": 1}])
