"""The GAN of Goodfellow et al. 2014: two multilayer perceptrons, for images or for points on a
plane.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import flax.linen as linen
import jax
import jax.numpy as jnp
import optax

from jaxgan import nn, random
from jaxgan.games import two_player
from jaxgan.games.training import Training
from jaxgan.nn import layers
from jaxgan.random import Keys
from jaxgan.types import GAN, Array

Initializer = Callable[..., Array]


def symmetric_uniform(limit: float) -> Initializer:
    """Weights U(-limit, limit), as the networks of 2014 were initialized."""

    def init(key: Array, shape: Sequence[int], dtype=jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, -limit, limit)

    return init


def weights(limit: float | None) -> tuple[Initializer, Initializer]:
    """Initializers of generator and discriminator: U(-limit, limit) and a tenth of it (2014), or by
    fan-in if None.
    """
    if limit is None:
        return linen.initializers.lecun_normal(), linen.initializers.lecun_normal()
    return symmetric_uniform(limit), symmetric_uniform(limit / 10)


def sgd_of_2014(learning_rate: float, *, saturate: int = 125_000) -> optax.GradientTransformation:
    """SGD whose rate decays by 1.000004 a step, to 1e-6, and whose momentum grows from 0.5 to 0.7
    over `saturate` steps.

    By default 250 epochs of 500 steps, as the authors' goodfeli/adversarial trained on MNIST.
    """
    decay = optax.exponential_decay(learning_rate, 1, 1 / 1.000004, end_value=1e-6)
    momentum = optax.linear_schedule(0.5, 0.7, saturate)
    return optax.inject_hyperparams(optax.sgd)(learning_rate=decay, momentum=momentum)


class Generator(linen.Module):
    """Latents [B, Z] to examples [B, *shape]: images end in tanh ([-1, 1]), points are
    unbounded.
    """

    shape: tuple[int, ...]
    hidden: tuple[int, ...] = (256, 512, 1024)
    kernel_init: Initializer = linen.initializers.lecun_normal()

    @linen.compact
    def __call__(self, latents: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        x = latents
        for width in self.hidden:
            x = jax.nn.relu(linen.Dense(width, kernel_init=self.kernel_init)(x))
        x = linen.Dense(math.prod(self.shape), kernel_init=self.kernel_init)(x)
        x = x.reshape(-1, *self.shape)
        return jnp.tanh(x) if len(self.shape) == 3 else x


class Discriminator(linen.Module):
    """Examples [B, ...] to logits [B]; hidden layers are maxout of `pieces` pieces, or LeakyReLU
    where it is 1.

    `input_dropout` and `dropout` are the shares of entries dropped before the first and before each
    later layer.
    """

    hidden: tuple[int, ...] = (512, 256)
    pieces: int = 1
    input_dropout: float = 0.0
    dropout: float = 0.3
    kernel_init: Initializer = linen.initializers.lecun_normal()

    @linen.compact
    def __call__(self, images: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        x = images.reshape(images.shape[0], -1)
        x = nn.Dropout(self.input_dropout)(x, keys)
        for width in self.hidden:
            if self.pieces > 1:
                x = nn.Maxout(width, self.pieces, kernel_init=self.kernel_init)(x)
            else:
                x = layers.leaky_relu(linen.Dense(width, kernel_init=self.kernel_init)(x))
            x = nn.Dropout(self.dropout)(x, keys)
        return linen.Dense(1, kernel_init=self.kernel_init)(x)[:, 0]


def build(
    *,
    shape: tuple[int, ...],
    training: Training,
    latent_size: int = 100,
    prior: str = "uniform",
    generator: Generator | None = None,
    discriminator: Discriminator | None = None,
    **game,
) -> GAN:
    """The game of two perceptrons on examples of `shape`; `training` and `game` are passed
    on to `two_player.build`.

    The prior of the latents is uniform, as in 2014. Raises ValueError on another than 'uniform' or
    'normal'.
    """
    latents = partial(random.latents, size=latent_size, prior=random.known_prior(prior))
    return two_player.build(
        generator or Generator(shape),
        discriminator or Discriminator(),
        shape=shape,
        latents=latents,
        training=training,
        **game,
    )
