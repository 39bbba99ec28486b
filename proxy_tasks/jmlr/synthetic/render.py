"""One picture: a placed head, lit, textured and rasterised over a background, as a camera would record it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix

from proxy_tasks.jmlr.synthetic import pose
from proxy_tasks.jmlr.synthetic.head import PARTS, Head
from proxy_tasks.jmlr.synthetic.raster import facing, rasterise

Float = NDArray[np.float32]
Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Light:
    """A key light and a sky: key direction (3,) in camera space, colours BGR (3,)."""

    direction: Float
    key: Float
    ambient: Float


def draw_light(rng: np.random.Generator) -> Light:
    azimuth, elevation = rng.uniform(-1.2, 1.2), rng.uniform(-0.15, 1.0)
    direction = [np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)]
    key = rng.uniform(0.45, 1.0) * (1.0 + rng.normal(0.0, 0.05, 3))
    ambient = rng.uniform(0.28, 0.6) * (1.0 + rng.normal(0.0, 0.05, 3))
    return Light(np.array(direction, np.float32), key.astype(np.float32), ambient.astype(np.float32))


class Shader:
    """What is constant for one head topology: normals' incidence, occlusion, shine."""

    def __init__(self, head: Head) -> None:
        self.head = head
        faces = np.arange(len(head.triangles))
        rows = head.triangles.ravel()
        ones = np.ones(len(rows), np.float32)
        self.incidence: csr_matrix = coo_matrix(
            (ones, (rows, np.repeat(faces, 3))), shape=(head.vertex_count, len(faces))
        ).tocsr()
        self.occlusion = np.ones(head.vertex_count, np.float32)
        self.occlusion[np.unique(head.triangles[head.part == PARTS.index("eye")])] = 0.85
        bag = np.unique(head.triangles[head.part == PARTS.index("bag")])
        self.occlusion[bag[bag >= head.face_count]] = 0.12
        self.occlusion[np.unique(head.triangles[head.part == PARTS.index("teeth")])] = 0.6

    def normals(self, points: Float) -> Float:
        a, b, c = (points[self.head.triangles[:, k]] for k in range(3))
        total = self.incidence @ np.cross(b - a, c - a)
        return np.asarray(total / (np.linalg.norm(total, axis=1, keepdims=True) + 1e-12), np.float32)

    def light(self, points: Float, light: Light, shine: float) -> Float:
        """Display-space factor and highlight of each vertex (P, 4): blue, green, red, highlight."""
        n = self.normals(points)
        facing_key = n @ light.direction
        diffuse = np.clip(0.85 * facing_key + 0.15, 0.0, None)
        sky = 0.72 + 0.28 * n[:, 1]
        total = (diffuse[:, None] * light.key + sky[:, None] * light.ambient) * self.occlusion[:, None]
        half = light.direction + np.array([0.0, 0.0, 1.0], np.float32)
        half /= np.linalg.norm(half)
        spark = shine * np.clip(n @ half, 0.0, None) ** 18 * self.occlusion
        return np.concatenate([np.sqrt(np.maximum(total, 0.0)), spark[:, None]], axis=1).astype(np.float32)


def draw_head(
    image: Image, points_cam: Float, shader: Shader, atlas: Image, light: Light, shine: float
) -> NDArray[np.bool_]:
    """Draws the head into image (S, S, 3) in place; returns where the face mesh itself shows (S, S)."""
    size = len(image)
    head = shader.head
    xy = pose.project(points_cam, size).astype(np.float32)
    shade = shader.light(points_cam, light, shine)
    show = np.flatnonzero(facing(xy, head.triangles))
    triangles = head.triangles[show]
    corners = np.concatenate([head.uv[show] * len(atlas) - 0.5, shade[triangles]], axis=2)
    inverse = (1.0 / np.maximum(-points_cam[:, 2], 0.05)).astype(np.float32)
    low = np.maximum(np.floor(xy.min(0)).astype(int), 0)
    high = np.minimum(np.ceil(xy.max(0)).astype(int) + 1, size)
    mask = np.zeros((size, size), bool)
    if (high <= low).any():
        return mask
    seen = rasterise(
        xy - low.astype(np.float32), inverse, triangles, corners, int(high[1] - low[1]), int(high[0] - low[0])
    )
    values = seen.values
    texel = _sample(atlas, values[:, 0], values[:, 1])
    colour = texel * values[:, 2:5] + 255.0 * values[:, 5:6]
    rows, cols = seen.rows + low[1], seen.cols + low[0]
    image[rows, cols] = np.clip(colour, 0.0, 255.0)
    face = head.part[show[seen.triangle]] == PARTS.index("face")
    mask[rows[face], cols[face]] = True
    return mask


