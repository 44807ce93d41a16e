"""GAN of Goodfellow et al. 2014: two multilayer perceptrons, for images or points in the plane."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

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
    """Returns an initializer of weights U(-limit, limit), as used in 2014."""

    def init(key: Array, shape: Sequence[int], dtype=jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, -limit, limit)

    return init


def weights(limit: float | None) -> tuple[Initializer, Initializer]:
    """Returns the initializers of generator and discriminator.

    They are U(-limit, limit) and U(-limit / 10, limit / 10) as in 2014, or LeCun normal (by fan-in)
    if `limit` is None.
    """
    if limit is None:
        return linen.initializers.lecun_normal(), linen.initializers.lecun_normal()
    return symmetric_uniform(limit), symmetric_uniform(limit / 10)


def sgd_of_2014(learning_rate: float, *, saturate: int = 125_000) -> optax.GradientTransformation:
    """Returns SGD with the schedules of learning rate and momentum of 2014.

    The learning rate is divided by 1.000004 at every step, down to 1e-6. The momentum grows
    linearly from 0.5 to 0.7.

    Args:
        learning_rate: Initial learning rate.
        saturate: Steps until the momentum reaches 0.7. The default is 250 epochs of 500 steps, as
            in the authors' code for MNIST (goodfeli/adversarial).
    """
    decay = optax.exponential_decay(learning_rate, 1, 1 / 1.000004, end_value=1e-6)
    momentum = optax.linear_schedule(0.5, 0.7, saturate)
    return optax.inject_hyperparams(optax.sgd)(learning_rate=decay, momentum=momentum)


class Generator(linen.Module):
    """Perceptron: maps latents [B, Z] to examples [B, *shape].

    Hidden layers have ReLU. Images end in tanh ([-1, 1]). Points are unbounded.

    Attributes:
        shape: Shape of an example: (H, W, C) for images, (D,) for points.
        hidden: Units of the hidden layers.
        kernel_init: Initializer of the weights.
    """

    shape: tuple[int, ...]
    hidden: tuple[int, ...] = (256, 512, 1024)
    kernel_init: Initializer = linen.initializers.lecun_normal()

    @linen.compact
    def __call__(self, latents: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        """Returns generated examples [B, *shape].

        Args:
            latents: Latents [B, Z].
            keys: Unused; every network takes it.
            train: Unused; every network takes it.
        """
        x = latents
        for width in self.hidden:
            x = jax.nn.relu(linen.Dense(width, kernel_init=self.kernel_init)(x))
        x = linen.Dense(math.prod(self.shape), kernel_init=self.kernel_init)(x)
        x = x.reshape(-1, *self.shape)
        return jnp.tanh(x) if len(self.shape) == 3 else x


class Discriminator(linen.Module):
    """Perceptron with dropout: maps examples [B, ...] to logits [B].

    Hidden layers are maxout layers of `pieces` pieces, or have LeakyReLU 0.2 if `pieces` is 1.

    Attributes:
        hidden: Units of the hidden layers.
        pieces: Affine maps per maxout unit. 1 uses LeakyReLU instead.
        input_dropout: Fraction of input entries that are dropped, in [0, 1).
        dropout: Fraction of entries that are dropped after each hidden layer, in [0, 1).
        kernel_init: Initializer of the weights.
    """

    hidden: tuple[int, ...] = (512, 256)
    pieces: int = 1
    input_dropout: float = 0.0
    dropout: float = 0.3
    kernel_init: Initializer = linen.initializers.lecun_normal()

    @linen.compact
    def __call__(self, images: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        """Returns logits [B].

        Args:
            images: Examples [B, ...].
            keys: One key per example, for dropout. None drops nothing.
            train: Unused; every network takes it.
        """
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
    **game: Any,
) -> GAN:
    """Builds the GAN of two perceptrons.

    Args:
        shape: Shape of an example: (H, W, C) for images in [-1, 1], (D,) for points.
        training: How the players are trained.
        latent_size: Size of the latents.
        prior: Prior of the latents: 'uniform' (as in 2014), 'normal' or 'unit_uniform'.
        generator: Network that maps latents to examples. By default `Generator(shape)`.
        discriminator: Network that maps examples to logits. By default `Discriminator()`.
        **game: Further arguments of `two_player.build`: `loss` (required), `penalty` and others.

    Returns:
        The model. `sample(state, keys)` draws examples [B, *shape].

    Raises:
        ValueError: The prior is unknown.

    References:
        Goodfellow et al. 2014, sections 3 and 5, algorithm 1.
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
