"""A WCPA-layout data set with a mesh of 255 vertices, written in half a second.

A bent sheet with a nose stands for the face. Labels, camera and landmark files follow the layout
exactly; the drawing is crude. Its small and different mesh keeps code honest about topology.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

COLUMNS, ROWS = 15, 17
FOCAL = 1.57443701
_U, _V = (g.reshape(-1) for g in np.meshgrid(np.linspace(-1, 1, COLUMNS), np.linspace(1, -1, ROWS)))
FLIP = np.arange(COLUMNS * ROWS).reshape(ROWS, COLUMNS)[:, ::-1].reshape(-1)


def template() -> np.ndarray:
    """(255, 3) metres, exactly symmetric."""
    depth = 0.06 * np.sqrt(1.0 - 0.6 * _U**2 - 0.35 * _V**2)
    nose = 0.02 * np.exp(-((_U / 0.15) ** 2) - ((_V + 0.05) / 0.2) ** 2)
    verts = np.stack([0.07 * _U, 0.09 * _V, depth + nose], axis=1)
    verts[FLIP] = verts * [-1, 1, 1]  # rounding may differ by a bit between the halves
    return np.round(verts, 6)


def triangles() -> np.ndarray:
    """(448, 3); left and right cut their quads along mirrored diagonals, except in the top row."""
    grid = np.arange(COLUMNS * ROWS).reshape(ROWS, COLUMNS)
    faces = []
    for r in range(ROWS - 1):
        for c in range(COLUMNS - 1):
            a, b, d, e = grid[r, c], grid[r, c + 1], grid[r + 1, c], grid[r + 1, c + 1]
            mirrored = c >= COLUMNS // 2 and r > 0
            faces += [(a, d, e), (a, e, b)] if mirrored else [(a, d, b), (b, d, e)]
    return np.array(faces)


def landmarks68() -> np.ndarray:
    """(68,) the vertices nearest to where the 68 points of a face are, image left first."""

    def arc(x0, x1, y, n, bend=0.0):
        x = np.linspace(x0, x1, n)
        return np.stack([x, y + bend * (1 - np.linspace(-1, 1, n) ** 2)], 1)

    def eye(x):
        return np.array([[x - 0.2, 0.3], [x, 0.4], [x, 0.4], [x + 0.2, 0.3], [x, 0.2], [x, 0.2]])

    points = [arc(-0.95, 0.95, 0.2, 17, -1.1), arc(-0.7, -0.2, 0.55, 5), arc(0.2, 0.7, 0.55, 5)]
    points += [np.stack([np.zeros(4), np.linspace(0.3, -0.05, 4)], 1), arc(-0.2, 0.2, -0.2, 5)]
    points += [eye(-0.45), eye(0.45), arc(-0.4, 0.4, -0.5, 12, 0.1), arc(-0.3, 0.3, -0.5, 8)]
    wanted = np.concatenate(points)
    return ((wanted[:, None] - np.stack([_U, _V], 1)) ** 2).sum(-1).argmin(1)


@dataclass(frozen=True)
class Look:
    """A person: shape (255, 3) metres and skin colour, BGR."""

    shape: np.ndarray
    skin: np.ndarray


def _person(rng: np.random.Generator) -> Look:
    a = rng.normal(0, 0.06, 4)
    shape = template() * (1 + a[:3])
    shape[:, 0] += 0.05 * a[3] * _V * (1 - _U**2) * 0.1
    return Look(shape, rng.uniform([60, 80, 120], [140, 170, 230]))


def _pose(rng: np.random.Generator) -> np.ndarray:
    pitch, yaw, roll = rng.normal(0, [0.15, 0.2, 0.06])
    columns = (
        cv2.Rodrigues(np.array([0, 0, roll]))[0]
        @ cv2.Rodrigues(np.array([pitch, 0, 0]))[0]
        @ cv2.Rodrigues(np.array([0, yaw, 0]))[0]
    )
    pose = np.eye(4)
    pose[:3, :3] = columns.T
    pose[3, :3] = rng.normal([0, 0, -0.5], [0.02, 0.02, 0.03])
    return pose


def _draw(
    points: np.ndarray, camera: np.ndarray, look: Look, size: int, rng: np.random.Generator
) -> np.ndarray:
    image = cv2.resize(rng.integers(40, 120, (6, 6, 3), dtype=np.uint8), (size, size))
    faces = triangles()
    corners = camera[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    shade = np.abs(normals[:, 2]) / np.linalg.norm(normals, axis=1)
    for face in np.argsort(corners[:, :, 2].mean(1)):
        colour = (look.skin * (0.35 + 0.65 * shade[face])).tolist()
        cv2.fillConvexPoly(image, np.round(points[faces[face]]).astype(np.int32), colour)
    for index in landmarks68()[36:]:
        cv2.circle(image, np.round(points[index]).astype(int).tolist(), 1, (30, 30, 60), -1)
    return image


def write(
    out: Path,
    *,
    subjects: int = 5,
    test_subjects: int = 2,
    actions: int = 2,
    frames: int = 3,
    size: int = 256,
    seed: int = 0,
    flip_file: bool = False,
) -> Path:
    """Write the data set; subjects "0101", "0102", ... are trained on, the last test_subjects withheld."""
    rng = np.random.default_rng(seed)
    _write_resources(out / "resources", flip_file)
    projection = np.loadtxt(out / "resources" / "projection_matrix.txt")
    lists: dict[str, list[str]] = {"train": [], "test": []}
    names: dict[str, list[str]] = {"train": [], "test": []}
    for s in range(subjects + test_subjects):
        split, subject, look = "train" if s < subjects else "test", f"{s + 101:04d}", _person(rng)
        names[split].append(subject)
        for a in range(actions):
            action = f"{a + 1:02d}_LeftToRight_Action{a}"
            for f in range(frames):
                pose, verts = _pose(rng), look.shape.copy()
                verts[:, 1] -= 0.01 * a * rng.random() * (_V < -0.4)
                camera = verts @ pose[:3, :3] + pose[3, :3]
                clip = np.c_[camera, np.ones(len(camera))] @ projection
                points = (clip[:, :2] / clip[:, 3:] + 1) * size / 2
                points[:, 1] = size - points[:, 1]
                image = _draw(points, camera, look, size, rng)
                landmarks = points[landmarks68()] + rng.normal(0, 0.3, (68, 2))
                stem = f"{subject}/{action}/{f + 7:06d}"
                _write_sample(out, stem, split, image, verts, pose, landmarks)
                lists[split].append(stem.replace("/", ","))
    (out / "list").mkdir()
    for split in lists:
        text = "\n".join(["subject_id,facial_action,img_id", *lists[split], ""])
        (out / "list" / f"WCPA_track2_{split}.csv").write_text(text)
        ids = "\n".join([*names[split], ""])
        (out / "list" / f"WCPA_track2_{split}_subject_id_list.txt").write_text(ids)
    return out


def _write_resources(folder: Path, flip_file: bool) -> None:
    folder.mkdir(parents=True)
    matrix = [[FOCAL, 0, 0, 0], [0, FOCAL, 0, 0], [0, 0, -0.99999976, -1], [0, 0, -0.001, 0]]
    np.savetxt(folder / "projection_matrix.txt", matrix, fmt="%.8f")
    np.save(folder / "kpt_ind.npy", landmarks68())
    if flip_file:
        np.save(folder / "flip_index.npy", FLIP)
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in template()]
    lines += [f"f {a} {b} {c}" for a, b, c in triangles() + 1]
    (folder / "example.obj").write_text("\n".join(lines) + "\n")


def _write_sample(
    out: Path,
    stem: str,
    split: str,
    image: np.ndarray,
    verts: np.ndarray,
    pose: np.ndarray,
    landmarks: np.ndarray,
) -> None:
    for part in ("image", "68landmarks", "info"):
        if part != "info" or split == "train":
            (out / part / stem).parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(out / "image" / f"{stem}_ar.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 92])
    np.savetxt(out / "68landmarks" / f"{stem}_68landmarks.txt", landmarks, fmt="%.4f")
    if split == "train":
        info = out / "info" / f"{stem}_info.npz"
        np.savez(info, verts=verts.astype(np.float32), R_t=pose.astype(np.float32))
