"""The challenge's score: L_error (Guo et al. 2022, eqs. 6-7), per image, in millimetres.

V1 = Vgt Rgt + Tgt, V2 = Vpred Rpred + Tpred, V3 = Vgt Rpred + Tpred, V4 = Vpred Rgt + Tgt;
L_error = |V1 - V2| + |V1 - V3| + 10 |V1 - V4|, each norm the mean over vertices of the Euclidean distance.

The score is finite whatever was predicted: a shape with a non-finite coordinate counts as all its vertices at
the origin, and a pose that cannot be found is pnp's failed pose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from proxy_tasks.jmlr.pnp.pieces import map_pieces
from proxy_tasks.jmlr.pnp.solve import checked_cameras, solve_piece

LARGEST = 1e100  # metres; a shape beyond it counts as non-finite, so that squares stay finite

BLOCK = 32  # faces whose vertices stay in a core's cache while they are scored


def l_error(
    verts: Tensor, R: Tensor, T: Tensor, verts_gt: Tensor, R_gt: Tensor, T_gt: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """L_error and its three parts.

    verts, verts_gt (B, V, 3) metres;  R, R_gt (B, 3, 3);  T, T_gt (B, 3) metres, V_cam = V R + T
    returns total, |V1 - V2|, |V1 - V3|, 10 |V1 - V4|, each (B,) millimetres, float64
    """
    R, T, R_gt, T_gt = (a.double() for a in (R, T, R_gt, T_gt))
    predicted, true = _columns(verts), _columns(verts_gt)
    sane = predicted.flatten(1).abs().amax(1) < LARGEST
    off = true - torch.where(sane[:, None, None], predicted, 0.0)
    v1_v3 = torch.baddbmm((T_gt - T).unsqueeze(2), (R_gt - R).transpose(1, 2), true)
    v1_v2 = torch.baddbmm(v1_v3, R.transpose(1, 2), off)
    v1_v4 = R_gt.transpose(1, 2) @ off
    pose, motion, shape = _norm_mm(v1_v2), _norm_mm(v1_v3), 10 * _norm_mm(v1_v4)
    return pose + motion + shape, pose, motion, shape


def _columns(verts: Tensor) -> Tensor:
    """(B, V, 3) -> (B, 3, V), float64."""
    return verts.transpose(1, 2).to(torch.float64, memory_format=torch.contiguous_format)


def _norm_mm(difference: Tensor) -> Tensor:
    """Mean length of the columns of (B, 3, V), from metres to millimetres: (B,)."""
    x, y, z = difference.unbind(1)
    return 1000 * (x * x).addcmul_(y, y).addcmul_(z, z).sqrt_().mean(1)


@dataclass(frozen=True, slots=True)
class Scores:
    """Per-image results of an evaluation, millimetres, float64 arrays (N,); failed (N,) bool."""

    l_error_mm: np.ndarray
    v1_v2_mm: np.ndarray
    v1_v3_mm: np.ndarray
    v1_v4_x10_mm: np.ndarray
    rms_px: np.ndarray
    failed: np.ndarray

    @classmethod
    def concatenate(cls, parts: list[Scores]) -> Scores:
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in cls.__slots__))

    def summary(self) -> dict[str, float]:
        """Means over images, the median of L_error, and the share of images whose pose failed."""
        return {
            "l_error_mm": float(self.l_error_mm.mean()),
            "v1_v2_mm": float(self.v1_v2_mm.mean()),
            "v1_v3_mm": float(self.v1_v3_mm.mean()),
            "v1_v4_x10_mm": float(self.v1_v4_x10_mm.mean()),
            "median_mm": float(np.median(self.l_error_mm)),
            "failed_share": float(self.failed.mean()),
        }


def score_images(
    verts: Tensor, points: Tensor, K: Tensor, verts_gt: Tensor, R_gt: Tensor, T_gt: Tensor
) -> Scores:
    """Pose every prediction by PnP and score it.

    verts (B, V, 3) metres, points (B, V, 2) full-image pixels, K (B, 3, 3);  ground truth as in `l_error`
    """
    K = checked_cameras(verts, points, K)
    return Scores.concatenate(map_pieces(_score_piece, verts, points, K, verts_gt, R_gt, T_gt))


@torch.no_grad()
def _score_piece(
    verts: Tensor, points: Tensor, K: Tensor, verts_gt: Tensor, R_gt: Tensor, T_gt: Tensor
) -> Scores:
    pose = solve_piece(verts, points, K)
    size = BLOCK if verts.device.type == "cpu" else len(verts)
    blocks = zip(*(a.split(size) for a in (verts, pose.R, pose.T, verts_gt, R_gt, T_gt)), strict=True)
    parts = [torch.cat(part) for part in zip(*(l_error(*block) for block in blocks), strict=True)]
    return Scores(*(a.cpu().numpy() for a in (*parts, pose.rms_px, ~pose.ok)))


def score(
    verts: Tensor, points: Tensor, K: Tensor, verts_gt: Tensor, R_gt: Tensor, T_gt: Tensor
) -> dict[str, float]:
    """The summary of `score_images`: l_error_mm, its parts, median_mm, failed_share."""
    return score_images(verts, points, K, verts_gt, R_gt, T_gt).summary()
