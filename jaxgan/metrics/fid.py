"""Frechet distance of two sets of features, as in the FID, and its extrapolation.

The FID of Heusel et al. 2017 is the Frechet distance on Inception's features. The proxy FID is the
same distance on the features of the embedded classifier of garments. It ranks models of garments:
its values do not compare with published FIDs, only with proxy FIDs of the same number of images.
On EfficientNet-Lite0 the metric is called 'efficientnet_lite0_frechet'. `selection.extractor_of`
chooses the network.
Fewer images of the same distribution give a larger distance. `frechet_infinity` extrapolates to
infinitely many.
"""

from __future__ import annotations

import functools
import warnings
from typing import NamedTuple

import numpy as np
from jax.sharding import Mesh

from jaxgan.metrics import garments, products, streaming
from jaxgan.metrics.streaming import Metric, Rows, Stream
from jaxgan.types import Array

FEW = 2048
"""Number of images below which a Frechet distance is unreliable.

Inception has 2048 features, and the covariance of fewer images is singular.
"""


class FewImages(UserWarning):
    """Warns of a metric computed from too few images to be reliable."""


class Moments(NamedTuple):
    """The moments of a set of features that the Frechet distance needs, in float64.

    Attributes:
        count: Number of examples.
        mean: Mean of the features, [F].
        scatter: Sum of the outer products of the deviations from the mean, [F, F].
    """

    count: int
    mean: np.ndarray
    scatter: np.ndarray

    @property
    def covariance(self) -> np.ndarray:
        """The unbiased covariance, [F, F].

        Raises:
            ValueError: If there are fewer than two examples.
        """
        if self.count < 2:
            raise ValueError(f"a covariance needs at least 2 rows of features; got {self.count}")
        return self.scatter / (self.count - 1)


def moments(features: np.ndarray, *, mesh: Mesh | None = None) -> Moments:
    """Computes the moments of features.

    Args:
        features: Features, [N, F].
        mesh: Devices to share the work; None for one.

    Raises:
        ValueError: If there are no features, or they are not finite.
    """
    wide = streaming.matrix(features, name="features")
    mean = np.mean(wide, axis=0)
    apart = (wide - mean).T
    return Moments(len(wide), mean, products.by(apart, mesh=mesh)(apart))


def merged(left: Moments, right: Moments) -> Moments:
    """Returns the moments of the union of two sets of features.

    This way sets too large for the memory are processed batch by batch.

    Args:
        left: Moments of one set.
        right: Moments of the other.

    References:
        Chan et al. 1983.
    """
    count = left.count + right.count
    apart = right.mean - left.mean
    return Moments(
        count,
        left.mean + apart * (right.count / count),
        left.scatter + right.scatter + np.outer(apart, apart) * (left.count * right.count / count),
    )


