"""Multi-scale structural similarity (Wang et al. 2003) between the images of one set: the measure
of variety that Odena et al. 2017 introduced and progressive growing reports.

Generated images that are more alike than real ones, a higher value, have lost variety; the value
says nothing of quality. Pairs of one class are what it is meant for: give each class by itself.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxgan.metrics import psnr_ssim
from jaxgan.metrics.streaming import Metric, Stream

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, finest first (Wang et al. 2003, section 3.2)."""

_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_SMALLEST = 2 ** (len(WEIGHTS) - 1)


class Total(NamedTuple):
    """The similarities of the pairs seen: their sum and number, and an image still without its
    partner, [0 or 1, H, W, C].
    """

    total: float
    count: int
    left: np.ndarray


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


def between_pairs(images: np.ndarray) -> float:
    """The mean similarity of the first image with the second, the third with the fourth, ... of
    images [N, H, W, C] with pixels in [0, 255]; an odd last one is left out.

    Raises ValueError below two images.
    """
    return _mean(_with(_none(), images))


def metric() -> Metric:
    """The similarity within the generated images as a metric, and within the real ones as its
    control.
    """

    def compute(generated: Total, real: Total) -> dict[str, float]:
        return {"ms_ssim": _mean(generated), "ms_ssim_of_real": _mean(real)}

    return Metric(Stream("similarity of pairs", "images", _none, _with), compute, {"scales": 5})


def _none() -> Total:
    return Total(0.0, 0, np.zeros(0, np.uint8))


def _with(state: Total, images: np.ndarray) -> Total:
    if len(state.left):
        images = np.concatenate([state.left, images])
    paired = len(images) // 2 * 2
    found = ms_ssim(images[:paired:2], images[1:paired:2])
    return Total(state.total + float(np.sum(found)), state.count + len(found), images[paired:])


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
