import numpy as np
import pytest
import torch

from proxy_tasks.jmlr import heads
from proxy_tasks.jmlr.losses import Edges, Weights, edge_loss, jmlr_loss, l1

TRIANGLES = np.array([[0, 1, 2], [0, 2, 3], [3, 2, 4]])


def batch(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)


def test_l1_is_the_mean_over_vertices_of_the_l1_norm():
    a, b = batch(0, 2, 5, 3), batch(1, 2, 5, 3)
    loop = np.mean(
        [
            sum(abs(x - y) for x, y in zip(p, q, strict=True))
            for p, q in zip(a.reshape(-1, 3), b.reshape(-1, 3), strict=True)
        ]
    )
    assert float(l1(a, b)) == pytest.approx(float(loop), rel=1e-6)


def test_edge_loss_equals_a_loop_over_the_three_edges_of_every_triangle():
    a, b = batch(2, 2, 5, 3), batch(3, 2, 5, 3)
    terms = []
    for x, y in zip(a.numpy(), b.numpy(), strict=True):
        for t in TRIANGLES:
            for i, j in ((0, 1), (1, 2), (2, 0)):
                lx, ly = np.linalg.norm(x[t[i]] - x[t[j]]), np.linalg.norm(y[t[i]] - y[t[j]])
                terms.append(abs(lx - ly))
    assert float(edge_loss(a, b, Edges(TRIANGLES))) == pytest.approx(float(np.mean(terms)), rel=1e-5)


@pytest.mark.parametrize("term", ["vert", "edge", "land"])
def test_each_weight_changes_the_update(term):
    def gradient(weights: Weights) -> torch.Tensor:
        outputs = batch(4, 2, 25).requires_grad_()
        verts, points = heads.split(outputs)
        jmlr_loss(verts, points, batch(5, 2, 5, 3), batch(6, 2, 5, 2), Edges(TRIANGLES), weights).backward()
        assert outputs.grad is not None
        return outputs.grad

    default = gradient(Weights())
    changed = gradient(Weights(**{term: 2 * getattr(Weights(), term)}))
    verts, points = slice(0, 15), slice(15, 25)
    touched, other = (points, verts) if term == "land" else (verts, points)
    assert not torch.allclose(default[:, touched], changed[:, touched])
    assert torch.equal(default[:, other], changed[:, other])


def test_an_edge_of_length_zero_has_a_finite_gradient():
    verts = torch.zeros(1, 5, 3, requires_grad=True)
    edge_loss(verts, batch(7, 1, 5, 3), Edges(TRIANGLES)).backward()
    assert verts.grad is not None and torch.isfinite(verts.grad).all()


def test_decode_undoes_encode():
    verts, points = batch(8, 3, 7, 3) * 0.1, batch(9, 3, 7, 2) * 20 + 32
    back_verts, back_points = heads.decode(heads.encode(verts, points, 64), 64)
    torch.testing.assert_close(back_verts, verts)
    torch.testing.assert_close(back_points, points, atol=1e-4, rtol=0)


def test_full_image_points_undo_the_crop():
    crop = torch.tensor([[[0.3, -0.1, 5.0], [0.1, 0.3, -7.0]]])
    points = batch(10, 1, 6, 2) * 100
    torch.testing.assert_close(
        heads.to_full_image(heads.to_crop(points, crop), crop), points, atol=1e-3, rtol=0
    )


def test_unflip_twice_is_the_identity():
    flip = torch.tensor([1, 0, 2, 4, 3])
    verts, points = batch(11, 2, 5, 3), batch(12, 2, 5, 2)
    back = heads.unflip(*heads.unflip(verts, points, flip, 64), flip, 64)
    torch.testing.assert_close(back[0], verts)
    torch.testing.assert_close(back[1], points, atol=1e-5, rtol=0)
