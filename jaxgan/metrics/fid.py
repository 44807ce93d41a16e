"""The Frechet distance of two sets of features, and the proxy FID of images: that distance on the
features of the embedded classifier of garments.

The FID of Heusel et al. 2017 is this distance on Inception's features. A proxy FID ranks models of
garments among each other; its values compare with no published FID, and only with proxy FIDs from
as many images: fewer images of the same kind give a larger one. What infinitely many would give is
extrapolated by `frechet_infinity`.
"""

from __future__ import annotations

import functools
import warnings
from typing import NamedTuple

import numpy as np

from jaxgan.metrics import garments, streaming
from jaxgan.metrics.streaming import Metric, Rows, Stream
from jaxgan.types import Array

FEW = 2048
"""Images below which a Frechet distance says little: Inception has as many features, and a
covariance of fewer images is singular.
"""


class FewImages(UserWarning):
    """A number of too few images to say much."""


class Moments(NamedTuple):
    """What the distance needs of features, in float64: their number, mean [F], and the sum [F, F]
    of the outer products of their deviations from the mean.
    """

    count: int
    mean: np.ndarray
    scatter: np.ndarray

    @property
    def covariance(self) -> np.ndarray:
        """The unbiased covariance [F, F]; ValueError below two rows."""
        if self.count < 2:
            raise ValueError(f"a covariance needs at least 2 rows of features; got {self.count}")
        return self.scatter / (self.count - 1)


def moments(features: np.ndarray) -> Moments:
    """The moments of features [N, F]; ValueError where there are none, or they are not finite."""
    wide = streaming.matrix(features, name="features")
    mean = np.mean(wide, axis=0)
    return Moments(len(wide), mean, (wide - mean).T @ (wide - mean))


def merged(left: Moments, right: Moments) -> Moments:
    """The moments of both sets of features together (Chan et al. 1983): sets too large for the
    memory go piece by piece.
    """
    count = left.count + right.count
    apart = right.mean - left.mean
    return Moments(
        count,
        left.mean + apart * (right.count / count),
        left.scatter + right.scatter + np.outer(apart, apart) * (left.count * right.count / count),
    )


def frechet_distance(left: Moments, right: Moments) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), the squared 2-Wasserstein distance of the two
    Gaussian fits (Dowson and Landau 1982; Heusel et al. 2017, eq. 6).

    The trace of the root is the sum of the singular values of C1^(1/2) C2^(1/2), from symmetric
    eigenvalues: real for any covariances, those of few or constant features included.
    """
    streaming.alike(left.mean[None], right.mean[None], name="features")
    return _distance(left, right, _root(right.covariance))


def frechet_infinity(
    features: np.ndarray,
    real: Moments,
    *,
    smallest: int = 5000,
    points: int = 15,
    seed: int = 0,
) -> float:
    """The distance of features [N, F] from the real moments that infinitely many rows would have:
    where the line through the distances of ever larger subsets, over 1 / rows, meets zero (Chong
    and Forsyth 2020, arXiv 1911.07023).

    The subsets are random, of `points` sizes evenly from `smallest` to N; the bias that the number
    of real rows leaves stays. It may be negative. Raises ValueError where N is below twice
    `smallest`.
    """
    if points < 2 or len(features) < 2 * smallest:
        raise ValueError(
            f"{len(features)} rows of features cannot be extrapolated over {points} subsets from "
            f"{smallest} rows on; expected {2 * smallest} rows and 2 points at least"
        )
    draws, root = np.random.default_rng(seed), _root(real.covariance)
    sizes = np.linspace(smallest, len(features), points).astype(int)
    distances = [
        _distance(moments(features[draws.choice(len(features), size, replace=False)]), real, root)
        for size in sizes
    ]
    return float(np.polyfit(1 / sizes, distances, 1)[1])


def metric() -> Metric:
    """The Frechet distance as a metric, 'fid'; it warns where a set has few images."""

    def compute(generated: Moments, real: Moments) -> dict[str, float]:
        for name, side in (("generated", generated), ("real", real)):
            _warn_if_few(int(side.count), name)
        return {"fid": frechet_distance(generated, real)}

    aim = streaming.Aim("fid", "lowest")
    return Metric(MOMENTS, compute, {"covariance": "unbiased, float64"}, aim=aim)


def infinity_metric(*, smallest: int = 5000, points: int = 15, seed: int = 0) -> Metric:
    """The extrapolated Frechet distance as a metric, 'fid_infinity'."""

    def compute(generated: Rows, real: Rows) -> dict[str, float]:
        found = frechet_infinity(
            generated.rows, moments(real.rows), smallest=smallest, points=points, seed=seed
        )
        return {"fid_infinity": found}

    settings = {"subsets": points, "images of the smallest": smallest, "seed of the subsets": seed}
    return Metric(
        streaming.FEATURES,
        compute,
        settings,
        least=2 * smallest,
        aim=streaming.Aim("fid_infinity", "lowest"),
    )


def proxy_fid(images: Array | np.ndarray, real: Array | np.ndarray) -> float:
    """The Frechet distance of the judge's features of two sets of images [N, H, W, C] in [-1, 1].

    Both are seen as `garments.fitted` has them: at 28x28, grayscale, in 256 levels.
    """
    return frechet_distance(image_moments(images), image_moments(real))


def image_moments(images: Array | np.ndarray, *, piece: int = 10_000) -> Moments:
    """The moments of the judge's features of images [N, H, W, C] in [-1, 1], `piece` at a time."""
    starts = range(0, len(images), piece)
    parts = (garments.judge(garments.fitted(images[i : i + piece]))[1] for i in starts)
    return functools.reduce(merged, map(moments, parts))


def _distance(left: Moments, right: Moments, right_root: np.ndarray) -> float:
    """The distance where the root of the right covariance is known."""
    fidelity = np.sum(np.linalg.svd(_root(left.covariance) @ right_root, compute_uv=False))
    spread = np.trace(left.covariance) + np.trace(right.covariance) - 2 * fidelity
    return float(np.sum(np.square(left.mean - right.mean)) + max(spread, 0.0))


def _root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric root; rounding leaves eigenvalues just below zero, which are zero."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def _none() -> Moments:
    return Moments(0, np.zeros(0), np.zeros((0, 0)))


def _with(state: Moments, features: np.ndarray) -> Moments:
    fresh = moments(features)
    return merged(state, fresh) if state.count else fresh


MOMENTS = Stream("moments", "features", _none, _with)


def _warn_if_few(count: int, name: str) -> None:
    if count < FEW:
        warnings.warn(
            f"a Frechet distance of {count} {name} images says little and compares only with those "
            f"of as many: take {FEW} or more, or the kernel distance (kid)",
            FewImages,
            stacklevel=3,
        )
