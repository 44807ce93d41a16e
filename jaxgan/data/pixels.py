"""The one mapping between stored pixels (uint8) and what networks see (float32 in [-1, 1])."""

from __future__ import annotations

import numpy as np


def to_float(pixels: np.ndarray) -> np.ndarray:
    """Float32 in [-1, 1] from uint8 of any shape: 0 is exactly -1 and 255 exactly 1.

    Raises TypeError on another type.
    """
    if pixels.dtype != np.uint8:
        raise TypeError(f"the pixels are {pixels.dtype}; expected uint8 in [0, 255]")
    levels = pixels.astype(np.float32)
    levels /= 127.5  # a division, not a product with the inverse, so that 255 becomes exactly 2
    levels -= 1.0
    return levels


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Uint8 of any shape from floats in [-1, 1], rounded to the nearest level.

    Values outside are clipped and NaN becomes 0, so that the samples of a broken generator can
    still be looked at. `to_uint8(to_float(pixels))` is `pixels`.
    """
    levels = (np.asarray(images, np.float32) + 1.0) * 127.5
    return np.nan_to_num(np.rint(np.clip(levels, 0.0, 255.0))).astype(np.uint8)
