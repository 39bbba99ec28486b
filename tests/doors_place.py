"""What the requests of test_doors.py are about: runs, data sets and files, most of them spoilt in one way."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def furnish(root: Path, retrained: Path, data: Path) -> dict[str, str]:
    """Everything that a request may name, made below `root`; by the word that stands for it in the table."""
    found = {"run": str(retrained), "data": str(data), "long": "n" * 300, "absent": str(root / "absent")}
    for make in (_files, runs, _networks, _sets):
        found |= {name: str(path) for name, path in make(root, retrained, data).items()}
    return found


def _files(root: Path, *_: Path) -> dict[str, Path]:
    texts = {
        "file": "a note",
        "spec": json.dumps({"depths": [1, 1, 1, 1], "widths": [8, 8, 8, 8]}),
        "bottleneck": json.dumps({"depths": [1] * 4, "widths": [8] * 4, "block": "bottleneck"}),
        "nested": "[" * 100_000,
        "list": "[1, 2]",
        "outside": json.dumps({"depths": [1] * 4, "widths": [8] * 4}),
        "noarch": '{"depths": "deep"}',
        "evil": '{"name": "x/../../evil"}',
        "flip": '{"flip": "no"}',
        "unknown": '{"epoch": 3}',
        "base": '{"base": "tiny"}',
        "wild": '{"synthetic": 3}',
    }
    found = {}
    for name, text in texts.items():
        found[name] = root / f"{name}.json"
        found[name].write_text(text)
    found["junk"] = root / "junk.npz"
    found["junk"].write_bytes(bytes(range(256)) * 20)
    found["picture"] = root / "portrait.png"
    found["picture"].write_bytes(b"a portrait")
    found["mine"] = root / "mine"
    (found["mine"] / "figures").mkdir(parents=True)
    for name in ("index.html", "log.txt", "figures/mine.svg"):
        (found["mine"] / name).write_text("mine")
    found["empty"] = root / "empty"
    found["empty"].mkdir()
    found["link"], found["loop"] = root / "link", root / "loop"
    found["link"].symlink_to(root / "nowhere")
    found["loop"].symlink_to(root / "loop")
    return found


def runs(root: Path, *_: Path) -> dict[str, Path]:
    """`old` is whole; the others are copies of it without networks, each with one fault."""
    with tarfile.open(HERE / "run_of_format_1.tar.xz") as archive:
        archive.extractall(root, filter="data")
    old = Path(shutil.move(root / "run", root / "an old run"))
    bare = shutil.copytree(old, root / "bare", ignore=shutil.ignore_patterns("retrain"))

    def spoilt(name: str, spoil: Callable[[Path], object]) -> Path:
        run = shutil.copytree(bare, root / name)
        spoil(run)
        return run

    def changed(**values: object) -> Callable[[Path], object]:
        def change(run: Path) -> None:
            about = json.loads((run / "run.json").read_text())
            about.update(values)
            (run / "run.json").write_text(json.dumps({k: v for k, v in about.items() if v != "gone"}))

        return change

    def rejournal(edit: Callable[[bytes], bytes]) -> Callable[[Path], object]:
        return lambda run: (run / "study.log").write_bytes(edit((run / "study.log").read_bytes()))

    def folder_for(name: str) -> Callable[[Path], object]:
        return lambda run: ((run / name).unlink(), (run / name).mkdir())

    config = json.loads((bare / "run.json").read_text())["config"]
    return {
        "old": old,
        "bare": bare,
        "format99": spoilt("format99", changed(format=99)),
        "formatword": spoilt("formatword", changed(format="new")),
        "noproxy": spoilt("noproxy", changed(proxy="gone")),
        "noconfig": spoilt("noconfig", changed(config="gone")),
        "badconfig": spoilt("badconfig", changed(config={**config, "colour": "red"})),
        "badproxy": spoilt("badproxy", changed(proxy={"name": "mini"})),
        "badresources": spoilt("badresources", changed(resources=[{"since": 3}])),
        "baddata": spoilt("baddata", changed(data=[1])),
        "badstore": spoilt("badstore", changed(store={"url": 7})),
        "gonestore": spoilt("gonestore", changed(store={"url": "sqlite:////no/such/file.db"})),
        "junkrun": spoilt("junkrun", lambda run: (run / "run.json").write_bytes(b"\xff\xfe{")),
        "foldrun": spoilt("foldrun", folder_for("run.json")),
        "nojournal": spoilt("nojournal", lambda run: (run / "study.log").unlink()),
        "foldjournal": spoilt("foldjournal", folder_for("study.log")),
        "cutjournal": spoilt("cutjournal", rejournal(lambda b: b[:400] + b"\n" + b[2000:])),
        "nothing": spoilt("nothing", rejournal(lambda b: b"")),
    }


def _networks(root: Path, retrained: Path, data: Path) -> dict[str, Path]:
    """Runs with networks that were retrained on `data`, each with one fault."""

    def spoilt(name: str, spoil: Callable[[Path], object]) -> Path:
        run = shutil.copytree(retrained, root / name)
        for folder in (run / "retrain").iterdir():
            spoil(folder)
        return run

    def write(name: str, contents: bytes) -> Callable[[Path], object]:
        return lambda folder: (folder / name).write_bytes(contents)

    def no_ensemble(run: Path) -> Path:
        (run / "ensemble").mkdir()
        (run / "ensemble" / "members.json").write_text('{"members": [{"folder": 3}]}')
        return run

    return {
        "noweights": spoilt("noweights", lambda f: [p.unlink() for p in f.glob("best.pt*")]),
        "junkweights": spoilt(
            "junkweights", lambda f: [write(p.name, b"junk")(f) for p in f.glob("best.pt*")]
        ),
        "emptymetrics": spoilt("emptymetrics", write("metrics.json", b"{}")),
        "junkmetrics": spoilt("junkmetrics", write("metrics.json", b"\xff\xfe{")),
        "deepmetrics": spoilt("deepmetrics", write("metrics.json", b"[" * 100_000)),
        "running": spoilt("running", write("metrics.json", b'{"status": "running", "trainval": false}')),
        "badensemble": no_ensemble(spoilt("badensemble", lambda f: None)),
    }


def _sets(root: Path, retrained: Path, data: Path) -> dict[str, Path]:
    """Copies of `data`, each with one fault."""
    resources, lists = "resources", "list/WCPA_track2_train.csv"

    def spoilt(name: str, spoil: Callable[[Path], object]) -> Path:
        copy = shutil.copytree(data, root / name)
        spoil(copy)
        return copy

    def write(name: str, contents: bytes) -> Callable[[Path], object]:
        return lambda copy: (copy / name).write_bytes(contents)

    def pickled(copy: Path) -> None:
        np.save(copy / resources / "kpt_ind.npy", np.array([{}]), allow_pickle=True)

    def millimetres(copy: Path) -> None:
        for file in copy.glob("info/*/*/*.npz"):
            with np.load(file) as z:
                verts, pose = z["verts"] * 1000, z["R_t"]
            np.savez(file, verts=verts, R_t=pose)

    def elsewhere(copy: Path) -> None:
        for file in copy.glob("68landmarks/*/*/*.txt"):
            points = np.loadtxt(file) + 5000
            np.savetxt(file, points)

    def twice(copy: Path) -> None:
        file = copy / "list/WCPA_track2_test.csv"
        lines = file.read_text().splitlines()
        file.write_text("\n".join([*lines, lines[1]]) + "\n")

    header = b"subject_id,facial_action,img_id\n"
    return {
        "nolist": spoilt("nolist", lambda c: (c / lists).unlink()),
        "emptylist": spoilt("emptylist", write(lists, header)),
        "badlist": spoilt("badlist", write(lists, b"a,b,c\n1,2,3\n")),
        "junklist": spoilt("junklist", write(lists, b"\xff\xfe\x00")),
        "uplist": spoilt("uplist", write(lists, header + b"..,a,b\n")),
        "onlist": spoilt("onlist", lambda c: _keep_one_person(c / lists)),
        "foldlist": spoilt("foldlist", lambda c: ((c / lists).unlink(), (c / lists).mkdir())),
        "noresources": spoilt("noresources", lambda c: shutil.rmtree(c / resources)),
        "pickled": spoilt("pickled", pickled),
        "junkobj": spoilt("junkobj", write(f"{resources}/example.obj", b"v 1 2 x\n")),
        "junkmatrix": spoilt("junkmatrix", write(f"{resources}/projection_matrix.txt", b"one two")),
        "emptymatrix": spoilt("emptymatrix", write(f"{resources}/projection_matrix.txt", b"")),
        "noimages": spoilt("noimages", lambda c: [p.unlink() for p in c.glob("image/*/*/*")]),
        "millimetres": spoilt("millimetres", millimetres),
        "elsewhere": spoilt("elsewhere", elsewhere),
        "twice": spoilt("twice", twice),
    }


def _keep_one_person(file: Path) -> None:
    lines = file.read_text().splitlines()
    person = lines[1].split(",")[0]
    file.write_text("\n".join([lines[0], *(li for li in lines[1:] if li.startswith(f"{person},"))]) + "\n")