def _sample(atlas: Image, u: Float, v: Float) -> Image:
    """Bilinear texels (P, 3) at pixel coordinates u, v (P,); cv2.remap takes at most 32,766 rows."""
    width = 256
    padded = np.zeros((2, -(-len(u) // width) * width), np.float32)
    padded[0, : len(u)], padded[1, : len(u)] = u, v
    texels = cv2.remap(
        atlas, *padded.reshape(2, -1, width), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(texels.reshape(-1, 3)[: len(u)])


def draw_background(size: int, rng: np.random.Generator) -> Image:
    """A soft, out-of-focus room (S, S, 3)."""
    side = 100
    top, bottom = rng.uniform(30, 220, 3), rng.uniform(30, 220, 3)
    ramp = np.linspace(0.0, 1.0, side, dtype=np.float32)[:, None, None]
    canvas = np.ascontiguousarray(
        np.broadcast_to(top * (1 - ramp) + bottom * ramp, (side, side, 3)), dtype=np.float32
    )
    for _ in range(rng.integers(3, 9)):
        colour = rng.uniform(20, 235, 3).tolist()
        a = rng.integers(0, side, 2)
        b = a + rng.integers(5, 50, 2)
        if rng.random() < 0.6:
            cv2.rectangle(canvas, a.tolist(), b.tolist(), colour, -1)
        else:
            cv2.ellipse(canvas, a.tolist(), (b - a).tolist(), float(rng.uniform(0, 180)), 0, 360, colour, -1)
    canvas = cv2.GaussianBlur(canvas, (0, 0), float(rng.uniform(0.8, 5.0)))
    canvas += cv2.resize(rng.normal(0, 6, (25, 25, 1)).astype(np.float32), (side, side))[..., None]
    small = np.clip(canvas, 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC), np.uint8)


def draw_torso(image: Image, base_cam: NDArray[np.float64], light: Light, rng: np.random.Generator) -> None:
    """Shoulders below the base of the neck (n, 3 camera space), in place."""
    size = len(image)
    centre = base_cam.mean(0)
    half = np.array([0.0, 0.07, 0.13, 0.19, 0.215, 0.23, 0.25])
    drop = np.array([0.03, 0.015, -0.005, -0.045, -0.09, -0.2, -0.6])
    right = np.stack([half, drop, np.zeros(7)], axis=1) + centre
    left = np.stack([-half, drop, np.zeros(7)], axis=1) + centre
    outline = pose.project(np.vstack([left[::-1], right]), size)
    colour = rng.uniform(20, 200, 3) * np.sqrt(0.5 * light.key + light.ambient)
    cv2.fillPoly(
        image,
        [np.round(np.clip(outline, -2 * size, 3 * size) * 16).astype(np.int32)],
        np.clip(colour, 0, 255).tolist(),
        cv2.LINE_AA,
        4,
    )


def camera(image: Image, noise: Image, rng: np.random.Generator) -> Image:
    """Optics and sensor: blur, noise from a tile (N, N, 3) of mean 128, exposure."""
    size = len(image)
    sigma = float(rng.uniform(0.45, 1.0)) * max(size / 800.0, 0.5)
    image = cv2.GaussianBlur(image, (5, 5), sigma)
    at = rng.integers(0, len(noise) - size + 1, 2)
    tile = noise[at[0] : at[0] + size, at[1] : at[1] + size]
    amount = float(rng.uniform(0.1, 0.5))
    gain = float(rng.uniform(0.9, 1.1))
    return np.asarray(cv2.addWeighted(image, gain, tile, amount, -128.0 * amount), np.uint8)
