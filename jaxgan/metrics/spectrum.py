"""Power spectra of images and the distance of two spectra.

The distance detects images that are too smooth or too noisy, independent of their content.
"""

from __future__ import annotations

import numpy as np

from jaxgan.metrics import psnr_ssim
from jaxgan.types import Array

_ROUNDING = 1.0 / 12.0  # variance of rounding to levels, the noise floor of an image file


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
    if min(height, width) < 4:
        raise ValueError(f"images of {height}x{width} pixels have no spectrum; expected 4 or more")
    rings = _rings(height, width)
    # One image at a time: the powers of all images would take many times their memory.
    each = (power(image[None])[0] for image in levels)
    return np.mean([np.log10(_by_ring(one, rings)) for one in each], axis=0)


def power(levels: np.ndarray) -> np.ndarray:
    """Computes the power of every frequency as in `radial_log_spectrum`, float64 [N, H, W].

    Frequencies are in the order of `numpy.fft.fft2`.

    Args:
        levels: Luminance in levels, [N, H, W].
    """
    window = _window(*levels.shape[1:])
    mean = np.sum(levels * window, axis=(1, 2), keepdims=True) / np.sum(window)
    waves = np.fft.fft2((levels - mean) * window)
    return np.square(np.abs(waves)) / np.sum(window**2) + _ROUNDING


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
