"""A score is only told of the weights that it was measured on."""

import json
import shutil

import pytest
import torch
from test_proxy_engine import PROXY, Net, Toy

from nas.export.__main__ import main as export
from nas.predict.__main__ import main as predict
from nas.retrain.folder import _scored_weights, weights_hash
from nas.retrain.trained import MemberError, best_of, find_members
from proxy_tasks import checkpoint as checkpoints
from proxy_tasks.engine import fit


@pytest.fixture
def member(retrained, tmp_path):
    """The best network of a copy of the run."""
    run = shutil.copytree(retrained, tmp_path / "run")
    return find_members(run)[0]


def edited(file, **changes):
    saved = torch.load(file, weights_only=True)
    torch.save({**saved, **changes}, file)


def of_the_epoch_before(member):
    """Put other weights where best.pt.previous keeps those of the epoch before."""
    best = member.folder / "best.pt"
    before = best.with_name("best.pt.previous")
    saved = torch.load(best, weights_only=True)
    model = {name: value + 1 for name, value in saved["model"].items()}
    torch.save({**saved, "epoch": saved["epoch"] - 1, "model": model}, before)
    return best


def test_the_hash_of_the_weights_stands_beside_their_score(member):
    assert member.record["best"]["weights_sha256"] == weights_hash(member.weights())


@pytest.mark.parametrize("how", ["missing", "cut", "empty", "junk", "of another epoch", "a folder"])
@pytest.mark.parametrize("hashed", [True, False], ids=["", "of a version without hashes"])
def test_other_weights_never_pass_for_those_that_were_scored(member, how, hashed, recwarn):
    best = of_the_epoch_before(member)
    whole = best.read_bytes()
    if not hashed:
        del member.record["best"]["weights_sha256"]
    if how == "of another epoch":
        best.write_bytes(best.with_name("best.pt.previous").read_bytes())
    elif how in ("missing", "a folder"):
        best.unlink()
        if how == "a folder":
            best.mkdir()
    else:
        best.write_bytes({"cut": whole[:1000], "empty": b"", "junk": b"junk" * 100}[how])
    with pytest.raises(MemberError, match=r"lacks the weights that metrics\.json scores"):
        member.weights()


def test_the_file_before_is_used_where_it_holds_the_very_weights(member):
    best = member.folder / "best.pt"
    best.rename(best.with_name("best.pt.previous"))
    assert weights_hash(member.weights()) == member.record["best"]["weights_sha256"]


def test_export_and_predict_refuse_them_in_a_sentence_and_write_nothing(member, tmp_path, capsys):
    of_the_epoch_before(member).unlink()
    run, out = str(member.folder.parents[1]), tmp_path / "out"
    assert export([run, "--format", "json", "--out", str(out)]) == 2
    assert predict([run, "--split", "val", "--member", "best", "--out", f"{out}.npz", "--quiet"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and all("lacks the weights that metrics.json scores" in line for line in said)
    assert not out.exists() and not out.with_name("out.npz").exists()


def test_the_best_is_of_those_scored_on_the_most_images_and_is_named(retrained, tmp_path, capsys):
    run = shutil.copytree(retrained, tmp_path / "run")
    good, *others = find_members(run)
    lucky = others[-1]
    file = lucky.folder / "metrics.json"
    record = json.loads(file.read_text())
    record["images"]["validation"], record["best"]["l_error_mm"] = 1, 0.5
    file.write_text(json.dumps(record))
    with pytest.warns(UserWarning, match=f"taking {good.name}, best of those scored on"):
        assert best_of(find_members(run)).name == good.name
    assert export([str(run), "--format", "json", "--out", str(tmp_path / "out")]) == 0
    assert "warning: these networks were scored on different" in capsys.readouterr().err
    spec = json.loads((tmp_path / "out" / "json" / "spec.json").read_text())
    assert spec["provenance"]["checkpoint"]["folder"] == good.name


@pytest.mark.parametrize("contents", ["{}", '{"status": "complete", "trainval": false}', "[]", "junk", ""])
def test_metrics_that_are_damaged_are_named(member, contents, capsys):
    (member.folder / "metrics.json").write_text(contents)
    run = str(member.folder.parents[1])
    assert export([run]) == 2
    assert predict([run, "--split", "val", "--out", "x.npz", "--quiet"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and all("metrics.json is damaged" in line for line in said)


def test_an_interrupt_that_a_library_swallowed_ends_the_command_and_not_only_one_network(
    retrained, tmp_path, wcpa_of_ten, monkeypatch, capsys
):
    from nas.retrain import train as module
    from nas.retrain.__main__ import main

    run, begun = shutil.copytree(retrained, tmp_path / "run"), []

    def swallowed(job, run, **settings):
        begun.append(job)
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise RuntimeError("enforce fail at inline_container.cc:672")  # noqa: B904  as torch's writer does

    monkeypatch.setattr(module, "train", swallowed)
    argv = [
        str(run),
        "--launcher",
        "inprocess",
        "--device",
        "cpu",
        "--quiet",
        "--top",
        "2",
        "--seed",
        "7",
        "8",
    ]
    assert main([*argv, "--resolution", "32", "--epochs", "1", "--batch", "8"]) == 130
    assert len(begun) == 1
    said = capsys.readouterr().err
    assert "interrupted: run the same command again" in said and said.count("\n") == 1


def test_a_report_leaves_out_what_cannot_be_read(retrained, tmp_path, capsys):
    from reports.build import main

    run = shutil.copytree(retrained, tmp_path / "run")
    damaged = ["[]", "[" * 100_000, '{"arch": {"depths": "deep"}, "seed": 0, "trainval": false}']
    for folder, text in zip(sorted((run / "retrain").iterdir()), damaged, strict=True):
        (folder / "metrics.json").write_text(text)
    (run / "ensemble").mkdir()
    (run / "ensemble" / "metrics.json").write_text("[]")
    assert main([str(run)]) == 0, capsys.readouterr().err


def test_a_checkpoint_gives_the_weights_that_were_scored(tmp_path):
    """After a kill between checkpoint and record; the average where the run scores that."""
    model, scored = Net(), {}

    def keep(epoch):
        scored.update({name: value.clone() for name, value in model.state_dict().items()})
        return True

    for average in (0.0, 0.5):
        path = tmp_path / f"{average}.pt"
        fit(model, Toy(), PROXY.replace(average=average), seed=0, checkpoint=path, on_epoch=keep)
        found = _scored_weights(checkpoints.load(path))
        assert found.keys() == scored.keys()
        assert all(torch.equal(found[name], scored[name]) for name in scored)
    assert any(not torch.equal(checkpoints.load(path)["model"][name], scored[name]) for name in scored)
