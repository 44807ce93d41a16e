"""The small networks for stacked digits of Metz et al. 2017 (appendix D), as in PacGAN's code."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgan import nn
from jaxgan.nn import layers, normalization
from jaxgan.random import Keys
from jaxgan.types import Array

SIDE, BASE = 28, 4

# From 4 to 7 pixels (8 minus 1), then doubled.
_PADDINGS = (((1, 1), (1, 1)), "SAME", "SAME")


class Generator(linen.Module):
    """Maps latents [B, Z] to images [B, 28, 28, channels] in [-1, 1].

    Attributes:
        channels: Channels of the images.
        widths: Channels of the maps of 4, 7, 14 and 28 pixels.
    """

    channels: int = 3
    widths: Sequence[int] = (64, 32, 16, 8)

    @linen.compact
    def __call__(self, latents: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        """Returns the images; `train` chooses the batch's statistics over the running ones."""
        first, *rest = self.widths
        x = linen.Dense(BASE * BASE * first, use_bias=False, kernel_init=layers.normal_weights)(
            latents
        )
        x = jax.nn.relu(normalization.batch_norm(train, None)(x.reshape(-1, BASE, BASE, first)))
        for width, padding in zip(rest, _PADDINGS, strict=True):
            x = nn.ConvTranspose(
                width, (3, 3), 2, padding, use_bias=False, kernel_init=layers.normal_weights
            )(x)
            x = jax.nn.relu(normalization.batch_norm(train, None)(x))
        return jnp.tanh(nn.Conv(self.channels, (3, 3), kernel_init=layers.normal_weights)(x))


class Discriminator(linen.Module):
    """Maps images, or packs of them, [B, 28, 28, C] to logits [B].

    Three strided layers with batch normalization and LeakyReLU 0.3 halve the resolution. `widths`
    are their channels.
    """

    widths: Sequence[int] = (4, 8, 16)

    @linen.compact
    def __call__(self, images: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        """Returns the logits; `train` chooses the batch's statistics over the running ones."""
        x = images
        for width in self.widths:
            x = nn.Conv(width, (3, 3), 2, use_bias=False, kernel_init=layers.normal_weights)(x)
            x = layers.leaky_relu(normalization.batch_norm(train, None)(x), 0.3)
        return linen.Dense(1, kernel_init=layers.normal_weights)(x.reshape(x.shape[0], -1))[:, 0]
