"""A space's cost, cut in two between the second and the third stage.

Cost is a sum of stage terms that depend on (w_(i-1), w_i, d_i) only, so

    total = join[w_2, w_3] + left[w_2](w_1, d_1, d_2) + right[w_3](w_4, d_3, d_4)

and whatever is asked of all architectures can be asked of the two halves and put
together (meet in the middle; Horowitz and Sahni 1974).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from space.arch import ArchSpec
from space.arrays import Ints
from space.cost import Tables, tables
from space.design import Space
from space.rows import rows_at, specs

NEVER = 2**60  # a sum that is in no window; three of them stay inside 64 bits
_MOST_PAIRS = 2 * 10**10  # left sums times widths of the third stage: a few minutes' search
_MOST_SUMS = 2**27  # of one half: 1 GiB


@dataclass(frozen=True, slots=True)
class Halves:
    """A space's cost, cut between the second and the third stage.

    Widths and depths are given by their position among the space's choices.
    """

    space: Space
    depths: tuple[int, ...]  # number of choices of each stage
    widths: tuple[int, ...]
    join: Ints  # (n2, n3) base and the third stage's first block; NEVER where the tie forbids it
    outer_left: Ints  # (n2, n1, D1) stage one and the second stage's first block
    more_left: Ints  # (n2, D2) the second stage's further blocks
    outer_right: Ints  # (n3, n4, D4) stage four
    more_right: Ints  # (n3, D3) the third stage's further blocks
    last_block: Ints  # (n4,) one further block of the fourth stage

    def left(self, w2: int) -> Ints:
        """(n1 * D1 * D2,) sums, w_1 slowest."""
        sums: Ints = self.outer_left[w2][:, :, None] + self.more_left[w2]
        return sums.ravel()

    def right(self, w3: int) -> Ints:
        """(n4 * D3 * D4,) sums, w_4 slowest."""
        sums: Ints = self.outer_right[w3][:, None, :] + self.more_right[w3][:, None]
        return sums.ravel()

    def total(self, table: Ints) -> Ints:
        """(n,) the cost of whole architectures, (n, 8) positions: d_1..d_4, w_1..w_4."""
        d1, d2, d3, d4, w1, w2, w3, w4 = table.T
        left: Ints = self.join[w2, w3] + self.outer_left[w2, w1, d1] + self.more_left[w2, d2]
        right: Ints = self.outer_right[w3, w4, d4] + self.more_right[w3, d3]
        return left + right


def split(space: Space, parts: Tables | None = None) -> Halves:
    """The halves of a space's cost; ValueError where they are too many to sort.

    parts  what adds up to the cost; multiply-adds where none are given
    """
    depths = tuple(len(choices) for choices in space.depth_choices)
    widths = tuple(len(choices) for choices in space.width_choices)
    lefts = widths[0] * widths[1] * depths[0] * depths[1]
    rights = widths[2] * widths[3] * depths[2] * depths[3]
    if max(lefts, rights) > _MOST_SUMS or lefts * widths[2] > _MOST_PAIRS:
        raise ValueError(
            f"a space of {space.size:.1e} architectures is too large to be counted in minutes: "
            f"raise width_step (now {space.width_step}) or narrow the ranges"
        )
    parts = parts or tables(space.block, space.width_choices, outputs=space.outputs)
    more = [_further(parts, space, stage) for stage in range(4)]
    first = [_tied(parts, space, stage) for stage in range(4)]
    return Halves(
        space,
        depths,
        widths,
        join=parts.base + first[2],
        outer_left=(first[0].T + more[0])[None] + first[1].T[:, :, None],
        more_left=more[1],
        outer_right=first[3][:, :, None] + more[3],
        more_right=more[2],
        last_block=parts.further[3],
    )


def _further(parts: Tables, space: Space, stage: int) -> Ints:
    """(n, D) the cost of a stage's blocks after its first."""
    depths = np.array(space.depth_choices[stage])
    costs: Ints = parts.further[stage][:, None] * (depths - 1)
    return costs


def _tied(parts: Tables, space: Space, stage: int) -> Ints:
    """(n before, n) a stage's first block; out of every window where its width would decrease."""
    first = parts.first[stage]
    if stage == 0 or space.free_widths:
        return first
    before, width = (np.array(space.width_choices[s]) for s in (stage - 1, stage))
    return np.where(before[:, None] <= width, first, NEVER)


def spec_at(halves: Halves, w2: int, w3: int, left: int, right: int) -> ArchSpec:
    """The architecture whose left and right sums have these positions in Halves.left and .right."""
    w1, d1, d2 = np.unravel_index(left, (halves.widths[0], *halves.depths[:2]))
    w4, d3, d4 = np.unravel_index(right, (halves.widths[3], *halves.depths[2:]))
    positions = np.array([[d1, d2, d3, d4, w1, w2, w3, w4]])
    return specs(halves.space, rows_at(halves.space, positions))[0]
