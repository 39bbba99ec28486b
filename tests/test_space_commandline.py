"""Every command of the project: what it cannot parse is one sentence and exit status 2."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from space.commandline import parser_of

ROOT = Path(__file__).parents[1]
COMMANDS = [
    *("space.__main__", "proxy_tasks.check", "proxy_tasks.synthesize", "reports.build", "reports.compare"),
    "reports.evidence",
    *(f"nas.{name}.__main__" for name in ("search", "retrain", "ensemble", "predict", "export")),
    "nas.status",
    "proxy_tasks.latency.__main__",
    "proxy_tasks.proxies",
    "proxy_tasks.fidelity",
    "proxy_tasks.bench.__main__",
    "nas.__main__",
]
HELPS = [
    *((module, ()) for module in COMMANDS),
    *(("proxy_tasks.bench.__main__", (what,)) for what in ("build", "query", "surrogate")),
    *(("proxy_tasks.latency.__main__", (what,)) for what in ("calibrate", "validate", "show")),
]


def test_the_commands_are_all_modules_that_can_be_run():
    rooms = ("space", "proxy_tasks", "nas", "reports")
    doors = [
        p for room in rooms for p in (ROOT / room).rglob("*.py") if '__name__ == "__main__"' in p.read_text()
    ]
    assert {".".join(p.relative_to(ROOT).with_suffix("").parts) for p in doors} == set(COMMANDS)


@pytest.mark.parametrize("module", COMMANDS)
@pytest.mark.parametrize("argv", [["--no-such-flag", "1"], ["--seed"], ["a", "--out"]])
def test_a_command_that_cannot_be_parsed_is_one_sentence_with_status_2(capsys, module, argv):
    with pytest.raises(SystemExit) as ended:
        import_module(module).main(argv)
    printed = capsys.readouterr()
    assert ended.value.code == 2 and printed.out == ""
    assert printed.err.count("\n") == 1 and "usage" not in printed.err
    assert f"python -m {module.removesuffix('.__main__')} --help says what it takes" in printed.err


@pytest.mark.parametrize(("module", "what"), HELPS)
def test_help_groups_every_flag_and_names_its_default(capsys, module, what):
    with pytest.raises(SystemExit) as ended:
        import_module(module).main([*what, "--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    options = shown.rpartition("\noptions:\n")[2].split("\n\n")[0]
    flags = [line.split()[0].rstrip(",") for line in options.splitlines() if line.strip().startswith("-")]
    assert set(flags) <= {"-h", "--version"}, "flags stand in groups that say what they are about"
    assert "positional arguments" not in shown


@pytest.mark.parametrize("module", COMMANDS)
def test_every_command_says_which_release_it_is(capsys, module):
    with pytest.raises(SystemExit) as ended:
        import_module(module).main(["--version"])
    assert ended.value.code == 0
    assert re.fullmatch(r"jmlr-nas (\d+\.\d+\S*|unknown)\n", capsys.readouterr().out)


def test_a_default_is_shown_where_the_help_does_not_say_it(capsys):
    parser = parser_of("x", "What it does.")
    parser.add_argument("--count", type=int, default=3, help="of them")
    parser.add_argument("--said", default="a", help="letter (default a)")
    parser.add_argument("--loud", action="store_true", help="or not")
    shown = " ".join(parser.format_help().split())
    assert "of them (3)" in shown and "letter (default a)" in shown and shown.endswith("or not")


def test_nas_alone_lists_the_commands(capsys):
    from nas.__main__ import main

    assert main([]) == 0
    shown = capsys.readouterr().out
    internal = ("nas", "proxy_tasks.bench", "proxy_tasks.fidelity", "reports.evidence")
    names = [m.removesuffix(".__main__") for m in COMMANDS]
    assert [name for name in names if f"python -m {name} " not in shown and name not in internal] == []


def test_no_module_makes_a_parser_of_another_kind():
    made = [
        path.name
        for room in ("space", "proxy_tasks", "nas", "reports")
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("ArgumentParser")
    ]
    assert made == []


def test_the_space_is_imported_name_by_name():
    code = "import sys, space\nassert 'numpy' not in sys.modules\nspace.FeasibleSet"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    import space

    assert all(getattr(space, name) is not None for name in space.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Spaec'"):
        _ = space.Spaec