def frechet_distance(left: Moments, right: Moments) -> float:
    """Computes the squared 2-Wasserstein distance of two Gaussian fits.

    It is |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). The trace of the root is the sum of the
    singular values of C1^(1/2) C2^(1/2), whose factors come from symmetric eigenvalue problems. So
    the distance is real for all covariances, including those of few or constant features.

    Args:
        left: Moments of one set.
        right: Moments of the other.

    Raises:
        ValueError: If the numbers of features differ, or a set has fewer than two examples.

    References:
        Dowson and Landau 1982; Heusel et al. 2017, eq. 6.
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
    mesh: Mesh | None = None,
) -> float:
    """Extrapolates the Frechet distance to infinitely many generated examples.

    A line is fitted to the distances of random subsets over 1 / size, and evaluated at zero. The
    bias due to the number of real examples remains. The result may be negative.

    Args:
        features: Generated features, [N, F].
        real: Moments of the real features.
        smallest: Size of the smallest subset. The sizes are evenly spaced from there to N.
        points: Number of subsets.
        seed: Seed of the random subsets.
        mesh: Devices to share the work; None for one.

    Raises:
        ValueError: If N is below twice `smallest`, or `points` is below 2.

    References:
        Chong and Forsyth 2020 (arXiv 1911.07023).
    """
    if points < 2 or len(features) < 2 * smallest:
        raise ValueError(
            f"{len(features)} rows of features cannot be extrapolated over {points} subsets of "
            f"{smallest} rows or more; expected at least {2 * smallest} rows and 2 subsets"
        )
    draws, root = np.random.default_rng(seed), _root(real.covariance)
    sizes = np.linspace(smallest, len(features), points).astype(int)
    subsets = (features[draws.choice(len(features), size, replace=False)] for size in sizes)
    distances = [_distance(moments(subset, mesh=mesh), real, root) for subset in subsets]
    return float(np.polyfit(1 / sizes, distances, 1)[1])


def metric(*, mesh: Mesh | None = None) -> Metric:
    """Returns the Frechet distance as the metric 'fid', which warns if a set has few images.

    Args:
        mesh: Devices to share the work; None for one.
    """

    def compute(generated: Moments, real: Moments) -> dict[str, float]:
        for name, side in (("generated", generated), ("real", real)):
            _warn_if_few(int(side.count), name)
        return {"fid": frechet_distance(generated, real)}

    aim = streaming.Aim("fid", "lowest")
    stream = MOMENTS._replace(update=functools.partial(_with, mesh=mesh))
    return Metric(stream, compute, {"covariance": "unbiased, float64"}, aim=aim)


def infinity_metric(
    *, smallest: int = 5000, points: int = 15, seed: int = 0, mesh: Mesh | None = None
) -> Metric:
    """Returns the extrapolated Frechet distance as the metric 'fid_infinity'.

    Args:
        smallest: Size of the smallest subset.
        points: Number of subsets.
        seed: Seed of the random subsets.
        mesh: Devices to share the work; None for one.
    """

    def compute(generated: Rows, real: Rows) -> dict[str, float]:
        found = frechet_infinity(
            generated.rows,
            moments(real.rows, mesh=mesh),
            smallest=smallest,
            points=points,
            seed=seed,
            mesh=mesh,
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
    """Computes the Frechet distance on the embedded classifier's features.

    Both sets are prepared by `garments.fitted`: 28x28 pixels, grayscale, 256 levels.

    Args:
        images: Generated images, [N, H, W, C] in [-1, 1].
        real: Real images, [M, H, W, C] in [-1, 1].
    """
    return frechet_distance(image_moments(images), image_moments(real))


def image_moments(images: Array | np.ndarray, *, piece: int = 10_000) -> Moments:
    """Computes the moments of the embedded classifier's features of images.

    Args:
        images: Images, [N, H, W, C] in [-1, 1].
        piece: Number of images processed at a time.
    """
    starts = range(0, len(images), piece)
    parts = (garments.judge(garments.fitted(images[i : i + piece]))[1] for i in starts)
    return functools.reduce(merged, map(moments, parts))


def _distance(left: Moments, right: Moments, right_root: np.ndarray) -> float:
    """Computes the distance, given the root of the right covariance."""
    fidelity = np.sum(np.linalg.svd(_root(left.covariance) @ right_root, compute_uv=False))
    spread = np.trace(left.covariance) + np.trace(right.covariance) - 2 * fidelity
    return float(np.sum(np.square(left.mean - right.mean)) + max(spread, 0.0))


def _root(covariance: np.ndarray) -> np.ndarray:
    """Returns the symmetric root; eigenvalues that rounding leaves below zero are set to zero."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def _none() -> Moments:
    return Moments(0, np.zeros(0), np.zeros((0, 0)))


def _with(state: Moments, features: np.ndarray, *, mesh: Mesh | None = None) -> Moments:
    fresh = moments(features, mesh=mesh)
    return merged(state, fresh) if state.count else fresh


MOMENTS = Stream("moments", "features", _none, _with)


def _warn_if_few(count: int, name: str) -> None:
    if count < FEW:
        warnings.warn(
            f"a Frechet distance of {count} {name} images says little and compares only with "
            f"distances of the same number of images: use {FEW} or more, or the metric kid",
            FewImages,
            stacklevel=3,
        )
