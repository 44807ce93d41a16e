"""Conditional GAN (Mirza and Osindero 2014): both players see the class label.

The networks are perceptrons or convolutional.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgan import nn, random
from jaxgan.games import two_player
from jaxgan.games.training import Training
from jaxgan.models import dcgan
from jaxgan.random import Keys
from jaxgan.types import GAN, Array


def vectors(label: Array, classes: int, dtype: Any = bool) -> Array:
    """Returns labels as vectors [B, classes] of 0 and 1.

    Args:
        label: Class labels [B], int32 in [0, classes), or such vectors [B, classes], of which
            several entries may be 1.
        classes: Number of classes.
        dtype: Type of the result. A layer computes on bool in the type of its weights.
    """
    if label.ndim == 2:
        return label.astype(dtype)
    return jax.nn.one_hot(label, classes, dtype=dtype)


def join(x: Array, label: Array, classes: int) -> Array:
    """Concatenates inputs and labels, one-hot or multi-hot.

    Args:
        x: Vectors [B, D] or images [B, H, W, C].
        label: Class labels [B] or [B, classes] (see `vectors`).
        classes: Number of classes.

    Returns:
        Vectors [B, D + classes], or images [B, H, W, C + classes] with one constant channel per
        class.
    """
    hot = vectors(label, classes, x.dtype)
    if x.ndim == 4:
        hot = jnp.broadcast_to(hot[:, None, None, :], (*x.shape[:3], classes))
    return jnp.concatenate([x, hot], axis=-1)


class Joined(linen.Module):
    """Wraps a network and concatenates its input and the one-hot label.

    Attributes:
        network: The network, such as `dcgan.Generator`.
        classes: Number of classes.
    """

    network: linen.Module
    classes: int

    def __call__(
        self, x: Array, label: Array, *, keys: Keys | None = None, train: bool = False
    ) -> Array:
        """Returns the network's outputs for inputs joined with the labels.

        Args:
            x: Vectors [B, D] or images [B, H, W, C].
            label: Class labels [B], int32, or [B, classes] (see `vectors`).
            keys: Passed on to `network`.
            train: Passed on to `network`.
        """
        return self.network(join(x, label, self.classes), keys=keys, train=train)  # type: ignore[operator]


class PerceptronGenerator(linen.Module):
    """Maps latents [B, Z] and labels [B] to images [B, *shape] in [-1, 1].

    Latent and label each pass through a dense layer, then jointly through another, all with ReLU.

    Attributes:
        shape: Shape of an image.
        classes: Number of classes.
        hidden: Units of the three layers: of the latent, of the label, of both.

    References:
        Mirza and Osindero 2014, section 4.1.
    """

    shape: tuple[int, ...]
    classes: int
    hidden: tuple[int, int, int] = (200, 1000, 1200)

    @linen.compact
    def __call__(
        self, latents: Array, label: Array, *, keys: Keys | None = None, train: bool = False
    ) -> Array:
        """Returns generated images [B, *shape] in [-1, 1].

        Args:
            latents: Latents [B, Z].
            label: Class labels [B], int32, or [B, classes] (see `vectors`).
            keys: Unused; every network takes it.
            train: Unused; every network takes it.
        """
        for_latent, for_label, together = self.hidden
        hot = vectors(label, self.classes)
        z = jax.nn.relu(linen.Dense(for_latent)(latents))
        y = jax.nn.relu(linen.Dense(for_label)(hot))
        x = jax.nn.relu(linen.Dense(together)(jnp.concatenate([z, y], axis=-1)))
        return jnp.tanh(linen.Dense(math.prod(self.shape))(x)).reshape(-1, *self.shape)


class PerceptronDiscriminator(linen.Module):
    """Maps images [B, ...] and labels [B] to logits [B].

    The layers are maxout of 240 units and 5 pieces on the image, of 50 units and 5 pieces on the
    label, and of 240 units and 4 pieces on both.

    Attributes:
        classes: Number of classes.
        dropout: Fraction of entries that are dropped before and after the joint layer.

    References:
        Mirza and Osindero 2014, section 4.1.
    """

    classes: int
    dropout: float = 0.5

    @linen.compact
    def __call__(
        self, images: Array, label: Array, *, keys: Keys | None = None, train: bool = False
    ) -> Array:
        """Returns logits [B].

        Args:
            images: Images [B, ...].
            label: Class labels [B], int32, or [B, classes] (see `vectors`).
            keys: One key per example, for dropout. None drops nothing.
            train: Unused; every network takes it.
        """
        x = nn.Maxout(240, 5)(images.reshape(images.shape[0], -1))
        y = nn.Maxout(50, 5)(vectors(label, self.classes))
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
    """Returns generator and discriminator of an architecture.

    Args:
        architecture: 'convolutional' (DCGAN) or 'perceptron' (the paper's).
        shape: Height, width and channels of the images.
        classes: Number of classes.
        width: Channels of the convolutional layers next to the image.
        kernel: Kernel size of the convolutions.
        axis_name: Name of the batch's axis under shard_map or pmap, over which batch statistics are
            taken. None under jit.

    Raises:
        ValueError: The architecture is unknown, or the convolutional one does not support the size.
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
    **game: Any,
) -> GAN:
    """Builds a conditional GAN, for batches with 'label' (int32 [B] in [0, classes)).

    An example may have several labels: then 'label' is [B, classes] of 0 and 1.

    Args:
        shape: Height, width and channels of the images.
        training: How the players are trained.
        classes: Number of classes, 2 or more.
        architecture: 'convolutional' (DCGAN) or 'perceptron' (the paper's).
        latent_size: Size of the latents.
        prior: Prior of the latents: 'normal', 'uniform' or 'unit_uniform'.
        width: Channels of the convolutional layers next to the image.
        kernel: Kernel size of the convolutions.
        **game: Further arguments of `two_player.build`: `loss` (required), `penalty` and others.

    Returns:
        The model. `sample(state, keys, label=labels)` draws images of the given classes, numbers
        [B] or vectors [B, classes]. By default, image i has the class i mod classes.

    Raises:
        ValueError: There are fewer than two classes, or the networks do not support the size, prior
            or architecture.

    References:
        Mirza and Osindero 2014, sections 3.2 and 4.1.
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
    return two_player.build(
        generator,
        discriminator,
        shape=shape,
        latents=partial(random.latents, size=latent_size, prior=random.known_prior(prior)),
        training=training,
        **two_player.labeled(classes),
        **game,
    )
