"""The kernel distance of two sets of features (Binkowski et al. 2018, arXiv 1801.01401): on
Inception's features it is the KID.

It is the squared maximum mean discrepancy under the kernel (x.y / F + 1)^3, estimated without bias:
two sets of one distribution have the expectation 0 at any number of images, so that single values
may be negative.
"""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import numpy as np

from jaxgan.metrics import streaming
from jaxgan.metrics.streaming import Metric, Rows

_BLOCK = 1000  # rows of a kernel matrix at a time


class SmallSubsets(UserWarning):
    """A deviation over smaller subsets than were asked for."""


class Estimate(NamedTuple):
    """The mean of the subsets' squared distances, and their standard deviation."""

    mean: float
    deviation: float


def kernel(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(x.y / F + 1)^3 of every row x of `left` [N, F] with every row y of `right` [M, F], [N, M] in
    float64.
    """
    inner = np.asarray(left, np.float64) @ np.asarray(right, np.float64).T
    inner /= left.shape[1]
    inner += 1.0
    return inner * inner * inner


def squared_distance(left: np.ndarray, right: np.ndarray) -> float:
    """The unbiased squared maximum mean discrepancy of features [N, F] and [M, F] (Gretton et al.
    2012, eq. 3), which may be negative.

    Raises ValueError below two rows, or where the sets differ in F.
    """
    left = streaming.matrix(left, name="features", least=2)
    right = streaming.matrix(right, name="features", least=2)
    streaming.alike(left, right, name="features")
    across = _total(left, right) / (len(left) * len(right))
    return _mean_of_pairs(left) + _mean_of_pairs(right) - 2.0 * across


def kid(
    generated: np.ndarray,
    real: np.ndarray,
    *,
    subsets: int = 100,
    size: int = 1000,
    seed: int = 0,
) -> Estimate:
    """The squared distance of features [N, F] and [M, F], as the mean over random subsets.

    Each subset has `size` rows of each set, drawn without replacement. Raises ValueError where a
    set has fewer, or the sets differ in F.
    """
    if subsets < 1 or size < 2:
        raise ValueError(f"{subsets} subsets of {size} rows; expected 1 or more of 2 or more")
    for features, name in ((generated, "generated"), (real, "real")):
        if len(features) < size:
            raise ValueError(
                f"there are {len(features)} {name} rows of features for subsets of {size}; "
                "give more images or smaller subsets"
            )
    draws = np.random.default_rng(seed)

    def chosen(features: np.ndarray) -> np.ndarray:
        return np.asarray(features)[draws.choice(len(features), size, replace=False)]

    values = [squared_distance(chosen(generated), chosen(real)) for _ in range(subsets)]
    return Estimate(float(np.mean(values)), float(np.std(values)))


def metric(*, subsets: int = 100, size: int = 1000, seed: int = 0) -> Metric:
    """The kernel distance as a metric, 'kid' and 'kid_deviation'. Where a set has no more images
    than `size`, subsets are of half of them: those of all would be one and the same, without any
    deviation. It says so in a warning.
    """

    def compute(generated: Rows, real: Rows) -> dict[str, float]:
        have = min(len(generated.rows), len(real.rows))
        fits = size if have > size else max(2, have // 2)
        if fits != size:
            warnings.warn(
                f"kid_deviation is that of subsets of {fits} images, as a set has only {have}; it "
                f"compares only with those of as many, not with those of {size}",
                SmallSubsets,
                stacklevel=2,
            )
        found = kid(generated.rows, real.rows, subsets=subsets, size=fits, seed=seed)
        deviation = found.deviation if fits < have else math.nan  # of two images
        return {"kid": found.mean, "kid_deviation": deviation}

    settings = {
        "kernel": "(x.y/F + 1)^3",
        "subsets": subsets,
        "images a subset, at most": size,
        "seed of the subsets": seed,
    }
    # Half of fewer images is not the two that a subset needs.
    aim = streaming.Aim("kid", "lowest")
    return Metric(streaming.FEATURES, compute, settings, least=4, aim=aim)


def _total(left: np.ndarray, right: np.ndarray) -> float:
    """The sum of the kernel over all pairs of rows, one from each side."""
    starts = range(0, len(left), _BLOCK)
    return float(sum(np.sum(kernel(left[at : at + _BLOCK], right)) for at in starts))


def _mean_of_pairs(features: np.ndarray) -> float:
    """The mean of the kernel over all pairs of two different rows."""
    count, size = features.shape
    itself = np.sum((np.sum(features * features, axis=1) / size + 1.0) ** 3)
    return (_total(features, features) - float(itself)) / (count * (count - 1))
