"""Augmentation: labels follow pixels, draws repeat, and a slice of a draw is the draw of a slice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import wcpa_writer
from torch import Tensor

from proxy_tasks.jmlr import camera
from proxy_tasks.jmlr.augment import Augment, normalise
from proxy_tasks.jmlr.crops.cache import open_cache
from proxy_tasks.jmlr.wcpa.dataset import WcpaDataset

SIDE = 64
FLIP = wcpa_writer.FLIP
MOVES = {"degrees": 15.0, "scale": 0.15, "shift": 0.08}


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _spots(points: Tensor) -> Tensor:
    """(B, S, S, 3) uint8 black images with a soft white spot at each point (B, 2)."""
    axis = torch.arange(SIDE, dtype=torch.float32)
    x2 = (axis[None, None, :] - points[:, 0, None, None]) ** 2
    y2 = (axis[None, :, None] - points[:, 1, None, None]) ** 2
    value = 255 * torch.exp(-(x2 + y2) / (2 * 3.0**2))
    return value[..., None].expand(-1, -1, -1, 3).round().to(torch.uint8).contiguous()


def _centroids(images: Tensor) -> Tensor:
    weight = (images.mean(1) - images.amin((1, 2, 3))[:, None, None]).clamp_min(0.02) - 0.02
    axis = torch.arange(SIDE, dtype=torch.float32)
    total = weight.sum((1, 2))
    return (
        torch.stack([(weight * axis).sum((1, 2)), (weight * axis[:, None]).sum((1, 2))], -1) / total[:, None]
    )


@pytest.mark.parametrize("settings", [{"flip": True}, {"flip": False, **MOVES}, {"flip": True, **MOVES}])
def test_points_go_where_their_pixels_go(settings):
    count = 64
    marks = torch.rand(count, 2, generator=_generator(1)) * 24 + 20
    augment = Augment(np.array([0]), SIDE, jitter=0.0, **settings)
    verts = torch.zeros(count, 1, 3)
    images, _, points = augment.apply(_spots(marks), verts, marks[:, None], augment.draw(count, _generator()))
    torch.testing.assert_close(_centroids(images), points[:, 0], atol=0.15, rtol=0)
    assert (points[:, 0] - marks).norm(dim=1).median() > 1  # they did move


def test_half_of_the_samples_are_flipped_whole_and_the_others_left_alone():
    augment = Augment(FLIP, SIDE, jitter=0.0)
    rng = np.random.default_rng(0)
    images = torch.as_tensor(rng.integers(0, 256, (200, SIDE, SIDE, 3), np.uint8))
    verts = torch.as_tensor(rng.normal(size=(200, 255, 3)).astype(np.float32))
    points = torch.as_tensor(rng.uniform(0, SIDE, (200, 255, 2)).astype(np.float32))
    out, out_verts, out_points = augment.apply(images, verts, points, augment.draw(200, _generator()))
    plain = normalise(images)
    flipped = ((out - plain.flip(3)).abs() < 1e-5).flatten(1).all(1)
    assert 70 < int(flipped.sum()) < 130
    torch.testing.assert_close(out[~flipped], plain[~flipped])
    torch.testing.assert_close(out_verts[~flipped], verts[~flipped])
    torch.testing.assert_close(out_points[~flipped], points[~flipped])
    mirror = torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(out_verts[flipped], verts[flipped][:, FLIP] * mirror)
    expected = points[flipped][:, FLIP]
    torch.testing.assert_close(out_points[flipped][..., 0], SIDE - 1 - expected[..., 0])
    torch.testing.assert_close(out_points[flipped][..., 1], expected[..., 1])


def test_a_flipped_samples_flipped_vertices_project_onto_its_flipped_landmarks(
    tiny_wcpa: Path, tmp_path: Path
):
    """Under the mirrored camera: R' = F R F, T' = T F, principal point W - 1 - W/2."""
    cache = open_cache(WcpaDataset.open(tiny_wcpa), SIDE, root=tmp_path)
    verts, points = torch.as_tensor(np.array(cache.verts)), np.array(cache.points)
    crop_points = torch.as_tensor(camera.apply_affine(points, cache.crop)).float()
    augment = Augment(cache.topology.flip_index, SIDE, jitter=0.0)
    drawn = augment.draw(len(cache), _generator())
    _, out_verts, out_points = augment.apply(
        torch.as_tensor(np.array(cache.images)), verts, crop_points, drawn
    )
    flipped = np.flatnonzero((out_verts != verts).flatten(1).any(1).numpy())
    assert 5 < len(flipped) < 25
    width = cache.size[flipped, 0]
    R, T = camera.mirror_pose(cache.R[flipped], cache.T[flipped])
    K = camera.mirror_intrinsics(cache.K[flipped], width)
    seen = camera.project_pinhole(out_verts[flipped].numpy(), R, T, K)
    # The flipped crop is the mirror image of the crop of the photograph.
    seen[..., 0] = width[:, None] - 1 - seen[..., 0]
    in_crop = camera.apply_affine(seen, cache.crop[flipped])
    in_crop[..., 0] = SIDE - 1 - in_crop[..., 0]
    np.testing.assert_allclose(in_crop, out_points[flipped].numpy(), atol=2e-3)


def test_without_any_strength_only_the_pixel_range_changes():
    images = torch.arange(256, dtype=torch.uint8).repeat(48).reshape(1, SIDE, SIDE, 3)
    points, verts = torch.rand(1, 255, 2), torch.rand(1, 255, 3)
    augment = Augment(FLIP, SIDE, flip=False, jitter=0.0)
    out = augment.apply(images, verts, points, augment.draw(1, _generator()))
    torch.testing.assert_close(out[0], normalise(images))
    assert out[1] is verts and out[2] is points
    assert normalise(images).min() == -1.0 and normalise(images).max() == 1.0
    assert normalise(images)[0, 2, 0, 1] == images[0, 0, 1, 2] / 127.5 - 1


def test_colour_changes_stay_within_their_strength_and_differ_between_samples_and_channels():
    grey = torch.full((500, 4, 4, 3), 150, dtype=torch.uint8)
    augment = Augment(np.array([0]), 4, flip=False, jitter=0.2)
    out, *_ = augment.apply(
        grey, torch.zeros(500, 1, 3), torch.zeros(500, 1, 2), augment.draw(500, _generator())
    )
    value = out[:, :, 0, 0] * 127.5 + 127.5
    brightest = (150 * 1.2 * 1.05 - 127.5) * 1.2 + 127.5
    darkest = (150 * 0.8 * 0.95 - 127.5) * 1.2 + 127.5
    assert darkest - 1e-3 <= value.min() < 125 and 175 < value.max() <= brightest + 1e-3
    assert value.std(0).min() > 5 and value.std(1).mean() > 1
    assert (value.mean(0) - 150).abs().max() < 3  # on average nothing changes


def test_colours_are_clamped_to_the_networks_range():
    images = torch.tensor([0, 255], dtype=torch.uint8).repeat(24).reshape(1, 4, 4, 3).expand(50, -1, -1, -1)
    augment = Augment(np.array([0]), 4, jitter=0.5)
    out, *_ = augment.apply(
        images, torch.zeros(50, 1, 3), torch.zeros(50, 1, 2), augment.draw(50, _generator())
    )
    assert out.min() == -1.0 and out.max() == 1.0


def test_a_rank_that_takes_its_slice_of_the_draw_gets_its_slice_of_the_batch():
    augment = Augment(FLIP, SIDE, **MOVES)
    rng = np.random.default_rng(0)
    batch = (
        torch.as_tensor(rng.integers(0, 256, (12, SIDE, SIDE, 3), np.uint8)),
        torch.as_tensor(rng.normal(size=(12, 255, 3)).astype(np.float32)),
        torch.as_tensor(rng.uniform(0, SIDE, (12, 255, 2)).astype(np.float32)),
    )
    whole = augment.apply(*batch, augment.draw(12, _generator(5)))
    for part in (slice(0, 4), slice(4, 9), slice(9, 12)):
        mine = augment.apply(*(b[part] for b in batch), augment.draw(12, _generator(5))[part])
        for ours, all_of_it in zip(mine, whole, strict=True):
            torch.testing.assert_close(ours, all_of_it[part])


def test_a_setting_changes_no_other_draw():
    plain, strong = Augment(FLIP, SIDE), Augment(FLIP, SIDE, jitter=0.0, **MOVES)
    a, b = plain.draw(100, _generator(2)), strong.draw(100, _generator(2))
    torch.testing.assert_close(a[:, 0], b[:, 0])  # who is flipped
    assert 0.2 < a[:, 0].mean() < 0.8


def test_images_come_out_channels_last_and_in_float32():
    images = torch.zeros(2, SIDE, SIDE, 3, dtype=torch.uint8)
    for settings in ({}, MOVES):
        augment = Augment(FLIP, SIDE, **settings)
        out, *_ = augment.apply(
            images, torch.zeros(2, 255, 3), torch.zeros(2, 255, 2), augment.draw(2, _generator())
        )
        assert out.shape == (2, 3, SIDE, SIDE) and out.dtype == torch.float32
        assert out.is_contiguous(memory_format=torch.channels_last)


def test_the_inputs_are_left_as_they_were():
    rng = np.random.default_rng(0)
    images = torch.as_tensor(rng.integers(0, 256, (8, SIDE, SIDE, 3), np.uint8))
    verts, points = torch.rand(8, 255, 3), torch.rand(8, 255, 2)
    before = [t.clone() for t in (images, verts, points)]
    augment = Augment(FLIP, SIDE, **MOVES)
    augment.apply(images, verts, points, augment.draw(8, _generator()))
    for now, then in zip((images, verts, points), before, strict=True):
        torch.testing.assert_close(now, then)


@pytest.mark.parametrize("bad", [{"jitter": 1.0}, {"scale": -0.1}, {"shift": 2.0}, {"degrees": 200.0}])
def test_strengths_out_of_range_are_refused(bad):
    with pytest.raises(ValueError, match=r"augmentation (jitter|scale|shift|turns)"):
        Augment(FLIP, SIDE, **bad)


def test_a_draw_of_another_length_than_the_batch_is_refused():
    augment = Augment(np.array([0]), 4)
    batch = torch.zeros(3, 4, 4, 3, dtype=torch.uint8), torch.zeros(3, 1, 3), torch.zeros(3, 1, 2)
    with pytest.raises(ValueError, match="2 drawn parameters for 3 images"):
        augment.apply(*batch, augment.draw(2, _generator()))


@pytest.mark.gpu
def test_a_gpu_gives_what_the_cpu_gives():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    rng = np.random.default_rng(0)
    batch = (
        torch.as_tensor(rng.integers(0, 256, (16, SIDE, SIDE, 3), np.uint8)),
        torch.as_tensor(rng.normal(size=(16, 255, 3)).astype(np.float32)),
        torch.as_tensor(rng.uniform(0, SIDE, (16, 255, 2)).astype(np.float32)),
    )
    cpu, gpu = Augment(FLIP, SIDE, **MOVES), Augment(FLIP, SIDE, device="cuda", **MOVES)
    expected = cpu.apply(*batch, cpu.draw(16, _generator()))
    found = gpu.apply(*(b.cuda() for b in batch), gpu.draw(16, _generator()))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.cpu(), theirs, atol=2e-3, rtol=1e-4)
