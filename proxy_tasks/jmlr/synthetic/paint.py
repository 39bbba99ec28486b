"""What a person looks like on the unrolled face: skin, lips, brows, lids, beard, hair; eyes and teeth.

An atlas holds one square for the face, a strip for the loft around it (u runs from the chin to the
crown, v from the border to the base of the neck), a cell for the iris and one for the teeth. Stencils
(where lips, brows, cheeks lie) depend on the face model alone and are made once; an atlas is then a few
dozen blends. Colours are BGR, display-encoded.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from proxy_tasks.jmlr.synthetic.head import BAG_UV, EYE_CELL, FACE_CELL, TEETH_CELL
from proxy_tasks.jmlr.synthetic.model import FaceModel

Float = NDArray[np.float32]
Image = NDArray[np.uint8]

ATLAS = 512
_FACE = round(ATLAS * FACE_CELL)
_STRIP = slice(_FACE, ATLAS)

_SKIN = np.array(  # light to dark, BGR
    [
        (186, 205, 236),
        (165, 188, 226),
        (140, 168, 213),
        (112, 144, 195),
        (88, 119, 172),
        (62, 88, 136),
        (44, 60, 98),
        (33, 43, 70),
    ],
    np.float32,
)
_HAIR = np.array(
    [(24, 24, 28), (30, 38, 52), (38, 56, 88), (58, 92, 138), (96, 142, 190), (44, 66, 140), (150, 152, 156)],
    np.float32,
)
_HAIR_CHANCE = np.array([0.28, 0.24, 0.18, 0.1, 0.08, 0.06, 0.06])
_IRIS = np.array([(28, 44, 70), (36, 62, 98), (70, 98, 104), (126, 110, 78), (140, 124, 104)], np.float32)


@dataclass(frozen=True, slots=True)
class Look:
    """A person's appearance; colours BGR (3,)."""

    skin: Float
    hair: Float
    iris: Float
    lips: Float
    brow: float  # strength
    brow_width: float  # mm
    beard: float
    blush: float
    freckles: float
    hairline: float  # mm below the mean's
    hair_volume: float  # metres
    shine: float


def draw_look(rng: np.random.Generator) -> Look:
    tone = rng.uniform(0.0, len(_SKIN) - 1.0)
    low = int(tone)
    skin = _SKIN[low] + (tone - low) * (_SKIN[min(low + 1, len(_SKIN) - 1)] - _SKIN[low])
    skin = skin * rng.uniform(0.94, 1.06, 3)
    dark = rng.random() < tone / len(_SKIN)
    hair = _HAIR[0] if dark else _HAIR[rng.choice(len(_HAIR), p=_HAIR_CHANCE)]
    iris = _IRIS[rng.integers(2)] if dark or tone > 3.5 else _IRIS[rng.integers(len(_IRIS))]
    redness = np.array([0.78, 0.66, 0.92], np.float32) * rng.uniform(0.9, 1.1, 3)
    bearded = rng.random() < 0.35
    return Look(
        skin=skin.astype(np.float32),
        hair=(hair * rng.uniform(0.85, 1.2)).astype(np.float32),
        iris=(iris * rng.uniform(0.8, 1.25, 3)).astype(np.float32),
        lips=(skin * redness).astype(np.float32),
        brow=float(rng.uniform(0.55, 0.95)),
        brow_width=float(rng.uniform(3.0, 7.5)),
        beard=float(rng.uniform(0.15, 0.75)) if bearded else 0.0,
        blush=float(rng.uniform(0.0, 1.0)),
        freckles=float(rng.uniform(0.0, 1.0) ** 3),
        hairline=float(rng.uniform(-2.0, 22.0)),
        hair_volume=float(rng.uniform(0.003, 0.022)),
        shine=float(rng.uniform(0.05, 0.25)),
    )


