"""One labelled frame from numbers: subject and frame index in, picture and labels out. No files here."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from proxy_tasks.jmlr.synthetic import actions, paint, pose, render
from proxy_tasks.jmlr.synthetic.head import build_head
from proxy_tasks.jmlr.synthetic.model import FaceModel

Float = NDArray[np.float32]
Image = NDArray[np.uint8]

FRAMES_PER_ACTION = 120  # a sweep's length; img_id counts it
_DETECTOR_PX = 1.0  # standard deviation of the landmarks at 800 x 800
_SHAPE_LIMIT = 2.5  # identity coefficients are clipped here: nobody is further from the mean


@dataclass(frozen=True, slots=True)
class Frame:
    """image (S, S, 3) BGR uint8; verts (V, 3) float32 metres; pose; landmarks68 (68, 2) px with a
    detector's noise; points (V, 2) px, exact; face (S, S) where the face mesh shows."""

    action: str
    img_id: str
    image: Image
    verts: Float
    pose: pose.Pose
    landmarks68: NDArray[np.float64]
    points: NDArray[np.float64]
    face: NDArray[np.bool_]


class Studio:
    """A face model with everything about it that is made once; renders subjects' frames.

    Frames are pure functions of (seed, subject, frame): no state passes from one to the next.
    """

    def __init__(self, model: FaceModel, size: int, seed: int) -> None:
        self.model, self.size, self.seed = model, size, seed
        mean = model.mean.astype(np.float64)
        blank = np.zeros((len(mean), 2))
        loft = build_head(mean, model.triangles, model.landmarks68, blank).loft
        self.stencils = paint.Stencils(model, loft)
        self.head = build_head(mean, model.triangles, model.landmarks68, self.stencils.texcoord)
        self.shader = render.Shader(self.head)
        tile = np.random.default_rng(7).normal(128.0, 10.0, (size + 256, size + 256, 3))
        self.noise = np.clip(tile, 0, 255).astype(np.uint8)

    def subject(self, index: int) -> Subject:
        return Subject(self, index)


class Subject:
    """One person: a face, a look, a seat before the camera, a schedule of actions."""

    def __init__(self, studio: Studio, index: int) -> None:
        rng = np.random.default_rng([studio.seed, index, 0])
        self.studio, self.index = studio, index
        coefficients = np.clip(rng.normal(size=len(studio.model.identity)), -_SHAPE_LIMIT, _SHAPE_LIMIT)
        self.rest = studio.model.person(coefficients)
        self.look = paint.draw_look(rng)
        self.seat = pose.seat(rng)
        self.clothes = int(rng.integers(2**31))
        self.atlas = paint.paint_atlas(studio.stencils, self.look, rng)
        self.order = rng.permutation(len(actions.ACTIONS))
        self.moments = rng.permutation(FRAMES_PER_ACTION)

    def frame(self, number: int) -> Frame:
        studio = self.studio
        rng = np.random.default_rng([studio.seed, self.index, 1 + number])
        action = actions.ACTIONS[self.order[number % len(self.order)]]
        moment = int(self.moments[number % FRAMES_PER_ACTION])
        turn = pose.sample(action.sweep, (moment + 0.5) / FRAMES_PER_ACTION, self.seat, rng)
        weights = actions.coefficients(action.weights(rng), studio.model.expression_names)
        verts = studio.model.express(self.rest, weights).astype(np.float32)
        points = pose.project(verts.astype(np.float64) @ turn.R + turn.T, studio.size)
        jitter = rng.normal(0.0, _DETECTOR_PX * studio.size / 800.0, (68, 2))
        image, face = self._picture(verts, turn, rng)
        return Frame(
            action=action.name,
            img_id=f"{moment:06d}",
            image=image,
            verts=verts,
            pose=turn,
            landmarks68=points[studio.model.landmarks68] + jitter,
            points=points,
            face=face,
        )

    def _picture(
        self, verts: Float, turn: pose.Pose, rng: np.random.Generator
    ) -> tuple[Image, NDArray[np.bool_]]:
        studio = self.studio
        light = render.draw_light(rng)
        image = render.draw_background(studio.size, rng)
        whole = studio.head.place(self.rest.astype(np.float64), verts.astype(np.float64)) @ turn.R + turn.T
        start = studio.head.face_count + (len(studio.head.loft) - 2) * len(studio.head.border)
        base = whole[start : start + len(studio.head.border)]
        render.draw_torso(image, base, light, np.random.default_rng(self.clothes))
        face = render.draw_head(
            image, whole.astype(np.float32), studio.shader, self.atlas, light, self.look.shine
        )
        return render.camera(image, studio.noise, rng), face


def encode(image: Image, quality: int) -> bytes:
    """JPEG bytes."""
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
