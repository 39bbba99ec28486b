"""The mean head: a closed-form surface over a cylinder, from a few dozen sizes of an average adult.

Domain (p, q): p is arc length [mm] on a cylinder of radius RADIUS about the vertical axis through
z = AXIS_Z, q is height. The base is a superellipse at every height, between a midline profile and a
half-width; features (nose, lips, brow, cheeks, chin) are bumps added along z in frontal coordinates.
Frame and signs are the data set's: x right in the image, y up, z towards the camera; millimetres here,
metres from model.py on. The subject's left half is x > 0; the other half is its mirror image.

The sizes are the usual anthropometric ones (face height 120 mm from nasion to menton, bizygomatic width
140, eye corners 28 and 90 apart, nose 35 wide and 20 proud, mouth 50 wide), rounded to the millimetre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline, splev, splprep

Array = NDArray[np.float64]

RADIUS = 76.0
AXIS_Z = -25.0
MOUTH_Y = -41.5  # the line at which the lips meet
MOUTH_HALF_WIDTH = 25.5
LIP_GAP = 3.6  # the slit's half height in the domain; the surface closes it to LIP_REST
LIP_REST = 0.45

# height, midline depth, half-width at the ears, superellipse exponent
_PROFILE = np.array(
    [
        (106.0, 21.0, 52.0, 2.05),
        (97.0, 31.5, 58.5, 2.05),
        (80.0, 41.5, 67.0, 2.05),
        (60.0, 48.0, 72.0, 2.1),
        (46.0, 50.0, 73.5, 2.1),
        (30.0, 48.5, 73.5, 2.1),
        (10.0, 47.5, 72.5, 2.1),
        (-20.0, 51.5, 69.0, 2.05),
        (-38.0, 53.0, 65.0, 2.0),
        (-56.0, 51.0, 59.0, 2.0),
        (-70.0, 50.0, 54.5, 2.0),
        (-79.0, 47.0, 51.5, 2.0),
        (-86.0, 40.5, 49.0, 2.0),
        (-94.0, 24.0, 47.0, 2.0),
        (-106.0, 0.0, 46.0, 2.0),
    ]
)[::-1]
_DEPTH, _WIDTH, _POWER = (CubicSpline(_PROFILE[:, 0], _PROFILE[:, k]) for k in (1, 2, 3))

# the nose's ridge: height, depth above the face, half-width of its cross-section
_NOSE = np.array(
    [
        (48.0, 0.0, 10.0),
        (38.0, -0.6, 8.5),
        (29.0, 1.4, 7.0),
        (24.0, 4.6, 6.9),
        (18.0, 9.6, 7.2),
        (12.0, 14.4, 7.9),
        (6.0, 18.8, 8.8),
        (0.0, 22.4, 9.8),
        (-5.0, 23.8, 10.4),
        (-9.0, 22.0, 10.0),
        (-12.5, 17.4, 9.2),
        (-16.0, 10.2, 8.2),
        (-19.5, 5.2, 7.4),
        (-24.0, 2.2, 7.0),
        (-30.0, 0.0, 7.0),
    ]
)[::-1]
_RIDGE, _RIDGE_WIDTH = (CubicSpline(_NOSE[:, 0], _NOSE[:, k]) for k in (1, 2))

# x, y, half-width along x, half-height along y, depth: smooth bumps on both halves
_BUMPS = (
    (28.0, 43.0, 20.0, 10.0, 1.6),  # brow ridge
    (31.0, 26.0, 20.0, 12.0, -4.0),  # eye socket
    (14.0, 25.0, 6.0, 10.0, -3.0),  # inner corner
    (30.0, 12.0, 24.0, 13.0, -4.2),  # under the eye
    (47.0, 2.0, 15.0, 15.0, 2.0),  # cheekbone
    (30.0, -26.0, 18.0, 18.0, 0.6),  # cheek
    (23.0, -20.0, 7.0, 13.0, -1.2),  # nasolabial fold
    (13.0, -8.5, 5.0, 5.6, 6.6),  # wing of the nose
    (20.0, -5.0, 4.6, 12.0, -2.6),  # crease beside it
    (0.0, -36.0, 25.0, 17.0, 5.2),  # dental arch
    (0.0, -57.0, 17.0, 5.0, -1.6),  # fold above the chin
    (0.0, -72.0, 16.0, 10.0, 3.6),  # chin
    (30.0, -42.0, 6.0, 6.0, -1.0),  # corner of the mouth
    (62.0, 44.0, 12.0, 18.0, -1.2),  # temple
)
_EYE = np.array([31.2, 26.2])  # the eyeball's axis
_LID_RADIUS = 16.8  # of the sphere that the lids slide on
_LID_DEPTH = 23.2  # of its centre

_CONTOUR = np.array(  # the mesh's outer edge, domain coordinates
    [
        (0.0, 98.0),
        (30.0, 96.5),
        (55.0, 89.0),
        (78.0, 74.5),
        (97.0, 52.0),
        (109.0, 25.0),
        (111.0, 0.0),
        (106.0, -24.0),
        (94.0, -48.0),
        (74.0, -68.0),
        (49.0, -82.0),
        (24.0, -90.0),
        (0.0, -93.0),
    ]
)
_JAW = np.array(  # landmarks 16 .. 8 (left ear to chin), domain coordinates
    [
        (106.0, 27.0),
        (107.0, 8.0),
        (104.0, -11.0),
        (97.0, -30.0),
        (86.0, -48.0),
        (68.0, -63.5),
        (47.0, -74.5),
        (24.0, -81.5),
        (0.0, -84.0),
    ]
)


def _mirror_sum(x: Array, y: Array, bump: tuple[float, ...]) -> Array:
    cx, cy, wx, wy, depth = bump
    vertical = depth * np.exp(-(((y - cy) / wy) ** 2))
    if cx == 0.0:
        return np.asarray(vertical * np.exp(-((x / wx) ** 2)))
    return np.asarray(vertical * (np.exp(-(((x - cx) / wx) ** 2)) + np.exp(-(((x + cx) / wx) ** 2))))


def lip_heights(x: Array) -> tuple[Array, Array]:
    """Heights [mm] of the upper lip's upper edge and the lower lip's lower edge over x."""
    u = np.clip(np.abs(x) / MOUTH_HALF_WIDTH, 0.0, 1.0)
    upper = 8.2 * (1.0 - u**1.9) + 1.4 * np.exp(-(((u - 0.2) / 0.14) ** 2)) - 1.2 * np.exp(-((u / 0.09) ** 2))
    lower = 10.2 * (1.0 - u**2.1)
    return MOUTH_Y + upper * (u < 1), MOUTH_Y - lower


def _close_lips(x: Array, q: Array) -> Array:
    """Height on the head of domain height q: the domain's mouth slit is open, the head's lips meet."""
    half = LIP_GAP * np.sqrt(np.clip(1.0 - (x / (MOUTH_HALF_WIDTH + 0.2)) ** 2, 0.0, 1.0))
    offset = q - MOUTH_Y
    rest = half * LIP_REST / LIP_GAP
    reach = np.where(offset > 0.0, 22.0, 24.0)  # the shift fades out this far from the slit
    away = np.clip((np.abs(offset) - half) / reach, 0.0, 1.0)
    return np.asarray(q - np.sign(offset) * (half - rest) * (1.0 - away) ** 3)


def _lips(x: Array, y: Array) -> Array:
    upper, lower = lip_heights(x)
    u = np.clip(np.abs(x) / MOUTH_HALF_WIDTH, 0.0, 1.0)
    fullness = (1.0 - u**2) ** 0.6
    up = np.clip((y - MOUTH_Y) / np.maximum(upper - MOUTH_Y, 1.0), 0.0, 3.0)
    down = np.clip((MOUTH_Y - y) / np.maximum(MOUTH_Y - lower, 1.0), 0.0, 3.0)
    # a lip rolls in at the slit, is fullest below its middle and ends in a soft edge
    top = 2.7 * np.exp(-(((up - 0.5) / 0.55) ** 2)) - 3.2 * np.exp(-((up / 0.3) ** 2))
    bottom = 4.2 * np.exp(-(((down - 0.42) / 0.5) ** 2)) - 3.6 * np.exp(-((down / 0.24) ** 2))
    philtrum = -0.9 * np.exp(-((x / 2.8) ** 2)) * np.exp(-(((y + 27.5) / 5.0) ** 2))
    return np.asarray(np.where(y >= MOUTH_Y, top, bottom) * fullness + philtrum)


def _lids(x: Array, y: Array, z: Array) -> Array:
    """Depth with the skin around the eye drawn over the eyeball."""
    aside = np.abs(x) - _EYE[0]
    distance = np.hypot(aside, y - _EYE[1])
    soft = 13.0 * np.tanh(distance / 13.0)  # towards the corners the skin leaves the ball
    ball = _LID_DEPTH + np.sqrt(_LID_RADIUS**2 - soft**2) - 0.06 * aside - 0.016 * np.maximum(aside, 0.0) ** 2
    u, v = aside / 13.4, (y - _EYE[1]) / 6.4
    reach = np.hypot(u, v)
    upright = (v / np.maximum(reach, 1e-6)) ** 2
    fade = 0.38 + np.where(v > 0.0, 1.75, 1.35) * upright
    share = np.clip((1.02 + fade - reach) / fade, 0.0, 1.0)
    share = share * share * (3.0 - 2.0 * share)
    lid = np.clip(1.25 - np.abs(aside) / 15.0, 0.0, 1.0) * (v > 0.0)
    crease = -0.9 * lid * np.exp(-(((reach - 1.75) / 0.2) ** 2))
    return np.asarray(z + share * (ball - z) + crease)


def surface(p: Array, q: Array) -> Array:
    """Points of the mean head over the domain: p, q (N,) mm -> (N, 3) mm."""
    theta = np.asarray(p, float) / RADIUS
    frontal = np.sin(theta) * 70.0
    y = _close_lips(frontal, np.asarray(q, float))
    power = _POWER(y)
    depth = np.maximum(_DEPTH(y) - AXIS_Z, 1.0)
    side = np.abs(np.sin(theta)) / _WIDTH(y)
    front = np.abs(np.cos(theta)) / depth
    r = (side**power + front**power) ** (-1.0 / power)
    x = r * np.sin(theta)
    z = r * np.cos(theta) + AXIS_Z
    facing = np.clip(np.cos(theta) * 2.0, 0.0, 1.0)  # bumps push forwards only where the surface looks there
    bumps = sum((_mirror_sum(x, y, bump) for bump in _BUMPS), np.zeros_like(x))
    height = np.clip(y, -30.0, 48.0)
    across = (x / _RIDGE_WIDTH(height)) ** 2
    ridge = _RIDGE(height) * (0.8 * np.exp(-(across**1.1)) + 0.2 * np.exp(-0.25 * across))
    mouth = _lips(x, y) * np.exp(-((np.maximum(np.abs(y - MOUTH_Y) - 16.0, 0.0) / 5.0) ** 2))
    z = _lids(x, y, z + facing * (bumps + ridge + mouth))
    return np.stack([x, y, z], axis=-1)


def domain_of(points: Array) -> Array:
    """Domain coordinates (p, q) of the surface points with these frontal (x, y), by Newton's method."""
    goal = np.asarray(points, float)
    pq = goal.copy()
    pq[:, 0] = np.arcsin(np.clip(goal[:, 0] / 78.0, -0.95, 0.95)) * RADIUS
    for _ in range(30):
        here = surface(pq[:, 0], pq[:, 1])[:, :2]
        right = surface(pq[:, 0] + 0.05, pq[:, 1])[:, :2]
        slope = np.maximum((right[:, 0] - here[:, 0]) / 0.05, 0.2)
        pq[:, 0] += np.clip((goal[:, 0] - here[:, 0]) / slope, -8.0, 8.0)
        pq[:, 1] += goal[:, 1] - here[:, 1]
    return pq


