"""Images made smaller and larger by cubic convolution, as MATLAB's `imresize` does it; needs no
JAX.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

_PIECE = 256  # images at a time: their float copies take sixteen times the memory of a piece


def kernel(distance: np.ndarray) -> np.ndarray:
    """The cubic convolution kernel with a = -1/2, zero from distance 2 on (Keys 1981)."""
    t = np.abs(distance)
    near = 1.5 * t**3 - 2.5 * t**2 + 1.0
    far = -0.5 * t**3 + 2.5 * t**2 - 4.0 * t + 2.0
    return np.where(t <= 1.0, near, np.where(t < 2.0, far, 0.0))


@functools.lru_cache(maxsize=128)
def weights(before: int, after: int) -> np.ndarray:
    """What each of `after` pixels in a line takes of the `before` pixels, float64 [after, before].

    A line that shrinks is smoothed by a kernel as many times wider, which keeps out what the
    smaller one cannot hold (antialiasing); beyond its ends the line is mirrored, its last pixel
    repeated. Every row sums to 1. Raises ValueError where a length is below 1.
    """
    if min(before, after) < 1:
        raise ValueError(f"a line of {before} pixels cannot become one of {after}")
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
    """The pseudo-inverse [before, after] of the weights that shrink a line: of all lines that
    shrink to a given one it makes the one of least square. Raises ValueError where none shrinks.
    """
    if after > before:
        raise ValueError(f"a line of {before} pixels that becomes one of {after} does not shrink")
    shrink = weights(before, after)
    matrix = np.linalg.solve(shrink @ shrink.T, shrink).T
    matrix.setflags(write=False)
    return matrix


def resized(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Images [N, H, W, C] of floats at another size (height, width), in their own type; not
    clipped, although the kernel overshoots.
    """
    count, height, width, channels = images.shape
    rows = weights(height, size[0]).astype(images.dtype)
    columns = weights(width, size[1]).astype(images.dtype)
    narrow = rows @ images.reshape(count, height, width * channels)
    across = columns @ narrow.reshape(count * size[0], width, channels)
    return across.reshape(count, *size, channels)


def smaller(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Images uint8 [N, H, W, C] as uint8 [N, H / factor, W / factor, C], as an image file would
    hold them. Raises ValueError where the factor does not divide the size.
    """
    return _rounded(pixels, lambda side: _quotient(side, factor))


def larger(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Images uint8 [N, H, W, C] as uint8 [N, factor H, factor W, C]."""
    return _rounded(pixels, lambda side: side * factor)


def _rounded(pixels: np.ndarray, side: Callable[[int], int]) -> np.ndarray:
    count, height, width, channels = pixels.shape
    size = side(height), side(width)
    found = np.empty((count, *size, channels), np.uint8)
    for start in range(0, count, _PIECE):
        piece = resized(pixels[start : start + _PIECE].astype(np.float32), size)
        found[start : start + _PIECE] = np.rint(np.clip(piece, 0.0, 255.0))
    return found


def _quotient(side: int, factor: int) -> int:
    if factor < 1 or side % factor:
        raise ValueError(f"{side} pixels cannot become {factor} times fewer")
    return side // factor
