"""Images doubled and halved by the nearest neighbour and by the mean, alone or with a convolution.

Nearest doubling, and the mean of 2x2 pixels, are what Karras et al. 2018 resample by; doubling
after halving loses detail, halving after doubling loses nothing.
"""

from __future__ import annotations

import functools

import jax.numpy as jnp

from jaxgan.nn import convolution
from jaxgan.types import Array


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
