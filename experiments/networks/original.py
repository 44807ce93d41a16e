"""The perceptrons of Goodfellow et al. 2014 and of Mirza and Osindero 2014 for digits.

The authors' pixels are in [0, 1], where nearly all of a digit is zero, and plain gradient descent
depends on that. Here their networks are adapted to images in [-1, 1].
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import nn, random
from jaxgan.models import conditional, vanilla
from jaxgan.random import Keys
from jaxgan.types import Array

LAST = "pixels"
"""Name of the generator's last layer."""


def latents(keys: Keys) -> Array:
    """Returns latents [B, 100] from U(-sqrt 3, sqrt 3), of unit variance, as the authors drew them.

    Warning: with latents from U(-1, 1) training fails on some seeds, and all samples become one
    image.
    """
    return random.latents(keys, 100, prior="unit_uniform")


class Generator(linen.Module):
    """Maps latents [B, Z], and labels [B] if there are classes, to images [B, *shape] in [-1, 1].

    Without classes it has two layers of `hidden[1]` ReLU units. With classes, a layer of
    `hidden[0]` units sees the latent, one of five times as many sees the label, and one of
    `hidden[1]` units sees both.

    Attributes:
        shape: Shape (H, W, C) of an image.
        classes: Number of classes; 0: no labels.
        hidden: Units of the layers, see above.
        dropout: Dropout rate of each layer, if there are classes.
    """

    shape: tuple[int, int, int]
    classes: int = 0
    hidden: Sequence[int] = (200, 1200)
    dropout: float = 0.5

    @linen.compact
    def __call__(
        self, latents: Array, *label: Array, keys: Keys | None = None, train: bool = False
    ) -> Array:
        """Returns the images; `keys` draw the dropout masks of training, None disables dropout."""
        weights = vanilla.symmetric_uniform(0.05)
        small, large = self.hidden

        def layer(x: Array, width: int) -> Array:
            x = jax.nn.relu(linen.Dense(width, kernel_init=weights)(x))
            return nn.Dropout(self.dropout)(x, keys if train else None) if self.classes else x

        if self.classes:
            hot = conditional.vectors(label[0], self.classes)
            x = jnp.concatenate([layer(latents, small), layer(hot, 5 * small)], axis=-1)
        else:
            x = layer(latents, large)
        last = linen.Dense(math.prod(self.shape), kernel_init=weights, name=LAST)
        pixels = jax.nn.sigmoid(last(layer(x, large)))
        return (2 * pixels - 1).reshape(-1, *self.shape)


def at_means(params: Any, images: np.ndarray) -> Any:
    """Returns the generator's parameters, with the last biases set to the mean image.

    It is pylearn2's `init_sigmoid_bias_from_marginals`.

    Args:
        params: The generator's parameters.
        images: Training images, uint8 [N, H, W, C]; each bias gives the mean of its pixel.
    """
    means = np.clip(np.mean(images, axis=0).ravel() / 255, 1e-7, 1 - 1e-7)
    bias = jnp.asarray(np.log(means / (1 - means)), jnp.float32)
    return {**params, LAST: {**params[LAST], "bias": bias}}


class ConditionalDiscriminator(linen.Module):
    """Maps images [B, H, W, C] and labels [B] to logits [B] by maxout layers.

    The layers are 240 x 5 on the image, 50 x 5 on the label, and 240 x 4 on both, with dropout
    before and after each, except on the label. The initial weights are those of the discriminator
    of 2014.

    Attributes:
        classes: Number of classes.
        dropout: Dropout rate after the first layers and after the last one.
    """

    classes: int
    dropout: float = 0.5

    @linen.compact
    def __call__(
        self, images: Array, label: Array, *, keys: Keys | None = None, train: bool = False
    ) -> Array:
        """Returns the logits; `keys` draw the dropout masks, and None disables dropout."""
        weights = vanilla.symmetric_uniform(0.005)
        maxout = functools.partial(nn.Maxout, kernel_init=weights)
        x = nn.Dropout(0.2)(images.reshape(images.shape[0], -1), keys)
        x, y = maxout(240, 5)(x), maxout(50, 5)(conditional.vectors(label, self.classes))
        x = nn.Dropout(self.dropout)(jnp.concatenate([x, y], axis=-1), keys)
        x = nn.Dropout(self.dropout)(maxout(240, 4)(x), keys)
        return linen.Dense(1, kernel_init=weights)(x)[:, 0]


class InInk(linen.Module):
    """The discriminator `network`, applied to images in [0, 1] instead of [-1, 1]."""

    network: linen.Module

    def __call__(
        self, images: Array, *conditions: Array, keys: Keys | None = None, train: bool = False
    ) -> Array:
        """Returns the network's logits for images in [-1, 1], which it receives in [0, 1]."""
        return self.network((images + 1) / 2, *conditions, keys=keys, train=train)  # type: ignore[operator]
