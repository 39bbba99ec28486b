"""docs/tutorial.md: its commands run as they stand, one after another."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parents[1] / "docs" / "tutorial.md"


def commands(page: Path) -> list[str]:
    """The lines of its ```sh blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), flags=re.M | re.S)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def run(line: str) -> int:
    """A command of the page, in this process."""
    if line.startswith("printf "):
        _, text, arrow, name = shlex.split(line)
        assert arrow == ">"
        Path(name).write_text(text)
        return 0
    python, flag, module, *argv = shlex.split(line)
    assert (python, flag) == ("python", "-m")
    spec = importlib.util.find_spec(module)
    assert spec is not None, module
    door = f"{module}.__main__" if spec.submodule_search_locations else module
    return importlib.import_module(door).main(argv)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_tutorial_runs_as_it_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for line in commands(PAGE):
        assert run(line) == 0, f"{line}\n{capsys.readouterr().err}"
        with open("said.txt", "a") as said:
            said.write(f"$ {line}\n{capsys.readouterr().out}\n")
    assert Path("run/report/index.html").is_file()
    assert {path.name for path in Path("exported").iterdir()} == {"json", "jmlr", "timm"}
    with np.load("predictions.npz") as found:
        assert found["verts"].shape[0] == 6
