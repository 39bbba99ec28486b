"""A command touches what it wrote and nothing else."""

from pathlib import Path

import pytest

from space.files import write_json
from space.outputs import MANIFEST, OwnFolder, require_place


def fresh(tmp_path: Path, **files: str) -> Path:
    """A folder with what a command has just made; a double underscore is a slash."""
    folder = tmp_path / f"fresh{len(list(tmp_path.iterdir()))}"
    folder.mkdir()
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


def claim(path: Path, **settings: bool) -> OwnFolder:
    return OwnFolder.claim(path, "nas.test", **settings)


def contents(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): p.read_text()
        for p in folder.rglob("*")
        if p.is_file() and p.name != MANIFEST
    }


def test_a_folder_that_holds_anything_else_is_refused_and_left_as_it_is(tmp_path):
    paper = tmp_path / "paper"
    (paper / "figures").mkdir(parents=True)
    (paper / "index.html").write_text("mine")
    with pytest.raises(ValueError, match=r"nas.test did not write \(figures, index\.html\)"):
        claim(paper)
    assert contents(paper) == {"index.html": "mine"} and (paper / "figures").is_dir()


def test_claiming_creates_nothing(tmp_path):
    claim(tmp_path / "new" / "folder")
    assert list(tmp_path.iterdir()) == []


def test_what_a_command_made_before_is_replaced_and_a_persons_file_beside_it_stays(tmp_path):
    out = tmp_path / "out"
    claim(out).publish(fresh(tmp_path, index="1", figures__a="1", figures__b="1", old__c="1"))
    (out / "figures" / "mine").write_text("mine")
    written = claim(out).publish(fresh(tmp_path, index="2", figures__a="2"))
    assert written == [out / "figures/a", out / "index"]
    assert contents(out) == {"index": "2", "figures/a": "2", "figures/mine": "mine"}
    assert not (out / "old").exists()


def test_a_persons_file_is_not_replaced_and_then_nothing_is(tmp_path):
    out = tmp_path / "out"
    claim(out).publish(fresh(tmp_path, a="1"))
    (out / "z").write_text("mine")
    with pytest.raises(ValueError, match=r"out/z was not written by nas.test: move it away first"):
        claim(out).publish(fresh(tmp_path, a="2", z="2"))
    assert contents(out) == {"a": "1", "z": "mine"}


def test_another_commands_folder_is_refused_by_its_name(tmp_path):
    OwnFolder.claim(tmp_path / "out", "reports.build").publish(fresh(tmp_path, a="1"))
    with pytest.raises(ValueError, match=r"was written by reports.build, and nas.test would mix with it"):
        claim(tmp_path / "out")


def test_a_folder_inside_a_run_is_ours_by_its_name_where_an_older_version_wrote_no_manifest(tmp_path):
    out = fresh(tmp_path, index="1", figures__old="1")
    claim(out, inside=True).publish(fresh(tmp_path, index="2"))
    assert contents(out) == {"index": "2", "figures/old": "1"}, "what is not known to be ours stays"


@pytest.mark.parametrize("name", ["../victim", "/etc/hostname", "..", "folder"])
def test_a_manifest_that_names_files_elsewhere_removes_none(tmp_path, name):
    out, victim = tmp_path / "out", tmp_path / "victim"
    victim.write_text("mine")
    (out / "folder").mkdir(parents=True)
    write_json(out / MANIFEST, {"command": "nas.test", "files": [name]})
    claim(out).publish(fresh(tmp_path, a="1"))
    assert victim.exists() and Path("/etc/hostname").exists() and (out / "folder").is_dir()


def test_a_folder_behind_a_file_or_a_dead_link_is_refused(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    for name in ("file", "file/below/it", "link"):
        with pytest.raises(ValueError, match="cannot be a folder"):
            require_place(tmp_path / name)
