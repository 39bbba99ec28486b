"""Ctrl-C is one sentence and status 130 from a command's first import on."""

import subprocess
import sys
from pathlib import Path

import pytest

from space.commandline import door, parser_of

ROOT = Path(__file__).parents[1]
DOORS = ("space", "nas.search", "nas.status", "nas.retrain", "nas.ensemble", "nas.predict", "nas.export",
         "proxy_tasks.check", "proxy_tasks.latency", "proxy_tasks.synthesize", "proxy_tasks.proxies",
         "proxy_tasks.bench", "nas",
         "reports.build", "reports.compare")  # fmt: skip
HOOK = """
import sys, runpy
left = [int(sys.argv[1])]
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name != "space.early" and "space.early" in sys.modules:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
sys.orig_argv = [sys.executable, "-m", sys.argv[2]]
sys.meta_path.insert(0, Interrupt())
sys.argv = [sys.argv[2], "--no-such-flag"]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("module", DOORS)
@pytest.mark.parametrize("imports", [0, 3, 20])
def test_an_interrupt_at_any_import_is_a_sentence(module, imports):
    done = subprocess.run(
        [sys.executable, "-c", HOOK, str(imports), module], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode == 2:
        assert "--no-such-flag" in done.stderr, "all that it imports was imported"
        return
    assert done.returncode == 130 and "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1 and "interrupted: " in done.stderr


def answer(work, capsys):
    status = door(lambda: parser_of("a.door", "x"), work, [], after_interrupt="go on with x")
    return status, capsys.readouterr().err


def test_an_interrupted_command_says_how_to_go_on(capsys):
    def work(args):
        raise KeyboardInterrupt

    assert answer(work, capsys) == (130, "a.door: interrupted: go on with x\n")


def test_an_interrupt_that_knows_better_says_it_itself(capsys):
    def work(args):
        raise KeyboardInterrupt("json was written, onnx was not")

    assert answer(work, capsys) == (130, "a.door: interrupted: json was written, onnx was not\n")
