"""The training loss of JMLR: vertices, edges, landmarks (paper, eqs. 1-4).

On normalised targets (proxy_tasks.jmlr.heads):
    L = L_vert + 0.25 L_edge + 2 L_land
L_vert and L_land are means over vertices of the L1 norm; L_edge is the mean
absolute difference of the 3 M edge lengths of the M triangles. An edge that two
triangles share counts twice there, so it is computed once and weighted.
tests/test_jmlr_losses.py checks each term against a plain loop, and that each
reaches the gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

EPSILON = 1e-12  # under the root, so that an edge of length 0 has a gradient


@dataclass(frozen=True, slots=True)
class Weights:
    """Factors of the three terms; the paper's values."""

    vert: float = 1.0
    edge: float = 0.25
    land: float = 2.0


class Edges:
    """The distinct edges of a mesh, with how many triangles hold each."""

    def __init__(self, triangles: np.ndarray, device: torch.device | str = "cpu"):
        """triangles (M, 3) vertex indices."""
        pairs = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        ends, counts = np.unique(pairs, axis=0, return_counts=True)
        self.start = torch.as_tensor(ends[:, 0].astype(np.int64), device=device)
        self.stop = torch.as_tensor(ends[:, 1].astype(np.int64), device=device)
        self.share = torch.as_tensor(counts / counts.sum(), dtype=torch.float32, device=device)

    def lengths(self, verts: Tensor) -> Tensor:
        """(B, V, 3) -> (E, B)."""
        rows = verts.transpose(0, 1)
        difference = rows.index_select(0, self.start) - rows.index_select(0, self.stop)
        return (difference.square().sum(-1) + EPSILON).sqrt()


def jmlr_loss(
    verts: Tensor,
    points: Tensor,
    verts_true: Tensor,
    points_true: Tensor,
    edges: Edges,
    weights: Weights = Weights(),
) -> Tensor:
    """Scalar loss of a batch: verts (B, V, 3), points (B, V, 2), all normalised."""
    loss = weights.vert * l1(verts, verts_true) + weights.land * l1(points, points_true)
    if weights.edge:
        loss = loss + weights.edge * edge_loss(verts, verts_true, edges)
    return loss


def l1(predicted: Tensor, true: Tensor) -> Tensor:
    """Mean over images and vertices of the L1 norm: eqs. 1 and 3."""
    return (predicted - true).abs().mean() * predicted.shape[-1]


def edge_loss(verts: Tensor, verts_true: Tensor, edges: Edges) -> Tensor:
    """Mean absolute difference of the triangles' edge lengths: eq. 2."""
    difference = edges.lengths(verts) - edges.lengths(verts_true)
    return (difference.abs() * edges.share[:, None]).sum(0).mean()