@dataclass(frozen=True, slots=True)
class Outline:
    """The subject's left half of the domain (p >= 0): its closed contours and its landmarks.

    Curves are dense polylines (n, 2): contour and mouth run from top to bottom of the half, the eye
    closes on itself. landmarks maps the number in the 68-point scheme to its (p, q); guides (n, 2) are
    points that the mesh should carry because lids and lips bend sharply there.
    """

    contour: Array
    mouth: Array
    eye: Array
    landmarks: dict[int, Array]
    guides: Array


def _smooth(points: Array, closed: bool = False, n: int = 400) -> Array:
    curve = np.vstack([points, points[:1]]) if closed else points
    tck, _ = splprep(curve.T, s=0.0, per=closed, k=3)
    return np.array(splev(np.linspace(0.0, 1.0, n, endpoint=not closed), tck)).T


def eye_opening(n: int = 400) -> Array:
    """The lids' edge of the left eye, frontal (x, y) mm, counter-clockwise from the outer corner."""
    lids = np.array(
        [
            (45.5, 25.6),
            (42.5, 28.2),
            (37.5, 30.5),
            (31.5, 31.2),
            (25.5, 29.8),
            (20.5, 26.7),
            (17.0, 23.8),
            (20.5, 22.7),
            (26.0, 21.7),
            (32.0, 21.3),
            (38.0, 22.2),
            (42.5, 23.7),
        ]
    )
    return _smooth(lids, closed=True, n=n)


