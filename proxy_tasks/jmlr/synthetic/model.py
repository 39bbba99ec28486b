"""A face model: mean, identity modes, expression fields, topology. Ours, or any other from an npz file.

vertices = mean + sum a_i identity_i + sum w_j expression_j, with a_i ~ N(0, 1) and w_j in [0, 1]; metres.
docs/faces.md has the file's schema.
"""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proxy_tasks.jmlr.synthetic.anatomy import AXIS_Z, RADIUS, outline, surface
from proxy_tasks.jmlr.synthetic.expressions import expression_fields
from proxy_tasks.jmlr.synthetic.mesh import build_mesh
from proxy_tasks.jmlr.synthetic.modes import identity_modes
from proxy_tasks.jmlr.wcpa.sample import UNREADABLE

Float = NDArray[np.float32]
Index = NDArray[np.int64]

_REQUIRED = ("mean", "identity", "expression", "expression_names", "triangles", "landmarks68", "flip_index")


@dataclass(frozen=True, slots=True)
class FaceModel:
    """mean (V, 3), identity (K, V, 3), expression (E, V, 3) in metres; triangles (F, 3) counter-clockwise
    seen from the front; landmarks68 (68,); flip_index (V,); paint (V, 2) mm places the vertices on the
    unrolled face that textures are painted on, x to the subject's left, y up."""

    mean: Float
    identity: Float
    expression: Float
    expression_names: tuple[str, ...]
    triangles: Index
    landmarks68: Index
    flip_index: Index
    paint: Float

    def person(self, coefficients: NDArray[np.floating]) -> Float:
        """The face at rest (V, 3) of identity coefficients (K,)."""
        return np.asarray(self.mean + np.tensordot(coefficients.astype(np.float32), self.identity, 1))

    def express(self, person: Float, weights: NDArray[np.floating]) -> Float:
        """A person's face (V, 3) with expression weights (E,)."""
        active = np.flatnonzero(weights)
        return np.asarray(
            person + np.tensordot(weights[active].astype(np.float32), self.expression[active], 1)
        )

    def save(self, path: Path) -> None:
        """Writes the npz that load_model reads."""
        arrays = {name: getattr(self, name) for name in (*_REQUIRED, "paint") if name != "expression_names"}
        np.savez_compressed(path, expression_names=np.array(self.expression_names), **arrays)


@functools.lru_cache(maxsize=2)
def default_model(vertices: int = 1220) -> FaceModel:
    """The procedural head; about a second."""
    mesh = build_mesh(outline(), vertices)
    points = surface(mesh.pq[:, 0], mesh.pq[:, 1])
    points = 0.5 * (points + points[mesh.flip_index] * [-1.0, 1.0, 1.0])
    x, y = np.abs(points[:, 0]), points[:, 1]
    detail = np.exp(-((x / 26.0) ** 2) - ((y + 10.0) / 18.0) ** 2) + np.exp(
        -((x / 32.0) ** 2) - ((y + 44.0) / 20.0) ** 2
    )
    detail += np.exp(-(((x - 32.0) / 22.0) ** 2) - ((y - 28.0) / 16.0) ** 2)
    identity = identity_modes(points, mesh.flip_index, np.minimum(detail, 1.0))
    names, fields = expression_fields(points, mesh.pq, mesh.flip_index)
    return FaceModel(
        mean=_settled(points * 1e-3),
        identity=_settled(identity * 1e-3),
        expression=_settled(fields * 1e-3),
        expression_names=names,
        triangles=mesh.triangles,
        landmarks68=mesh.landmarks68,
        flip_index=mesh.flip_index,
        paint=mesh.pq.astype(np.float32),
    )


def _settled(metres: NDArray[np.float64]) -> Float:
    """Rounded to 0.1 micrometres, without negative zeros: the last bits depend on BLAS and its threads."""
    return (np.round(metres, 7) + 0.0).astype(np.float32)


def load_model(path: Path) -> FaceModel:
    """Reads any morphable model in docs/faces.md's schema; ValueError in one sentence when it is not one."""
    try:
        stored = io.BytesIO(path.read_bytes())  # np.load leaves a broken file open
        with np.load(stored, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (*UNREADABLE, AttributeError, TypeError) as error:  # the last two for a lone array
        raise ValueError(
            f"cannot read the face model {path}: {error}; it should be an npz file without pickles."
        ) from error
    missing = [name for name in _REQUIRED if name not in arrays]
    if missing:
        raise ValueError(
            f"the face model {path} lacks {', '.join(missing)}: docs/faces.md lists what an npz needs."
        )
    vertices = len(arrays["mean"])
    expected = {
        "mean": (vertices, 3),
        "identity": (len(arrays["identity"]), vertices, 3),
        "expression": (len(arrays["expression_names"]), vertices, 3),
        "triangles": (len(arrays["triangles"]), 3),
        "landmarks68": (68,),
        "flip_index": (vertices,),
    }
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            raise ValueError(
                f"the face model {path} has {name} of shape {arrays[name].shape}, where {shape} is needed."
            )
        if arrays[name].dtype.kind == "f" and not np.isfinite(arrays[name]).all():
            raise ValueError(f"the face model {path} has values in {name} that are not finite.")
    for name in ("triangles", "landmarks68", "flip_index"):
        if arrays[name].dtype.kind not in "iu":
            raise ValueError(f"the face model {path} has {name} of {arrays[name].dtype}, not of integers.")
        if not arrays[name].size:
            raise ValueError(f"the face model {path} has no {name}.")
        if arrays[name].min() < 0 or arrays[name].max() >= vertices:
            raise ValueError(f"the face model {path} has indices in {name} outside its {vertices} vertices.")
    flip = arrays["flip_index"]
    if not np.array_equal(flip[flip], np.arange(vertices)):
        raise ValueError(f"the face model {path} has a flip_index that is not its own inverse.")
    mean = arrays["mean"].astype(np.float32)
    if not 0.1 < float(np.ptp(mean[:, 1])) < 0.4:
        raise ValueError(
            f"the face model {path} is {np.ptp(mean[:, 1]):.3g} high, where a face in metres is 0.1 to 0.4."
        )
    return FaceModel(
        mean=mean,
        identity=arrays["identity"].astype(np.float32),
        expression=arrays["expression"].astype(np.float32),
        expression_names=tuple(str(name) for name in arrays["expression_names"]),
        triangles=arrays["triangles"].astype(np.int64),
        landmarks68=arrays["landmarks68"].astype(np.int64),
        flip_index=flip.astype(np.int64),
        paint=arrays["paint"].astype(np.float32) if "paint" in arrays else _unrolled(mean),
    )


def _unrolled(mean: Float) -> Float:
    """Cylinder coordinates (V, 2) mm of a mean face whose axis stands where the default model's does."""
    depth = float(mean[:, 2].max() - mean[:, 2].min()) / 0.095
    axis = mean[:, 2].max() - (0.0725 - AXIS_Z * 1e-3) * depth
    return np.stack([RADIUS * np.arctan2(mean[:, 0], mean[:, 2] - axis), mean[:, 1] * 1e3], axis=1).astype(
        np.float32
    )
