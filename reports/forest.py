"""A small forest of extremely randomised regression trees, in numpy.

Geurts, Ernst, Wehenkel (Machine Learning 2006): every node draws one threshold for each feature, uniformly
between the least and the greatest value present, and takes the feature whose split lowers the variance most.
No bootstrap of the rows. It is here because permutation importance needs any decent regressor that sees
interactions and steps; tests/test_reports_importance.py checks it on functions that are known.

Notation   n  rows     p  features     m  nodes of a tree
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAF = 5  # rows; below, a split follows noise


@dataclass(frozen=True, slots=True)
class Tree:
    """Nodes in one table: left where x[feature] <= threshold; a leaf is its own left and right child."""

    feature: NDArray[np.int64]  # (m,)
    threshold: NDArray[np.float64]  # (m,)
    left: NDArray[np.int64]  # (m,)
    right: NDArray[np.int64]  # (m,)
    value: NDArray[np.float64]  # (m,) mean target
    depth: int

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """x (n, p) -> (n,). All rows step down together, `depth` times."""
        at = np.zeros(len(x), dtype=np.int64)
        rows = np.arange(len(x))
        for _ in range(self.depth):
            goes_left = x[rows, self.feature[at]] <= self.threshold[at]
            at = np.where(goes_left, self.left[at], self.right[at])
        return self.value[at]


def _best_split(
    x: NDArray[np.float64], y: NDArray[np.float64], rng: np.random.Generator, leaf: int
) -> tuple[int, float] | None:
    """Feature and threshold of the best of p random splits; None where each leaves too small a side."""
    low, high = x.min(axis=0), x.max(axis=0)
    thresholds = low + rng.random(x.shape[1]) * (high - low)
    left = (x <= thresholds).astype(np.float64)
    count = left.sum(axis=0)
    allowed = (count >= leaf) & (len(y) - count >= leaf) & (high > low)
    if not allowed.any():
        return None
    centred = y - y.mean()
    sums = centred @ left
    gain = sums**2 / np.where(allowed, count, 1) + sums**2 / np.where(allowed, len(y) - count, 1)
    best = int(np.argmax(np.where(allowed, gain, -1.0)))
    return best, float(thresholds[best])


def grow(
    x: NDArray[np.float64], y: NDArray[np.float64], rng: np.random.Generator, *, leaf: int = LEAF
) -> Tree:
    """One tree on x (n, p), y (n,)."""
    feature: list[int] = []
    left: list[int] = []
    right: list[int] = []
    threshold: list[float] = []
    value: list[float] = []
    pending = [(np.arange(len(y)), 0, -1, False)]  # rows, depth, parent, is the right child
    deepest = 0
    while pending:
        rows, depth, parent, is_right = pending.pop()
        node = len(value)
        if parent >= 0:
            (right if is_right else left)[parent] = node
        split = _best_split(x[rows], y[rows], rng, leaf) if len(rows) >= 2 * leaf else None
        feature.append(split[0] if split else 0)
        threshold.append(split[1] if split else 0.0)
        left.append(node)
        right.append(node)
        value.append(float(y[rows].mean()))
        if split:
            goes_left = x[rows, split[0]] <= split[1]
            pending += [(rows[goes_left], depth + 1, node, False), (rows[~goes_left], depth + 1, node, True)]
            deepest = max(deepest, depth + 1)
    children = np.array(left), np.array(right)
    return Tree(np.array(feature), np.array(threshold), *children, np.array(value), deepest)


@dataclass(frozen=True, slots=True)
class Forest:
    """The mean of its trees."""

    trees: tuple[Tree, ...]

    @classmethod
    def fit(
        cls,
        x: NDArray[np.float64],
        y: NDArray[np.float64],
        rng: np.random.Generator,
        *,
        trees: int = 20,
        leaf: int = LEAF,
    ) -> Forest:
        """x (n, p), y (n,); n >= 1."""
        return cls(tuple(grow(x, y, rng, leaf=leaf) for _ in range(trees)))

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """x (n, p) -> (n,)"""
        return np.mean([tree.predict(x) for tree in self.trees], axis=0)
