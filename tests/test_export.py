"""Exports: every format gives the network back, and what fails its check leaves nothing behind."""

import ast
import json
import sys
from importlib import resources
from pathlib import Path

import finished_search
import pytest
import torch

from nas.export import document, jmlr, scrfd, timm_resnet
from nas.export.__main__ import FORMATS, main, write
from nas.export.from_run import open_source
from nas.export.source import Source
from nas.export.staging import ExportError
from nas.search.plan import find_arch
from proxy_tasks.backbone import build_model
from space import REFERENCES, ArchSpec, Budget, FeasibleSet, Space
from space.specfile import read_spec, spec_in

BASIC = ArchSpec((2, 1, 1, 1), (8, 16, 16, 24))
PLAIN = ArchSpec((1, 1, 1, 1), (64, 64, 64, 64))  # the first stage keeps the stem's channels
BOTTLENECK = ArchSpec((1, 2, 1, 1), (16, 16, 24, 32), "bottleneck")
OUTPUTS = 30


def trained(arch: ArchSpec) -> Source:
    """A source whose every parameter and statistic differs from a fresh network's."""
    generator = torch.Generator().manual_seed(1)
    state = build_model(arch, OUTPUTS).state_dict()
    for name, value in state.items():
        if value.is_floating_point():
            noise = torch.rand(value.shape, generator=generator)
            state[name] = 0.5 + noise if "running_var" in name else value + 0.2 * (noise - 0.4)
    return Source(arch, OUTPUTS, "", state, 64)


def images(count=2, side=64):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(3)) * 2 - 1


def run_model(model, inputs):
    with torch.inference_mode():
        return model.eval()(inputs)


@pytest.fixture(params=[BASIC, PLAIN, BOTTLENECK], ids=lambda a: a.id)
def source(request):
    return trained(request.param)


def test_names_of_parameters_are_timms():
    stored = json.loads((Path(__file__).parent / "timm_keys.json").read_text())
    for network in stored["networks"]:
        model = build_model(ArchSpec.from_dict(network["arch"]), OUTPUTS)
        assert list(model.state_dict()) == network["keys"]


