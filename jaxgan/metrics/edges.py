"""How sharp the edges of images are, and how far two sets are apart in that: what means of several
possible images, which a mean error asks for, blur.
"""

from __future__ import annotations

import numpy as np

from jaxgan.metrics import psnr_ssim
from jaxgan.types import Array

_LEVELS = 1000


def strengths(images: Array | np.ndarray) -> np.ndarray:
    """The length of the gradient of Y, in levels (of 255) a pixel, of images [N, H, W, C] in
    [-1, 1]: float64 [N, H - 1, W - 1], by the differences to the next row and column.

    Raises ValueError on images of one row or column.
    """
    levels = psnr_ssim.luminance(images)
    if min(levels.shape[1:]) < 2:
        size = "x".join(map(str, levels.shape[1:]))
        raise ValueError(f"images of {size} pixels have no edges; expected 2x2 or more")
    down = np.diff(levels, axis=1)[:, :, :-1]
    across = np.diff(levels, axis=2)[:, :-1]
    return np.hypot(down, across)


def distance(left: Array | np.ndarray, right: Array | np.ndarray) -> float:
    """How far the edges of two sets of images [N, H, W, C] are apart, in levels a pixel: the mean
    distance of equal quantiles of their strengths, which is the Wasserstein distance of the two
    distributions. The numbers of images may differ.
    """
    at = (np.arange(_LEVELS) + 0.5) / _LEVELS
    quantiles = [np.quantile(strengths(images), at) for images in (left, right)]
    return float(np.mean(np.abs(quantiles[0] - quantiles[1])))
