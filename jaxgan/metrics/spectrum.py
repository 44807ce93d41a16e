"""Power spectra of images and the distance of two spectra.

The distance detects images that are too smooth or too noisy, independent of their content.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxgan.metrics import psnr_ssim, streaming
from jaxgan.metrics.streaming import Metric, Stream
from jaxgan.types import Array

SMALLEST = 4
"""The smallest side of images that have a spectrum, in pixels."""

_ROUNDING = 1.0 / 12.0  # variance of rounding to levels, the noise floor of an image file
_FLOAT = float(np.finfo(np.float32).eps)  # relative size of the steps of float32


class Total(NamedTuple):
    """The sum of the log spectra of a set of images.

    Attributes:
        total: log10 of the power of each channel by frequency, summed over the images, [C, R].
        count: Number of images.
    """

    total: np.ndarray
    count: int


def radial_log_spectrum(images: Array | np.ndarray) -> np.ndarray:
    """Computes log10 of the power of Y by frequency, averaged over the images, float64 [R].

    Entry r - 1 is the mean power of all frequencies of r - 1/2 to r + 1/2 cycles per shorter side,
    up to half a cycle per pixel: R is half the shorter side. Power is in squared levels (of 255)
    per frequency. The mean is removed, a Hann window suppresses the image's edges, and the power of
    rounding to levels is added.

    Args:
        images: Images, [N, H, W, C] in [-1, 1].

    Raises:
        ValueError: If a side is below 4 pixels.
    """
    levels = psnr_ssim.luminance(images)
    height, width = levels.shape[1:]
    if min(height, width) < SMALLEST:
        raise ValueError(
            f"images of {height}x{width} pixels have no spectrum; expected {SMALLEST} or more"
        )
    rings = _rings(height, width)
    # One image at a time: the powers of all images would take many times their memory.
    each = (power(image[None])[0] for image in levels)
    return np.mean([np.log10(_by_ring(one, rings)) for one in each], axis=0)


def metric() -> Metric:
    """Returns the distance of the log spectra of two sets, in dB, as the metric 'spectrum'.

    The log spectrum of a set is the mean over its images, for each channel by itself, of what
    `radial_log_spectrum` computes of the luminance. Of floats of any range no power of rounding to
    levels is added, but that of rounding to float32.
    """

    def none() -> Total:
        return Total(np.zeros((0, 0)), 0)

    def extended(state: Total, images: np.ndarray) -> Total:
        rings = _rings(*images.shape[1:3])
        total = np.sum([_channels(image, rings) for image in images], axis=0)
        return Total(state.total + total if state.count else total, state.count + len(images))

    def compute(generated: Total, real: Total) -> dict[str, float]:
        sides = ((side.total / side.count).ravel() for side in (generated, real))
        return {"spectrum": distance(*sides)}

    stream = Stream("log spectrum of each channel", "images", none, extended)
    settings = {"unit": "dB", "of": "each channel by itself"}
    aim = streaming.Aim("spectrum", "lowest")
    return Metric(stream, compute, settings, smallest=SMALLEST, aim=aim, of_values=True)


def _channels(image: np.ndarray, rings: np.ndarray) -> np.ndarray:
    """Computes log10 of the power of each channel of an image [H, W, C] by ring, [C, R]."""
    planes = np.moveaxis(image, 2, 0).astype(np.float64)
    rounding = [_ROUNDING] * len(planes)
    if image.dtype != np.uint8:
        steps = np.square(planes).mean(axis=(1, 2)) * _FLOAT**2
        rounding = (steps * _ROUNDING + np.finfo(np.float32).tiny).tolist()
    powers = (power(one[None], of)[0] for one, of in zip(planes, rounding, strict=True))
    return np.stack([np.log10(_by_ring(one, rings)) for one in powers])


def power(levels: np.ndarray, rounding: float = _ROUNDING) -> np.ndarray:
    """Computes the power of every frequency as in `radial_log_spectrum`, float64 [N, H, W].

    Frequencies are in the order of `numpy.fft.fft2`.

    Args:
        levels: Luminance in levels, [N, H, W].
        rounding: The power of rounding, which is added to all.
    """
    window = _window(*levels.shape[1:])
    mean = np.sum(levels * window, axis=(1, 2), keepdims=True) / np.sum(window)
    waves = np.fft.fft2((levels - mean) * window)
    return np.square(np.abs(waves)) / np.sum(window**2) + rounding


def gain(height: int, width: int) -> float:
    """Computes the power, at its own frequency, of a pattern of alternating +1 and -1 level.

    Args:
        height: Height of the images.
        width: Width of the images.
    """
    window = _window(height, width)
    return float(np.sum(window) ** 2 / np.sum(window**2))


def distance(left: np.ndarray, right: np.ndarray) -> float:
    """Computes the root mean squared difference of two log spectra, in dB.

    Args:
        left: A spectrum of `radial_log_spectrum`, [R].
        right: The other, [R].

    Raises:
        ValueError: If the spectra are of images of different sizes.
    """
    if left.shape != right.shape:
        raise ValueError(
            f"spectra of {len(left)} and {len(right)} frequencies cannot be compared; "
            "resize the images to one size"
        )
    return float(10.0 * np.sqrt(np.mean(np.square(left - right))))


def _window(height: int, width: int) -> np.ndarray:
    return np.outer(_hann(height), _hann(width))


def _hann(size: int) -> np.ndarray:
    return 0.5 - 0.5 * np.cos(2.0 * np.pi * (np.arange(size) + 0.5) / size)


def _rings(height: int, width: int) -> np.ndarray:
    """Returns the ring of each frequency, int [H, W]; 0 outside of all rings."""
    side = min(height, width)
    frequencies = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)) * side
    rings = np.rint(frequencies).astype(int)
    return np.where(rings <= side // 2, rings, 0)


def _by_ring(power: np.ndarray, rings: np.ndarray) -> np.ndarray:
    """Computes the mean power [R] over each ring from one image's power [H, W]."""
    sums = np.bincount(rings.ravel(), weights=power.ravel())
    return sums[1:] / np.bincount(rings.ravel())[1:]
