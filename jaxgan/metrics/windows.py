"""Gaussian windows, through which structural similarities look."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

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
