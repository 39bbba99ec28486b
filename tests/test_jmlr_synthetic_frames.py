"""Single frames: labels sit on pixels, people differ, nothing depends on what was drawn before."""

import numpy as np
import pytest

from proxy_tasks.jmlr.synthetic import pose, render
from proxy_tasks.jmlr.synthetic.frames import Studio
from proxy_tasks.jmlr.synthetic.model import default_model

SIZE = 320


@pytest.fixture(scope="module")
def studio():
    return Studio(default_model(), SIZE, seed=5)


def covered(frame):
    mask = np.zeros(SIZE * SIZE, bool)
    mask[frame.face] = True
    return mask.reshape(SIZE, SIZE)


def test_projected_vertices_that_face_the_camera_fall_on_the_rendered_face(studio):
    shares = []
    triangles = studio.model.triangles
    for index in range(6):
        frame = studio.subject(index).frame(index)
        mask = covered(frame)
        assert mask.sum() > 600
        near = np.zeros_like(mask)
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                near |= np.roll(mask, (dy, dx), (0, 1))
        a, b, c = (frame.points[triangles[:, k]] for k in range(3))
        area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
        front = np.unique(triangles[area < 0.0])
        col, row = np.round(frame.points[front]).astype(int).T
        shares.append(near[row, col].mean())
    assert min(shares) > 0.8 and np.mean(shares) > 0.93, shares  # hair and noses hide a few


def test_a_texel_painted_at_a_landmark_is_drawn_where_the_label_says(studio):
    person = studio.subject(1)
    turn = pose.Pose(pose.rotation(0.2, 0.1, 0.05), np.array([0.01, 0.02, -0.35]), np.array([0.2, 0.1, 0.05]))
    light = render.Light(np.array([0.0, 0.0, 1.0], np.float32), 1.0, 1.0, np.ones(3, np.float32))
    size = 800
    points = pose.project(person.rest.astype(float) @ turn.R + turn.T, size)
    whole = (
        studio.head.place(person.rest.astype(float), person.rest.astype(float), person.look) @ turn.R + turn.T
    )
    for landmark in (8, 17, 26, 30, 33, 51, 57):
        vertex = studio.model.landmarks68[landmark]
        texture = np.zeros_like(person.atlas)
        u, v = studio.stencils.uv[vertex] * len(texture) - 0.5
        rows, cols = np.mgrid[0 : len(texture), 0 : len(texture)]
        texture[(rows - v) ** 2 + (cols - u) ** 2 < 3.0**2] = 255
        image = np.zeros((size, size, 3), np.uint8)
        look = type(person.look)(
            **{f: getattr(person.look, f) for f in person.look.__slots__} | {"style": "shaved", "shine": 0.0}
        )
        placed, ahead = whole.astype(np.float32), np.zeros(2, np.float32)
        xy = pose.project(placed, size)
        render.draw_head(image, placed, xy, studio.shader, texture, light, look, ahead)
        row, col = np.nonzero(image[..., 1] > 100)
        assert len(row) > 3, landmark
        assert np.hypot(col.mean() - points[vertex, 0], row.mean() - points[vertex, 1]) < 1.6, landmark


def test_landmarks_are_their_vertices_with_a_detectors_noise(studio):
    frames = [studio.subject(k).frame(0) for k in range(5)]
    error = np.concatenate([f.landmarks68 - f.points[studio.model.landmarks68] for f in frames])
    assert error.std() == pytest.approx(SIZE / 800.0, rel=0.12)
    assert np.abs(error.mean()) < 0.06


def test_labels_project_onto_their_points(studio):
    frame = studio.subject(2).frame(1)
    again = pose.project(
        frame.verts.astype(float) @ frame.pose.matrix[:3, :3] + frame.pose.matrix[3, :3], SIZE
    )
    assert np.abs(again - frame.points).max() < 1e-3
    assert frame.verts.dtype == np.float32 and frame.pose.matrix.dtype == np.float32


def test_a_frame_does_not_depend_on_what_was_drawn_before(studio):
    person = studio.subject(3)
    later = [person.frame(k) for k in range(3)][2]
    alone = Studio(default_model(), SIZE, seed=5).subject(3).frame(2)
    assert np.array_equal(later.image, alone.image)
    assert np.array_equal(later.verts, alone.verts)


def test_a_person_keeps_face_and_looks_between_frames(studio):
    person = studio.subject(4)
    first, second = person.frame(0), person.frame(1)
    assert first.action != second.action
    assert not np.array_equal(first.pose.R, second.pose.R)
    forehead = studio.model.mean[:, 1] > 0.07
    assert np.abs(first.verts[forehead] - second.verts[forehead]).max() < 1.5e-3


def test_people_differ_in_face_and_colour(studio):
    people = [studio.subject(k) for k in range(12)]
    rest = np.stack([p.rest for p in people])
    between = np.linalg.norm(rest - rest.mean(0), axis=2).mean() * 1e3
    assert 2.0 < between < 5.0
    assert np.std([p.look.skin.mean() for p in people]) > 20.0
    assert len({p.look.style for p in people}) >= 3


def test_faces_are_lit_and_textured(studio):
    """A crop of the face has structure: eyes, brows and lips are darker or redder than cheeks."""
    spreads = [
        np.ptp(np.percentile(f.image.reshape(-1, 3)[f.face], [2, 98], axis=0), axis=0).mean()
        for f in (studio.subject(k).frame(0) for k in range(6))
    ]
    assert np.median(spreads) > 40.0


def test_eyes_look_towards_the_camera_more_often_than_away(studio):
    rng = np.random.default_rng(0)
    from proxy_tasks.jmlr.synthetic.frames import _gaze

    turned = pose.Pose(pose.rotation(0.4, 0.0, 0.0), np.array([0.0, 0.0, -0.5]), np.array([0.4, 0.0, 0.0]))
    towards = -turned.T @ turned.R.T
    gazes = np.array([_gaze(turned, rng) for _ in range(300)])
    assert np.sign(gazes[:, 0].mean()) == np.sign(towards[0])
    assert np.abs(gazes).max() < np.deg2rad(27.0)
