"""Predicted meshes drawn over their images: a look tells what a number does not."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from nas.files import scratch_folder
from proxy_tasks.jmlr.camera import apply_affine, invert_affine, project, to_camera
from proxy_tasks.jmlr.crops.cache import CropCache
from proxy_tasks.jmlr.wcpa.dataset import Row, WcpaDataset
from space.outputs import OwnFolder

COMMAND = "nas.predict"
LINE = (255, 200, 60)  # BGR
SHIFT = 4  # fixed-point bits of the drawn coordinates
OPACITY = 0.7
SIDE = 640  # pixels of a picture


class Overlay:
    """Context that collects pictures and moves them to `folder` at the end, or drops them on an exception."""

    def __init__(self, folder: Path, dataset: WcpaDataset):
        self.folder, self.dataset = folder, dataset
        self._scratch: Path | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Overlay:
        return self

    def draw(self, cache: CropCache, row: int, verts: np.ndarray, R: np.ndarray, T: np.ndarray) -> None:
        """One picture of the face: the visible edges of verts (V, 3) under the pose R (3, 3), T (3,)."""
        name = Row(str(cache.subjects[row]), str(cache.actions[row]), str(cache.img_ids[row]))
        image = cv2.imread(str(self.dataset.image_path(name)))
        if image is None:
            raise RuntimeError(f"{self.dataset.image_path(name)} can no longer be read")
        points = project(verts, R, T, self.dataset.projection, image.shape[1::-1])
        visible = facing_camera(to_camera(verts, R, T), cache.topology.triangles)
        view = close_up(cache.crop[row], cache.resolution)
        image = cv2.warpAffine(image, view, (SIDE, SIDE), flags=cv2.INTER_LINEAR)
        drawn = draw_mesh(image, apply_affine(points, view), cache.topology.triangles[visible])
        if self._scratch is None:
            self._scratch = self._stack.enter_context(scratch_folder(self.folder.parent, self.folder.name))
        cv2.imwrite(str(self._scratch / f"{'_'.join(name)}.png"), drawn)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            if kind is None and self._scratch is not None:
                OwnFolder.claim(self.folder, COMMAND).publish(self._scratch)


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
