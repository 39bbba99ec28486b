"""solve_pnp against scipy's least_squares, face by face: what the tests assert and docs/pose.md tabulates.

Every face is descended by scipy from three starts: the pose that its points were made with, OpenCV's answer
and ours. The reference is the lowest end of the first two that has every vertex in front of the camera.

A face is well-posed where such a reference exists, where the Jacobian there, with columns of unit length, has
a condition number below CONDITION, and where no other end of a descent ties with it: two minima of equal
error have no one answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from pose_faces import (
    REGIMES,
    Array,
    Faces,
    K,
    cost,
    degrees_apart,
    draw,
    opencv_pose,
    reprojection_condition,
    scipy_pose,
)

from proxy_tasks.jmlr.pnp import solve_pnp

DEGREES, METRES = 1e-4, 1e-6  # two poses are equal within these
CONDITION = 1e4
TIE = 1e-9  # of an error: two ends this close in error and further apart than equal are a tie


@dataclass(frozen=True, slots=True)
class Comparison:
    """Per face (B,): posed is well-posed; degrees, metres from the reference; error (px^2), ours and the
    reference's; ours_lower: ours is a lower minimum elsewhere; still: how far scipy leads away from ours."""

    no_reference: Array
    tied: Array
    ill_conditioned: Array
    degrees: Array
    metres: Array
    ours: Array
    reference: Array
    still_degrees: Array
    still_metres: Array

    @property
    def posed(self) -> Array:
        return ~(self.no_reference | self.tied | self.ill_conditioned)

    @property
    def equal(self) -> Array:
        return (self.degrees <= DEGREES) & (self.metres <= METRES)

    @property
    def ours_lower(self) -> Array:
        return ~self.equal & (self.ours < self.reference * (1 - TIE))


def compare(regime: str, count: int, seed: int) -> Comparison:
    """Draws `count` faces of a regime and compares."""
    settings = dict(REGIMES[regime])
    depth = settings.pop("depth", 1.0)  # of the vertices handed to the solvers, parts of the true one
    face = draw(count, seed=seed, **settings)
    face = face._replace(verts=face.verts * (1.0, 1.0, depth))
    R, T = (a.numpy() for a in solve_pnp(*(torch.from_numpy(a) for a in (face.verts, face.points, K))))
    ends = [_descended(face, *start) for start in ((face.R, face.T), opencv_pose(face.verts, face.points))]
    errors = np.stack([_error(face, *end) for end in ends])
    best = errors.argmin(0)
    pick = np.arange(count)
    best_R, best_T = (np.stack([end[k] for end in ends])[best, pick] for k in (0, 1))
    other_R, other_T = (np.stack([end[k] for end in ends])[1 - best, pick] for k in (0, 1))
    error, other = errors.min(0), errors.max(0)
    apart = (degrees_apart(best_R, other_R) > DEGREES) | (abs(best_T - other_T).max(1) > METRES)
    still_R, still_T = _descended(face, R, T)
    return Comparison(
        no_reference=~np.isfinite(error),
        tied=np.isfinite(other) & apart & (other <= error * (1 + TIE)),
        ill_conditioned=np.array(
            [
                reprojection_condition(*one) > CONDITION
                for one in zip(face.verts, face.points, best_R, best_T, strict=True)
            ]
        ),
        degrees=degrees_apart(R, best_R),
        metres=abs(T - best_T).max(1),
        ours=_error(face, R, T),
        reference=error,
        still_degrees=degrees_apart(R, still_R),
        still_metres=abs(T - still_T).max(1),
    )


def _descended(face: Faces, R: Array, T: Array) -> tuple[Array, Array]:
    """Where scipy ends from poses (R, T); a start with a vertex behind the camera stays where it is."""
    front = np.isfinite(_error(face, R, T))
    rows = zip(face.verts, face.points, R, T, front, strict=True)
    found = [scipy_pose(*one) if ahead else one[2:] for *one, ahead in rows]
    return np.stack([R for R, _ in found]), np.stack([T for _, T in found])


def _error(face: Faces, R: Array, T: Array) -> Array:
    """Sum of squared pixel distances (B,), infinite with a vertex behind the camera."""
    error, front = cost(face.verts, face.points, R, T)
    return np.where(front & np.isfinite(error), error, np.inf)


def assert_equal_where_well_posed(found: Comparison) -> None:
    """The same pose where the minimum is the same one; elsewhere ours is the lower; scipy stays at ours."""
    posed = found.posed
    assert (found.ours <= found.reference * (1 + 1e-10) + 1e-12)[~found.no_reference].all()
    assert (found.equal | found.ours_lower)[posed].all()
    assert (found.still_degrees <= DEGREES)[posed].all()
    assert (found.still_metres <= METRES)[posed].all()
