"""BiGAN (Donahue et al. 2017) and ALI (Dumoulin et al. 2017): a GAN that also learns an encoder.

One discriminator of (image, latent) pairs trains both. `jaxgan.games.bidirectional` defines the
game.
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
    """Maps images [B, H, W, C] to their `Encoding`: latents [B, latent_size] and features.

    Attributes:
        trunk: Network that maps images to features.
        latent_size: Size of the latents.
        stochastic: Whether latents are drawn from a Gaussian whose mean and deviations depend on
            the image (ALI, section 2.1), by each example's own key. Without keys they are the mean.
            False (BiGAN) makes the encoder deterministic.
        bounded: Whether latents lie in (-1, 1), as those of a uniform prior.

    References:
        Dumoulin et al. 2017 (ALI), section 2.1.
    """

    trunk: linen.Module
    latent_size: int
    stochastic: bool = False
    bounded: bool = False

    @linen.compact
    def __call__(self, images: Array, *, keys: Keys | None = None, train: bool = False) -> Encoding:
        """Returns the encodings of images.

        Args:
            images: Images [B, H, W, C] in [-1, 1].
            keys: One key per example, to draw latents. None returns the means.
            train: Passed on to `trunk`.
        """
        features = self.trunk(images, train=train)  # type: ignore[operator]
        dense = functools.partial(linen.Dense, self.latent_size, kernel_init=layers.normal_weights)
        latents = dense(name="mean")(features)
        if self.stochastic:
            # In (0, 1): posteriors whose mixture is a standard normal have such deviations on
            # average. With DCGAN's learning rate, the paper's exponential drew latents of hundreds.
            deviations = jax.nn.sigmoid(dense(name="deviation")(features))
            if keys is not None:
                noise = random.normal(keys, (self.latent_size,))
                latents += deviations * noise.astype(latents.dtype)
        return Encoding(jnp.tanh(latents / 2) if self.bounded else latents, features)


class Discriminator(linen.Module):
    """Maps pairs of images [B, H, W, C] and latents [B, Z] to logits [B].

    Attributes:
        trunk: Network that maps images and latents to features. The logit is linear in them.
        norm: 'spectral' normalizes the last layer; other values do not.
    """

    trunk: linen.Module
    norm: str = "none"

    @linen.compact
    def __call__(
        self, images: Array, latents: Array, *, keys: Keys | None = None, train: bool = False
    ) -> Array:
        """Returns logits [B].

        Args:
            images: Images [B, H, W, C] in [-1, 1].
            latents: Latents [B, Z].
            keys: Unused; every network takes it.
            train: Passed on to `trunk` and to spectral normalization.
        """
        x = self.trunk(images, latents, train=train)  # type: ignore[operator]
        last = linen.Dense(1, kernel_init=layers.normal_weights)
        return (nn.SpectralNorm(last)(x, train=train) if self.norm == "spectral" else last(x))[:, 0]


# --- convolutional --------------------------------------------------------------------------------


class ConvolutionalTrunk(linen.Module):
    """Maps images [B, H, W, C] to features [B, features]: DCGAN's convolutions and a dense layer.

    LeakyReLU 0.2 follows each layer.

    Attributes:
        features: Number of features.
        width: Channels of the first convolution. They double with every layer.
        kernel: Kernel size of the convolutions.
        norm: One of `NORMS`. 'batch' does not apply to the first layer.
        axis_name: Name of the batch's axis under shard_map or pmap, over which batch statistics are
            taken. None under jit.
    """

    features: int = 256
    width: int = 64
    kernel: int = 4
    norm: str = "batch"
    axis_name: str | None = None

    @linen.compact
    def __call__(self, images: Array, *, train: bool = False) -> Array:
        """Returns features [B, features].

        Args:
            images: Images [B, H, W, C] in [-1, 1].
            train: Whether batch normalization uses the batch's statistics, and whether spectral
                normalization keeps its new singular vectors.
        """
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
    """Maps images [B, H, W, C] and latents [B, Z] to features [B, 2 * features].

    A `ConvolutionalTrunk` sees the image, two dense layers the latent, and two more both together.
    LeakyReLU 0.2 follows each layer.

    Attributes:
        features: Features of the image, and units of the latent's layers.
        width: Channels of the first convolution. They double with every layer.
        kernel: Kernel size of the convolutions.
        norm: One of `NORMS`.
        axis_name: Name of the batch's axis under shard_map or pmap, over which batch statistics are
            taken. None under jit.
    """

    features: int = 256
    width: int = 64
    kernel: int = 4
    norm: str = "batch"
    axis_name: str | None = None

    @linen.compact
    def __call__(self, images: Array, latents: Array, *, train: bool = False) -> Array:
        """Returns features [B, 2 * features].

        Args:
            images: Images [B, H, W, C] in [-1, 1].
            latents: Latents [B, Z].
            train: Whether batch normalization uses the batch's statistics, and whether spectral
                normalization keeps its new singular vectors.
        """

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
    """Returns LeakyReLU of the layer's normalized outputs."""
    if norm == "spectral":
        return layers.leaky_relu(nn.SpectralNorm(layer)(x, train=train))
    normalize = normalization.normalize(norm, train=train, axis_name=axis_name)
    return layers.leaky_relu(normalize(layer(x)))


