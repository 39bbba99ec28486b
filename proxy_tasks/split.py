"""Who trains, who validates, and which of their pictures a proxy looks at.

Splits are by subject: a network is judged on people that it has never seen. Everything here is a pure
function of names and a seed, so that every worker of a search agrees without talking.
tests/test_proxy_split.py
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy_tasks.kind import VALIDATION_SHARE

SPLIT_SEED = 0  # one for all runs, so that all are scored on the same people


def _order(seed: int, *names: str) -> bytes:
    """A sort key that scatters names; it does not change when other names come or go."""
    return hashlib.sha256("/".join((str(seed), *names)).encode()).digest()


def split_subjects(
    subjects: Iterable[str], seed: int, validation: float = VALIDATION_SHARE
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(training, validation) subject ids, each sorted; at least one person on either side.

    ValueError for fewer than two subjects or a share outside (0, 1).
    """
    people = sorted(set(subjects))
    if not 0.0 < validation < 1.0:
        raise ValueError(f"validation share {validation} is not between 0 and 1")
    if len(people) < 2:
        raise ValueError(f"a split by subject needs two subjects or more, the data has {len(people)}")
    count = min(max(round(validation * len(people)), 1), len(people) - 1)
    held_out = set(sorted(people, key=lambda name: _order(seed, name))[:count])
    return tuple(p for p in people if p not in held_out), tuple(p for p in people if p in held_out)


def divide(
    subjects: Iterable[str], validating: Sequence[str] = (), seed: int = SPLIT_SEED
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(training, validation) subject ids, each sorted: exactly `validating` on one side, or `split_subjects`.

    ValueError where one of them is not in the data, or where nobody is left to train on.
    """
    if not validating:
        return split_subjects(subjects, seed)
    people = set(map(str, subjects))
    unknown = sorted(set(validating) - people)
    if unknown:
        raise ValueError(
            f"validation_people names {unknown[0]!r}, who is not in the data "
            f"({len(people)} people, such as {', '.join(sorted(people)[:3])})"
        )
    others = people - set(validating)
    if not others:
        raise ValueError("validation_people names everybody in the data, so nobody is left to train on")
    return tuple(sorted(others)), tuple(sorted(set(validating)))


def pick_rows(
    subjects: ArrayLike,
    people: Sequence[str],
    seed: int,
    *,
    max_subjects: int | None = None,
    max_frames: int | None = None,
) -> NDArray[np.int64]:
    """Ascending indices of at most max_frames rows of each of at most max_subjects of the people.

    subjects (N,) the subject of each row. None means all. Frames are spread evenly over a subject's
    rows, which lists keep in order of action and time.
    """
    column = np.asarray(subjects)
    chosen = sorted(sorted(people, key=lambda name: _order(seed, "subject", name))[:max_subjects])
    order = np.argsort(column, kind="stable")
    names = column[order]
    picked = []
    for name in chosen:
        rows = order[np.searchsorted(names, name, "left") : np.searchsorted(names, name, "right")]
        if max_frames is not None and len(rows) > max_frames:
            phase = int.from_bytes(_order(seed, "frames", name)[:4], "big") / 2**32
            rows = rows[((np.arange(max_frames) + phase) * len(rows) / max_frames).astype(np.int64)]
        picked.append(rows)
    return np.sort(np.concatenate(picked)) if picked else np.empty(0, dtype=np.int64)


def validation_rows(subjects: np.ndarray, validating: Sequence[str] = ()) -> np.ndarray:
    """Ascending rows of the validation subjects' images, all of them; subjects (n,) of each row.

    `validating` names these subjects where a proxy did.
    """
    people = divide(subjects.tolist(), validating)[1]
    return pick_rows(subjects, people, SPLIT_SEED)
