"""The face's mesh: counts, symmetry, holes, density; and the shapes that live on it."""

import hashlib
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from proxy_tasks.jmlr.synthetic.actions import ACTIONS, EXPRESSIONS, coefficients
from proxy_tasks.jmlr.synthetic.anatomy import outline
from proxy_tasks.jmlr.synthetic.head import border_loops
from proxy_tasks.jmlr.synthetic.mesh import FLIP68, build_mesh
from proxy_tasks.jmlr.synthetic.model import default_model
from proxy_tasks.jmlr.synthetic.modes import spread

MIRROR = np.array([-1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def model():
    return default_model()


def edges_of(triangles):
    return Counter(
        tuple(sorted(e)) for t in triangles.tolist() for e in ((t[0], t[1]), (t[1], t[2]), (t[2], t[0]))
    )


def test_default_mesh_has_the_challenges_counts(model):
    assert model.mean.shape == (1220, 3)
    assert model.triangles.shape == (2304, 3)
    assert sorted(np.unique(model.triangles)) == list(range(1220))
    assert len(set(model.landmarks68.tolist())) == 68


def test_mesh_is_a_disc_with_three_holes(model):
    count = edges_of(model.triangles)
    assert set(count.values()) == {1, 2}
    assert len(model.mean) - len(count) + len(model.triangles) == 1 - 3
    loops = border_loops(model.triangles)
    assert sorted(len(loop) for loop in loops) == [24, 24, 36, 56]
    eyes = sorted(model.mean[loop].mean(0)[0] for loop in loops if len(loop) == 24)
    assert eyes[0] == pytest.approx(-eyes[1], abs=1e-6)
    assert set(model.landmarks68[60:68]) <= set(next(loop for loop in loops if len(loop) == 36).tolist())


def test_flip_is_an_involution_of_vertices_triangles_and_landmarks(model):
    flip = model.flip_index
    assert np.array_equal(flip[flip], np.arange(1220))
    assert np.abs(model.mean[flip] * MIRROR - model.mean).max() < 1e-7
    assert np.array_equal(
        np.flatnonzero(flip == np.arange(1220)), np.flatnonzero(np.abs(model.mean[:, 0]) < 1e-7)
    )
    triangles = {tuple(sorted(t)) for t in model.triangles.tolist()}
    assert {tuple(sorted(t)) for t in flip[model.triangles].tolist()} == triangles
    assert np.array_equal(flip[model.landmarks68], model.landmarks68[FLIP68])


def test_triangles_turn_the_same_way_and_face_outwards(model):
    a, b, c = (model.mean[model.triangles[:, k]].astype(float) for k in range(3))
    normal = np.cross(b - a, c - a)
    outwards = (a + b + c) / 3.0 - [0.0, 0.0, -0.03]
    assert ((normal * outwards).sum(1) > 0.0).mean() > 0.985  # nostrils and lips may look inwards
    directed = Counter((t[k], t[(k + 1) % 3]) for t in model.triangles.tolist() for k in range(3))
    assert set(directed.values()) == {1}


def test_mesh_is_denser_where_faces_vary(model):
    pairs = np.array(list(edges_of(model.triangles)))
    middle = model.mean[pairs].mean(1)
    length = np.linalg.norm(model.mean[pairs[:, 0]] - model.mean[pairs[:, 1]], axis=1)
    features = (np.abs(middle[:, 0]) < 0.045) & (middle[:, 1] > -0.055) & (middle[:, 1] < 0.035)
    rim = (middle[:, 1] > 0.06) | (np.abs(middle[:, 0]) > 0.06)
    assert np.median(length[features]) < 0.6 * np.median(length[rim])


@pytest.mark.parametrize("vertices", [901, 2000])
def test_other_vertex_counts_keep_the_topology(vertices):
    mesh = build_mesh(outline(), vertices)
    assert len(mesh.pq) == vertices
    assert len(mesh.triangles) == 2 * vertices + 4 - 140
    assert np.array_equal(mesh.flip_index[mesh.flip_index], np.arange(vertices))


def test_too_few_vertices_are_refused_with_a_number_that_works():
    with pytest.raises(ValueError, match=r"300 vertices is too coarse: it needs (\d+) or more") as error:
        build_mesh(outline(), 300)
    enough = int(str(error.value).split("needs ")[1].split()[0])
    assert len(build_mesh(outline(), enough).pq) == enough


def test_identity_spreads_two_to_five_millimetres_at_every_vertex(model):
    assert len(model.identity) >= 60
    deviation = spread(model.identity * 1e3)
    assert deviation.min() > 2.0
    assert deviation.max() < 5.0


def test_identity_has_symmetric_and_asymmetric_modes_without_rigid_motion(model):
    mirrored = model.identity[:, model.flip_index] * MIRROR
    size = np.abs(model.identity).max((1, 2))
    even = np.abs(mirrored - model.identity).max((1, 2)) < 2e-3 * size + 3e-7
    odd = np.abs(mirrored + model.identity).max((1, 2)) < 2e-3 * size + 3e-7
    assert even.sum() >= 40 and odd.sum() >= 10 and (even ^ odd).all()
    assert 0.3 < spread(model.identity[odd] * 1e3).mean() < 1.0
    assert np.abs(model.identity[even].mean(1)).max() < 4e-4  # metres of translation in a mode


def test_identity_modes_are_smooth(model):
    pairs = np.array(list(edges_of(model.triangles)))
    apart = np.linalg.norm(model.mean[pairs[:, 0]] - model.mean[pairs[:, 1]], axis=1)
    stretch = np.sqrt(((model.identity[:, pairs[:, 0]] - model.identity[:, pairs[:, 1]]) ** 2).sum((0, 2)))
    assert np.quantile(stretch / np.maximum(apart, 1e-3), 0.99) < 0.35


def test_the_33_actions_are_the_challenges(model):
    assert len(ACTIONS) == 33
    names = [action.name for action in ACTIONS]
    assert names[0] == "01_LeftToRight_Neutral" and names[15] == "16_LeftToRight_MouthStretch"
    assert names[16] == "17_UpToDown_JawOpen" and names[32] == "33_UpToDown_Talk"
    used = {name for weights in EXPRESSIONS.values() for name in weights}
    assert used <= set(model.expression_names)


def test_every_action_but_neutral_moves_the_face(model):
    rng = np.random.default_rng(0)
    for action in ACTIONS:
        weights = coefficients(action.weights(rng), model.expression_names)
        moved = np.linalg.norm(model.express(model.mean, weights) - model.mean, axis=1).max()
        assert moved == 0.0 if action.expression == "Neutral" else moved > 2e-3, action.name


def test_expressions_stay_where_they_belong(model):
    move = {
        n: np.linalg.norm(e, axis=1) * 1e3
        for n, e in zip(model.expression_names, model.expression, strict=True)
    }
    x, y = model.mean[:, 0] * 1e3, model.mean[:, 1] * 1e3
    assert move["jawOpen"][y > 0.0].max() < 0.6
    assert move["eyeBlink_L"][(y < 0.0) | (x < 10.0)].max() < 0.1
    assert move["browDown_R"][(y < 0.0) | (x > 40.0)].max() < 0.1
    assert move["mouthSmile_L"][y > 40.0].max() < 0.1


def test_sided_expressions_mirror_each_other(model):
    field = dict(zip(model.expression_names, model.expression, strict=True))
    pairs = [(n, n[:-2] + "_R") for n in field if n.endswith("_L")] + [("jawLeft", "jawRight")]
    assert len(pairs) > 14
    for left, right in pairs:
        assert np.abs(field[left][model.flip_index] * MIRROR - field[right]).max() < 1e-7, left


def test_jaw_opens_the_mouth_and_blink_closes_the_eye(model):
    field = dict(zip(model.expression_names, model.expression, strict=True))
    marks = model.landmarks68
    opened = model.mean + field["jawOpen"]
    assert (model.mean - opened)[marks[8], 1] > 0.015
    assert opened[marks[62], 1] - opened[marks[66], 1] > 0.012
    assert model.mean[marks[62], 1] - model.mean[marks[66], 1] < 0.0015
    closed = model.mean + field["eyeBlink_L"]
    for upper, lower in ((43, 47), (44, 46)):
        before = model.mean[marks[upper], 1] - model.mean[marks[lower], 1]
        assert closed[marks[upper], 1] - closed[marks[lower], 1] < 0.2 * before


def test_the_model_does_not_depend_on_how_many_threads_built_it(model):
    code = (
        "import hashlib; from proxy_tasks.jmlr.synthetic import default_model; m = default_model();"
        "print(hashlib.sha1(m.mean.tobytes() + m.identity.tobytes() + m.expression.tobytes()).hexdigest())"
    )
    threads = "2" if os.environ.get("OMP_NUM_THREADS") == "1" else "1"  # other than in this process
    environment = os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    ours = hashlib.sha1(model.mean.tobytes() + model.identity.tobytes() + model.expression.tobytes())
    assert shown.stdout.strip() == ours.hexdigest()
