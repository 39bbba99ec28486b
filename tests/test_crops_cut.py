"""Crops against the slow truth: the mean over many samples of every crop pixel of the full image."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from proxy_tasks.jmlr.crops.cut import cut, warp

FULL = 512


def _photograph(seed: int = 0) -> np.ndarray:
    """(512, 512, 3) uint8 with texture at every scale, edges, and pixel noise."""
    rng = np.random.default_rng(seed)
    image = np.zeros((FULL, FULL, 3), np.float32)
    for side in (4, 16, 64, 256, 512):
        image += cv2.resize(rng.normal(0, 18, (side, side, 3)).astype(np.float32), (FULL, FULL))
    image += 127
    for _ in range(40):
        centre, radius = rng.integers(0, FULL, 2).tolist(), int(rng.integers(5, 40))
        cv2.circle(image, centre, radius, rng.uniform(0, 255, 3).tolist(), -1)
    return np.clip(image, 0, 255).astype(np.uint8)


def _affine(size: int, shown: float, degrees: float = 10.0) -> np.ndarray:
    """A crop of `size` pixels that shows `shown` pixels of the middle of the photograph, turned."""
    scale, turn = size / shown, np.radians(degrees)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.c_[linear, (size - 1) / 2 - linear @ np.full(2, (FULL - 1) / 2)]


def _slow(image: np.ndarray, affine: np.ndarray, size: int, samples: int = 8) -> np.ndarray:
    """Mean of samples x samples bilinear samples of each crop pixel, in float."""
    offsets = (np.arange(samples * size) + 0.5) / samples - 0.5
    x, y = np.meshgrid(offsets, offsets)
    inverse = np.linalg.inv(affine[:, :2])
    source = (np.stack([x, y], -1) - affine[:, 2]) @ inverse.T
    fine = cv2.remap(
        image.astype(np.float32),
        source.astype(np.float32),
        None,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
    )
    return fine.reshape(size, samples, size, samples, 3).mean(axis=(1, 3))


def _jpeg(image: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean square difference, grey levels, off the border."""
    return float(np.sqrt(((a.astype(float) - b)[2:-2, 2:-2] ** 2).mean()))


@pytest.mark.parametrize("size", [32, 64, 112])
@pytest.mark.parametrize("shown", [260.0, 400.0])
def test_a_crop_is_the_area_average_of_the_photograph(size: int, shown: float):
    image, affine = _photograph(), _affine(size, shown)
    decoded = cv2.imdecode(np.frombuffer(_jpeg(image), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    truth = _slow(decoded, affine, size)
    assert _difference(cut(_jpeg(image), affine, size), truth) < 6


def test_plain_bilinear_sampling_would_alias_more_than_twice_as_much():
    image, affine = _photograph(), _affine(64, 400)
    data = _jpeg(image)
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    truth = _slow(decoded, affine, 64)
    plain = cv2.warpAffine(decoded, affine, (64, 64), flags=cv2.INTER_LINEAR)
    assert _difference(plain, truth) > 2 * _difference(cut(data, affine, 64), truth)


@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
def test_decoding_at_a_fraction_moves_nothing(reduction: int):
    """A smooth spot stays where the affine map puts its centre, to a tenth of a pixel."""
    y, x = np.mgrid[:FULL, :FULL]
    spot = np.array([230.0, 301.0])
    value = 255 * np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / (2 * 20**2))
    image = np.repeat(value[..., None].astype(np.uint8), 3, axis=2)
    small = image.reshape(FULL // reduction, reduction, FULL // reduction, reduction, 3).mean(axis=(1, 3))
    affine = _affine(64, 460)
    crop = warp(np.round(small).astype(np.uint8), affine, 64, reduction).astype(float)[..., 0]
    v, u = np.mgrid[:64, :64]
    centre = np.array([(u * crop).sum(), (v * crop).sum()]) / crop.sum()
    np.testing.assert_allclose(centre, affine[:, :2] @ spot + affine[:, 2], atol=0.1)


def test_outside_the_photograph_is_black_and_colours_are_red_green_blue():
    image = np.zeros((64, 64, 3), np.uint8)
    image[:] = (250, 120, 10)
    crop = cut(_jpeg(image), np.array([[0.5, 0, 16], [0, 0.5, 0]]), 64)
    np.testing.assert_allclose(crop[10, 30], (250, 120, 10), atol=3)
    assert crop[10, 5].max() == 0 and crop[50, 30].max() == 0
