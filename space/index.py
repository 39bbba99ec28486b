"""The exact count of a space's architectures inside a budget, and where each of them lies.

For given w_2 and w_3 the architectures inside a window are, for every left sum
(space/halves.py), a contiguous range of the sorted right sums: two binary searches. Sums
that no partner can bring into the window are cut off first, so the default space at
5.1 GFLOPs takes 3.3 million pairs of searches for its 1,117,743,257 architectures, a
quarter of a second.

The index keeps the non-empty prefixes (w_2, w_3, w_1, d_1), in that order, each with the
rank of its first architecture, and the sorted right sums. space/walk.py finds the rest of
an architecture from there. tests/test_space_index.py holds the count equal to brute force.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from space.arch import ArchSpec
from space.arrays import Ints
from space.halves import NEVER, Halves, spec_at

MOST = 2**50  # architectures: a float64 coordinate tells that many cells apart, with room for rounding


@dataclass(frozen=True, slots=True)
class Index:
    """Non-empty prefixes in order, and the right halves in the order of their cost.

    keys    (n,)    (w_2, w_3, w_1, d_1) as one number, increasing
    starts  (n+1,)  rank of the first architecture of each prefix; the last is the count
    right   (m,)    w_3 * stride + right sum, increasing
    items   (m,)    (w_4, d_3, d_4) of each right sum as one number
    """

    keys: Ints
    starts: Ints
    right: Ints
    items: NDArray[np.int32]
    stride: int

    @property
    def count(self) -> int:
        return int(self.starts[-1])


def build_index(halves: Halves, low: int, high: int) -> Index:
    """Every architecture that costs at least `low` and at most `high` multiply-adds."""
    right, items, bounds = _sorted_rights(halves, low, high)
    stride = high + 1
    keys, counts = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    n1, _, n3, _ = halves.widths
    for w2 in range(halves.widths[1]):
        found = _search(halves, w2, right, bounds, low, high)
        for w3, prefixes, architectures in found:
            keys.append((w2 * n3 + w3) * n1 * halves.depths[0] + prefixes)
            counts.append(architectures)
    starts = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    if starts[-1] > MOST:
        raise ValueError(
            f"{starts[-1]:,} architectures fit, more than the 2^50 that a unit coordinate can tell apart: "
            f"raise width_step (now {halves.space.width_step}) or narrow the ranges"
        )
    return Index(np.concatenate(keys), starts, right, items, stride)


def _sorted_rights(halves: Halves, low: int, high: int) -> tuple[Ints, NDArray[np.int32], Ints]:
    """(Index.right, Index.items, the slice bounds of each w_3), without sums that no left half fits."""
    extremes = [_extremes(halves.left(w2)) for w2 in range(halves.widths[1])]
    least, most = (np.array(each)[:, None] for each in zip(*extremes, strict=True))
    least = (halves.join + least).min(0)
    most = np.where(halves.join < NEVER, halves.join + most, 0).max(0)
    right, items = [], []
    for w3 in range(halves.widths[2]):
        sums = halves.right(w3)
        kept = np.flatnonzero((sums <= high - least[w3]) & (sums >= low - most[w3]))
        order = kept[np.argsort(sums[kept], kind="stable")]  # the same draws on every machine
        right.append(w3 * (high + 1) + sums[order])
        items.append(order.astype(np.int32))
    bounds = np.concatenate([[0], np.cumsum([len(each) for each in right])])
    return np.concatenate(right), np.concatenate(items), bounds


def _extremes(sums: Ints) -> tuple[int, int]:
    return int(sums.min()), int(sums[sums < NEVER].max(initial=0))


def _search(
    halves: Halves, w2: int, right: Ints, bounds: Ints, low: int, high: int
) -> Iterator[tuple[int, Ints, Ints]]:
    """For each w_3: the non-empty prefixes (w_1, d_1) as one number, and their architectures.

    Sorted needles make the binary searches three times as fast: they stay in the cache.
    """
    left = halves.left(w2)
    order = np.argsort(left)
    left, prefix = left[order], order // halves.depths[1]
    for w3, join in enumerate(halves.join[w2].tolist()):
        sums = right[bounds[w3] : bounds[w3 + 1]]  # each w3 * (high + 1) too large
        if join >= NEVER or not len(sums):
            continue
        join -= w3 * (high + 1)
        first, last = np.searchsorted(left, [low - join - sums[-1], high - join - sums[0] + 1])
        within = left[first:last] + join
        fitting = np.searchsorted(sums, high - within, "right") - np.searchsorted(sums, low - within)
        by_prefix = np.bincount(prefix[first:last], weights=fitting)  # float64, exact below 2^53
        prefixes = np.flatnonzero(by_prefix)
        yield w3, prefixes, by_prefix[prefixes].astype(np.int64)


def closest(halves: Halves, macs: int, *, above: bool) -> ArchSpec | None:
    """The cheapest architecture of at least `macs`, or (not above) the dearest of at most.

    None where the space has none. The second is the first with all signs turned.
    """
    sign = 1 if above else -1
    rights = [_signed(halves.right(w3), sign) for w3 in range(halves.widths[2])]
    best, found = None, None
    for w2 in range(halves.widths[1]):
        left, left_order = _signed(halves.left(w2), sign)
        for w3, join in enumerate(halves.join[w2].tolist()):
            right, right_order = rights[w3]
            if join >= NEVER or not len(left) or not len(right):
                continue
            goal = sign * (macs - join)
            first, last = np.searchsorted(left, [goal - right[-1], goal - right[0]])
            needles = left[first : last + 1]  # further ones only lie further off
            if not len(needles):
                continue
            partner = np.searchsorted(right, goal - needles)
            sums = needles + right[partner] + sign * join
            at = int(sums.argmin())
            if best is None or sums[at] < best:
                best = int(sums[at])
                found = w2, w3, int(left_order[first + at]), int(right_order[partner[at]])
    return None if found is None else spec_at(halves, *found)


def _signed(sums: Ints, sign: int) -> tuple[Ints, Ints]:
    possible = np.flatnonzero(sums < NEVER)
    order = possible[np.argsort(sign * sums[possible], kind="stable")]
    return sign * sums[order], order
