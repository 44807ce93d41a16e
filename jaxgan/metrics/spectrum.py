"""How much of the images' variation lies at which frequency, and how far two such spectra are
apart: what too smooth or too busy images differ by from real ones, whatever they show.
"""

from __future__ import annotations

import numpy as np

from jaxgan.metrics import psnr_ssim
from jaxgan.types import Array

_ROUNDING = 1.0 / 12.0  # variance of rounding to levels: no image file tells of less


def radial_log_spectrum(images: Array | np.ndarray) -> np.ndarray:
    """log10 of the power of Y by frequency, the mean over images [N, H, W, C], float64 [R].

    Entry r - 1 is the mean power of all frequencies of r - 1/2 to r + 1/2 cycles in the shorter
    side, up to half a cycle a pixel: R is half that side. Power is in squared levels (of 255) a
    frequency, under a Hann window that keeps the image's edges out, its mean removed, and the
    rounding's added. Raises ValueError on images of fewer than 4 pixels.
    """
    levels = psnr_ssim.luminance(images)
    height, width = levels.shape[1:]
    if min(height, width) < 4:
        raise ValueError(f"images of {height}x{width} pixels have no spectrum; expected 4 or more")
    rings = _rings(height, width)
    # One by one: all images' powers together would take many times their memory.
    each = (power(image[None])[0] for image in levels)
    return np.mean([np.log10(_by_ring(one, rings)) for one in each], axis=0)


def power(levels: np.ndarray) -> np.ndarray:
    """The power of every frequency, float64 [N, H, W] in the order of `numpy.fft.fft2`, of images'
    levels [N, H, W], as in `radial_log_spectrum`.
    """
    window = _window(*levels.shape[1:])
    mean = np.sum(levels * window, axis=(1, 2), keepdims=True) / np.sum(window)
    waves = np.fft.fft2((levels - mean) * window)
    return np.square(np.abs(waves)) / np.sum(window**2) + _ROUNDING


def gain(height: int, width: int) -> float:
    """The power that a pattern which adds and takes away one level, pixel by pixel, has at its
    frequency in images of this size.
    """
    window = _window(height, width)
    return float(np.sum(window) ** 2 / np.sum(window**2))


def distance(left: np.ndarray, right: np.ndarray) -> float:
    """The root mean squared difference of two log spectra, in dB; ValueError where they are of
    images of different sizes.
    """
    if left.shape != right.shape:
        raise ValueError(
            f"spectra of {len(left)} and {len(right)} frequencies cannot be compared; "
            "bring the images to one size"
        )
    return float(10.0 * np.sqrt(np.mean(np.square(left - right))))


def _window(height: int, width: int) -> np.ndarray:
    return np.outer(_hann(height), _hann(width))


def _hann(size: int) -> np.ndarray:
    return 0.5 - 0.5 * np.cos(2.0 * np.pi * (np.arange(size) + 0.5) / size)


def _rings(height: int, width: int) -> np.ndarray:
    """The ring of each frequency, int [H, W]; 0 outside of all."""
    side = min(height, width)
    frequencies = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)) * side
    rings = np.rint(frequencies).astype(int)
    return np.where(rings <= side // 2, rings, 0)


def _by_ring(power: np.ndarray, rings: np.ndarray) -> np.ndarray:
    """The mean power [R] of one image's frequencies [H, W] over each ring."""
    sums = np.bincount(rings.ravel(), weights=power.ravel())
    return sums[1:] / np.bincount(rings.ravel())[1:]
