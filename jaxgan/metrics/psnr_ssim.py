"""PSNR and SSIM of images against the truth, as super-resolution is scored: on the luminance, in
the 256 levels of an image file, without the outermost pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from jaxgan import color, data
from jaxgan.types import Array

CROP = 4
"""Pixels that are left out at each edge (Ledig et al. 2017, section 3.1)."""

PEAK = 255.0


def luminance(images: Array | np.ndarray) -> np.ndarray:
    """Y of YCbCr, float64 [N, H, W], of images [N, H, W, C], floats in [-1, 1] or uint8.

    Color gives 16 to 235 (ITU-R BT.601, as MATLAB's `rgb2ycbcr` but not rounded), gray its own
    levels, 0 to 255; floats are rounded to the 256 levels first. Raises ValueError on another
    number of channels than 1, 3, or 4, whose last is left out.
    """
    pixels = np.asarray(images)
    if pixels.dtype != np.uint8:
        pixels = data.to_uint8(pixels)
    if pixels.ndim != 4 or pixels.shape[3] not in (1, 3, 4):
        raise ValueError(f"the images have shape {pixels.shape}; expected [N, H, W, 1, 3 or 4]")
    if pixels.shape[3] == 1:
        return pixels[..., 0].astype(np.float64)
    return 16.0 + pixels[..., :3] @ (219.0 * np.array(color.LUMA) / 255.0)


def psnr(images: Array | np.ndarray, truth: Array | np.ndarray, *, crop: int = CROP) -> np.ndarray:
    """10 log10(255^2 / mean squared difference of Y) of each image, in dB, [N]; infinite where they
    are equal. Raises ValueError where shapes differ or the crop leaves nothing.
    """
    left, right = _compared(images, truth, crop)
    return decibels(np.mean(np.square(left - right), axis=(1, 2)))


def decibels(error: np.ndarray) -> np.ndarray:
    """The PSNR of mean squared differences on the scale [0, 255], in dB; infinite at 0."""
    with np.errstate(divide="ignore"):
        return 10.0 * np.log10(PEAK**2 / error)


def ssim(images: Array | np.ndarray, truth: Array | np.ndarray, *, crop: int = CROP) -> np.ndarray:
    """The mean structural similarity of Y of each image, [N], at most 1 (Wang et al. 2004): windows
    of 11x11 that lie within the image, K1 = 0.01, K2 = 0.03, and population (co)variances.

    Raises ValueError where shapes differ or the crop leaves no window.
    """
    left, right = _compared(images, truth, crop)
    if min(left.shape[1:]) < SIZE:
        raise ValueError(
            f"a crop of {crop} leaves {left.shape[1]}x{left.shape[2]} pixels; SSIM needs "
            f"{SIZE} each way: give larger images or a smaller crop"
        )
    return np.array([_similarity(a, b) for a, b in zip(left, right, strict=True)])


def _compared(images, truth, crop: int) -> tuple[np.ndarray, np.ndarray]:
    """Both luminances [N, h, w] without the crop."""
    left, right = luminance(images), luminance(truth)
    if left.shape != right.shape:
        raise ValueError(f"images of shape {left.shape} are compared with a truth of {right.shape}")
    height, width = left.shape[1:]
    if crop < 0 or 2 * crop >= min(height, width):
        raise ValueError(f"a crop of {crop} pixels leaves nothing of images of {height}x{width}")
    inner = np.s_[:, crop : height - crop, crop : width - crop]
    return left[inner], right[inner]


def _similarity(left: np.ndarray, right: np.ndarray) -> float:
    """Wang et al. 2004, equation 13, averaged over all windows."""
    small, smaller = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    mean_left, mean_right = _smoothed(left), _smoothed(right)
    variance_left = _smoothed(left**2) - mean_left**2
    variance_right = _smoothed(right**2) - mean_right**2
    covariance = _smoothed(left * right) - mean_left * mean_right
    similarity = (2 * mean_left * mean_right + small) * (2 * covariance + smaller)
    similarity /= mean_left**2 + mean_right**2 + small
    return float(np.mean(similarity / (variance_left + variance_right + smaller)))


def _smoothed(image: np.ndarray) -> np.ndarray:
    """The weighted mean of every whole window, [H - 10, W - 10]."""
    return smoothed(image, axes=(0, 1))


SIZE, DEVIATION = 11, 1.5
"""Side and standard deviation, in pixels, of the window of Wang et al. 2004."""


def smoothed(
    images: np.ndarray,
    *,
    axes: Sequence[int],
    size: int = SIZE,
    deviation: float = DEVIATION,
) -> np.ndarray:
    """The weighted mean of every window that lies whole within the image, along the axes of height
    and width, which become `size` - 1 shorter.
    """
    weights = np.exp(-0.5 * np.square((np.arange(size) - (size - 1) / 2) / deviation))
    weights /= np.sum(weights)
    for axis in axes:
        images = sliding_window_view(images, size, axis) @ weights
    return images
