"""Multi-scale structural similarity (Wang et al. 2003) between the images of one set: the measure
of variety that Odena et al. 2017 introduced and progressive growing reports.

Generated images that are more alike than real ones, a higher value, have lost variety; the value
says nothing of quality. Pairs are random: neighbors in stored order are of one class where images
are sorted by theirs. Pairs of one class are what it is meant for: give each class by itself.
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


_BLOCK = 250  # pairs compared at a time


class Drawn(NamedTuple):
    """The images to pair: of the `seen` ones those with the least draws, [K] and [K, H, W, C]."""

    seen: int
    draws: np.ndarray
    images: np.ndarray


class Total(NamedTuple):
    """The similarities of pairs: their sum and number."""

    total: float
    count: int


def ms_ssim(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The similarity, float64 [N] and at most 1, of images [N, H, W, C] with pixels in [0, 255].

    Five scales, a Gaussian window of 11 pixels and deviation 1.5, shrunk with images smaller than
    it, and negative terms taken as zero, as the code of progressive growing has it. Raises
    ValueError where the shapes differ or a side is below 16.
    """
    if first.shape != second.shape or first.ndim != 4:
        raise ValueError(f"the images have shapes {first.shape} and {second.shape}; expected one")
    if min(first.shape[1:3]) < _SMALLEST:
        raise ValueError(
            f"images of {first.shape[1]}x{first.shape[2]} have no {len(WEIGHTS)} scales; expected "
            f"sides of {_SMALLEST} or more"
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
    """The mean similarity of so many random pairs, or as many as there are, of images [N, H, W, C]
    with pixels in [0, 255]; no image is in two.

    Raises ValueError below two images.
    """
    stream = _pairs(pairs, seed)
    return _mean(stream.finish(stream.update(stream.init(), images)))


def metric(*, pairs: int = 5000, seed: int = 0) -> Metric:
    """The similarity within the generated images as a metric, and within the real ones as its
    control.
    """

    def compute(generated: Total, real: Total) -> dict[str, float]:
        return {"ms_ssim": _mean(generated), "ms_ssim_of_real": _mean(real)}

    settings = {"scales": len(WEIGHTS), "pairs, at most": pairs, "seed of the pairs": seed}
    return Metric(_pairs(pairs, seed), compute, settings, smallest=_SMALLEST)


def _pairs(most: int, seed: int) -> Stream:
    """The stream of the similarities of random pairs: every image has a draw by its place alone,
    and those with the least draws are paired in the order of these.
    """

    def none() -> Drawn:
        return Drawn(0, np.zeros(0, np.uint64), np.zeros(0, np.uint8))

    def extended(state: Drawn, images: np.ndarray) -> Drawn:
        seen = state.seen + len(images)
        draws = counter_rng.bits(seed, "pairs", np.arange(state.seen, seen))
        if len(state.draws) == 2 * most:  # what is not among the least is not copied
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
    """The contrast-structure term and the whole similarity at one scale, means over the image."""
    mean1, mean2 = _windowed(first), _windowed(second)
    variance = _windowed(first * first) - mean1**2 + _windowed(second * second) - mean2**2
    covariance = _windowed(first * second) - mean1 * mean2
    structure = (2 * covariance + _C2) / (variance + _C2)
    luminance = (2 * mean1 * mean2 + _C1) / (mean1**2 + mean2**2 + _C1)
    axes = (1, 2, 3)
    return np.mean(structure, axis=axes), np.mean(luminance * structure, axis=axes)


def _windowed(images: np.ndarray) -> np.ndarray:
    """Means of the images [N, H, W, C] under the Gaussian window wherever it fits."""
    size = min(psnr_ssim.SIZE, *images.shape[1:3])
    deviation = psnr_ssim.DEVIATION * size / psnr_ssim.SIZE
    return psnr_ssim.smoothed(images, axes=(1, 2), size=size, deviation=deviation)


def _halved(images: np.ndarray) -> np.ndarray:
    """Means of 2x2 pixels; an odd last row or column is paired with itself."""
    margin = [(0, 0), *((0, side % 2) for side in images.shape[1:3]), (0, 0)]
    padded = np.pad(images, margin, mode="edge")
    rows = (padded[:, ::2] + padded[:, 1::2]) / 2
    return (rows[:, :, ::2] + rows[:, :, 1::2]) / 2
