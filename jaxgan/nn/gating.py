"""Layers that gate features: the gated linear unit and skip-layer excitation (FastGAN)."""

from __future__ import annotations

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgan.nn.layers import uniform_weights
from jaxgan.nn.spectral_norm import SpectralNorm
from jaxgan.types import Array


def glu(x: Array) -> Array:
    """Gated linear unit: the first half of the channels times the sigmoid of the second half.

    Args:
        x: Features `[..., 2 C]`.

    Returns:
        Features `[..., C]`.

    Raises:
        ValueError: If the number of channels is odd.

    References:
        Dauphin et al. 2017, "Language Modeling with Gated Convolutional Networks", equation 1.
    """
    if x.shape[-1] % 2:
        raise ValueError(f"a gated linear unit halves the channels; {x.shape[-1]} are odd")
    values, gates = jnp.split(x, 2, axis=-1)
    return values * jax.nn.sigmoid(gates)


class SkipLayerExcitation(linen.Module):
    """Channels of a large map scaled by gates in (0, 1) computed from a smaller map.

    The small map is averaged to 4x4 pixels; a spectrally normalized layer that sees all of it,
    swish, and a spectrally normalized linear map give one gate per channel.

    References:
        Liu et al. 2021, section 3.1, equation 2.
    """

    @linen.compact
    def __call__(self, small: Array, large: Array, *, train: bool = False) -> Array:
        """Returns the scaled large map.

        Args:
            small: Features `[B, h, w, c]`.
            large: Features `[B, H, W, C]`.
            train: Whether the estimates of spectral norms are kept.

        Returns:
            Features `[B, H, W, C]`.
        """
        channels = large.shape[-1]
        x = adaptive_mean(small, 4).reshape(small.shape[0], -1)
        first, second = (
            linen.Dense(channels, use_bias=False, kernel_init=uniform_weights) for _ in range(2)
        )
        x = SpectralNorm(first)(x, train=train)
        x = SpectralNorm(second)(jax.nn.swish(x), train=train)
        return large * jax.nn.sigmoid(x)[:, None, None, :]


def adaptive_mean(x: Array, side: int) -> Array:
    """Averages images to `side` x `side` pixels over windows of nearly equal size.

    Args:
        x: Images `[B, H, W, C]`.
        side: Height and width of the result. Window i spans the pixels from floor(i n / side) to
            ceil((i + 1) n / side), as in PyTorch's adaptive pooling.

    Returns:
        Images `[B, side, side, C]`.
    """
    high, wide = (jnp.asarray(_windows(n, side), x.dtype) for n in x.shape[1:3])
    return jnp.einsum("hH,wW,bHWc->bhwc", high, wide, x, precision=lax.Precision.HIGHEST)


def _windows(before: int, after: int) -> np.ndarray:
    weights = np.zeros((after, before))
    for i in range(after):
        start, stop = i * before // after, -(-(i + 1) * before // after)
        weights[i, start:stop] = 1 / (stop - start)
    return weights
