"""Architectures by the thousand: tables of (n, 8) integers, d_1..d_4, w_1..w_4."""

from __future__ import annotations

import numpy as np

from space.arch import ArchSpec
from space.arrays import Ints, Mask
from space.design import Space
from space.plan import STAGES


def specs(space: Space, rows: Ints) -> list[ArchSpec]:
    """The architectures of a table, with the space's block."""
    return [ArchSpec(tuple(row[:STAGES]), tuple(row[STAGES:]), space.block) for row in rows.tolist()]


def rows_at(space: Space, positions: Ints) -> Ints:
    """(n, 8) depths and widths from their positions among the space's choices."""
    return np.stack([np.array(c)[p] for c, p in zip(_choices(space), positions.T, strict=True)], axis=1)


def positions_of(space: Space, rows: Ints) -> Ints:
    """Inverse of rows_at, for rows inside the space."""
    columns = zip(_choices(space), rows.T, strict=True)
    return np.stack([(column - choices.start) // choices.step for choices, column in columns], axis=1)


def holds(space: Space, rows: Ints) -> Mask:
    """(n,) whether each architecture of a table lies in the space."""
    within = np.ones(len(rows), bool)
    for choices, column in zip(_choices(space), rows.T, strict=True):
        within &= np.isin(column, np.array(choices))
    if not space.free_widths:
        within &= (np.diff(rows[:, STAGES:], axis=1) >= 0).all(axis=1)
    return within


def _choices(space: Space) -> list[range]:
    return [*space.depth_choices, *space.width_choices]