def test_a_reloaded_jmlr_network_gives_the_same_outputs(source, tmp_path):
    write("jmlr", source, tmp_path)
    module = {}
    exec((tmp_path / "resnet_jmlr.py").read_text(), module)

    class OneNetwork(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = module["resnet_jmlr"](num_classes=OUTPUTS, base_width=64)

        def forward(self, x):
            return self.net(x)

    wrapper = OneNetwork()
    state = torch.load(tmp_path / "backbone.pth", weights_only=True)["model"]
    assert all(name.startswith("net.") for name in state)
    wrapper.load_state_dict(state, strict=True)
    torch.testing.assert_close(run_model(wrapper, images()), run_model(source.model(), images()))


def test_the_jmlr_function_needs_torch_alone():
    tree = ast.parse(resources.files("nas.export").joinpath("jmlr_network.py").read_text())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= {"torch", *sys.stdlib_module_names}


def test_the_jmlr_function_serves_the_trainers_other_calls(tmp_path):
    source = Source(BASIC, OUTPUTS)
    write("jmlr", source, tmp_path)
    assert [p.name for p in tmp_path.glob("[!.]*")] == ["resnet_jmlr.py"]  # nothing was trained
    resnet_jmlr = jmlr.load_function(tmp_path / "resnet_jmlr.py").resnet_jmlr
    features = resnet_jmlr(num_classes=0, base_width=64)
    assert features.num_features == 24 and run_model(features, images()).shape == (2, 24)
    maps = resnet_jmlr(num_classes=0, global_pool=None, base_width=64)
    assert maps.forward_features(images()).shape == (2, 24, 2, 2)
    with pytest.raises(ValueError, match="width_mult"):
        resnet_jmlr(base_width=32)


def test_reloaded_timm_arguments_and_weights_give_the_same_outputs(source, tmp_path):
    from safetensors.torch import load_file

    write("timm", source, tmp_path)
    args = json.loads((tmp_path / "timm.json").read_text())
    assert args["stem_type"] == "deep" and args["stem_width"] == 32 and args["avg_down"] is True
    assert len({file.stat().st_mode for file in tmp_path.iterdir()}) == 1  # weights are no secret
    assert (args["layers"], args["channels"]) == (list(source.arch.depths), list(source.arch.widths))
    model = build_model(timm_resnet.arch_of(args), args["num_classes"])
    model.load_state_dict(load_file(tmp_path / "model.safetensors"), strict=True)
    torch.testing.assert_close(run_model(model, images()), run_model(source.model(), images()))


def test_a_reloaded_scrfd_backbone_is_the_same_network(source, tmp_path):
    write("scrfd", source, tmp_path)
    config = {}
    exec((tmp_path / "scrfd_backbone.py").read_text(), config)
    block_cfg = config["backbone"]["block_cfg"]
    assert block_cfg["stage_blocks"] == source.arch.depths
    assert block_cfg["stage_planes"] == list(source.arch.widths)
    theirs = torch.load(tmp_path / "backbone.pth", weights_only=True)["state_dict"]
    head = {k: v for k, v in source.model().state_dict().items() if k.startswith("fc.")}
    model = build_model(source.arch, OUTPUTS)
    model.load_state_dict(scrfd.from_mmdet(theirs, source.arch, head))
    torch.testing.assert_close(run_model(model, images()), run_model(source.model(), images()))


def test_scrfd_names_have_one_stem_and_no_pool_where_a_shortcut_keeps_its_stride():
    names = set(scrfd.to_mmdet(build_model(BASIC, OUTPUTS).state_dict()))
    assert {"stem.0.weight", "stem.4.bias", "stem.6.weight", "stem.7.running_mean"} <= names
    assert {"layer1.0.downsample.0.weight", "layer1.0.downsample.1.bias"} <= names
    assert {"layer2.0.downsample.1.weight", "layer2.0.downsample.2.bias"} <= names
    assert not any(name.startswith(("conv1", "bn1", "fc")) for name in names)


def test_onnx_files_give_torchs_outputs_at_fixed_and_free_batch_sizes(tmp_path):
    import onnxruntime

    source = trained(BASIC)
    write("onnx", source, tmp_path, batch=2)
    for name, sizes in (("model.onnx", (1, 2, 5)), ("model-b2.onnx", (2,))):
        session = onnxruntime.InferenceSession(str(tmp_path / name), providers=["CPUExecutionProvider"])
        for size in sizes:
            inputs = images(size)
            (theirs,) = session.run(None, {"images": inputs.numpy()})
            ours = run_model(source.model(), inputs)
            torch.testing.assert_close(torch.from_numpy(theirs), ours, atol=1e-4, rtol=0)
    with pytest.raises(Exception, match="dimension"):
        session.run(None, {"images": images(3).numpy()})


def test_a_document_is_valid_and_its_two_counters_agree(source, tmp_path):
    write("json", source, tmp_path)
    value = json.loads((tmp_path / "spec.json").read_text())
    document.validate(value)
    assert value["cost"]["macs"] == value["cost"]["macs_fvcore"] == source.arch.macs(outputs=OUTPUTS)
    assert spec_in(value) == source.arch


def test_a_document_is_an_architecture_for_search_retrain_and_export_alike(tmp_path):
    """A search refused as a seed what the export had written."""
    write("json", Source(REFERENCES["jmlr-searched"]), tmp_path)
    file = str(tmp_path / "spec.json")
    assert read_spec(file) == REFERENCES["jmlr-searched"]
    assert find_arch(file, FeasibleSet(Space(), Budget.parse("5.1G"))) == REFERENCES["jmlr-searched"]
    assert open_source(file).name == "jmlr-searched"


def test_the_published_totals_stand_in_the_documents():
    for name, macs in (("resnet34", 5_100_775_424), ("jmlr-searched", 5_111_457_792)):
        assert document.cost(Source(REFERENCES[name]))["macs_fvcore"] == macs


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("version",), 2, r"\$\.version"),
        (("architecture", "depths"), [1, 1, 1], r"\$\.architecture\.depths"),
        (("cost", "macs"), -1, r"\$\.cost\.macs"),
        (("surprise",), 1, "surprise"),
    ],
)
def test_a_wrong_document_is_refused_where_it_is_wrong(path, value, said):
    wrong = document.document(Source(PLAIN, OUTPUTS))
    inner = wrong
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(ValueError, match=said):
        document.validate(wrong)


def test_counters_that_differ_write_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(document, "fvcore_macs", lambda *a: 7)
    with pytest.raises(ExportError, match="7 by fvcore"):
        write("json", Source(PLAIN, OUTPUTS), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["jmlr", "timm", "scrfd"])
