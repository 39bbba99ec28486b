"""The notebooks: thin, without outputs, and executed from end to end on a small real search."""

import json
from pathlib import Path

import nbformat
import pytest

from nas.search.__main__ import main as search

NOTEBOOKS = sorted(Path("reports/notebooks").glob("*.ipynb"))
TINY = {
    "base": "mini",
    "resolution": 32,
    "epochs": 1,
    "batch": 4,
    "subjects": 4,
    "frames": 4,
    "evaluations": 2,
}
SMALL = ["--max-depth", "3", "--max-width", "64", "--width-step", "16", "--tolerance", "0.1"]


def small_search(path, *further):
    """A search in this process over a small space: two proposals, the control, and a race of one."""
    asked = ["--budget", "0.6GFLOPs", *SMALL, "--out", str(path), "--launcher", "inprocess", "--quiet"]
    kept = ["--strategy", "random", "--trials", "2", "--finalists", "1"]
    assert search([*asked, *kept, *further]) == 0
    return str(path)


@pytest.fixture(scope="module")
def searches(tmp_path_factory, tiny_wcpa):
    """One that trains for real, on a handful of images, and one with pretended training beside it."""
    folder = tmp_path_factory.mktemp("searches")
    proxy = folder / "tiny.json"
    proxy.write_text(json.dumps(TINY))
    return [
        small_search(folder / "trained", "--data", str(tiny_wcpa), "--proxy", str(proxy)),
        small_search(folder / "pretended", "--objective", "nas.trials.standin:Standin"),
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_kept_without_outputs_and_are_thin(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert notebook.cells[0].metadata["tags"] == ["parameters"]
    assert all(len(cell.source.splitlines()) <= 10 and "def " not in cell.source for cell in code)


PARAMETERS = {
    "search_report": lambda runs: {"RUN": runs[0], "PREDICTIONS": []},
    "compare_spaces": lambda runs: {"RUNS": runs},
    "proxy_fidelity": lambda runs: {
        "RUN": runs[0],
        "DEAR": runs[0],
        "IMAGES": 4,
        "ROWS": [f"docs/evidence/cpu-1.2G{part}.jsonl" for part in ("", "-longer-confirm")],
        "SCORES": "docs/evidence/cpu-1.2G-scores.jsonl",
    },
}


@pytest.mark.filterwarnings("ignore")  # of the notebook client and its kernel
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run_from_end_to_end_on_a_real_search(path, searches, monkeypatch):
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    notebook = nbformat.read(path, as_version=4)
    given = PARAMETERS[path.stem](searches)
    names = [line.split(" = ")[0] for line in notebook.cells[0].source.splitlines()]
    assert names == list(given)
    notebook.cells[0].source = "\n".join(f"{name} = {value!r}" for name, value in given.items())
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert any("text/html" in output.get("data", {}) for output in outputs)
