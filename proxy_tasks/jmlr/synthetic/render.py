"""One picture: a placed head, lit, textured and rasterised over a room, as a camera would record it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix

from proxy_tasks.jmlr.synthetic import atlas, pose
from proxy_tasks.jmlr.synthetic.head import Head, Index
from proxy_tasks.jmlr.synthetic.look import Look
from proxy_tasks.jmlr.synthetic.raster import facing, rasterise
from proxy_tasks.jmlr.synthetic.torso import Torso

Float = NDArray[np.float32]
Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Light:
    """A key light and a sky: the key's direction (3,) in camera space, strengths, common tint BGR (3,)."""

    direction: Float
    key: float
    ambient: float
    tint: Float


def draw_light(rng: np.random.Generator) -> Light:
    """A random light, most often from above and in front."""
    azimuth, elevation = rng.normal(0.0, 0.7), rng.uniform(-0.1, 1.0)
    direction = [np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)]
    warmth = rng.normal(0.0, 0.035) * np.array([-1.0, 0.0, 1.0])
    share = rng.uniform(0.45, 0.75)  # of the key
    level = rng.uniform(0.75, 1.25)
    tint = (1.0 + warmth).astype(np.float32)
    return Light(
        np.array(direction, np.float32), float(1.25 * level * share), float(level * (1.0 - share)), tint
    )


def incidence(triangles: Index, vertices: int) -> csr_matrix:
    """Sparse (vertices, T): which triangles meet at a vertex."""
    rows = triangles.ravel()
    cols = np.repeat(np.arange(len(triangles)), 3)
    return coo_matrix(
        (np.ones(len(rows), np.float32), (rows, cols)), shape=(vertices, len(triangles))
    ).tocsr()


def normals(points: Float, triangles: Index, meet: csr_matrix) -> Float:
    """Unit vertex normals (P, 3), triangles weighted by area."""
    x, y, z = (axis[triangles.T] for axis in np.ascontiguousarray(points.T))  # (3, T) each
    u, v = ([p[k] - p[0] for p in (x, y, z)] for k in (1, 2))
    cross = np.empty((len(triangles), 3), np.float32)
    cross[:, 0] = u[1] * v[2] - u[2] * v[1]
    cross[:, 1] = u[2] * v[0] - u[0] * v[2]
    cross[:, 2] = u[0] * v[1] - u[1] * v[0]
    total = meet @ cross
    total /= np.sqrt(np.einsum("ij,ij->i", total, total) + 1e-24)[:, None]
    return np.asarray(total, np.float32)


def brightness(n: Float, light: Light) -> Float:
    """Display-space brightness (P,) of white surfaces of normals n (P, 3): a soft key, a sky above."""
    lambert = np.maximum(np.float32(0.86) * (n @ light.direction) + np.float32(0.14), 0.0)
    sky = np.float32(0.75) + np.float32(0.25) * n[:, 1]
    return np.asarray(np.sqrt(np.maximum(lambert * light.key + sky * light.ambient, 0.0)), np.float32)


_GLOSS = {"face": 1.0, "skull": 0.5, "ear": 0.6, "eye": 0.6, "teeth": 0.6, "hair": 0.55, "curtain": 0.4}


class Shader:
    """What is constant for one head: which triangles meet where, gloss, which parts a style hides."""

    def __init__(self, head: Head) -> None:
        self.head = head
        # two-sided patches list their triangles twice; the first of each gives the normals
        single = np.sort(np.unique(np.sort(head.triangles, axis=1), axis=0, return_index=True)[1])
        self.single = head.triangles[single]
        self.meet = incidence(self.single, head.vertex_count)
        self.gloss = np.zeros(head.vertex_count, np.float32)
        for name, value in _GLOSS.items():
            self.gloss[np.unique(head.triangles[head.of(name)])] = value
        self.gloss *= head.occlusion
        self.reach = np.sqrt(head.occlusion)
        self.eye = head.of("eye")
        self.uv = np.ascontiguousarray((head.uv * atlas.SIDE - 0.5).transpose(2, 1, 0), np.float32)  # texels
        texels = 0.5 * atlas.SIDE * atlas.EYE[2] / np.deg2rad(atlas.EYE_DEGREES)
        self.per_radian = np.array([-texels, texels], np.float32)  # the iris moves against its texture
        self.face = head.of("face")
        self._hair, self._curtain, self._ears = head.of("hair"), head.of("curtain"), head.of("ear")
        self._under = np.isin(head.triangles, head.under_hair).all(1) & ~self.face

    def shown(self, look: Look) -> NDArray[np.bool_]:
        """Which triangles (T,) a person of this look shows."""
        if look.style == "shaved":
            hidden = self._hair | self._curtain
        else:
            hidden = self._under if look.style == "long" else self._under | self._curtain
        return ~hidden if look.ears else ~(hidden | self._ears)

    def shade(self, points: Float, light: Light, look: Look) -> Float:
        """Brightness and highlight of each vertex (2, P), display space."""
        n = normals(points, self.single, self.meet)
        half = light.direction + np.array([0.0, 0.0, 1.0], np.float32)
        half /= np.linalg.norm(half)
        spark = np.float32(look.shine) * self.gloss * np.maximum(n @ half, 0.0) ** 16
        return np.stack([brightness(n, light) * self.reach, spark])


