"""The perceptrons of PacGAN on the plane (Lin et al. 2018), which are those of ALI's toy."""

from __future__ import annotations

import flax.linen as linen
import jax

from jaxgan import nn
from jaxgan.nn import layers
from jaxgan.random import Keys
from jaxgan.types import Array


class Generator(linen.Module):
    """Maps latents [B, Z] to points [B, 2] by four ReLU layers with batch normalization.

    The running statistics have a momentum of 0.95. `width` is the number of units of a layer.
    """

    width: int = 400

    @linen.compact
    def __call__(self, latents: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        """Returns the points; `train` chooses the batch's statistics over the running ones."""
        x = latents
        for _ in range(4):
            x = linen.Dense(self.width, use_bias=False, kernel_init=layers.normal_weights)(x)
            x = linen.BatchNorm(use_running_average=not train, momentum=0.95)(x)
            x = jax.nn.relu(x)
        return linen.Dense(2, kernel_init=layers.normal_weights)(x)


class Discriminator(linen.Module):
    """Maps points, or packs of them, [B, D] to logits [B] by three maxout layers.

    Attributes:
        width: Maxout units of each layer.
        pieces: Linear pieces of each unit.
    """

    width: int = 200
    pieces: int = 5

    @linen.compact
    def __call__(self, images: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        """Returns the logits."""
        x = images
        for _ in range(3):
            x = nn.Maxout(self.width, self.pieces, kernel_init=layers.normal_weights)(x)
        return linen.Dense(1, kernel_init=layers.normal_weights)(x)[:, 0]
