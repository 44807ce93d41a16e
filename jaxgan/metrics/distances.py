"""Squared Euclidean distances between all examples of two sets, one block at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jax.sharding import Mesh

from jaxgan.metrics import products


def blocks(
    left: np.ndarray, right: np.ndarray, *, size: int = 500, mesh: Mesh | None = None
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yields the squared distances in float64, computed by a matrix product, for blocks of `left`.

    A matrix product loses digits if all examples share an offset: subtract it first.

    Args:
        left: Examples, [N, F].
        right: Examples, [M, F].
        size: Number of examples of `left` in a block.
        mesh: Devices to share the work; None for one.

    Yields:
        The slice of `left`, and the squared distances of its examples to all of `right`, [size, M].
    """
    squares, product = np.sum(right * right, axis=1), products.by(right, mesh=mesh)
    for start in range(0, len(left), size):
        rows = left[start : start + size]
        squared = product(rows)
        squared *= -2.0
        squared += squares
        squared += np.sum(rows * rows, axis=1)[:, None]
        yield slice(start, start + len(rows)), np.maximum(squared, 0.0, out=squared)


def nearest(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Returns the index in `right` of the nearest neighbor of each example of `left`, int [N].

    Ties go to the first.

    Args:
        left: Examples, [N, F].
        right: Examples, [M, F].
    """
    return np.concatenate([np.argmin(squared, axis=1) for _, squared in blocks(left, right)])
