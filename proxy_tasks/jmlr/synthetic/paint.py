"""Fills a person's atlas: skin, lips, brows, lids, beard and hair from stencils, irises and teeth."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from proxy_tasks.jmlr.synthetic import atlas
from proxy_tasks.jmlr.synthetic.look import Look
from proxy_tasks.jmlr.synthetic.stencils import SIDE, Stencil, Stencils

Array = NDArray[np.float64]
Float = NDArray[np.float32]
Image = NDArray[np.uint8]

_TILE = 1024


class Grain:
    """Noise tiles that all people share; each looks at them through an offset of their own."""

    def __init__(self) -> None:
        rng = np.random.default_rng(11)
        fine = rng.normal(size=(_TILE, _TILE)).astype(np.float32)
        self.fine = fine
        self.strands = np.asarray(cv2.GaussianBlur(fine, (0, 0), 1.0), np.float32) * np.float32(3.4)
        self.spots: Float = np.clip(
            np.asarray(cv2.GaussianBlur(fine, (0, 0), 1.3), np.float32) * 4.0 - 1.7, 0.0, 1.0
        )
        coarse = rng.normal(size=(_TILE // 16, _TILE // 16)).astype(np.float32)
        self.mottle = np.asarray(
            cv2.resize(coarse, (_TILE, _TILE), interpolation=cv2.INTER_CUBIC), np.float32
        )

    def window(self, tile: Float, at: NDArray[np.int64]) -> Float:
        return np.asarray(tile[at[0] : at[0] + SIDE, at[1] : at[1] + SIDE])


def _blend(
    planes: Float, stencil: Stencil, strength: float, colour: Float, grain: Float | None = None
) -> None:
    """Moves planes (3, SIDE, SIDE) towards a colour (3,) by strength x mask x grain (SIDE, SIDE)."""
    mask = stencil.mask * np.float32(strength)
    if grain is not None:
        mask *= grain[stencil.rows, stencil.cols]
    for plane, value in zip(planes, colour.astype(np.float32), strict=True):
        patch = plane[stencil.rows, stencil.cols]
        patch += mask * (value - patch)


def _image(planes: Float) -> Image:
    """Planes (3, h, w) as a picture (h, w, 3)."""
    return np.asarray(cv2.merge([np.clip(plane, 0.0, 255.0).astype(np.uint8) for plane in planes]), np.uint8)


def paint_atlas(stencils: Stencils, grain: Grain, look: Look, rng: np.random.Generator) -> Image:
    """The atlas (SIDE, SIDE, 4) of one person, BGR and nothing: cv2.remap takes 2.5 times as long on 3."""
    whole = np.empty((atlas.SIDE, atlas.SIDE, 3), np.uint8)
    whole[:] = np.clip(look.skin, 0.0, 255.0).astype(np.uint8)
    whole[:SIDE, :SIDE] = _image(_face(stencils, grain, look, rng))
    whole[:SIDE, SIDE:] = _image(_scalp_and_neck(stencils, grain, look, rng))
    _paint_eye(whole, look)
    _paint_mouth(whole)
    _paint_hair(whole, look, rng)
    u, v, half = (round(k * atlas.SIDE) for k in atlas.EAR)
    ear = look.skin * np.array([0.92, 0.93, 1.0], np.float32)
    whole[v - half : v + half + 1, u - half : u + half + 1] = np.clip(ear, 0.0, 255.0).astype(np.uint8)
    return np.asarray(cv2.cvtColor(whole, cv2.COLOR_BGR2BGRA), np.uint8)


def _skin(fine: Float, mottle: Float, look: Look) -> Float:
    """Bare skin (3, h, w) over two noises (h, w)."""
    tone = 1.0 + 0.025 * mottle + 0.016 * fine
    return np.stack([tone * value for value in look.skin])


def _face(stencils: Stencils, grain: Grain, look: Look, rng: np.random.Generator) -> Float:
    at = rng.integers(0, _TILE - SIDE, 2)
    fine, mottle = grain.window(grain.fine, at), grain.window(grain.mottle, at)
    skin, hair = look.skin, look.hair
    face = _skin(fine, mottle, look)
    _blend(face, stencils.flush, 0.55 * look.blush, skin * np.array([0.78, 0.80, 1.02]))
    _blend(face, stencils.sockets, 0.28, skin * np.array([0.74, 0.70, 0.74]))
    _blend(face, stencils.creases, 0.32, skin * 0.45)
    _blend(face, stencils.lid_crease, 0.4, skin * 0.45)
    freckles = skin * np.array([0.45, 0.55, 0.68])
    _blend(face, stencils.flush, 0.45 * look.freckles, freckles, grain.window(grain.spots, at))
    _moles(face, skin, stencils, rng)
    if look.beard:
        stubble = np.clip(0.75 + 0.45 * fine, 0.0, 1.0)
        _blend(face, stencils.beard, look.beard, 0.75 * hair + 0.25 * skin, stubble)
    _blend(face, stencils.lips, 0.85, look.lips, 0.95 + 0.05 * mottle)
    _blend(face, stencils.lip_shade, 0.22, skin * 0.5)
    _blend(face, stencils.mouth_line, 0.75, look.lips * 0.3)
    _blend(face, stencils.nostrils, 0.85, skin * 0.16)
    _brows(face, stencils, look, rng)
    _blend(face, stencils.waterline, 0.5, skin * np.array([0.62, 0.58, 0.8]))
    _blend(face, stencils.lashes, 0.85, np.array([20.0, 20.0, 24.0]))
    _hairline(face, stencils, look, grain.window(grain.strands, at), rng)
    return face


def _scalp_and_neck(stencils: Stencils, grain: Grain, look: Look, rng: np.random.Generator) -> Float:
    """The skull's strip (3, SIDE, atlas.SIDE - SIDE)."""
    at = rng.integers(0, _TILE - SIDE, 2)
    width = atlas.SIDE - SIDE
    strip = _skin(grain.window(grain.fine, at)[:, :width], grain.window(grain.mottle, at)[:, :width], look)
    streaks = 0.85 + 0.04 * _streaks(width, SIDE, 50, rng)
    mask = stencils.strip * np.float32(0.75 if look.style == "shaved" else 1.0)
    for plane, value in zip(strip, look.hair, strict=True):
        plane += mask * (value * streaks - plane)
    return strip


