"""Images enlarged: channels moved into space, and cubic interpolation."""

from __future__ import annotations

import jax

from jaxgan.types import Array


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
    """Images [B, H, W, C] enlarged by cubic convolution with a = -1/2 (Keys 1981)."""
    count, height, width, channels = x.shape
    size = (count, height * factor, width * factor, channels)
    return jax.image.resize(x, size, method="cubic")
