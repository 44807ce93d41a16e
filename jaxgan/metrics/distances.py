"""Squared Euclidean distances between all rows of two sets, of which only a block exists at a
time.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def blocks(
    left: np.ndarray, right: np.ndarray, *, size: int = 500
) -> Iterator[tuple[slice, np.ndarray]]:
    """Which rows of `left` [N, F] a block of `size` is of, and their squared distances [size, M] to
    all rows of `right` [M, F], in float64 by a product of matrices.

    Such a product loses digits to an offset that all rows share: subtract it first.
    """
    squares = np.sum(right * right, axis=1)
    for start in range(0, len(left), size):
        rows = left[start : start + size]
        squared = rows @ right.T
        squared *= -2.0
        squared += squares
        squared += np.sum(rows * rows, axis=1)[:, None]
        yield slice(start, start + len(rows)), np.maximum(squared, 0.0, out=squared)


def nearest(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Which row of `right` [M, F] is the nearest to each row of `left` [N, F], int [N]; of rows
    equally near, the first.
    """
    return np.concatenate([np.argmin(squared, axis=1) for _, squared in blocks(left, right)])
