"""The layout of the project: imports run one way, and each heavy dependency has one home."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("space", "proxy_tasks", "nas", "reports")  # each may import itself and those before it
NAS = ("record", "trials", "search", "retrain", "predict", "ensemble", "export")  # likewise within nas/
HOMES = {
    "ray": (
        "nas/trials/cluster.py",
        "nas/trials/deaths.py",
        "nas/trials/on_ray.py",
        "nas/retrain/on_ray.py",
    ),
    "optuna": ("nas/search/suggest.py", "nas/record/store.py", "nas/record/storage.py"),
    "matplotlib": ("reports/figures",),
    "pandas": ("reports",),
    "jinja2": ("reports",),
    "onnx": ("nas/export", "proxy_tasks/latency/onnx_graph.py"),
    "onnxruntime": ("nas/export", "proxy_tasks/latency/onnx_graph.py"),
    "onnxscript": ("nas/export",),
    "tensorboardX": ("nas",),
    "sklearn": ("proxy_tasks/bench/surrogate.py", "reports/importance.py"),
    "filelock": ("proxy_tasks/locks.py",),
    "fcntl": ("proxy_tasks/locks.py", "proxy_tasks/bench/rows.py"),
    "fvcore": ("nas/export",),
    "cv2": ("proxy_tasks", "nas", "reports"),
    "torch": ("proxy_tasks", "nas", "reports"),
    "scipy": ("proxy_tasks", "nas", "reports"),
}


@cache
def _sources(room: str) -> tuple[tuple[str, ast.Module], ...]:
    files = sorted((ROOT / room).rglob("*.py"))
    return tuple((path.relative_to(ROOT).as_posix(), ast.parse(path.read_text("utf-8"))) for path in files)


def _imported(tree: ast.AST, *, for_types: bool = True) -> Iterator[str]:
    """Top-level names of all imports, those inside functions too; under TYPE_CHECKING on request."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield str(node.module).partition(".")[0]
        elif for_types or not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield from _imported(node, for_types=for_types)


def test_the_reader_of_imports_sees_lazy_ones_and_can_leave_out_types():
    source = "import a.b, c\ndef f():\n    from d.e import g\nif TYPE_CHECKING:\n    import h as i"
    assert sorted(_imported(ast.parse(source))) == ["a", "c", "d", "h"]
    assert sorted(_imported(ast.parse(source), for_types=False)) == ["a", "c", "d"]


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_one_way(room):
    later = set(ROOMS[ROOMS.index(room) + 1 :]) | {"tests"}
    sources = _sources(room)
    assert sources
    wrong = [(path, name) for path, tree in sources for name in _imported(tree) if name in later]
    assert wrong == []


def _imports_within(room: str) -> dict[str, set[str]]:
    """Which of a room's files each of them imports, those for types and inside functions too."""
    files = {path.removesuffix(".py").replace("/", "."): tree for path, tree in _sources(room)}
    graph: dict[str, set[str]] = {}
    for name, tree in files.items():
        found = {n for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for n in _targets(node)}
        graph[name] = (found & set(files)) - {f"{room}.__init__"}
    return graph


def _targets(node: ast.ImportFrom) -> set[str]:
    """A module, and what is imported from it, which may be modules too."""
    return {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}


def test_no_files_of_the_space_import_each_other_in_a_circle():
    graph = _imports_within("space")
    assert "space.plan" in graph["space.arch"] and "space.scale" in graph["space.flags"]
    del graph["space.__init__"]  # names its files so that they are imported when first used
    TopologicalSorter(graph).prepare()  # CycleError names the files of a circle


def _files_imported(tree: ast.AST, known: set[str]) -> Iterator[str]:
    """Our own modules that a file imports, those inside functions too, but for types."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ImportFrom):
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from {name if name in known else str(node.module) for name in whole} & known
        elif isinstance(node, ast.Import):
            yield from {alias.name for alias in node.names} & known
        elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield from _files_imported(node, known)


@cache
def _arrows() -> dict[str, set[str]]:
    """Every module of the project, and those of the project that it imports."""
    trees = {
        path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): tree
        for room in ROOMS
        for path, tree in _sources(room)
    }
    return {name: set(_files_imported(tree, set(trees))) - {name} for name, tree in trees.items()}


def test_no_file_imports_one_that_leads_back_to_it():
    arrows = _arrows()
    assert "space.cost" in arrows["space.arch"] and "nas.record.store" in arrows["nas.search.request"]
    list(TopologicalSorter(arrows).static_order())  # CycleError names the circle


def test_the_rooms_of_nas_import_one_way():
    places = {f"nas.{room}": place for place, room in enumerate(NAS)}

    def place_of(module: str) -> int:
        return places.get(".".join(module.split(".")[:2]), -1)

    arrows = [(name, other) for name, others in _arrows().items() for other in others]
    back = [(a, b) for a, b in arrows if a.startswith("nas.") and 0 <= place_of(a) < place_of(b)]
    assert back == []


@pytest.mark.parametrize("package", HOMES)
def test_each_heavy_dependency_has_one_home(package):
    elsewhere = [
        path
        for room in ROOMS
        for path, tree in _sources(room)
        if package in set(_imported(tree, for_types=False)) and not path.startswith(HOMES[package])
    ]
    assert elsewhere == []


def test_the_space_needs_numpy_and_the_standard_library_alone():
    allowed = {"space", "numpy", *sys.stdlib_module_names}
    assert [(path, n) for path, tree in _sources("space") for n in _imported(tree) if n not in allowed] == []


def test_proxies_train_where_neither_ray_nor_optuna_is_installed():
    """And neither matplotlib nor pandas."""
    absent = ("ray", "optuna", "matplotlib", "pandas")
    hide = "".join(f"sys.modules[{name!r}] = None; " for name in absent)
    modules = "proxy_tasks.engine, proxy_tasks.backbone, proxy_tasks.jmlr.task"
    command = [sys.executable, "-c", f"import sys; {hide}import {modules}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_nothing_reads_from_outside_the_project():
    """Data that lies beside the checkout on one machine is on no other."""
    files = [p for room in (*ROOMS, "tests") for p in (ROOT / room).rglob("*.py") if p != Path(__file__)]
    assert [path.name for path in files if "../shared" in path.read_text("utf-8")] == []


def test_no_room_above_knows_the_default_task_by_name():
    """They ask the task that --task names (proxy_tasks/kind.py), and what it offers (predicting.py)."""
    knowing = [
        path
        for room in ("nas", "reports")
        for path, tree in _sources(room)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("proxy_tasks.jmlr")
    ]
    assert knowing == []


def test_the_api_reference_names_the_files_of_packages_that_would_hide_them():
    hiding = (ROOT / "Makefile").read_text("utf-8").partition("HIDING := ")[2].split("\n")[0].split()
    packages = {
        path.removesuffix("/__init__.py")
        for room in ROOMS
        for path, tree in _sources(room)
        if path.endswith("/__init__.py") and "__all__" in ast.unparse(tree)
    }
    assert set(hiding) == packages


def test_every_test_or_benchmark_that_a_file_names_exists():
    files = [*(p for room in (*ROOMS, "tests", "docs") for p in (ROOT / room).rglob("*")), *ROOT.glob("*.md")]
    named = {
        (name, path.name)
        for path in files
        if path.suffix in (".py", ".md", ".sh")
        for name in re.findall(r"\btests/[\w/]+\.(?:py|sh)\b", path.read_text("utf-8"))
    }
    assert len(named) > 100, "the pattern finds them"
    assert {(name, where) for name, where in named if not (ROOT / name).is_file()} == set()
