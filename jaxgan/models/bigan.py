"""BiGAN (Donahue et al. 2017) and ALI (Dumoulin et al. 2017): an encoder learned beside the
generator, from one discriminator of pairs. The game is that of `jaxgan.games.bidirectional`.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgan import nn, random
from jaxgan.games import bidirectional
from jaxgan.games.bidirectional import Encoding
from jaxgan.games.training import Training
from jaxgan.models import dcgan
from jaxgan.nn import layers, normalization
from jaxgan.random import Keys
from jaxgan.types import GAN, Array

Shape = tuple[int, int, int]

NORMS = ("batch", "spectral", "none")


class Encoder(linen.Module):
    """Images [B, H, W, C] to their `Encoding`; `trunk` makes the features.

    stochastic: the latents are drawn from a Gaussian of each image's own mean and deviations (ALI,
                section 2.1), by each example's own key; without keys they are its mean. A
                deterministic encoder (BiGAN) draws nothing.
    bounded:    the latents lie in (-1, 1), as a uniform prior's do.
    """

    trunk: linen.Module
    latent_size: int
    stochastic: bool = False
    bounded: bool = False

    @linen.compact
    def __call__(self, images: Array, *, keys: Keys | None = None, train: bool = False) -> Encoding:
        features = self.trunk(images, train=train)  # type: ignore[operator]
        dense = functools.partial(linen.Dense, self.latent_size, kernel_init=layers.normal_weights)
        latents = dense(name="mean")(features)
        if self.stochastic:
            # In (0, 1), as those of posteriors that make up a standard normal prior are on average.
            # At the step sizes of a DCGAN, the paper's exponential drew latents of hundreds.
            deviations = jax.nn.sigmoid(dense(name="deviation")(features))
            if keys is not None:
                latents += deviations * random.normal(keys, (self.latent_size,))
        return Encoding(jnp.tanh(latents / 2) if self.bounded else latents, features)


class Discriminator(linen.Module):
    """Pairs of images [B, H, W, C] and latents [B, Z] to logits [B], linear in what `trunk` makes
    of both.
    """

    trunk: linen.Module
    norm: str = "none"

    @linen.compact
    def __call__(
        self, images: Array, latents: Array, *, keys: Keys | None = None, train: bool = False
    ) -> Array:
        x = self.trunk(images, latents, train=train)  # type: ignore[operator]
        last = linen.Dense(1, kernel_init=layers.normal_weights)
        return (nn.SpectralNorm(last)(x, train=train) if self.norm == "spectral" else last(x))[:, 0]


# --- convolutional --------------------------------------------------------------------------------


class ConvolutionalTrunk(linen.Module):
    """Images [B, H, W, C] to features [B, `features`]: the DCGAN's stride-2 convolutions, then a
    dense layer; LeakyReLU 0.2 after each.

    The norm is one of `NORMS`; 'batch' leaves out the first layer.
    """

    features: int = 256
    width: int = 64
    kernel: int = 4
    norm: str = "batch"
    axis_name: str | None = None

    @linen.compact
    def __call__(self, images: Array, *, train: bool = False) -> Array:
        activated = functools.partial(_activated, train=train, axis_name=self.axis_name)
        height, width = images.shape[1:3]
        x = images
        for index in range(dcgan.stages((height, width))):
            norm = "none" if self.norm == "batch" and index == 0 else self.norm
            conv = nn.Conv(
                self.width << index,
                (self.kernel, self.kernel),
                strides=(2, 2),
                use_bias=norm != "batch",
                kernel_init=layers.normal_weights,
            )
            x = activated(conv, x, norm)
        dense = linen.Dense(
            self.features, use_bias=self.norm != "batch", kernel_init=layers.normal_weights
        )
        return activated(dense, x.reshape(x.shape[0], -1), self.norm)


class JointTrunk(linen.Module):
    """Images and latents to features [B, 2 `features`]: a trunk for the image, two dense layers for
    the latent, two for both together; LeakyReLU 0.2 after each.
    """

    features: int = 256
    width: int = 64
    kernel: int = 4
    norm: str = "batch"
    axis_name: str | None = None

    @linen.compact
    def __call__(self, images: Array, latents: Array, *, train: bool = False) -> Array:
        def dense(features: int, x: Array) -> Array:
            layer = linen.Dense(
                features, use_bias=self.norm != "batch", kernel_init=layers.normal_weights
            )
            return _activated(layer, x, self.norm, train=train, axis_name=self.axis_name)

        trunk = ConvolutionalTrunk(
            self.features, self.width, self.kernel, self.norm, self.axis_name
        )
        z = dense(self.features, dense(self.features, latents))
        both = jnp.concatenate([trunk(images, train=train), z], axis=-1)
        return dense(2 * self.features, dense(2 * self.features, both))


def _activated(layer: Any, x: Array, norm: str, *, train: bool, axis_name: str | None) -> Array:
    """LeakyReLU of the layer under its norm."""
    if norm == "spectral":
        return layers.leaky_relu(nn.SpectralNorm(layer)(x, train=train))
    normalize = normalization.normalize(norm, train=train, axis_name=axis_name)
    return layers.leaky_relu(normalize(layer(x)))


# --- perceptrons ----------------------------------------------------------------------------------


class PerceptronGenerator(linen.Module):
    """Latents [B, Z] to images [B, *shape] in [-1, 1] through two hidden layers of BatchNorm and
    ReLU, both of which see the latent (Donahue et al.'s code for MNIST).
    """

    shape: tuple[int, int, int]
    hidden: int = 1024
    axis_name: str | None = None

    @linen.compact
    def __call__(self, latents: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        x = jax.nn.relu(_plain_norm(_plain(self.hidden)(latents), train, self.axis_name))
        x = _plain(self.hidden)(x) + _plain(self.hidden)(latents)
        x = jax.nn.relu(_plain_norm(x, train, self.axis_name))
        # Their logistic output in [0, 1], taken to [-1, 1].
        return jnp.tanh(_plain(math.prod(self.shape))(x) / 2).reshape(-1, *self.shape)


class PerceptronTrunk(linen.Module):
    """Images [B, ...], and latents [B, Z] where they come beside them, to features [B, hidden]: two
    layers of LeakyReLU 0.2, the second with BatchNorm and with the latent as an input (Donahue et
    al.'s code for MNIST).
    """

    hidden: int = 1024
    axis_name: str | None = None

    @linen.compact
    def __call__(self, images: Array, *latents: Array, train: bool = False) -> Array:
        x = layers.leaky_relu(_plain(self.hidden)(images.reshape(images.shape[0], -1)))
        x = sum((_plain(self.hidden)(z) for z in latents), _plain(self.hidden)(x))
        return layers.leaky_relu(_plain_norm(x, train, self.axis_name))


def _plain(features: int) -> linen.Dense:
    return linen.Dense(features, use_bias=False, kernel_init=layers.normal_weights)


def _plain_norm(x: Array, train: bool, axis_name: str | None) -> Array:
    """Batch normalization without gain and bias."""
    return linen.BatchNorm(
        use_running_average=not train, use_scale=False, use_bias=False, axis_name=axis_name
    )(x)


# --- the game -------------------------------------------------------------------------------------


def build(
    *,
    shape: Shape,
    training: Training,
    architecture: str = "convolutional",
    latent_size: int = 50,
    prior: str = "normal",
    stochastic: bool = False,
    width: int = 64,
    kernel: int = 4,
    features: int = 256,
    discriminator_norm: str = "batch",
    **game,
) -> GAN:
    """The game on images of `shape` (H, W, C); `training` and `game` are passed on to
    `bidirectional.build`.

    architecture: 'convolutional', the DCGAN's networks, of which `width`, `kernel` and the
                  discriminator's norm are; or 'perceptron', those of Donahue et al. for MNIST.
    features:     of the encoder, and units of the dense layers.
    stochastic:   the encoder draws its latents (ALI; see `Encoder`).

    Raises ValueError on a size, prior, norm or architecture that the networks do not know.
    """
    prior, axis_name = random.known_prior(prior), training.axis_name
    if architecture == "perceptron":
        generator = PerceptronGenerator(shape, features, axis_name)
        trunk = PerceptronTrunk(features, axis_name)
        discriminator = Discriminator(PerceptronTrunk(features, axis_name))
    elif architecture == "convolutional":
        dcgan.stages(shape[:2])
        norm = _known(discriminator_norm)
        generator = dcgan.Generator(shape, width, kernel, axis_name)
        trunk = ConvolutionalTrunk(features, width, kernel, "batch", axis_name)
        discriminator = Discriminator(JointTrunk(features, width, kernel, norm, axis_name), norm)
    else:
        raise ValueError(
            f"the architecture is {architecture!r}; expected 'convolutional' or 'perceptron'"
        )
    return bidirectional.build(
        {
            "generator": generator,
            "encoder": Encoder(trunk, latent_size, stochastic, bounded=prior == "uniform"),
            "discriminator": discriminator,
        },
        shape=shape,
        latent_size=latent_size,
        latents=functools.partial(random.latents, size=latent_size, prior=prior),
        training=training,
        **game,
    )


def _known(norm: str) -> str:
    if norm not in NORMS:
        raise ValueError(
            f"the discriminator's norm is {norm!r}; expected one of {', '.join(NORMS)}"
        )
    return norm
