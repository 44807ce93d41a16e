"""Images enlarged and reduced: channels moved into space, cubic interpolation, and the enlargement
that a reduction takes back.
"""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgan.kernels import bicubic as lines
from jaxgan.kernels import convolution
from jaxgan.types import Array

REACH = 16
"""Pixels of the small image around each pixel that `consistent` depends on, to single precision."""


def depth_to_space(x: Array, factor: int) -> Array:
    """Pixel shuffle (Shi et al. 2016): [B, H, W, factor^2 C] to [B, factor H, factor W, C].

    Channel (i * factor + j) * C + c becomes channel c of the pixel in row i and column j of its
    block, as in TensorFlow; PyTorch numbers channels c * factor^2 + i * factor + j. Raises
    ValueError where the channels do not divide.
    """
    count, height, width, channels = x.shape
    if channels % factor**2:
        raise ValueError(
            f"{channels} channels cannot become blocks of {factor}x{factor} pixels; "
            f"use a multiple of {factor**2}"
        )
    x = x.reshape(count, height, width, factor, factor, channels // factor**2)
    return x.swapaxes(2, 3).reshape(count, height * factor, width * factor, -1)


def bicubic(x: Array, factor: int) -> Array:
    """Images [B, H, W, C] enlarged by cubic convolution with a = -1/2 (Keys 1981), mirrored beyond
    their edges.
    """
    _, height, width, _ = x.shape
    rows = lines.weights(height, height * factor)
    return _applied(x, rows, lines.weights(width, width * factor))


def reduced(x: Array, factor: int) -> Array:
    """Images [B, H, W, C] made smaller by cubic convolution with antialiasing, as by
    `jaxgan.kernels.bicubic`. Raises ValueError where the factor does not divide the size.
    """
    height, width = _divided(x, factor)
    return _applied(x, lines.weights(x.shape[1], height), lines.weights(x.shape[2], width))


def consistent(x: Array, small: Array) -> Array:
    """Of all images whose `reduced` is `small` [B, h, w, C], those nearest to x [B, H, W, C].

    That is the orthogonal projection x + P (small - reduced(x)), P the reduction's pseudo-inverse.
    It is never farther from the image that `small` was reduced from than x is: only what `small`
    does not say is left to whoever made x (Bahat and Michaeli 2020, equation 2, for this kernel).
    Raises ValueError where the sizes are no multiples of one another.
    """
    factor = x.shape[1] // small.shape[1]
    if x.shape[1:3] != (small.shape[1] * factor, small.shape[2] * factor):
        raise ValueError(
            f"images of {x.shape[1:3]} are no multiple of images of {small.shape[1:3]}"
        )
    rows, columns = (lines.inverse(x.shape[axis], small.shape[axis]) for axis in (1, 2))
    return x + _applied(small - reduced(x, factor), rows, columns)


def _applied(x: Array, rows: np.ndarray, columns: np.ndarray) -> Array:
    """The matrices [h, H] and [w, W] applied to the lines of images [B, H, W, C]."""
    tall = jnp.einsum(
        "hH,bHwc->bhwc", jnp.asarray(rows, x.dtype), x, precision=lax.Precision.HIGHEST
    )
    return jnp.einsum(
        "wW,bhWc->bhwc", jnp.asarray(columns, x.dtype), tall, precision=lax.Precision.HIGHEST
    )


def _divided(x: Array, factor: int) -> tuple[int, int]:
    _, height, width, _ = x.shape
    if factor < 1 or height % factor or width % factor:
        raise ValueError(f"images of {height}x{width} pixels cannot become {factor} times smaller")
    return height // factor, width // factor


def double(x: Array, times: int = 1) -> Array:
    """Images [B, H, W, C] with every pixel as a square of 2^times: [B, H * 2^times, ...]."""
    side = 2**times
    batch, height, width, channels = x.shape
    square = (batch, height, side, width, side, channels)
    x = jnp.broadcast_to(x[:, :, None, :, None, :], square)
    return x.reshape(batch, height * side, width * side, channels)


def halve(x: Array, times: int = 1) -> Array:
    """Images [B, H, W, C] by the means of squares of 2^times pixels: [B, H / 2^times, ...].

    Raises ValueError where the sides do not halve so often.
    """
    side = 2**times
    batch, height, width, channels = x.shape
    if height % side or width % side:
        raise ValueError(f"images of {height}x{width} do not halve {times} times")
    square = (batch, height // side, side, width // side, side, channels)
    return jnp.mean(x.reshape(square), axis=(2, 4))


def double_aligned(x: Array) -> Array:
    """Enlarges images 2 times by bilinear interpolation with aligned corners.

    The corner pixels keep their places and values, as with PyTorch's `align_corners=True`.

    Args:
        x: Images `[B, H, W, C]`.

    Returns:
        Images `[B, 2 H, 2 W, C]`.
    """
    _, height, width, _ = x.shape
    return _applied(x, _aligned(height, 2 * height), _aligned(width, 2 * width))


def _aligned(before: int, after: int) -> np.ndarray:
    places = np.linspace(0, before - 1, after)
    return np.maximum(0.0, 1.0 - np.abs(places[:, None] - np.arange(before)))


def conv_double(x: Array, w: Array) -> Array:
    """`convolution.conv(double(x), w)` with 'SAME' padding, w [3, 3, C, F], at 4/9 of the products.

    The pixels that doubling repeats meet the sum of their taps: one transposed convolution with
    kernel 4 and stride 2. Raises ValueError on a kernel of another size.
    """
    return convolution.conv_transpose(x, _spread(w), strides=2, padding=1)


def conv_halve(x: Array, w: Array) -> Array:
    """`halve(convolution.conv(x, w))` with 'SAME' padding, w [3, 3, C, F], at 4/9 of the products.

    One convolution with kernel 4 and stride 2. Raises ValueError on a kernel of another size, or
    where a side is odd.
    """
    if x.shape[1] % 2 or x.shape[2] % 2:
        raise ValueError(f"images of {x.shape[1]}x{x.shape[2]} do not halve")
    return convolution.conv(x, _spread(w) / 4, strides=2, padding=1)


def _spread(w: Array) -> Array:
    """The sum [4, 4, ...] of the four places that a kernel [3, 3, ...] can take in it."""
    if w.shape[:2] != (3, 3):
        raise ValueError(f"the kernel is {w.shape[0]}x{w.shape[1]}; expected 3x3")
    low, high, none = (1, 0), (0, 1), (0, 0)
    places = [(rows, columns, none, none) for rows in (low, high) for columns in (low, high)]
    return functools.reduce(jnp.add, [jnp.pad(w, place) for place in places])
