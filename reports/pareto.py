"""The front of a trade-off: what nothing else beats in both cost and error."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def pareto_front(costs: ArrayLike, errors: ArrayLike) -> NDArray[np.int64]:
    """Indices of the points that no other is at most equal to in both and below in one, by rising cost.

    costs, errors (n,), lower is better in both. Equal points stand on the front together. Sorts once.
    """
    costs, errors = np.asarray(costs, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    order = np.lexsort((errors, costs))
    front: list[int] = []
    for i in order:
        last = front[-1] if front else None
        if last is None or errors[i] < errors[last] or (errors[i], costs[i]) == (errors[last], costs[last]):
            front.append(int(i))
    return np.array(front, dtype=np.int64)
