"""The rasteriser against a z-buffer that visits every pixel of every triangle."""

import numpy as np
import pytest

from proxy_tasks.jmlr.synthetic.raster import facing, rasterise


def brute_force(xy, inverse_depth, triangles, height, width):
    """Nearest inverse depth and its triangle at every pixel centre, float64."""
    nearest, owner = np.zeros((height, width)), np.full((height, width), -1)
    rows, cols = np.mgrid[0:height, 0:width]
    for k, t in enumerate(triangles):
        (x0, y0), (x1, y1), (x2, y2) = xy[t].astype(float)
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        b1 = ((cols - x0) * (y2 - y0) - (x2 - x0) * (rows - y0)) / area
        b2 = ((x1 - x0) * (rows - y0) - (cols - x0) * (y1 - y0)) / area
        b0 = 1.0 - b1 - b2
        depth = b0 * inverse_depth[t[0]] + b1 * inverse_depth[t[1]] + b2 * inverse_depth[t[2]]
        inside = (b0 >= 0) & (b1 >= 0) & (b2 >= 0) & (depth > nearest)
        nearest[inside], owner[inside] = depth[inside], k
    return nearest, owner


def soup(rng, count, height, width):
    xy = rng.uniform([-8.0, -8.0], [width + 8.0, height + 8.0], (3 * count, 2)).astype(np.float32)
    inverse_depth = rng.uniform(1.0, 3.0, 3 * count).astype(np.float32)
    return xy, inverse_depth, np.arange(3 * count).reshape(-1, 3)


@pytest.mark.parametrize("seed", range(4))
def test_visible_pixels_equal_a_brute_force_z_buffer(seed):
    height, width = 48, 64
    xy, inverse_depth, triangles = soup(np.random.default_rng(seed), 40, height, width)
    corners = inverse_depth[triangles.T][None]
    seen = rasterise(xy, inverse_depth, triangles, corners, height, width)
    nearest, owner = brute_force(xy, inverse_depth, triangles, height, width)
    found = np.full(height * width, -1)
    found[seen.pixel] = seen.triangle
    assert (found.reshape(height, width) != owner).mean() < 0.002  # pixels within rounding of an edge
    same = found[seen.pixel] == owner.ravel()[seen.pixel]
    assert np.abs(seen.values[0] - nearest.ravel()[seen.pixel])[same].max() < 1e-3


def test_attributes_are_affine_on_the_image():
    xy = np.array([[2.3, 1.1], [40.2, 7.7], [11.9, 28.4]], np.float32)
    corners = np.stack([xy[:, 0], xy[:, 1]])[:, :, None]
    seen = rasterise(xy, np.ones(3, np.float32), np.array([[0, 1, 2]]), corners, 32, 48)
    assert len(seen.pixel) > 300
    assert np.abs(seen.values[0] - seen.pixel % 48).max() < 1e-3
    assert np.abs(seen.values[1] - seen.pixel // 48).max() < 1e-3


def test_neighbouring_triangles_leave_no_gap():
    side = 9
    grid = np.stack(np.meshgrid(np.linspace(1.5, 30.5, side), np.linspace(1.5, 30.5, side)), axis=2).reshape(
        -1, 2
    )
    grid += np.random.default_rng(0).normal(0.0, 0.4, grid.shape) * np.abs(grid - 16.0).max(
        1, keepdims=True
    ).__lt__(14.0)
    a = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).ravel()
    triangles = np.concatenate(
        [np.stack([a, a + side, a + 1], 1), np.stack([a + 1, a + side, a + side + 1], 1)]
    )
    xy = grid.astype(np.float32)
    corners = np.zeros((1, 3, len(triangles)), np.float32)
    seen = rasterise(xy, np.ones(len(xy), np.float32), triangles, corners, 32, 32)
    covered = np.zeros((32, 32), bool)
    covered.ravel()[seen.pixel] = True
    assert covered[2:31, 2:31].all() and covered.sum() == 29 * 29


def test_flat_and_far_away_triangles_show_nothing():
    xy = np.array([[5, 5], [9, 9], [7, 7], [500, 500], [510, 500], [500, 510]], np.float32)
    corners = np.zeros((1, 3, 2), np.float32)
    seen = rasterise(xy, np.ones(6, np.float32), np.array([[0, 1, 2], [3, 4, 5]]), corners, 32, 32)
    assert len(seen.pixel) == 0


def test_facing_tells_the_two_sides_apart():
    xy = np.array([[0, 0], [0, 9], [9, 9]], np.float32)  # y runs down: this order is counter-clockwise
    assert facing(xy, np.array([[0, 1, 2], [0, 2, 1]])).tolist() == [True, False]