def _moles(face: Float, skin: Float, stencils: Stencils, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(0, 3)):
        point = stencils.canvas.pixel(rng.uniform((-60.0, -70.0), (60.0, 40.0)))
        radius = round(float(rng.uniform(0.4, 0.9) * stencils.canvas.scale) * 16)
        centre = np.round(point * 16).astype(int).tolist()
        for plane, value in zip(face, skin, strict=True):
            cv2.circle(plane, centre, radius, 0.6 * float(value), -1, cv2.LINE_8, 4)


def _hairs(mask: Image, stencils: Stencils, root: Array, lean: Array) -> None:
    """Draws hairs from root (n, 2) to root + lean, mm, into a mask."""
    ends = np.stack([stencils.canvas.pixel(root), stencils.canvas.pixel(root + lean)], axis=1)
    cv2.polylines(mask, list(np.round(ends * 16).astype(np.int32)), False, 255, 1, cv2.LINE_AA, 4)


def _brows(face: Float, stencils: Stencils, look: Look, rng: np.random.Generator) -> None:
    """Two brows of hairs, thick by the nose and thin outside, drawn as a mask."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    arch = look.brow_arch_mm * np.array([-0.5, 0.2, 1.0, 1.2, 0.0])
    for side, outwards in ((0, -1.0), (1, 1.0)):
        line = stencils.brow(side)
        along = rng.uniform(0.0, 1.0, 190)
        place = np.linspace(0.0, 1.0, 5)
        offset = rng.uniform(-0.5, 0.5, 190) * look.brow_mm * (1.0 - 0.72 * along**1.6)
        x = np.interp(along, place, line[:, 0])
        y = np.interp(along, place, line[:, 1] + arch) + offset
        rise = 1.9 - 2.4 * along - 1.6 * offset / look.brow_mm
        _hairs(
            mask, stencils, np.column_stack([x, y]), np.column_stack([outwards * (1.2 + 2.6 * along), rise])
        )
    box = stencils.canvas.pixel(stencils.marks[17:27])
    low, high = np.maximum(box.min(0).astype(int) - 16, 0), box.max(0).astype(int) + 16
    rows, cols = slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))
    soft = np.asarray(cv2.GaussianBlur(mask[rows, cols], (5, 5), 1.0), np.float32)
    _blend(face, Stencil(rows, cols, np.minimum(soft * (1.35 / 255.0), 1.0)), look.brow, 0.82 * look.hair)


def _hairline(face: Float, stencils: Stencils, look: Look, strands: Float, rng: np.random.Generator) -> None:
    """Hair on the forehead: what lies under the cap, and a fringe of strands before it."""
    line = stencils.cap.hairline(look)
    if look.style == "shaved":
        line = line[6:-6]  # no sideburns: a shaved head's hair ends above the ears
    beyond = np.array([40.0, 0.0])
    line = np.vstack([line[0] + beyond, line, line[-1] - beyond])
    above = np.array([[-140.0, 160.0], [140.0, 160.0]])
    mask = np.zeros((SIDE, SIDE), np.uint8)
    corners = stencils.canvas.pixel(np.vstack([line - [0.0, 1.5], above]))
    cv2.fillPoly(mask, [np.round(corners * 16).astype(np.int32)], 255, cv2.LINE_8, 4)
    along = rng.uniform(0.0, len(line) - 1.0, 260)
    root = np.stack([np.interp(along, np.arange(len(line)), line[:, k]) for k in (0, 1)], axis=1)
    _hairs(mask, stencils, root, np.column_stack([rng.normal(0.0, 1.5, 260), -rng.uniform(1.0, 6.0, 260)]))
    rows, cols = slice(0, int(corners[:-2, 1].max()) + 14), slice(0, SIDE)
    soft = np.asarray(cv2.GaussianBlur(mask[rows], (5, 5), 1.1), np.float32) / np.float32(255.0)
    soft *= np.clip(0.95 + 0.3 * strands[rows], 0.0, 1.0)
    _blend(face, Stencil(rows, cols, soft), 0.72 if look.style == "shaved" else 0.97, 0.86 * look.hair)


def _streaks(width: int, height: int, count: int, rng: np.random.Generator) -> Float:
    """Strands running down a (height, width) patch, about unit deviation."""
    small = rng.normal(size=(5, count)).astype(np.float32)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _paint_hair(whole: Image, look: Look, rng: np.random.Generator) -> None:
    left, top, width, height = (round(v * atlas.SIDE) for v in atlas.HAIR)
    streaks = 0.6 * _streaks(width, height, 60, rng) + 0.4 * _streaks(width, height, width, rng)
    shade = np.sqrt(np.linspace(0.72, 1.0, height, dtype=np.float32))[:, None]
    cell = np.stack([value * shade * (1.0 + 0.17 * streaks) for value in look.hair])
    whole[top : top + height, left : left + width] = _image(cell)


def _paint_eye(whole: Image, look: Look) -> None:
    left, top, side = (round(v * atlas.SIDE) for v in atlas.EYE)
    cell = np.full((side, side, 3), (178, 186, 197), np.uint8)
    degree = 0.5 * side / atlas.EYE_DEGREES
    middle = (8 * side, 8 * side)
    pupil, white = np.array([10.0, 10.0, 12.0]), np.array([235.0, 235.0, 235.0])
    rings = ((24.5, look.iris * 0.4), (22.0, look.iris), (14.0, look.iris * 1.35), (9.5, pupil))
    for radius, colour in rings:
        bgr = np.clip(colour, 0.0, 255.0).tolist()
        cv2.circle(cell, middle, round(radius * degree * 16), bgr, -1, cv2.LINE_AA, 4)
    glint = tuple(round(m + d * degree * 16) for m, d in zip(middle, (-7.0, -8.0), strict=True))
    cv2.circle(cell, glint, round(3.6 * degree * 16), white.tolist(), -1, cv2.LINE_AA, 4)
    whole[top : top + side, left : left + side] = cell


def _paint_mouth(whole: Image) -> None:
    left, top, width, height = (round(v * atlas.SIDE) for v in atlas.TEETH)
    cell = np.empty((height, width, 3), np.float32)
    cell[:] = (192, 210, 220)
    for k in range(1, 10):
        at = round(k * width / 10)
        cell[:, at : at + 1] *= 0.78
    for gum in (slice(0, height // 7), slice(height - height // 7, height)):
        cell[gum] = (96, 98, 170)
    whole[top : top + height, left : left + width] = np.clip(cell, 0.0, 255.0).astype(np.uint8)
    u, v = (round(t * atlas.SIDE) for t in atlas.BAG)
    whole[v - 6 : v + 7, u - 6 : u + 7] = (44, 40, 96)
