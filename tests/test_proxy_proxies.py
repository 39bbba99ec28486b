"""python -m proxy_tasks.proxies: presets side by side, and an example that reads back as what it shows."""

from __future__ import annotations

import dataclasses
import re

import pytest

from proxy_tasks.proxies import example, main
from proxy_tasks.proxy import ABOUT, PROXIES, Proxy, find_proxy, uncommented


def test_every_setting_is_explained():
    fields = {field.name for field in dataclasses.fields(Proxy)}
    synthetic = {f"synthetic.{field.name}" for field in dataclasses.fields(PROXIES["mini"].synthetic)}
    assert set(ABOUT) == fields | synthetic


@pytest.mark.parametrize("base", PROXIES)
def test_the_example_has_every_key_and_reads_back_as_its_base(tmp_path, base):
    text = example(base)
    (tmp_path / "mine.json").write_text(text)
    assert find_proxy(str(tmp_path / "mine.json")) == PROXIES[base].replace(name="mine")
    assert all(f'"{key.rpartition(".")[2]}"' in text for key in ABOUT if key != "name")
    assert all("//" in line for line in text.splitlines() if ":" in line)


def test_the_presets_stand_side_by_side_with_a_file_of_ones_own(tmp_path, capsys):
    (tmp_path / "mine.json").write_text('{"base": "short", "lr": 0.25} // half\n')
    assert main(["--proxy", str(tmp_path / "mine.json")]) == 0
    shown = capsys.readouterr().out
    row = next(line for line in shown.splitlines() if line.startswith("lr"))
    assert re.split(r"\s{2,}", row)[1:5] == ["0.012", "0.5", "0.1", "0.25"]


def test_only_comments_are_taken_out_of_a_file():
    text = b'{"a": "http://x", // why\n "b": 1} // end\n// all\n'
    assert uncommented(text) == b'{"a": "http://x", \n "b": 1} \n\n'
