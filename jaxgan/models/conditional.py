"""Conditional GAN (Mirza and Osindero 2014): both players see the label, as perceptrons or as
convolutional networks.
"""

from __future__ import annotations

import math
from functools import partial

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgan import nn, random
from jaxgan.games import two_player
from jaxgan.games.training import Training
from jaxgan.models import dcgan
from jaxgan.random import Keys
from jaxgan.types import GAN, Array, Batch


def join(x: Array, label: Array, classes: int) -> Array:
    """`x` with the one-hot label beside it: [B, D] to [B, D + classes]; images get one constant
    plane a class.
    """
    one_hot = jax.nn.one_hot(label, classes, dtype=x.dtype)
    if x.ndim == 4:
        one_hot = jnp.broadcast_to(one_hot[:, None, None, :], (*x.shape[:3], classes))
    return jnp.concatenate([x, one_hot], axis=-1)


class Joined(linen.Module):
    """A network whose input is joined with the one-hot label."""

    network: linen.Module
    classes: int

    def __call__(
        self, x: Array, label: Array, *, keys: Keys | None = None, train: bool = False
    ) -> Array:
        return self.network(join(x, label, self.classes), keys=keys, train=train)  # type: ignore[operator]


class PerceptronGenerator(linen.Module):
    """Latents [B, Z] and labels [B] to images: z and y through a layer each, then one together
    (Mirza, section 4.1).
    """

    shape: tuple[int, ...]
    classes: int
    hidden: tuple[int, int, int] = (200, 1000, 1200)

    @linen.compact
    def __call__(
        self, latents: Array, label: Array, *, keys: Keys | None = None, train: bool = False
    ) -> Array:
        for_latent, for_label, together = self.hidden
        one_hot = jax.nn.one_hot(label, self.classes)
        z = jax.nn.relu(linen.Dense(for_latent)(latents))
        y = jax.nn.relu(linen.Dense(for_label)(one_hot))
        x = jax.nn.relu(linen.Dense(together)(jnp.concatenate([z, y], axis=-1)))
        return jnp.tanh(linen.Dense(math.prod(self.shape))(x)).reshape(-1, *self.shape)


class PerceptronDiscriminator(linen.Module):
    """Images and labels [B] to logits [B]: maxout of 240 x 5 on the image, 50 x 5 on the label, 240
    x 4 on both (Mirza).
    """

    classes: int
    dropout: float = 0.5

    @linen.compact
    def __call__(
        self, images: Array, label: Array, *, keys: Keys | None = None, train: bool = False
    ) -> Array:
        x = nn.Maxout(240, 5)(images.reshape(images.shape[0], -1))
        y = nn.Maxout(50, 5)(jax.nn.one_hot(label, self.classes))
        x = nn.Dropout(self.dropout)(jnp.concatenate([x, y], axis=-1), keys)
        x = nn.Dropout(self.dropout)(nn.Maxout(240, 4)(x), keys)
        return linen.Dense(1)(x)[:, 0]


def networks(
    architecture: str,
    *,
    shape: tuple[int, int, int],
    classes: int,
    width: int,
    kernel: int,
    axis_name: str | None,
) -> tuple[linen.Module, linen.Module]:
    """Generator and discriminator of the architecture, 'convolutional' or 'perceptron'; ValueError
    on another.
    """
    if architecture == "perceptron":
        return PerceptronGenerator(shape, classes), PerceptronDiscriminator(classes)
    if architecture == "convolutional":
        dcgan.stages(shape[:2])
        generator = dcgan.Generator(shape, width, kernel, axis_name)
        discriminator = dcgan.Discriminator(width, kernel, axis_name)
        return Joined(generator, classes), Joined(discriminator, classes)
    raise ValueError(
        f"the architecture is {architecture!r}; expected 'convolutional' or 'perceptron'"
    )


def build(
    *,
    shape: tuple[int, int, int],
    training: Training,
    classes: int,
    architecture: str = "convolutional",
    latent_size: int = 100,
    prior: str = "normal",
    width: int = 64,
    kernel: int = 4,
    **game,
) -> GAN:
    """The game given batch['label'] (int32 [B] in [0, classes)); `training` and `game` are
    passed on to `two_player.build`.

    `sample(state, keys, label=...)` draws the asked classes; by default row i has label i mod
    classes. Raises ValueError where there are fewer than two classes, or on a size, prior or
    architecture that the networks do not know.
    """
    if classes < 2:
        raise ValueError(
            f"the data have {classes} classes; a conditional model needs labels of at least 2"
        )
    generator, discriminator = networks(
        architecture,
        shape=shape,
        classes=classes,
        width=width,
        kernel=kernel,
        axis_name=training.axis_name,
    )

    def labels(batch: Batch) -> tuple[Array, ...]:
        return (batch["label"],)

    return two_player.build(
        generator,
        discriminator,
        shape=shape,
        latents=partial(random.latents, size=latent_size, prior=random.known_prior(prior)),
        conditions=labels,
        default_conditions={"label": lambda count: jnp.arange(count, dtype=jnp.int32) % classes},
        training=training,
        **game,
    )
