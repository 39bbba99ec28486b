"""Meshes and their left-right permutations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import wcpa_writer
from wcpa_writer import FLIP

from proxy_tasks.jmlr.wcpa import topology
from proxy_tasks.jmlr.wcpa.topology import Topology


def test_the_permutation_of_a_symmetric_mesh_is_found():
    found = topology.derive_flip(wcpa_writer.template(), wcpa_writer.triangles())
    np.testing.assert_array_equal(found, FLIP)


@pytest.mark.parametrize("seed", range(3))
def test_the_permutation_of_a_crooked_shifted_face_is_found(seed):
    # As far off as a scanned face: smooth asymmetry of 3 mm, 0.3 mm of noise, 5 mm off the mid-plane.
    rng = np.random.default_rng(seed)
    template = wcpa_writer.template()
    bend = rng.normal(0, 1, (3, 3))
    template = template + 0.003 * np.sin(template @ (bend * 30)) + rng.normal(0, 0.0003, template.shape)
    template[:, 0] += 0.005
    np.testing.assert_array_equal(topology.derive_flip(template, wcpa_writer.triangles()), FLIP)


def test_numbering_of_the_vertices_does_not_matter():
    order = np.random.default_rng(0).permutation(len(FLIP))
    place = np.argsort(order)
    found = topology.derive_flip(wcpa_writer.template()[order], place[wcpa_writer.triangles()])
    np.testing.assert_array_equal(found, place[FLIP[order]])


def test_a_mesh_without_two_halves_is_refused():
    template = np.abs(np.random.default_rng(0).normal(0, 0.1, (255, 3)))
    with pytest.raises(ValueError, match=r"flip_index\.npy"):
        topology.derive_flip(template, wcpa_writer.triangles())


def test_resources_may_bring_their_own_permutation(tmp_path: Path):
    wcpa_writer.write(
        tmp_path / "a", subjects=2, test_subjects=1, actions=1, frames=1, size=32, flip_file=True
    )
    folder = tmp_path / "a" / "resources"
    np.testing.assert_array_equal(Topology.load(folder).flip_index, FLIP)
    np.save(folder / "flip_index.npy", np.roll(FLIP, 1))
    with pytest.raises(ValueError, match=r"not an involution at \d+ of 255 vertices"):
        Topology.load(folder)
    np.save(folder / "flip_index.npy", FLIP[:9])
    with pytest.raises(ValueError, match=r"shape \(9,\)"):
        Topology.load(folder)


def test_id_follows_the_indices_and_not_the_template_shape():
    def build(template: np.ndarray, landmarks: np.ndarray) -> Topology:
        return Topology(wcpa_writer.triangles(), landmarks, FLIP, template)

    template, landmarks = wcpa_writer.template().astype(np.float32), wcpa_writer.landmarks68()
    one = build(template, landmarks)
    assert one.id == build(template * 2, landmarks).id
    assert one.id != build(template, np.roll(landmarks, 1)).id
    assert one.vertex_count == 255


def test_indices_outside_the_mesh_are_refused():
    template, landmarks = wcpa_writer.template().astype(np.float32), wcpa_writer.landmarks68()
    with pytest.raises(ValueError, match=r"landmarks68 index vertices outside 0\.\.254"):
        Topology(wcpa_writer.triangles(), landmarks + 200, FLIP, template)
    with pytest.raises(ValueError, match="68 vertices"):
        Topology(wcpa_writer.triangles(), landmarks[:5], FLIP, template)


def test_wavefront_polygons_negative_indices_and_texture_references_are_read(tmp_path: Path):
    path = tmp_path / "a.obj"
    path.write_text("# x\nv 0 0 0\nv 1 0 0 0.5\nv 1 1 0\nv 0 1 0\nvt 0 0\nf 1/1/1 2/1 3//1 4\nf -4 -3 -2\n")
    verts, faces = topology.read_obj(path)
    assert verts.shape == (4, 3)
    np.testing.assert_array_equal(faces, [[0, 1, 2], [0, 2, 3], [0, 1, 2]])


@pytest.mark.parametrize(
    "text",
    ["v 0 0\nf 1 1 1\n", "v 0 0 zero\n", "", "v 0 0 0\nf a b c\n", "v 0 0 0\nv 1 nan 0\nv 0 1 0\nf 1 2 3\n"],
)
def test_a_mesh_file_that_makes_no_sense_is_named(tmp_path: Path, text: str):
    path = tmp_path / "bad.obj"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"bad\.obj"):
        topology.read_obj(path)


def test_mirroring_twice_changes_nothing_in_either_library():
    import torch

    rng = np.random.default_rng(1)
    verts, points = rng.normal(size=(2, 255, 3)), rng.normal(size=(2, 255, 2))
    for as_type, index in ((np.asarray, FLIP), (torch.as_tensor, torch.as_tensor(FLIP))):
        v, p = as_type(verts), as_type(points)
        once = topology.mirror_verts(v, index), topology.mirror_points(p, index, 64)
        assert once[0][1, 3, 0] == -verts[1, FLIP[3], 0] and once[1][0, 3, 0] == 63 - points[0, FLIP[3], 0]
        np.testing.assert_allclose(topology.mirror_verts(once[0], index), verts)
        np.testing.assert_allclose(topology.mirror_points(once[1], index, 64), points)
