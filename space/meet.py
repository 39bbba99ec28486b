"""Which architectures of a window keep caps: counted exactly, and the smallest caps that would keep one.

For given w_2 and w_3 the window pairs every left half with a range of the sorted right halves
(space/index.py). A cap's cost is a sum of the same two halves, so a pair keeps it where its right half costs
no more than the left one leaves. Left halves that the lightest right half breaks are dropped, and those that
the heaviest does not break keep their whole range; for the rest each pair is tried, in dense blocks. So the
default space at 5.1 GFLOPs takes some seconds for its 1,117,743,257 pairs, less where caps leave little; the
counts are kept in the cache (space/indexfile.py). tests/test_space_capped.py holds them equal to brute force.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from space.arrays import Ints, Mask
from space.halves import NEVER, Halves
from space.walk import Walk

_BLOCK = 128  # left halves at a time: their ranges still overlap, and a block stays in the cache
_MOST_PAIRS = 10**11  # some minutes
_GUESSES = 2**14
_RUN = 255  # rows of a block that an unsigned byte can count


@dataclass(frozen=True, slots=True)
class Limit:
    """One cap: the halves of what it counts, and the most that is allowed."""

    halves: Halves
    most: int


@dataclass(frozen=True, slots=True)
class _Pair:
    """The halves for one w_2 and w_3 that meet in the window; left ones in the order of their cost.

    prefix      (l,) (w_1, d_1) of the left halves as one number
    begin, end  (l,) the right halves that each meets; both decrease
    left        each limit's cost of the left halves with the join, (l,)
    right       each limit's cost of the right halves, (r,) int64, or int32 where that holds them
    """

    w2: int
    w3: int
    prefix: Ints
    begin: Ints
    end: Ints
    left: list[Ints]
    right: list[Any]

    def blocks(self, which: Ints) -> Iterator[tuple[Ints, slice]]:
        """Some of these left halves at a time, and the right halves that at least one of them meets."""
        for at in range(0, len(which), _BLOCK):
            lefts = which[at : at + _BLOCK]
            if self.begin[lefts[-1]] < self.end[lefts[0]]:
                yield lefts, slice(int(self.begin[lefts[-1]]), int(self.end[lefts[0]]))

    def meets(self, lefts: Ints, rights: slice) -> Mask:
        """(rights, lefts) whether they meet in the window."""
        at = np.arange(rights.start, rights.stop, dtype=np.int32)[:, None]
        return (at >= self.begin[lefts].astype(np.int32)) & (at < self.end[lefts].astype(np.int32))


def kept_counts(walk: Walk, limits: Sequence[Limit]) -> Ints:
    """(rows,) how many architectures of each row of the index keep all limits."""
    if walk.index.count > _MOST_PAIRS:
        raise ValueError(
            f"{walk.index.count:,} architectures fit the budget, too many to try each against caps: raise "
            f"width_step (now {walk.halves.space.width_step}), narrow the ranges or lower the tolerance"
        )
    n1, _, n3, _ = walk.halves.widths
    prefixes = n1 * walk.halves.depths[0]
    counts = np.zeros(len(walk.index.keys), np.int64)
    for pair in _pairs(walk, limits):
        base = (pair.w2 * n3 + pair.w3) * prefixes
        rows = slice(*np.searchsorted(walk.index.keys, [base, base + prefixes]))
        by_prefix = np.bincount(pair.prefix, weights=_kept(pair, limits), minlength=prefixes)
        counts[rows] = by_prefix[walk.index.keys[rows] - base]
    return counts


def _kept(pair: _Pair, limits: Sequence[Limit]) -> Ints:
    """(l,) how many right halves each left half meets within the limits."""
    slack = [limit.most - left for limit, left in zip(limits, pair.left, strict=True)]
    certain, possible = np.ones(len(pair.prefix), bool), np.ones(len(pair.prefix), bool)
    for room, right in zip(slack, pair.right, strict=True):
        certain &= room >= right.max()
        possible &= room >= right.min()
    kept = np.where(certain, pair.end - pair.begin, 0)
    for lefts, rights in pair.blocks(np.flatnonzero(possible & ~certain)):
        keeps = pair.meets(lefts, rights)
        for room, right in zip(slack, pair.right, strict=True):
            keeps &= right[rights, None] <= _narrow(room[lefts], right.dtype)
        kept[lefts] = _column_sums(keeps)
    return kept


def _narrow(values: Ints, dtype: np.dtype[Any]) -> Ints:
    """As the right halves' type, which is half as wide where they fit: comparing takes half the time."""
    bounds = np.iinfo(dtype)
    return values.clip(bounds.min, bounds.max).astype(dtype)


