"""What space/cost.py counts is what the built network does: fvcore and torch, layer by layer."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from proxy_tasks.backbone import build_model
from space import REFERENCES, ArchSpec, cost

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # fvcore's imports warn on current versions
    from fvcore.nn import FlopCountAnalysis


def _random_spec(block: str, seed: int) -> ArchSpec:
    rng = np.random.default_rng(seed)
    widths = rng.integers(1, 17, 4) * 8
    if seed % 3 == 0:  # no shortcut in the first stage
        widths[0] = 64 if block == "basic" else 16
    return ArchSpec(rng.integers(1, 4, 4), widths, block)


SPECS = [
    *(
        pytest.param(_random_spec(block, seed), id=f"{block}-{seed}")
        for block in ("basic", "bottleneck")
        for seed in range(4)
    ),
    pytest.param(REFERENCES["jmlr-searched"], id="jmlr-searched"),
]


@pytest.mark.parametrize("spec", SPECS)
def test_macs_equal_fvcore_s_convolutions_and_linears_layer_by_layer(spec):
    model = build_model(spec).eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        analysis = FlopCountAnalysis(model, torch.zeros(1, 3, 256, 256))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        by_operator = analysis.by_module_and_operator()
    names = {name for name, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)}
    fvcore = {name: int(by_operator[name]["conv"] + by_operator[name]["linear"]) for name in names}
    assert fvcore == cost.layer_costs(spec.plan())
    assert spec.macs() == by_operator[""]["conv"] + by_operator[""]["linear"]


@pytest.mark.parametrize("spec", SPECS)
def test_parameters_and_activations_are_those_of_the_built_network(spec):
    model = build_model(spec, outputs=35).eval()
    elements = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _module, _inputs, output: elements.append(output.numel()))
    with torch.no_grad():
        model(torch.zeros(1, 3, 112, 112))
    assert sum(elements) == spec.activations(112, outputs=35)
    assert sum(p.numel() for p in model.parameters()) == spec.params(outputs=35)


@pytest.mark.parametrize("input_size", [112, 129])
def test_macs_follow_the_network_to_other_input_sizes(input_size):
    spec = _random_spec("bottleneck", 1)
    model = build_model(spec).eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        analysis = FlopCountAnalysis(model, torch.zeros(1, 3, input_size, input_size))
        counts = analysis.unsupported_ops_warnings(False).by_operator()
    assert spec.macs(input_size) == counts["conv"] + counts["linear"]
