"""The mapping between stored pixels (uint8) and network inputs (float32 in [-1, 1])."""

from __future__ import annotations

import numpy as np


def to_float(pixels: np.ndarray) -> np.ndarray:
    """Returns pixels as float32 in [-1, 1]; 0 becomes exactly -1 and 255 exactly 1.

    Args:
        pixels: uint8 of any shape.

    Raises:
        TypeError: if the pixels are not uint8.
    """
    if pixels.dtype != np.uint8:
        raise TypeError(f"the pixels are {pixels.dtype}; expected uint8 in [0, 255]")
    levels = pixels.astype(np.float32)
    levels /= 127.5  # not a product with the inverse: 255 must become exactly 2
    levels -= 1.0
    return levels


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Returns images as uint8, rounded to the nearest level; the inverse of `to_float`.

    Values outside [-1, 1] are clipped and NaN becomes 0, so that the samples of a broken generator
    can still be displayed.

    Args:
        images: floats of any shape, in [-1, 1].
    """
    levels = (np.asarray(images, np.float32) + 1.0) * 127.5
    return np.nan_to_num(np.rint(np.clip(levels, 0.0, 255.0))).astype(np.uint8)