def test_an_export_that_reads_back_differently_leaves_what_was_there(name, monkeypatch, tmp_path):
    write(name, trained(BASIC), tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    module = {"jmlr": jmlr, "timm": timm_resnet, "scrfd": scrfd}[name]
    calls = iter([0.0, 1.0])
    monkeypatch.setattr(module, "outputs_of", lambda model, x: torch.full((2, OUTPUTS), next(calls)))
    with pytest.raises(ExportError, match="differ"):
        write(name, trained(PLAIN), tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_run_exports_its_best_retrained_network_with_scores_and_origin(retrained, tmp_path, capsys):
    assert main([str(retrained), "--format", "json", "jmlr", "timm", "scrfd", "--out", str(tmp_path)]) == 0
    value = json.loads((tmp_path / "json" / "spec.json").read_text())
    records = [json.loads(f.read_text()) for f in retrained.glob("retrain/*/metrics.json")]
    best = min(records, key=lambda r: r["best"]["l_error_mm"])
    assert value["id"] == best["arch_id"] and value["outputs"] == 5 * 255
    assert value["scores"][0]["source"] == "retrain"
    assert value["scores"][0]["l_error_mm"] == best["best"]["l_error_mm"]
    assert {s["source"] for s in value["scores"]} == {"retrain", "search"}
    assert value["provenance"]["commit"] == "0123abc"
    assert value["provenance"]["checkpoint"]["epoch"] == best["best"]["epoch"]
    assert set(FORMATS) - {"onnx"} == {p.name for p in tmp_path.iterdir()}
    assert capsys.readouterr().out.count(str(tmp_path)) == 7


def test_a_search_without_retraining_exports_its_best_architecture(tmp_path, wcpa_of_ten):
    run = finished_search.write(tmp_path / "run", wcpa_of_ten)
    assert main([str(run), "--format", "json", "jmlr"]) == 0
    value = json.loads((run / "export" / "json" / "spec.json").read_text())
    assert value["architecture"] == finished_search.WIDER.to_dict() and value["outputs"] == 5 * 255
    assert [p.name for p in (run / "export" / "jmlr").glob("[!.]*")] == ["resnet_jmlr.py"]


def test_an_exported_document_is_a_spec_again(tmp_path):
    assert main(["resnet18", "--out", str(tmp_path)]) == 0
    assert main([str(tmp_path / "json" / "spec.json"), "--format", "scrfd", "--out", str(tmp_path)]) == 0
    assert scrfd.read_config((tmp_path / "scrfd" / "scrfd_backbone.py").read_text()) == REFERENCES["resnet18"]


def test_bad_requests_are_one_sentence_and_write_nothing(retrained, tmp_path, wcpa_of_ten, capsys):
    unfinished = finished_search.write(tmp_path / "unfinished", wcpa_of_ten, finished=False)
    broken = tmp_path / "broken.json"
    broken.write_text('{"depths": [1, 1, 1], "widths": [8, 8, 8, 8]}')
    out = tmp_path / "out"
    requests = [
        ([str(unfinished)], "no finished trial"),
        ([str(tmp_path)], "no search"),
        ([str(retrained), "--member", "nobody"], "no finished retraining 'nobody'"),
        (["resnet34", "--format", "json", "onnx"], "no trained weights"),
        (["resnet34", "--member", "x"], "no run's folder"),
        ([str(tmp_path / "absent.json")], "neither one of"),
        ([str(broken)], "4 whole numbers"),
        (["resnet34", "--out", str(broken)], "cannot be a folder"),
    ]
    for argv, said in requests:
        assert main(["--out", str(out), *argv]) == 2
        message = capsys.readouterr().err
        assert said in message and message.count("\n") == 1
        assert not out.exists()


def test_an_export_names_what_it_took_and_what_comes_next(retrained, tmp_path, capsys):
    assert main([str(retrained), "--out", str(tmp_path / "a")]) == 0
    shown = capsys.readouterr().out
    assert "exporting d1-" in shown and "L_error" in shown and "the best of 3 that were retrained" in shown
    assert "next: search near it" in shown


def test_one_retrained_folder_is_exported_alone(retrained, tmp_path, capsys):
    folders = sorted(path for path in (retrained / "retrain").iterdir() if path.is_dir())
    for folder in folders[:2]:
        assert main([str(folder), "--out", str(tmp_path / folder.name)]) == 0
        assert f"exporting {folder.name}, L_error" in capsys.readouterr().out
    assert main([str(folders[0]), "--member", folders[1].name, "--out", str(tmp_path / "b")]) == 2
    assert "is one network already" in capsys.readouterr().err


def test_an_interrupt_says_which_formats_are_whole(tmp_path, monkeypatch, capsys):
    from nas.export import timm_resnet

    def interrupted(source, folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(timm_resnet, "write", interrupted)
    out = tmp_path / "out"
    assert main(["resnet34", "--format", "json", "scrfd", "timm", "jmlr", "--out", str(out)]) == 130
    assert "interrupted: only these formats are whole: json, scrfd" in capsys.readouterr().err
    assert sorted(p.name for p in out.iterdir()) == ["json", "scrfd"]


def test_a_persons_files_where_an_export_would_go_are_left_alone(tmp_path, capsys):
    mine = tmp_path / "out" / "json" / "spec.json"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    assert main(["resnet34", "--format", "scrfd", "json", "--out", str(tmp_path / "out")]) == 2
    assert "holds files that nas.export did not write (spec.json)" in capsys.readouterr().err
    assert mine.read_text() == "mine" and not (tmp_path / "out" / "scrfd").exists()