def draw_head(
    image: Image,
    points: Float,
    xy: Float,
    shader: Shader,
    texture: Image,
    light: Light,
    look: Look,
    gaze: Float,
) -> Index:
    """Draws the head into image (S, S, 3) in place; returns the pixels (row x S + column) of the face mesh.

    points (P, 3) camera space; xy (P, 2) their pixels; texture as paint_atlas gives it; gaze (2,) radians to
    the left and up from straight ahead.
    """
    size, head = len(image), shader.head
    show = np.flatnonzero(facing(xy, head.triangles) & shader.shown(look))
    triangles = head.triangles[show]
    corners = np.empty((4, 3, len(show)), np.float32)
    np.take(shader.uv, show, axis=2, out=corners[:2], mode="clip")
    corners[:2, :, shader.eye[show]] += (shader.per_radian * gaze)[:, None, None]
    np.take(shader.shade(points, light, look), triangles.T, axis=1, out=corners[2:], mode="clip")
    inverse = np.reciprocal(np.maximum(-points[:, 2], np.float32(0.05)))
    seen = rasterise(xy, inverse, triangles, corners, size, size)
    pixels = image.reshape(-1, 3).view("V3")[:, 0]  # whole pixels move twice as fast as triples of bytes
    pixels[seen.pixel] = _colours(texture, seen.values, light.tint).view("V3")[:, 0]
    return np.asarray(seen.pixel[shader.face[show[seen.triangle]]])


def _colours(texture: Image, values: Float, tint: Float) -> Image:
    """Colours (P, 3) of texels at u, v, lit and with a highlight added: values (4, P).

    OpenCV takes at most 32,766 rows, so the pixels are folded into rows of 256.
    """
    count = values.shape[1]
    folded = np.zeros((4, -(-count // 256) * 256), np.float32)
    folded[:, :count] = values
    u, v, lit, highlight = folded.reshape(4, -1, 256)
    texels = cv2.remap(texture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shine = cv2.convertScaleAbs(highlight, alpha=255.0)
    planes = [
        cv2.add(cv2.multiply(plane, lit, scale=float(share), dtype=cv2.CV_8U), shine)
        for plane, share in zip(cv2.split(texels)[:3], tint, strict=True)
    ]
    return np.asarray(cv2.merge(planes).reshape(-1, 3)[:count], np.uint8)


class Wardrobe:
    """Draws the torso; made once for one head."""

    def __init__(self, torso: Torso) -> None:
        self.torso = torso
        self.meet = incidence(torso.triangles, len(torso.points))
        around, down = torso.uv.T
        self.folds = (1.0 + 0.05 * np.sin(23.0 * around + 9.0 * down) * np.sin(17.0 * down))[:, None]

    def draw(self, image: Image, points: Float, light: Light, look: Look) -> None:
        """Draws the torso at points (P, 3, camera space) into image (S, S, 3) in place."""
        size, torso = len(image), self.torso
        xy = pose.project(points, size)
        n = normals(points, torso.triangles, self.meet)
        shade = brightness(n, light)[:, None] * self.folds
        colour = (look.clothes * light.tint * shade).astype(np.float32)
        show = torso.triangles[facing(xy, torso.triangles)]
        inverse = np.reciprocal(np.maximum(-points[:, 2], np.float32(0.05)))
        seen = rasterise(xy, inverse, show, colour.T[:, show.T], size, size)
        image.reshape(-1, 3)[seen.pixel] = np.minimum(seen.values, 255.0).T.astype(np.uint8)
        image[:] = cv2.GaussianBlur(image, (3, 3), 0.8)


def enlarge(image: Image, size: int) -> Image:
    """A soft enlargement to (size, size, 3)."""
    return np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC), np.uint8)


def camera(image: Image, window: tuple[slice, slice], noise: Image, rng: np.random.Generator) -> Image:
    """Optics and sensor: blur inside a window (the rest is out of focus), exposure, and noise from a tile.

    noise (N, N, 3) has mean 128.
    """
    size = len(image)
    sigma = float(rng.uniform(0.5, 1.05)) * max(size / 800.0, 0.5)
    image[window] = cv2.GaussianBlur(image[window], (5, 5), sigma)
    at = rng.integers(0, len(noise) - size + 1, 2)
    tile = noise[at[0] : at[0] + size, at[1] : at[1] + size]
    amount = float(rng.uniform(0.08, 0.5))
    gain = float(rng.uniform(0.85, 1.15))
    return np.asarray(cv2.addWeighted(image, gain, tile, amount, -128.0 * amount), np.uint8)


def window(xy: Float, size: int) -> tuple[slice, slice]:
    """Rows and columns around image points (N, 2), clipped to the image and never empty."""
    columns = np.ascontiguousarray(xy.T)  # whose least and largest are found five times as fast
    low = np.clip(np.floor(columns.min(1)).astype(int) - 3, 0, size - 8)
    high = np.clip(np.ceil(columns.max(1)).astype(int) + 4, low + 8, size)
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))
