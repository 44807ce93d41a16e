"""Bicubic resizing of images, as in MATLAB's `imresize`, without JAX."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

_PIECE = 256  # images at a time, as their float copies take sixteen times their memory


def kernel(distance: np.ndarray) -> np.ndarray:
    """Returns the cubic convolution kernel with a = -1/2, which is zero from distance 2 on.

    References:
        Keys 1981, Cubic convolution interpolation for digital image processing.
    """
    t = np.abs(distance)
    near = 1.5 * t**3 - 2.5 * t**2 + 1.0
    far = -0.5 * t**3 + 2.5 * t**2 - 4.0 * t + 2.0
    return np.where(t <= 1.0, near, np.where(t < 2.0, far, 0.0))


@functools.lru_cache(maxsize=128)
def weights(before: int, after: int) -> np.ndarray:
    """Returns the matrix that resizes a line of pixels, float64 [after, before].

    Row i holds the weights of the old pixels in new pixel i, and sums to 1. For a smaller line, the
    kernel is widened by the scale factor, which removes frequencies that the new line cannot
    represent (antialiasing). Beyond its ends, the line is mirrored with its last pixel repeated.

    Args:
        before: Number of old pixels.
        after: Number of new pixels.

    Raises:
        ValueError: If a length is below 1.
    """
    if min(before, after) < 1:
        raise ValueError(
            f"a line of {before} pixels cannot be resized to {after}; expected 1 or more pixels"
        )
    widened = max(1.0, before / after)
    centers = (np.arange(after) + 0.5) * before / after - 0.5
    first = np.ceil(centers - 2.0 * widened).astype(int)
    taps = first[:, None] + np.arange(int(np.ceil(4.0 * widened)) + 1)
    shares = kernel((taps - centers[:, None]) / widened)
    shares /= np.sum(shares, axis=1, keepdims=True)
    folded = np.mod(taps, 2 * before)
    inside = np.minimum(folded, 2 * before - 1 - folded)
    matrix = np.zeros((after, before))
    np.add.at(matrix, (np.arange(after)[:, None], inside), shares)
    matrix.setflags(write=False)
    return matrix


@functools.lru_cache(maxsize=128)
def inverse(before: int, after: int) -> np.ndarray:
    """Returns the pseudo-inverse [before, after] of the weights that shrink a line.

    Of all lines that shrink to a given line, it finds the one with the smallest sum of squares.

    Args:
        before: Number of old pixels.
        after: Number of new pixels, at most `before`.

    Raises:
        ValueError: If the line does not shrink.
    """
    if after > before:
        raise ValueError(f"a line of {before} pixels that becomes one of {after} does not shrink")
    shrink = weights(before, after)
    matrix = np.linalg.solve(shrink @ shrink.T, shrink).T
    matrix.setflags(write=False)
    return matrix


def resized(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns resized images, in the type of `images`.

    The result is not clipped, although the kernel overshoots.

    Args:
        images: Images [N, H, W, C] of floats.
        size: New height and width.
    """
    count, height, width, channels = images.shape
    rows = weights(height, size[0]).astype(images.dtype)
    columns = weights(width, size[1]).astype(images.dtype)
    narrow = rows @ images.reshape(count, height, width * channels)
    across = columns @ narrow.reshape(count * size[0], width, channels)
    return across.reshape(count, *size, channels)


def smaller(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Returns smaller images [N, H / factor, W / factor, C] in their own type.

    Integers are rounded and clipped to those of the type.

    Args:
        pixels: Images [N, H, W, C], unsigned integers or float32.
        factor: Scale factor, which divides H and W.

    Raises:
        ValueError: If the factor does not divide the size.
    """
    return _rounded(pixels, lambda side: _quotient(side, factor))


def larger(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Returns larger images [N, factor H, factor W, C] in their own type.

    Integers are rounded and clipped to those of the type.

    Args:
        pixels: Images [N, H, W, C], unsigned integers or float32.
        factor: Scale factor.
    """
    return _rounded(pixels, lambda side: side * factor)


def _rounded(pixels: np.ndarray, side: Callable[[int], int]) -> np.ndarray:
    count, height, width, channels = pixels.shape
    size = side(height), side(width)
    whole = pixels.dtype.kind == "u"
    most = np.iinfo(pixels.dtype).max if whole else np.inf
    found = np.empty((count, *size, channels), pixels.dtype)
    for start in range(0, count, _PIECE):
        piece = resized(pixels[start : start + _PIECE].astype(np.float32), size)
        found[start : start + _PIECE] = np.rint(np.clip(piece, 0.0, most)) if whole else piece
    return found


def _quotient(side: int, factor: int) -> int:
    if factor < 1 or side % factor:
        raise ValueError(
            f"{side} pixels cannot become {factor} times fewer; use a factor that divides the size"
        )
    return side // factor