def _at_x(curve: Array, x: float, upper: bool) -> Array:
    middle = curve[:, 1].mean()
    side = curve[(curve[:, 1] > middle) == upper]
    return np.asarray(side[np.argmin(np.abs(side[:, 0] - x))])


def _guides(eye: Array) -> Array:
    """Two rings around the lids' edge, and a row on and a row around each lip."""
    ring = eye[:: len(eye) // 24]
    along = np.roll(ring, -1, axis=0) - np.roll(ring, 1, axis=0)
    outwards = np.stack([along[:, 1], -along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
    outwards *= np.sign(((ring - ring.mean(0)) * outwards).sum())
    rows = [ring + 2.0 * outwards, (ring + 5.2 * outwards)[::2]]
    x = np.linspace(0.0, MOUTH_HALF_WIDTH, 10)[:-1]
    upper, lower = lip_heights(x)
    lips = [
        np.stack([x, MOUTH_Y + t * (edge - MOUTH_Y)], axis=1)
        for edge in (upper, lower)
        for t in (0.5, 1.0, 1.45)
    ]
    return np.concatenate([*rows, domain_of(np.concatenate(lips))])


def outline() -> Outline:
    """The half domain that mesh.py fills."""
    lids = eye_opening()
    corners = [lids[np.argmin(lids[:, 0])], lids[np.argmax(lids[:, 0])]]
    lid_points = [
        _at_x(lids, 26.0, True),
        _at_x(lids, 37.0, True),
        _at_x(lids, 37.0, False),
        _at_x(lids, 26.5, False),
    ]
    upper, lower = lip_heights(np.array([0.0, 3.8, 14.5]))
    frontal = {
        **dict(
            zip(
                (22, 23, 24, 25, 26),
                [(12.5, 41.0), (24.0, 45.0), (35.0, 46.5), (46.0, 44.0), (55.0, 37.5)],
                strict=True,
            )
        ),
        **dict(zip((27, 28, 29, 30), [(0, 28.0), (0, 17.0), (0, 6.5), (0, -4.5)], strict=True)),
        **dict(zip((33, 34, 35), [(0, -20.0), (6.5, -18.5), (13.5, -16.0)], strict=True)),
        **dict(zip((42, 45, 43, 44, 46, 47), [*corners, *lid_points], strict=True)),
        **dict(zip((51, 52, 53), [(0, upper[0]), (3.8, upper[1]), (14.5, upper[2])], strict=True)),
        **dict(
            zip((57, 56, 55), [(0, lower[0]), (7.0, lower[1] + 0.6), (16.0, lower[2] + 0.5)], strict=True)
        ),
        54: (MOUTH_HALF_WIDTH + 1.6, MOUTH_Y - 0.6),
    }
    numbers = list(frontal)
    points = domain_of(np.array([frontal[k] for k in numbers], float))
    points[np.isclose([frontal[k][0] for k in numbers], 0.0), 0] = 0.0
    landmarks = dict(zip(numbers, points, strict=True))
    landmarks.update({16 - k: _JAW[k] for k in range(9)})
    angle = np.linspace(0.5 * np.pi, -0.5 * np.pi, 401)
    slit_p = domain_of(np.array([(MOUTH_HALF_WIDTH, MOUTH_Y)]))[0, 0]
    mouth = np.stack([slit_p * np.cos(angle), MOUTH_Y + LIP_GAP * np.sin(angle)], axis=1)
    mouth[[0, -1], 0] = 0.0
    for number, at in ((62, 0), (63, 110), (64, 200), (65, 290), (66, 400)):
        landmarks[number] = mouth[at]
    eye = domain_of(lids)
    for number in (42, 43, 44, 45, 46, 47):
        landmarks[number] = eye[np.argmin(np.linalg.norm(eye - landmarks[number], axis=1))]
    return Outline(contour=_smooth(_CONTOUR), mouth=mouth, eye=eye, landmarks=landmarks, guides=_guides(eye))
