"""The Frechet distance of two sets of features, and the proxy FID of images: that distance on the
features of the embedded classifier of garments.

The FID of Heusel et al. 2017 is this distance on Inception's features. A proxy FID ranks models of
garments among each other; its values compare with no published FID, and only with proxy FIDs from
as many images: fewer images of the same kind give a larger one.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from jaxgan.metrics import garments
from jaxgan.types import Array


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
    """The moments of features [N, F]; ValueError where there are none."""
    wide = np.asarray(features, np.float64)
    if wide.ndim != 2 or 0 in wide.shape:
        raise ValueError(f"the features have shape {wide.shape}; expected [N, F], neither zero")
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
    roots = _root(left.covariance) @ _root(right.covariance)
    fidelity = np.sum(np.linalg.svd(roots, compute_uv=False))
    spread = np.trace(left.covariance) + np.trace(right.covariance) - 2 * fidelity
    return float(np.sum(np.square(left.mean - right.mean)) + max(spread, 0.0))


def _root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric root; rounding leaves eigenvalues just below zero, which are zero."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def proxy_fid(images: Array | np.ndarray, real: Array | np.ndarray) -> float:
    """The Frechet distance of the judge's features of two sets of images [N, H, W, C] in [-1, 1].

    Both are seen as `garments.fitted` has them: at 28x28, greyscale, in 256 levels.
    """
    return frechet_distance(image_moments(images), image_moments(real))


def image_moments(images: Array | np.ndarray, *, piece: int = 10_000) -> Moments:
    """The moments of the judge's features of images [N, H, W, C] in [-1, 1], `piece` at a time."""
    starts = range(0, len(images), piece)
    parts = (garments.judge(garments.fitted(images[i : i + piece]))[1] for i in starts)
    return functools.reduce(merged, map(moments, parts))
