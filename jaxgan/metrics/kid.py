"""Kernel distance of two sets of features, which is the KID on Inception's features.

It is the unbiased estimate of the squared maximum mean discrepancy under the kernel (x.y / F +
1)^3. Two sets of the same distribution have expectation 0 at any number of images, so single values
may be negative.

References:
    Binkowski et al. 2018 (arXiv 1801.01401).
"""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import numpy as np
from jax.sharding import Mesh

from jaxgan.metrics import products, streaming
from jaxgan.metrics.streaming import Metric, Rows

_BLOCK = 1000  # rows of the kernel matrix computed at a time


class SmallSubsets(UserWarning):
    """Warns of a standard deviation over smaller subsets than requested."""


class Estimate(NamedTuple):
    """Statistics of the squared distances of random subsets.

    Attributes:
        mean: Their mean.
        deviation: Their standard deviation.
    """

    mean: float
    deviation: float


def kernel(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Computes the kernel (x.y / F + 1)^3 of all pairs, float64 [N, M].

    Args:
        left: Features x, [N, F].
        right: Features y, [M, F].
    """
    inner = np.asarray(left, np.float64) @ np.asarray(right, np.float64).T
    return _of_inner(inner, left.shape[1])


def _of_inner(inner: np.ndarray, size: int) -> np.ndarray:
    """Computes the kernel of inner products of `size` features; overwrites them."""
    inner /= size
    inner += 1.0
    return inner * inner * inner


def squared_distance(left: np.ndarray, right: np.ndarray, *, mesh: Mesh | None = None) -> float:
    """Computes the unbiased squared maximum mean discrepancy, which may be negative.

    Args:
        left: Features of one set, [N, F].
        right: Features of the other, [M, F].
        mesh: Devices to share the work; None for one.

    Raises:
        ValueError: If a set has fewer than two examples, or the numbers of features differ.

    References:
        Gretton et al. 2012, eq. 3.
    """
    left = streaming.matrix(left, name="features", least=2)
    right = streaming.matrix(right, name="features", least=2)
    streaming.alike(left, right, name="features")
    across = _total(left, right, mesh) / (len(left) * len(right))
    return _mean_of_pairs(left, mesh) + _mean_of_pairs(right, mesh) - 2.0 * across


def kid(
    generated: np.ndarray,
    real: np.ndarray,
    *,
    subsets: int = 100,
    size: int = 1000,
    seed: int = 0,
    mesh: Mesh | None = None,
) -> Estimate:
    """Estimates the squared distance of two sets of features as the mean over random subsets.

    Args:
        generated: Generated features, [N, F].
        real: Real features, [M, F].
        subsets: Number of subsets.
        size: Number of examples drawn from each set for a subset, without replacement.
        seed: Seed of the random subsets.
        mesh: Devices to share the work; None for one.

    Raises:
        ValueError: If a set has fewer than `size` examples, or the numbers of features differ.
    """
    if subsets < 1 or size < 2:
        raise ValueError(f"{subsets} subsets of {size} rows; expected 1 or more of 2 rows or more")
    for features, name in ((generated, "generated"), (real, "real")):
        if len(features) < size:
            raise ValueError(
                f"there are {len(features)} {name} rows of features for subsets of {size}; "
                "give more images or smaller subsets"
            )
    draws = np.random.default_rng(seed)

    def chosen(features: np.ndarray) -> np.ndarray:
        return np.asarray(features)[draws.choice(len(features), size, replace=False)]

    values = [squared_distance(chosen(generated), chosen(real), mesh=mesh) for _ in range(subsets)]
    return Estimate(float(np.mean(values)), float(np.std(values)))


def metric(
    *, subsets: int = 100, size: int = 1000, seed: int = 0, mesh: Mesh | None = None
) -> Metric:
    """Returns the kernel distance as the metrics 'kid' and 'kid_deviation'.

    If a set has no more images than `size`, the subsets have half of them, and a warning reports
    it. Subsets of all images would be identical, with a deviation of zero.

    Args:
        subsets: Number of subsets.
        size: Number of images in a subset.
        seed: Seed of the random subsets.
        mesh: Devices to share the work; None for one.
    """

    def compute(generated: Rows, real: Rows) -> dict[str, float]:
        have = min(len(generated.rows), len(real.rows))
        fits = size if have > size else max(2, have // 2)
        if fits != size:
            warnings.warn(
                f"kid_deviation is that of subsets of {fits} images, as a set has only {have}; it "
                f"compares only with deviations of subsets of that size, not of {size}",
                SmallSubsets,
                stacklevel=2,
            )
        found = kid(generated.rows, real.rows, subsets=subsets, size=fits, seed=seed, mesh=mesh)
        deviation = found.deviation if fits < have else math.nan  # only two images: one subset
        return {"kid": found.mean, "kid_deviation": deviation}

    settings = {
        "kernel": "(x.y/F + 1)^3",
        "subsets": subsets,
        "images a subset, at most": size,
        "seed of the subsets": seed,
    }
    # A subset needs two images, and may be half of a set.
    aim = streaming.Aim("kid", "lowest")
    return Metric(streaming.FEATURES, compute, settings, least=4, aim=aim, of_values=True)


def _total(left: np.ndarray, right: np.ndarray, mesh: Mesh | None) -> float:
    """Computes the sum of the kernel over all pairs of examples of the two sets."""
    starts, product = range(0, len(left), _BLOCK), products.by(right, mesh=mesh)
    parts = (_of_inner(product(left[at : at + _BLOCK]), left.shape[1]) for at in starts)
    return float(sum(np.sum(part) for part in parts))


def _mean_of_pairs(features: np.ndarray, mesh: Mesh | None) -> float:
    """Computes the mean of the kernel over all pairs of different examples."""
    count, size = features.shape
    itself = np.sum((np.sum(features * features, axis=1) / size + 1.0) ** 3)
    return (_total(features, features, mesh) - float(itself)) / (count * (count - 1))
