"""Edge sharpness, and the distance between two sets' distributions of edge strengths.

It detects the blur caused by mean-squared-error losses, whose optimum is the mean of all plausible
images.
"""

from __future__ import annotations

import numpy as np

from jaxgan.metrics import psnr_ssim
from jaxgan.types import Array

_LEVELS = 1000


def strengths(images: Array | np.ndarray) -> np.ndarray:
    """Computes the norm of the gradient of the luminance Y, float64 [N, H - 1, W - 1].

    The gradient is the difference to the next row and column, in levels (of 255) per pixel.

    Args:
        images: Images, [N, H, W, C] in [-1, 1].

    Raises:
        ValueError: If the images have a single row or column.
    """
    levels = psnr_ssim.luminance(images)
    if min(levels.shape[1:]) < 2:
        size = "x".join(map(str, levels.shape[1:]))
        raise ValueError(f"images of {size} pixels have no edges; expected 2x2 or more")
    down = np.diff(levels, axis=1)[:, :, :-1]
    across = np.diff(levels, axis=2)[:, :-1]
    return np.hypot(down, across)


def distance(left: Array | np.ndarray, right: Array | np.ndarray) -> float:
    """Computes the Wasserstein distance of two sets' distributions of edge strengths.

    It is the mean absolute difference of equal quantiles, in levels (of 255) per pixel. The sets
    may differ in size.

    Args:
        left: Images, [N, H, W, C] in [-1, 1].
        right: Images, [M, H, W, C] in [-1, 1].
    """
    at = (np.arange(_LEVELS) + 0.5) / _LEVELS
    quantiles = [np.quantile(strengths(images), at) for images in (left, right)]
    return float(np.mean(np.abs(quantiles[0] - quantiles[1])))