# --- perceptrons ----------------------------------------------------------------------------------


class PerceptronGenerator(linen.Module):
    """Maps latents [B, Z] to images [B, *shape] in [-1, 1].

    Two hidden layers with batch normalization and ReLU both see the latent, as in the authors' code
    for MNIST (Donahue et al. 2017).

    Attributes:
        shape: Height, width and channels of the images.
        hidden: Units of each hidden layer.
        axis_name: Name of the batch's axis under shard_map or pmap, over which batch statistics are
            taken. None under jit.
    """

    shape: tuple[int, int, int]
    hidden: int = 1024
    axis_name: str | None = None

    @linen.compact
    def __call__(self, latents: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        """Returns generated images [B, *shape] in [-1, 1].

        Args:
            latents: Latents [B, Z].
            keys: Unused; every network takes it.
            train: Normalizes by the batch's statistics if True, by the running averages if False.
        """
        x = jax.nn.relu(_plain_norm(_plain(self.hidden)(latents), train, self.axis_name))
        x = _plain(self.hidden)(x) + _plain(self.hidden)(latents)
        x = jax.nn.relu(_plain_norm(x, train, self.axis_name))
        # The authors' logistic output in [0, 1], mapped to [-1, 1].
        return jnp.tanh(_plain(math.prod(self.shape))(x) / 2).reshape(-1, *self.shape)


class PerceptronTrunk(linen.Module):
    """Maps images, and latents if given, to features [B, hidden].

    There are two layers with LeakyReLU 0.2, as in the authors' code for MNIST. The second also sees
    the latent and has batch normalization.

    Attributes:
        hidden: Units of each layer.
        axis_name: Name of the batch's axis under shard_map or pmap, over which batch statistics are
            taken. None under jit.
    """

    hidden: int = 1024
    axis_name: str | None = None

    @linen.compact
    def __call__(self, images: Array, *latents: Array, train: bool = False) -> Array:
        """Returns features [B, hidden].

        Args:
            images: Images [B, ...] in [-1, 1].
            *latents: Latents [B, Z] for the discriminator, nothing for the encoder.
            train: Normalizes by the batch's statistics if True, by the running averages if False.
        """
        x = layers.leaky_relu(_plain(self.hidden)(images.reshape(images.shape[0], -1)))
        x = sum((_plain(self.hidden)(z) for z in latents), _plain(self.hidden)(x))
        return layers.leaky_relu(_plain_norm(x, train, self.axis_name))


def _plain(features: int) -> linen.Dense:
    return linen.Dense(features, use_bias=False, kernel_init=layers.normal_weights)


def _plain_norm(x: Array, train: bool, axis_name: str | None) -> Array:
    """Applies batch normalization without gain and bias."""
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
    **game: Any,
) -> GAN:
    """Builds a BiGAN or ALI.

    Args:
        shape: Height, width and channels of the images.
        training: How the players are trained. The optimizer 'generator' updates generator and
            encoder.
        architecture: 'convolutional', DCGAN's networks; or 'perceptron', those of Donahue et al.
            for MNIST, which ignore `width`, `kernel` and `discriminator_norm`.
        latent_size: Size of the latents.
        prior: Prior of the latents: 'normal', 'unit_uniform', or 'uniform', which bounds the
            encoder's latents to (-1, 1) too.
        stochastic: Whether the encoder draws its latents (ALI; see `Encoder`).
        width: Channels of the convolutional layers next to the image.
        kernel: Kernel size of the convolutions.
        features: Features of the encoder, and units of the dense layers.
        discriminator_norm: Norm of the convolutional discriminator: 'batch', 'spectral' or 'none'.
        **game: Further arguments of `bidirectional.build`: `loss` (required) and `relabel`.

    Returns:
        The model. `sample(state, keys)` draws images, and `sample(state, keys, image=images)`
        returns reconstructions.

    Raises:
        ValueError: The networks do not support the size, or prior, norm or architecture is unknown.

    References:
        Donahue et al. 2017 (BiGAN), section 3.
        Dumoulin et al. 2017 (ALI), section 2.
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