class Stencils:
    """Masks over the face's square and the strip, for one face model; float32 in [0, 1]."""

    def __init__(self, model: FaceModel, loft: NDArray[np.float64]) -> None:
        paint = model.paint.astype(np.float64)
        low, high = paint.min(0), paint.max(0)
        self.scale = float(min(1.74, 0.98 * _FACE / (high - low).max()))  # pixels a mm
        self.middle = 0.5 * (low + high)
        self.marks = self.pixel(paint[model.landmarks68])
        self.texcoord = self.pixel(paint) / _FACE
        grid = np.mgrid[0:_FACE, 0:_FACE].astype(np.float32)
        self.p = (grid[1] - 0.5 * _FACE) / self.scale + np.float32(self.middle[0])
        self.q = (0.5 * _FACE - grid[0]) / self.scale + np.float32(self.middle[1])
        self.lips = self._polygon(self.marks[48:60], 1.2)
        self.mouth_line = self._polyline(self.marks[[48, 60, 61, 62, 63, 64, 54]], 0.8, 0.8)
        self.nostrils = np.maximum(self._blob(32, 33, 0.25), self._blob(34, 33, 0.25))
        lids = [self.marks[[36, 37, 38, 39]], self.marks[[42, 43, 44, 45]]]
        self.lashes = np.maximum(*(self._polyline(m, 1.6, 0.7) for m in lids))
        rings = [self.marks[36:42], self.marks[42:48]]
        self.sockets = np.maximum(*(self._polygon(m, 5.0, grow=6.0) for m in rings))
        self.cheeks = np.maximum(
            *(self._spot(0.5 * (self.marks[a] + self.marks[b]), 15.0) for a, b in ((31, 3), (35, 13)))
        )
        self.nose = self._spot(self.marks[30], 9.0)
        self.beard = self._beard()
        self.hair_height = self.q - 88.0 + 0.0022 * self.p**2
        self.strip = self._strip(loft)

    def pixel(self, paint: NDArray[np.float64]) -> NDArray[np.float64]:
        return 0.5 * _FACE + (paint - self.middle) * self.scale * [1.0, -1.0]

    def _blur(self, mask: Float, mm: float) -> Float:
        return np.asarray(cv2.GaussianBlur(mask, (0, 0), mm * self.scale), np.float32)

    def _polygon(self, points: NDArray[np.float64], soft: float, grow: float = 0.0) -> Float:
        mask = np.zeros((_FACE, _FACE), np.float32)
        cv2.fillPoly(mask, [np.round(points * 16).astype(np.int32)], 1.0, cv2.LINE_8, 4)
        if grow:
            mask = cv2.dilate(
                mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * round(grow * self.scale) + 1,) * 2)
            )
        return self._blur(mask, soft)

    def _polyline(self, points: NDArray[np.float64], width: float, soft: float) -> Float:
        mask = np.zeros((_FACE, _FACE), np.float32)
        thick = max(1, round(width * self.scale))
        cv2.polylines(mask, [np.round(points * 16).astype(np.int32)], False, 1.0, thick, cv2.LINE_8, 4)
        return self._blur(mask, soft)

    def _spot(self, centre: NDArray[np.float64], radius: float) -> Float:
        y, x = np.mgrid[0:_FACE, 0:_FACE]
        d2 = ((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (radius * self.scale) ** 2
        return np.exp(-d2).astype(np.float32)

    def _blob(self, a: int, b: int, t: float) -> Float:
        """A nostril between two landmarks, a little above them."""
        centre = (1 - t) * self.marks[a] + t * self.marks[b] + [0.0, -2.2 * self.scale]
        mask = np.zeros((_FACE, _FACE), np.float32)
        size = (round(3.2 * self.scale), round(1.8 * self.scale))
        cv2.ellipse(mask, (int(centre[0]), int(centre[1])), size, 0.0, 0.0, 360.0, 1.0, -1)
        return self._blur(mask, 0.8)

    def _beard(self) -> Float:
        jaw = np.vstack([self.marks[3:14], self.marks[[35, 33, 31]]])
        jaw[:11] += (jaw[:11] - self.marks[30]) * 0.12
        mask = self._polygon(jaw, 5.0)
        return np.asarray(
            mask * (1.0 - self.lips) * (1.0 - 0.8 * self._spot(self.marks[57] + [0, 4 * self.scale], 5.0)),
            np.float32,
        )

    def brows(self, width: float) -> Float:
        mask = np.zeros((_FACE, _FACE), np.float32)
        for marks, inner in ((self.marks[17:22], 4), (self.marks[22:27], 0)):
            taper = np.linspace(0.35, 1.0, 5) if inner == 4 else np.linspace(1.0, 0.35, 5)
            half = 0.5 * width * self.scale * taper[:, None] * [0.0, 1.0]
            outline = np.vstack([marks - half, (marks + half)[::-1]])
            cv2.fillPoly(mask, [np.round(outline * 16).astype(np.int32)], 1.0, cv2.LINE_8, 4)
        return self._blur(mask, 0.9)

    def _strip(self, loft: NDArray[np.float64]) -> Float:
        """Hair's share over the strip (_FACE, ATLAS - _FACE), from where its points lie on the mean head."""
        width = ATLAS - _FACE
        border = loft[0]
        middle = 0.5 * (border[:, 1].min() + border[:, 1].max())
        around = np.abs(np.arctan2(border[:, 0], -(border[:, 1] - middle))) / np.pi
        order = np.argsort(around)
        wanted = (np.arange(width) / ATLAS - 0.01) / (0.98 - FACE_CELL)
        rows = [[np.interp(wanted, around[order], ring[order, k]) for k in (1, 2)] for ring in loft]
        place = cv2.resize(np.array(rows, np.float32).transpose(0, 2, 1), (width, _FACE)) * 1e3
        y, z = place[..., 0], place[..., 1]
        hair = np.maximum((y - 62.0) / 8.0, np.minimum((y + 62.0) / 8.0, (-38.0 - z) / 8.0))
        return np.clip(hair, 0.0, 1.0).astype(np.float32)


def _tile(seed: int, size: int, coarse: int) -> Float:
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(coarse, coarse)).astype(np.float32)
    return np.asarray(cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC), np.float32)


