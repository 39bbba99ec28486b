"""Predicted meshes drawn over their images: a look tells what a number does not."""

from __future__ import annotations

import cv2
import numpy as np

from proxy_tasks.jmlr.camera import apply_affine, invert_affine, project, to_camera

LINE = (255, 200, 60)  # BGR
SHIFT = 4  # fixed-point bits of the drawn coordinates
OPACITY = 0.7
SIDE = 640  # pixels of a picture


def over_image(
    image: np.ndarray,
    crop: np.ndarray,
    resolution: int,
    projection: np.ndarray,
    triangles: np.ndarray,
    verts: np.ndarray,
    R: np.ndarray,
    T: np.ndarray,
) -> np.ndarray:
    """(SIDE, SIDE, 3) of the face: the visible edges of verts (V, 3) under the pose R (3, 3), T (3,).

    image (H, W, 3) BGR;  crop (2, 3), full-image px to the crop of `resolution` px;  projection (4, 4)
    """
    points = project(verts, R, T, projection, image.shape[1::-1])
    visible = facing_camera(to_camera(verts, R, T), triangles)
    view = close_up(crop, resolution)
    image = cv2.warpAffine(image, view, (SIDE, SIDE), flags=cv2.INTER_LINEAR)
    return draw_mesh(image, apply_affine(points, view), triangles[visible])


def close_up(crop: np.ndarray, resolution: int) -> np.ndarray:
    """(2, 3) full-image pixels to SIDE x SIDE: the upright square around what the network saw.

    crop (2, 3) takes full-image pixels to the crop of `resolution` pixels. So the face is in the picture
    wherever the prediction is.
    """
    frame = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * (resolution - 1.0)
    corners = apply_affine(frame, invert_affine(crop))
    low, high = corners.min(axis=0), corners.max(axis=0)
    scale = (SIDE - 1) / (high - low).max()
    return np.array([[scale, 0, -scale * low[0]], [0, scale, -scale * low[1]]])


def facing_camera(camera: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(F,) bool: triangles of camera-frame vertices (V, 3) whose outer side is seen.

    The mesh's winding is that of most triangles that face the camera head-on, so it need not be known.
    """
    corners = camera[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    towards = -(normals * corners.mean(axis=1)).sum(axis=1)
    return towards > 0 if towards.sum() > 0 else towards < 0


def draw_mesh(image: np.ndarray, points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """The image with the triangles' edges over it; points (V, 2) pixels, at pixel centres."""
    limit = 4 * max(image.shape)
    fixed = np.round(np.clip(points, -limit, limit) * 2**SHIFT).astype(np.int32)
    lines = image.copy()
    cv2.polylines(lines, list(fixed[triangles]), True, LINE, 1, cv2.LINE_AA, SHIFT)
    return cv2.addWeighted(lines, OPACITY, image, 1 - OPACITY, 0)
