import pytest
import torch
from torch import nn

from proxy_tasks.backbone import Convolution, ResidualBlock, build_model
from space import ArchSpec

SMALL = ArchSpec(depths=(1, 2, 1, 1), widths=(8, 16, 16, 24))
BOTTLENECK = ArchSpec(block="bottleneck", depths=(1, 1, 1, 1), widths=(8, 8, 16, 16))


@pytest.mark.parametrize("spec", [SMALL, BOTTLENECK], ids=["basic", "bottleneck"])
@pytest.mark.parametrize("size", [32, 50, 64])
def test_output_is_float32_of_the_asked_width_at_any_size(spec, size):
    model = build_model(spec, outputs=35)
    with torch.autocast("cpu", torch.bfloat16):
        out = model(torch.zeros(2, 3, size, size))
    assert out.shape == (2, 35) and out.dtype == torch.float32


def test_parameters_are_those_that_the_plan_counts():
    for spec in (SMALL, BOTTLENECK, ArchSpec((3, 4, 6, 3), (64, 128, 256, 512))):
        assert sum(p.numel() for p in build_model(spec).parameters()) == spec.params()


def test_same_seed_same_weights_and_the_global_generator_is_untouched():
    before = torch.random.get_rng_state()
    a, b, c = (build_model(SMALL, seed=s).state_dict() for s in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not torch.equal(a["layer1.0.conv1.weight"], c["layer1.0.conv1.weight"])


def test_every_weight_is_initialised_and_batch_norm_counts_from_zero():
    model = build_model(SMALL)
    assert all(torch.isfinite(v).all() for v in model.state_dict().values())
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            assert torch.equal(m.running_mean, torch.zeros_like(m.running_mean))
            assert torch.equal(m.running_var, torch.ones_like(m.running_var)) and m.num_batches_tracked == 0


def test_a_fresh_block_is_its_shortcut():
    block = build_model(SMALL).layer2[1].eval()
    assert isinstance(block, ResidualBlock) and block.downsample is None
    x = torch.rand(2, 16, 8, 8)
    torch.testing.assert_close(block(x.clone()), x)


def test_strided_blocks_pool_before_their_shortcut_convolution():
    model = build_model(SMALL)
    pool, conv, _ = model.layer2[0].downsample
    assert isinstance(pool, nn.AvgPool2d) and pool.ceil_mode and not pool.count_include_pad
    assert conv.stride == (1, 1) and conv.kernel_size == (1, 1)
    assert isinstance(model.layer1[0].downsample[0], nn.Identity)
    assert build_model(ArchSpec((1, 1, 1, 1), (64, 64, 64, 64)), 5).layer1[0].downsample is None


def test_every_parameter_gets_a_gradient():
    model = build_model(BOTTLENECK, outputs=10)
    for norm in (m.last_norm for m in model.modules() if isinstance(m, ResidualBlock)):
        nn.init.ones_(norm.weight)
    model(torch.randn(4, 3, 64, 64)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [2, 5, 14])
def test_a_convolution_on_few_or_many_pixels_equals_torch_s_in_value_and_gradient(size, stride):
    ours = Convolution(6, 10, 3, stride, padding=1, bias=False)
    x = torch.randn(2, 6, size, size, requires_grad=True)
    results = []
    for forward in (ours.forward, lambda x: nn.Conv2d.forward(ours, x)):
        y = forward(x)
        weight_grad, x_grad = torch.autograd.grad(y.sin().sum(), [ours.weight, x])
        results.append((y, weight_grad, x_grad))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
