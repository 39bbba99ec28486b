"""One labelled frame from numbers: subject and frame index in, picture and labels out. No files here."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from proxy_tasks.jmlr.synthetic import actions, background, ears, hair, openings, paint, pose, render
from proxy_tasks.jmlr.synthetic.head import FaceMesh, Head, Part, assemble, face_mesh
from proxy_tasks.jmlr.synthetic.look import draw_look
from proxy_tasks.jmlr.synthetic.model import FaceModel
from proxy_tasks.jmlr.synthetic.skull import NECK_PIVOT, build_skull
from proxy_tasks.jmlr.synthetic.stencils import Stencils
from proxy_tasks.jmlr.synthetic.torso import build_torso

Array = NDArray[np.float64]
Float = NDArray[np.float32]
Image = NDArray[np.uint8]

FRAMES_PER_ACTION = 120  # a sweep's length; img_id counts it
_DETECTOR_PX = 1.0  # standard deviation of the landmarks at 800 x 800
_SHAPE_LIMIT = 2.5  # identity coefficients are clipped here: nobody is further from the mean
_GAZE_LIMIT = np.deg2rad(26.0)
_TORSO_TURN = np.array([0.30, 0.15, 0.10])  # of the head's yaw, pitch and roll


@dataclass(frozen=True, slots=True)
class Frame:
    """image (S, S, 3) BGR uint8; verts (V, 3) float32 metres; pose; landmarks68 (68, 2) px with a
    detector's noise; points (V, 2) px, exact; face (n,) the pixels (row x S + column) of the face mesh."""

    action: str
    img_id: str
    image: Image
    verts: Float
    pose: pose.Pose
    landmarks68: Array
    points: Array
    face: NDArray[np.int64]


def build_head(mesh: FaceMesh, paint_mm: Array) -> tuple[Head, Stencils]:
    """The face with all that surrounds it, and where to paint it; paint_mm (V, 2)."""
    skull = build_skull(mesh, len(mesh.mean))
    parts: list[Part] = [skull]

    def first() -> int:
        return parts[-1].first + len(parts[-1].occlusion)

    for side in (0, 1):
        parts.append(openings.build_eye(mesh, side, first()))
        parts.append(openings.build_bag(mesh.eyes[side], "socket", first()))
    parts.append(openings.build_bag(mesh.mouth, "mouth", first()))
    parts.append(openings.build_teeth(mesh, first()))
    for sign in (-1, 1):
        parts.append(ears.build_ear(mesh, sign, first()))
    cap = hair.build_cap(mesh, skull, paint_mm, first())
    parts.append(cap)
    parts.append(hair.build_curtain(mesh, first()))
    stencils = Stencils(mesh, paint_mm, skull, cap)
    return assemble(mesh, parts, stencils.uv, cap.covered()), stencils


class Studio:
    """A face model with everything about it that is made once; renders subjects' frames.

    Frames are pure functions of (seed, subject, frame): no state passes from one to the next.
    """

    def __init__(self, model: FaceModel, size: int, seed: int) -> None:
        self.model, self.size, self.seed = model, size, seed
        mesh = face_mesh(model.mean.astype(np.float64), model.triangles, model.landmarks68)
        self.head, self.stencils = build_head(mesh, model.paint.astype(np.float64))
        self.shader = render.Shader(self.head)
        self.wardrobe = render.Wardrobe(build_torso(mesh))
        self.pivot = mesh.here(NECK_PIVOT)
        self.swaying = np.flatnonzero(self.head.neck)
        self.sway = self.head.neck[self.swaying, None]
        self.grain = paint.Grain()
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
        self.look = draw_look(rng)
        self.seat = pose.seat(rng)
        self.atlas = paint.paint_atlas(studio.stencils, studio.grain, self.look, rng)
        self.order = rng.permutation(len(actions.ACTIONS))
        self.moments = rng.permutation(FRAMES_PER_ACTION)

    def frame(self, number: int) -> Frame:
        """The person's frame of this number: another action each time until all 33 have been seen."""
        studio = self.studio
        rng = np.random.default_rng([studio.seed, self.index, 1 + number])
        action = actions.ACTIONS[self.order[number % len(self.order)]]
        moment = int(self.moments[number % FRAMES_PER_ACTION])
        turn = pose.sample(action.sweep, (moment + 0.5) / FRAMES_PER_ACTION, self.seat, rng)
        weights = actions.coefficients(action.weights(rng), studio.model.expression_names)
        verts = studio.model.express(self.rest, weights).astype(np.float32)
        points = pose.project(verts.astype(np.float64) @ turn.R + turn.T, studio.size)
        jitter = rng.normal(0.0, _DETECTOR_PX * studio.size / 800.0, (68, 2))
        image, face = self.picture(verts, turn, rng)
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

    def picture(
        self, verts: Float, turn: pose.Pose, rng: np.random.Generator
    ) -> tuple[Image, NDArray[np.int64]]:
        """A picture (S, S, 3) of this person with face verts (V, 3) in this pose, and the face's pixels."""
        studio, head = self.studio, self.studio.head
        light = render.draw_light(rng)
        quarter = max(studio.size // 4, 32)  # the room and the shoulders are out of focus
        image = render.enlarge(background.draw_background(rng), quarter)
        body = pose.rotation(*(_TORSO_TURN * turn.angles))
        seat = studio.pivot @ turn.R + turn.T - studio.pivot @ body
        torso = studio.wardrobe.torso.points @ body + seat
        studio.wardrobe.draw(image, torso.astype(np.float32), light, self.look)
        image = render.enlarge(image, studio.size)
        whole = head.place(self.rest.astype(np.float64), verts.astype(np.float64), self.look)
        seen = whole @ turn.R + turn.T
        seen[studio.swaying] += studio.sway * ((whole @ body + seat)[studio.swaying] - seen[studio.swaying])
        gaze = _gaze(turn, rng)
        points = seen.astype(np.float32)
        xy = pose.project(points, studio.size)
        face = render.draw_head(image, points, xy, studio.shader, self.atlas, light, self.look, gaze)
        return render.camera(image, render.window(xy, studio.size), studio.noise, rng), face


def _gaze(turn: pose.Pose, rng: np.random.Generator) -> Float:
    """Where the eyes point in the head (2,), radians to the left and up: often at the camera."""
    camera = -turn.T @ turn.R.T
    there = np.array(
        [np.arctan2(camera[0], camera[2]), np.arctan2(camera[1], np.hypot(camera[0], camera[2]))]
    )
    aim = rng.uniform(0.0, 1.0) * there + rng.normal(0.0, 0.07, 2)
    return np.clip(aim, -_GAZE_LIMIT, _GAZE_LIMIT).astype(np.float32)


def encode(image: Image, quality: int) -> bytes:
    """JPEG bytes."""
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
