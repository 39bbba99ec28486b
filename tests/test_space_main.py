"""python -m space: what it shows, and how it refuses."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys

import pytest
from test_space_latency import table

from space import Budget, FeasibleSet, Space
from space.__main__ import main
from space.scale import find_control

SMALL = ["--max-depth", "4", "--width-step", "32"]


def _run(capsys, *flags: str) -> tuple[int, str, str]:
    status = main(flags)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_it_shows_the_size_the_shares_and_samples(capsys):
    status, out, err = _run(capsys, "--budget", "5.1GFLOPs", "--samples", "3")
    assert (status, err) == (0, "")
    assert "1,117,743,257 of 254,299,668,480 architectures, 1 in 228" in out
    assert "4,998,000,000 to 5,202,000,000" in out
    assert out.count("\n  d") == 3
    assert re.search(r"resnet34 +5\.101 +24\.4 +5\.9  inside\n", out)
    assert re.search(r"resnet50 +5\.664 +36\.0 +15\.6  outside the space\n", out)
    assert max(map(len, out.splitlines())) <= 80


def test_json_holds_everything(capsys):
    status, out, _ = _run(capsys, "--budget", "2G", "--json", *SMALL)
    summary = json.loads(out)
    assert status == 0
    assert sum(share["mean"] for share in summary["shares"].values()) == pytest.approx(1)
    assert len(summary["samples"]) == 5
    low, high = summary["budget"]["low"], summary["budget"]["high"]
    assert all(low <= sample["macs"] <= high for sample in summary["samples"])
    assert summary["references"]["resnet50"]["outside"] == "space"
    assert summary["references"]["resnet18"]["outside"] == "budget"
    assert summary["count"] > 0 and summary["space"]["max_depth"] == [4, 4, 4, 4]


def test_ranges_can_be_given_for_each_stage(capsys):
    _, out, _ = _run(
        capsys, "--budget", "2G", "--max-depth", "2,3,4,3", "--width-step", "64", "--free-widths"
    )
    assert "basic blocks, depths 1–2, 1–3, 1–4, 1–3, widths 64–512 by 64\n" in out


def test_caps_are_shown_with_what_they_leave(capsys):
    _, plain, _ = _run(capsys, "--budget", "2G", "--json", *SMALL)
    flags = ("--max-params", "20M", "--max-activations", "1.1x")
    status, out, err = _run(capsys, "--budget", "2G", "--json", *SMALL, *flags)
    summary, control = json.loads(out), find_control(FeasibleSet(*_small("2G")))[0]
    assert (status, err) == (0, "")
    assert summary["count"] == json.loads(plain)["count"] > summary["left"] > 0
    assert summary["id"] != json.loads(plain)["id"]
    most = control.activations() * 11 // 10
    assert summary["caps"] == {"params": 20_000_000, "activations": most}
    assert all(s["params"] <= 20_000_000 and s["activations"] <= most for s in summary["samples"])
    _, out, _ = _run(capsys, "--budget", "2G", *SMALL, *flags)
    assert "Caps     at most 20 M parameters, at most" in out
    assert f"Left     {summary['left']:,} of those inside, " in out
    assert max(map(len, out.splitlines())) <= 80


def test_a_cap_on_latency_reads_its_table_from_a_file(capsys, tmp_path):
    file = tmp_path / "table.json"
    file.write_text(json.dumps(table().to_dict()))
    flags = ("--max-latency", "1x", "--latency-table", str(file))
    status, out, _ = _run(capsys, "--budget", "2G", "--json", *SMALL, *flags)
    assert status == 0 and json.loads(out)["caps"]["latency_model"] == table().id
    for wrong, words in (
        (flags[:2], "--max-latency needs a latency table"),
        ((*flags[:3], "none"), "none is no readable"),
    ):
        status, out, err = _run(capsys, "--budget", "2G", *SMALL, *wrong)
        assert (status, out) == (2, "") and words in err and err.count("\n") == 1


def _small(budget: str) -> tuple[Space, Budget]:
    return Space(max_depth=4, width_step=32), Budget.parse(budget)


def test_the_same_seed_shows_the_same_samples(capsys):
    flags = ("--budget", "2G", "--json", *SMALL)
    first, again, other = (_run(capsys, *flags, "--seed", seed)[1] for seed in ("1", "1", "2"))
    assert first == again
    assert json.loads(first)["samples"] != json.loads(other)["samples"]


def test_a_terminal_without_unicode_gets_ascii(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["--budget", "2G", *SMALL]) == 0
    out.flush()
    assert b"2 GFLOPs +- 2 %" in out.buffer.getvalue() and b"##" in out.buffer.getvalue()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--budget", "5.1GB"], "counts bytes"),
        ([], "--budget is missing; give for example --budget 5.1GFLOPs"),
        (["--budget", "lots"], "'lots' is no budget"),
        (["--budget", "0.3GFLOPs"], "the smallest, d1-1-1-1_w8-8-8-8, needs 492.2 MFLOPs"),
        (["--budget", "900GFLOPs"], "the largest, d24-24-24-24_w512-512-512-512, has 608.6 GFLOPs"),
        (["--budget", "5.1G", "--tolerance", "0"], "the nearest are d"),
        (["--budget", "5.1G", "--tolerance", "2%"], "--tolerance is a share such as 0.02 (2 %), not '2%'"),
        (["--budget", "5.1G", "--tolerance", "2"], "at least 0 and below 1"),
        (["--budget", "5.1G", "--max-depth", "1,2"], "--max-depth is a whole number, or four with commas"),
        (["--budget", "5.1G", "--width-step", "8,8,8,8"], "--width-step is a whole number, not"),
        (["--budget", "5.1G", "--width-step", "1"], "raise width_step"),
        (["--budget", "5.1G", "--min-depth", "30"], "stage 1 has no depth left"),
        (["--budget", "5.1G", "--block", "conv"], "block is one of basic, bottleneck"),
        (["--budget", "2G", *SMALL, "--max-params", "20MB"], "--max-params '20MB' is no cap: write for"),
        (["--budget", "2G", *SMALL, "--max-params", "12ms"], "'12ms' is no cap: write for example 30M"),
        (["--budget", "2G", *SMALL, "--max-activations=-6M"], "--max-activations '-6M' is no cap"),
        (["--budget", "2G", *SMALL, "--max-activations", "0x"], "--max-activations is above 0, not '0x'"),
        (["--budget", "2G", *SMALL, "--max-params", "1k"], "the smallest that would do is --max-params "),
        (
            ["--budget", "2G", *SMALL, "--max-params", "3M", "--max-activations", "2.3M"],
            "would do is --max-activations 3.9",
        ),
        (["--budget", "5.1G", "--samples", "-1"], "at least 0, not -1"),
        (["--budget", "5.1G", "--samples", "1000000000000"], "at most 100,000"),
    ],
)
def test_a_wrong_request_is_one_sentence_and_status_2(capsys, flags, words):
    status, out, err = _run(capsys, *flags)
    assert (status, out) == (2, "")
    assert words in err
    assert err.startswith("space: ") and err.count("\n") == 1


def test_the_module_runs_as_a_program():
    command = [sys.executable, "-W", "error", "-m", "space", "--budget", "five"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "space: 'five' is no budget; write for example 5.1GFLOPs, 5100MFLOPs or 5.1e9\n"
