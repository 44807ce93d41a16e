"""PSNR and SSIM as used in super-resolution.

They are computed on the luminance, in the 256 levels of an image file, without the outermost
pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from jaxgan import color, data
from jaxgan.types import Array

CROP = 4
"""Number of pixels ignored at each edge (Ledig et al. 2017, section 3.1)."""

PEAK = 255.0


def luminance(images: Array | np.ndarray) -> np.ndarray:
    """Computes the Y of YCbCr, float64 [N, H, W].

    For color images it is in [16, 235] (ITU-R BT.601, as in MATLAB's `rgb2ycbcr`, but not rounded).
    For gray images it is their own levels in [0, 255]. Floats are rounded to the 256 levels first.

    Args:
        images: Images, [N, H, W, C], floats in [-1, 1] or uint8, with 1, 3 or 4 channels. The last
            of 4 channels is ignored.

    Raises:
        ValueError: If the number of channels is not 1, 3 or 4.
    """
    pixels = np.asarray(images)
    if pixels.ndim != 4:
        raise ValueError(f"the images have shape {pixels.shape}; expected [N, H, W, C]")
    if pixels.shape[3] not in (1, 3, 4):
        raise ValueError(
            f"the images have {pixels.shape[3]} channels, whose luminance is not known; expected "
            "1, 3 or 4: compare chosen channels, such as images[..., :1]"
        )
    if pixels.dtype != np.uint8:
        pixels = data.to_uint8(pixels)
    if pixels.shape[3] == 1:
        return pixels[..., 0].astype(np.float64)
    return 16.0 + pixels[..., :3] @ (219.0 * np.array(color.LUMA) / 255.0)


def psnr(images: Array | np.ndarray, truth: Array | np.ndarray, *, crop: int = CROP) -> np.ndarray:
    """Computes 10 log10(255^2 / mean squared difference of Y) of each image, in dB, [N].

    It is infinite for equal images.

    Args:
        images: Images, [N, H, W, C], floats in [-1, 1] or uint8.
        truth: Ground truth, of the same shape.
        crop: Number of pixels ignored at each edge.

    Raises:
        ValueError: If the shapes differ, or the crop leaves nothing.
    """
    left, right = _compared(images, truth, crop)
    return decibels(np.mean(np.square(left - right), axis=(1, 2)))


def decibels(error: np.ndarray) -> np.ndarray:
    """Computes the PSNR of mean squared differences on the scale [0, 255], in dB; infinite at 0."""
    with np.errstate(divide="ignore"):
        return 10.0 * np.log10(PEAK**2 / error)


def ssim(images: Array | np.ndarray, truth: Array | np.ndarray, *, crop: int = CROP) -> np.ndarray:
    """Computes the mean structural similarity of Y of each image, [N], at most 1.

    It averages over windows of 11x11 pixels inside the image, with K1 = 0.01, K2 = 0.03, and
    population (co)variances.

    Args:
        images: Images, [N, H, W, C], floats in [-1, 1] or uint8.
        truth: Ground truth, of the same shape.
        crop: Number of pixels ignored at each edge.

    Raises:
        ValueError: If the shapes differ, or the crop leaves no window.

    References:
        Wang et al. 2004.
    """
    left, right = _compared(images, truth, crop)
    if min(left.shape[1:]) < SIZE:
        raise ValueError(
            f"a crop of {crop} leaves {left.shape[1]}x{left.shape[2]} pixels; SSIM needs "
            f"{SIZE} each way: give larger images or a smaller crop"
        )
    return np.array([_similarity(a, b) for a, b in zip(left, right, strict=True)])


def _compared(images, truth, crop: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns both luminances [N, h, w], cropped."""
    left, right = luminance(images), luminance(truth)
    if left.shape != right.shape:
        raise ValueError(f"images of shape {left.shape} are compared with a truth of {right.shape}")
    height, width = left.shape[1:]
    if crop < 0 or 2 * crop >= min(height, width):
        raise ValueError(f"a crop of {crop} pixels leaves nothing of images of {height}x{width}")
    inner = np.s_[:, crop : height - crop, crop : width - crop]
    return left[inner], right[inner]


def _similarity(left: np.ndarray, right: np.ndarray) -> float:
    """Computes equation 13 of Wang et al. 2004, averaged over all windows."""
    small, smaller = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    mean_left, mean_right = _smoothed(left), _smoothed(right)
    variance_left = _smoothed(left**2) - mean_left**2
    variance_right = _smoothed(right**2) - mean_right**2
    covariance = _smoothed(left * right) - mean_left * mean_right
    similarity = (2 * mean_left * mean_right + small) * (2 * covariance + smaller)
    similarity /= mean_left**2 + mean_right**2 + small
    return float(np.mean(similarity / (variance_left + variance_right + smaller)))


def _smoothed(image: np.ndarray) -> np.ndarray:
    """Computes the weighted mean of every window inside the image, [H - 10, W - 10]."""
    return smoothed(image, axes=(0, 1))


SIZE, DEVIATION = 11, 1.5
"""Side and standard deviation, in pixels, of the Gaussian window of Wang et al. 2004."""


def smoothed(
    images: np.ndarray,
    *,
    axes: Sequence[int],
    size: int = SIZE,
    deviation: float = DEVIATION,
) -> np.ndarray:
    """Computes the Gaussian-weighted mean of every window inside the image.

    Args:
        images: Images, of any shape.
        axes: The axes of height and width, which become `size` - 1 shorter.
        size: Side of the window, in pixels.
        deviation: Standard deviation of the Gaussian, in pixels.
    """
    weights = np.exp(-0.5 * np.square((np.arange(size) - (size - 1) / 2) / deviation))
    weights /= np.sum(weights)
    for axis in axes:
        images = sliding_window_view(images, size, axis) @ weights
    return images
