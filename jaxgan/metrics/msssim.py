"""Multi-scale structural similarity (MS-SSIM) within a set of images, a measure of diversity.

Odena et al. 2017 introduced it for GANs, and progressive growing reports it. A higher value than
that of real images means a loss of diversity. It does not measure quality. It is meant for pairs of
images of the same class: evaluate each class by itself. Pairs are random, because neighbors in
stored order are of one class if images are sorted by class.

References:
    Wang et al. 2003.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxgan.data import counter_rng
from jaxgan.metrics import psnr_ssim
from jaxgan.metrics.streaming import Metric, Stream

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, finest first (Wang et al. 2003, section 3.2)."""

_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_SMALLEST = 2 ** (len(WEIGHTS) - 1)


_BLOCK = 250  # pairs compared at a time, to bound the memory


class Drawn(NamedTuple):
    """The images to pair: those with the smallest random numbers of all images seen.

    Attributes:
        seen: Number of images seen.
        draws: Random number of each image that is kept, [K].
        images: The images that are kept, [K, H, W, C].
    """

    seen: int
    draws: np.ndarray
    images: np.ndarray


class Total(NamedTuple):
    """The similarities of pairs.

    Attributes:
        total: Their sum.
        count: Their number.
    """

    total: float
    count: int


def ms_ssim(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Computes the MS-SSIM of pairs of images, float64 [N], at most 1.

    It has five scales and a Gaussian window of 11 pixels and standard deviation 1.5, which shrinks
    for images smaller than the window. Negative terms are set to zero, as in the code of
    progressive growing.

    Args:
        first: Images, [N, H, W, C] in [0, 255].
        second: The images to compare them with, of the same shape.

    Raises:
        ValueError: If the shapes differ, or a side is below 16 pixels.
    """
    if first.shape != second.shape or first.ndim != 4:
        raise ValueError(
            f"the images have shapes {first.shape} and {second.shape}; expected one [N, H, W, C]"
        )
    if min(first.shape[1:3]) < _SMALLEST:
        raise ValueError(
            f"images of {first.shape[1]}x{first.shape[2]} have no {len(WEIGHTS)} scales; expected "
            f"sides of {_SMALLEST} pixels or more"
        )
    pair = [np.asarray(images, np.float64) for images in (first, second)]
    found = np.ones(len(first))
    for scale, weight in enumerate(WEIGHTS, start=1):
        structure, whole = _similarities(*pair)
        term = whole if scale == len(WEIGHTS) else structure
        found *= np.maximum(term, 0.0) ** weight
        pair = [_halved(images) for images in pair]
    return found


def between_pairs(images: np.ndarray, *, pairs: int = 5000, seed: int = 0) -> float:
    """Computes the mean similarity of random pairs of images.

    No image is in two pairs.

    Args:
        images: Images, [N, H, W, C] in [0, 255].
        pairs: Number of pairs, or fewer if there are not enough images.
        seed: Seed of the random pairs.

    Raises:
        ValueError: If there are fewer than two images.
    """
    stream = _pairs(pairs, seed)
    return _mean(stream.finish(stream.update(stream.init(), images)))


def metric(*, pairs: int = 5000, seed: int = 0) -> Metric:
    """Returns the MS-SSIM of generated images as a metric, with that of real ones as a reference.

    Args:
        pairs: Number of pairs, or fewer if there are not enough images.
        seed: Seed of the random pairs.
    """

    def compute(generated: Total, real: Total) -> dict[str, float]:
        return {"ms_ssim": _mean(generated), "ms_ssim_of_real": _mean(real)}

    settings = {"scales": len(WEIGHTS), "pairs, at most": pairs, "seed of the pairs": seed}
    return Metric(_pairs(pairs, seed), compute, settings, smallest=_SMALLEST)


def _pairs(most: int, seed: int) -> Stream:
    """Returns the stream of the similarities of random pairs.

    Every image has a random number that depends only on its index. The images with the smallest
    numbers are paired in the order of their numbers.
    """

    def none() -> Drawn:
        return Drawn(0, np.zeros(0, np.uint64), np.zeros(0, np.uint8))

    def extended(state: Drawn, images: np.ndarray) -> Drawn:
        seen = state.seen + len(images)
        draws = counter_rng.bits(seed, "pairs", np.arange(state.seen, seen))
        if len(state.draws) == 2 * most:  # avoids copying images that cannot be kept
            among = draws < np.max(state.draws)
            draws, images = draws[among], images[among]
        if len(state.draws):
            draws = np.concatenate([state.draws, draws])
            images = np.concatenate([state.images, images])
        if len(draws) > 2 * most:
            least = np.argsort(draws, kind="stable")[: 2 * most]
            draws, images = draws[least], images[least]
        return Drawn(seen, draws, images)

    def finish(state: Drawn) -> Total:
        order = np.argsort(state.draws, kind="stable")
        first, second = order[: len(order) // 2 * 2].reshape(-1, 2).T
        starts = range(0, len(first), _BLOCK)
        blocks = ((first[at : at + _BLOCK], second[at : at + _BLOCK]) for at in starts)
        found = [ms_ssim(state.images[left], state.images[right]) for left, right in blocks]
        return Total(float(sum(map(np.sum, found))), len(first))

    return Stream(
        f"similarity of {most} random pairs, seed {seed}", "images", none, extended, finish
    )


def _mean(state: Total) -> float:
    if not state.count:
        raise ValueError("the similarity of pairs needs at least 2 images")
    return float(state.total / state.count)


def _similarities(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Computes the contrast-structure term and the full similarity at one scale.

    Both are means over the image.
    """
    mean1, mean2 = _windowed(first), _windowed(second)
    variance = _windowed(first * first) - mean1**2 + _windowed(second * second) - mean2**2
    covariance = _windowed(first * second) - mean1 * mean2
    structure = (2 * covariance + _C2) / (variance + _C2)
    luminance = (2 * mean1 * mean2 + _C1) / (mean1**2 + mean2**2 + _C1)
    axes = (1, 2, 3)
    return np.mean(structure, axis=axes), np.mean(luminance * structure, axis=axes)


def _windowed(images: np.ndarray) -> np.ndarray:
    """Computes the means of images [N, H, W, C] under the Gaussian window, wherever it fits."""
    size = min(psnr_ssim.SIZE, *images.shape[1:3])
    deviation = psnr_ssim.DEVIATION * size / psnr_ssim.SIZE
    return psnr_ssim.smoothed(images, axes=(1, 2), size=size, deviation=deviation)


def _halved(images: np.ndarray) -> np.ndarray:
    """Averages over 2x2 pixels; an odd last row or column is paired with itself."""
    margin = [(0, 0), *((0, side % 2) for side in images.shape[1:3]), (0, 0)]
    padded = np.pad(images, margin, mode="edge")
    rows = (padded[:, ::2] + padded[:, 1::2]) / 2
    return (rows[:, :, ::2] + rows[:, :, 1::2]) / 2