def _blend(canvas: Float, mask: Float, colour: Float) -> None:
    canvas += mask[..., None] * (colour - canvas)


def paint_atlas(stencils: Stencils, look: Look, rng: np.random.Generator) -> Image:
    """The atlas (ATLAS, ATLAS, 3) of one person."""
    atlas = np.empty((ATLAS, ATLAS, 3), np.float32)
    atlas[:] = look.skin
    face = np.ascontiguousarray(atlas[:_FACE, :_FACE])
    mottle = cv2.resize(
        rng.normal(size=(26, 26)).astype(np.float32), (_FACE, _FACE), interpolation=cv2.INTER_CUBIC
    )
    grain = rng.normal(size=(_FACE, _FACE)).astype(np.float32)
    spots = np.clip(cv2.GaussianBlur(grain, (0, 0), 1.3) * 4.0 - 1.6, 0.0, 1.0)
    face *= (1.0 + 0.022 * mottle + 0.015 * grain)[..., None]
    red = np.array([0.80, 0.82, 1.02], np.float32)
    _blend(
        face,
        (0.5 * look.blush * np.minimum(stencils.cheeks + stencils.nose, 1.0)).astype(np.float32),
        look.skin * red,
    )
    _blend(face, 0.30 * stencils.sockets, look.skin * np.float32(0.72))
    _blend(
        face,
        0.5 * look.freckles * spots * np.minimum(stencils.cheeks + stencils.nose, 1.0),
        look.skin * np.float32(0.6),
    )
    _blend(
        face,
        look.beard * stencils.beard * np.clip(0.85 + 0.35 * grain, 0.0, 1.0),
        look.hair * 0.7 + 0.3 * look.skin,
    )
    _blend(face, stencils.lips * np.float32(0.85), look.lips)
    _blend(face, stencils.mouth_line * np.float32(0.6), look.lips * np.float32(0.35))
    _blend(face, stencils.nostrils * np.float32(0.85), look.skin * np.float32(0.18))
    strands = np.clip(0.9 + 0.3 * cv2.GaussianBlur(grain, (0, 0), 1.0) * 3.0, 0.0, 1.0)
    _blend(face, look.brow * stencils.brows(look.brow_width) * strands, look.hair * np.float32(0.8))
    _blend(face, stencils.lashes * np.float32(0.8), np.float32([22, 22, 26]))
    ragged = cv2.resize(
        rng.normal(size=(1, 90)).astype(np.float32), (_FACE, _FACE), interpolation=cv2.INTER_LINEAR
    )
    cover = np.clip((stencils.hair_height + look.hairline + 3.0 * ragged) / 4.0, 0.0, 1.0)
    streaks = 1.0 + 0.10 * cv2.resize(
        rng.normal(size=(6, 200)).astype(np.float32), (_FACE, _FACE), interpolation=cv2.INTER_LINEAR
    )
    _blend(face, cover, look.hair * streaks[..., None])
    atlas[:_FACE, :_FACE] = face
    strip = np.ascontiguousarray(atlas[:_FACE, _STRIP])
    streak = cv2.resize(
        rng.normal(size=(8, 60)).astype(np.float32), (strip.shape[1], _FACE), interpolation=cv2.INTER_LINEAR
    )
    _blend(strip, stencils.strip, look.hair * (1.0 + 0.14 * streak)[..., None])
    atlas[:_FACE, _STRIP] = strip
    _paint_eye(atlas, look)
    _paint_mouth(atlas)
    return np.clip(atlas, 0.0, 255.0).astype(np.uint8)


def _paint_eye(atlas: Float, look: Look) -> None:
    left, top, side = (round(v * ATLAS) for v in EYE_CELL)
    pad = 4
    cell = np.full((side + 2 * pad, side + 2 * pad, 3), (208, 214, 222), np.float32)
    centre = (16 * pad + 8 * side,) * 2
    degree = side / 2 / 110.0
    for radius, colour in (
        (24.0, look.iris * 0.35),
        (22.0, look.iris),
        (12.0, look.iris * 1.3),
        (9.5, np.array([12.0, 12.0, 14.0])),
    ):
        cv2.circle(cell, centre, round(radius * degree * 16), np.asarray(colour).tolist(), -1, cv2.LINE_8, 4)
    y, x = max(top - pad, 0), max(left - pad, 0)
    atlas[y : top + side + pad, x : left + side + pad] = cell[y - top + pad :, x - left + pad :]


def _paint_mouth(atlas: Float) -> None:
    left, top, width, height = (round(v * ATLAS) for v in TEETH_CELL)
    cell = atlas[top - 2 : top + height + 2, left - 2 : left + width + 2]
    cell[:] = (188, 206, 216)
    for k in range(1, 12):
        cell[:, round(k * width / 12) : round(k * width / 12) + 1] *= 0.72
    u, v = (round(t * ATLAS) for t in BAG_UV)
    atlas[v - 8 : v + 8, u - 8 : u + 8] = (30, 28, 70)
