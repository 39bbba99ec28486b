"""Expression fields: localised displacements of the mean head, named as ARKit names blend shapes.

Every field is a closed-form function of the domain (which tells the lips apart) and of the mean's
positions, in millimetres, at full activation. Sides are the subject's: _L is x > 0. Right fields are
exact mirror images of left ones.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from proxy_tasks.jmlr.synthetic.anatomy import LIP_GAP, MOUTH_HALF_WIDTH, MOUTH_Y, Array, eye_opening

_HINGE = np.array([0.0, 12.0, -18.0])  # of the jaw
_JAW_ANGLE = np.deg2rad(20.0)


def _step(t: Array) -> Array:
    t = np.clip(t, 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))


class Fields:
    """Evaluates the fields at the vertices of one mesh: points (V, 3) mm on the mean, pq (V, 2) mm."""

    def __init__(self, points: Array, pq: Array) -> None:
        self.points = points
        self.x, self.y = points[:, 0], points[:, 1]
        beyond = np.maximum(np.abs(self.x) - MOUTH_HALF_WIDTH, 0.0)
        reach = LIP_GAP * 0.9 + np.minimum(1.1 * beyond, 20.0)
        self.lower = _step((MOUTH_Y - pq[:, 1]) / (2.0 * reach) + 0.5)  # 1 on the lower lip, 0 on the upper
        self.left = _step(self.x / 16.0 + 0.5)

    def bump(self, x: float, y: float, rx: float, ry: float) -> Array:
        return np.asarray(np.exp(-(((self.x - x) / rx) ** 2) - ((self.y - y) / ry) ** 2))

    def push(self, weight: Array, dx: float, dy: float, dz: float) -> Array:
        return weight[:, None] * np.array([dx, dy, dz])

    # jaw
    def jaw_weight(self) -> Array:
        behind = _step((self.points[:, 2] + 22.0) / 30.0)  # nothing behind the hinge follows
        return np.asarray(self.lower * behind)

    def jaw_open(self) -> Array:
        c, s = np.cos(_JAW_ANGLE), np.sin(_JAW_ANGLE)
        arm = self.points - _HINGE
        turned = np.stack([arm[:, 0], c * arm[:, 1] - s * arm[:, 2], s * arm[:, 1] + c * arm[:, 2]], axis=1)
        narrow = np.stack([-0.10 * self.x, 0.0 * self.x, 0.0 * self.x], axis=1)
        cheeks = self.bump(30.0, -38.0, 14.0, 26.0) + self.bump(-30.0, -38.0, 14.0, 26.0)
        return np.asarray((turned - arm) * self.jaw_weight()[:, None] + narrow * cheeks[:, None])

    def jaw_left(self) -> Array:
        return self.push(self.jaw_weight(), 8.5, -1.0, 0.0)

    # mouth
    def corner(self, rx: float = 15.0, ry: float = 12.0) -> Array:
        return self.bump(MOUTH_HALF_WIDTH, MOUTH_Y, rx, ry)

    def smile(self) -> Array:
        cheek = self.push(self.bump(36.0, -8.0, 15.0, 13.0), 1.0, 4.0, 3.5)
        lid = self.push(self.bump(32.0, 19.0, 14.0, 5.0), 0.0, 1.3, 0.4)
        pull = self.push(self.corner(17.0, 13.0), 6.5, 7.5, -4.5)
        lip = self.push(self.bump(10.0, -36.0, 11.0, 8.0) * (1.0 - self.lower), 0.5, 2.0, -1.0)
        return np.asarray(pull + cheek + lid + lip)

    def frown(self) -> Array:
        chin = self.push(self.bump(10.0, -60.0, 12.0, 8.0), 0.0, 1.5, 1.0)
        return np.asarray(self.push(self.corner(13.0, 11.0), 0.0, -8.0, -0.5) + chin)

    def dimple(self) -> Array:
        return self.push(self.corner(11.0, 10.0), 7.0, 1.0, -6.0)

    def stretch(self) -> Array:
        lower = self.push(self.lower * self.bump(14.0, -50.0, 18.0, 12.0), 1.5, -4.0, -1.0)
        return np.asarray(self.push(self.corner(19.0, 15.0), 9.5, -3.0, -5.0) + lower)

    def lips(self, rx: float = 27.0, ry: float = 15.0) -> Array:
        return self.bump(0.0, MOUTH_Y, rx, ry)

    def pucker(self) -> Array:
        w = self.lips(30.0, 17.0)
        squeeze = np.stack([-0.42 * self.x, -0.05 * (self.y - MOUTH_Y), 6.5 + 0.0 * self.x], axis=1)
        return np.asarray(w[:, None] * squeeze)

    def funnel(self) -> Array:
        w = self.lips(27.0, 15.0)
        part = np.where(self.lower > 0.5, -1.0, 1.0) * np.abs(2.0 * self.lower - 1.0)
        part = part * np.clip(1.0 - np.abs(self.x) / (MOUTH_HALF_WIDTH + 4.0), 0.0, 1.0) ** 0.7
        open_out = np.stack([-0.32 * self.x, 5.0 * part, 6.0 + 0.0 * self.x], axis=1)
        return np.asarray(w[:, None] * open_out)

    def upper_up(self) -> Array:
        w = self.bump(11.0, -34.0, 12.0, 11.0) * (1.0 - self.lower)
        return self.push(w, 0.0, 5.0, 0.6)

    def lower_down(self) -> Array:
        return self.push(self.bump(11.0, -50.0, 12.0, 11.0) * self.lower, 0.5, -5.0, 0.3)

    def press(self) -> Array:
        w = self.bump(12.0, MOUTH_Y, 16.0, 7.0)
        return np.stack([0.0 * w, -0.22 * w * (self.y - MOUTH_Y), -1.8 * w], axis=1)

    def mouth_left(self) -> Array:
        return self.push(self.lips(30.0, 18.0), 7.5, 0.4, -1.0)

    def shrug_lower(self) -> Array:
        return self.push(self.bump(0.0, -56.0, 18.0, 12.0) * self.lower, 0.0, 3.0, 2.5)

    # cheeks, nose, brows
    def cheek_puff(self) -> Array:
        w = self.bump(39.0, -32.0, 17.0, 18.0)
        lip = self.bump(0.0, MOUTH_Y, 22.0, 12.0) * self.left
        return np.asarray(self.push(w, 6.5, -0.5, 7.0) + self.push(lip, 0.0, 0.0, 2.0))

    def nose_sneer(self) -> Array:
        wing = self.push(self.bump(13.0, -11.0, 8.0, 9.0), 1.0, 4.5, -0.5)
        lip = self.push(self.bump(12.0, -31.0, 9.0, 9.0) * (1.0 - self.lower), 0.5, 3.2, 0.5)
        fold = self.push(self.bump(22.0, -4.0, 8.0, 12.0), 0.5, 2.5, 2.5)
        brow = self.push(self.bump(11.0, 36.0, 10.0, 9.0), -0.8, -2.5, 1.0)
        return np.asarray(wing + lip + fold + brow)

    def brow_inner_up(self) -> Array:
        return self.push(self.bump(13.0, 47.0, 16.0, 14.0), 0.5, 6.5, 0.2)

    def brow_outer_up(self) -> Array:
        return self.push(self.bump(43.0, 47.0, 17.0, 14.0), 0.0, 7.0, -1.2)

    def brow_down(self) -> Array:
        return self.push(self.bump(19.0, 42.0, 21.0, 9.5), -2.2, -6.0, 1.2)

    # eyes
    def _lid(self) -> tuple[Array, Array, Array]:
        """Heights of the upper and lower lid over x, and 1 between the corners."""
        lids = eye_opening()
        outer, inner = int(lids[:, 0].argmax()), int(lids[:, 0].argmin())
        ring = np.roll(lids, -outer, axis=0)
        split = (inner - outer) % len(lids)
        upper, lower = ring[: split + 1][::-1], ring[split:]
        u = np.interp(self.x, upper[:, 0], upper[:, 1])
        low = np.interp(self.x, lower[:, 0], lower[:, 1])
        within = _step((self.x - 15.5) / 2.0) * _step((47.0 - self.x) / 2.0)
        return u, low, within

    def _upper_lid(self) -> Array:
        u, low, within = self._lid()
        middle = 0.5 * (u + low)
        above = _step((self.y - middle) / np.maximum(u - middle, 0.5))
        return np.asarray(above * within * (1.0 - _step((self.y - u) / 10.0)))

    def _lower_lid(self) -> Array:
        u, low, within = self._lid()
        middle = 0.5 * (u + low)
        below = _step((middle - self.y) / np.maximum(middle - low, 0.5))
        return np.asarray(below * within * (1.0 - _step((low - self.y) / 9.0)))

    def blink(self) -> Array:
        u, low, _ = self._lid()
        w = self._upper_lid()
        gap = u - low
        bulge = 2.2 * np.sin(np.pi * np.clip((self.x - 17.0) / 28.5, 0.0, 1.0))
        up = self.push(self._lower_lid(), 0.0, 1.0, 0.0)
        return np.asarray(np.stack([0.0 * w, -(gap - 0.8) * w, bulge * w], axis=1) + up)

    def wide(self) -> Array:
        brow = self.push(self.bump(33.0, 45.0, 20.0, 9.0), 0.0, 1.5, 0.0)
        lids = self.push(self._upper_lid(), 0.0, 2.8, -0.6) + self.push(self._lower_lid(), 0.0, -1.0, -0.2)
        return np.asarray(lids + brow)

    def squint(self) -> Array:
        return np.asarray(
            self.push(self._lower_lid(), 0.0, 2.6, 0.4) + self.push(self._upper_lid(), 0.0, -1.4, 0.3)
        )


_SIDED: dict[str, Callable[[Fields], Array]] = {
    "browDown": Fields.brow_down,
    "browInnerUp": Fields.brow_inner_up,
    "browOuterUp": Fields.brow_outer_up,
    "cheekPuff": Fields.cheek_puff,
    "eyeBlink": Fields.blink,
    "eyeSquint": Fields.squint,
    "eyeWide": Fields.wide,
    "mouthDimple": Fields.dimple,
    "mouthFrown": Fields.frown,
    "mouthLowerDown": Fields.lower_down,
    "mouthPress": Fields.press,
    "mouthSmile": Fields.smile,
    "mouthStretch": Fields.stretch,
    "mouthUpperUp": Fields.upper_up,
    "noseSneer": Fields.nose_sneer,
}
_CENTRAL: dict[str, Callable[[Fields], Array]] = {
    "jawOpen": Fields.jaw_open,
    "mouthFunnel": Fields.funnel,
    "mouthPucker": Fields.pucker,
    "mouthShrugLower": Fields.shrug_lower,
}
_SIDEWAYS: dict[str, Callable[[Fields], Array]] = {"jaw": Fields.jaw_left, "mouth": Fields.mouth_left}


def expression_fields(points: Array, pq: Array, flip_index: np.ndarray) -> tuple[tuple[str, ...], Array]:
    """Names and fields (E, V, 3) in mm. points (V, 3), pq (V, 2) mm of a mesh with this flip_index (V,)."""
    fields = Fields(points, pq)
    mirror = np.array([-1.0, 1.0, 1.0])
    named: dict[str, Array] = {}
    for name, field in _SIDED.items():
        left = field(fields)
        named[f"{name}_L"], named[f"{name}_R"] = left, left[flip_index] * mirror
    for name, field in _CENTRAL.items():
        whole = field(fields)
        named[name] = 0.5 * (whole + whole[flip_index] * mirror)
    for name, field in _SIDEWAYS.items():
        left = field(fields)
        named[f"{name}Left"], named[f"{name}Right"] = left, left[flip_index] * mirror
    names = tuple(sorted(named))
    return names, np.stack([named[name] for name in names])