def _column_sums(mask: Mask) -> Ints:
    """(n,) from (m, n), adding bytes while they last: ten times as fast as numpy's own sum of truths."""
    total = np.zeros(mask.shape[1], np.int64)
    for at in range(0, len(mask), _RUN):
        total += np.add.reduce(mask[at : at + _RUN].view(np.uint8), axis=0, dtype=np.uint8)
    return total


def smallest(walk: Walk, limits: Sequence[Limit], free: Sequence[int]) -> list[int] | None:
    """What the architecture costs that needs the least of the `free` limits and keeps all the others.

    free  positions among `limits`; of several, the greatest cost over its limit counts
    returns each limit's cost, or None where nothing keeps the others
    """
    best, found = _first_guess(walk, limits, free)
    for pair in _pairs(walk, limits):
        least = np.zeros(len(pair.prefix))  # no partner needs less
        possible = np.ones(len(pair.prefix), bool)
        for at, (limit, left, right) in enumerate(zip(limits, pair.left, pair.right, strict=True)):
            lightest = left + right.min()
            if at in free:
                least = np.maximum(least, lightest / limit.most)
            else:
                possible &= lightest <= limit.most
        for lefts, rights in pair.blocks(np.flatnonzero(possible & (least < best))):
            costs = [
                left[lefts] + right[rights, None] for left, right in zip(pair.left, pair.right, strict=True)
            ]
            needs = np.where(pair.meets(lefts, rights), 0.0, np.inf)
            for at, (limit, cost) in enumerate(zip(limits, costs, strict=True)):
                needs = (
                    np.maximum(needs, cost / limit.most)
                    if at in free
                    else np.where(cost <= limit.most, needs, np.inf)
                )
            where = np.unravel_index(needs.argmin(), needs.shape)
            if needs[where] < best:
                best, found = needs[where], [int(cost[where]) for cost in costs]
    return found


def _first_guess(walk: Walk, limits: Sequence[Limit], free: Sequence[int]) -> tuple[float, list[int] | None]:
    """The best of some architectures all over the window: then most halves are out of the question."""
    ranks = np.unique(np.linspace(0, walk.index.count - 1, _GUESSES).astype(np.int64))
    table = walk.from_ranks(ranks)
    costs = [limit.halves.total(table) for limit in limits]
    needs = np.zeros(len(ranks))
    for at, (limit, cost) in enumerate(zip(limits, costs, strict=True)):
        needs = np.maximum(
            needs, cost / limit.most if at in free else np.where(cost <= limit.most, 0, np.inf)
        )
    at = int(needs.argmin())
    return float(needs[at]), [int(cost[at]) for cost in costs] if np.isfinite(needs[at]) else None


def _pairs(walk: Walk, limits: Sequence[Limit]) -> Iterator[_Pair]:
    """Every w_2 and w_3 of which some halves meet in the window."""
    halves = walk.halves
    rights = [_rights(walk, limits, w3) for w3 in range(halves.widths[2])]
    for w2 in range(halves.widths[1]):
        left = halves.left(w2)
        order = np.argsort(left)
        left, prefix = left[order], order // halves.depths[1]
        own = [limit.halves.left(w2)[order] for limit in limits]
        for w3, join in enumerate(halves.join[w2].tolist()):
            sums, right = rights[w3]
            if join >= NEVER or not len(sums):
                continue
            first, last = np.searchsorted(left, [walk.low - join - sums[-1], walk.high - join - sums[0] + 1])
            if first == last:
                continue
            within = left[first:last] + join
            begin, end = (
                np.searchsorted(sums, walk.low - within),
                np.searchsorted(sums, walk.high - within, "right"),
            )
            costs = [
                each[first:last] + limit.halves.join[w2, w3] for each, limit in zip(own, limits, strict=True)
            ]
            yield _Pair(w2, w3, prefix[first:last], begin, end, costs, right)


def _rights(walk: Walk, limits: Sequence[Limit], w3: int) -> tuple[Ints, list[Any]]:
    """The sorted right sums of one w_3, and each limit's cost of them."""
    index = walk.index
    first, last = np.searchsorted(index.right, [w3 * index.stride, (w3 + 1) * index.stride])
    costs = [limit.halves.right(w3)[index.items[first:last]] for limit in limits]
    small = [cost.astype(np.int32) if len(cost) and abs(cost).max() < 2**31 else cost for cost in costs]
    return index.right[first:last] - w3 * index.stride, small
