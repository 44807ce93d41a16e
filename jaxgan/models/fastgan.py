"""FastGAN (Liu et al. 2021, arXiv 2101.04775): for few images, and for little time.

The generator has gated linear units and skip-layer excitation. The discriminator may also learn to
rebuild the real images that it sees from its own features, which keeps it from memorizing them.

The authors' discriminator sees 256 pixels or more and is normalized throughout. This one is made
for small images: strided convolutions without normalization, so that R1 can bound its slope, the
deviation within the minibatch, and a projection on the class.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import flax.linen as linen
import jax.numpy as jnp

from jaxgan import losses, nn, random
from jaxgan.games import objectives, penalization, regularizers, two_player
from jaxgan.games.training import Training
from jaxgan.losses import AdversarialLoss
from jaxgan.models import dcgan
from jaxgan.nn import equalized, layers, normalization, resampling
from jaxgan.nn.class_conditional import ProjectionHead
from jaxgan.nn.layers import uniform_weights
from jaxgan.nn.minibatch import MinibatchStddev
from jaxgan.random import Keys
from jaxgan.state import GANState
from jaxgan.types import GAN, Array, Batch, Objective

HINGE = losses.hinge()

_MOST_CHANNELS = 1024

_by_outputs = linen.initializers.variance_scaling(1 / 3, "fan_out", "uniform")
"""Of the generator's first layer: PyTorch takes a transposed convolution's outputs for its inputs.
So small, the layer learns fast: spectral normalization undoes the scale, but not the speed.
"""

_unit = linen.initializers.variance_scaling(2 / (1 + 0.2**2), "fan_in", "normal")
"""Keeps the variance through LeakyReLU 0.2 (He et al. 2015)."""


# --- generator ------------------------------------------------------------------------------------


class Generator(linen.Module):
    """Latents `[B, Z]` to images `[B, H, W, C]` in [-1, 1].

    All layers are spectrally normalized and without bias. Doublings of the resolution have one and
    two convolutions in turn, beginning with two, each with batch normalization and a gated linear
    unit. Maps of low resolution gate the channels of maps 3 (at 64 pixels) or 4 doublings (from 128
    pixels on) later (skip-layer excitation).

    Attributes:
        shape: Shape (H, W, C) of an image; `dcgan.stages` says which sizes can be made.
        width: Channels of the last map. They double toward the base, up to 1024.
        classes: Number of classes; 0 if unconditional. The label chooses the gains and biases of
            the batch normalizations. (Joined to the latent, it soon drowns it: its few directions
            in the first layer grow with every step, and normalization shrinks the others.)
        noise: Whether noise is added after each convolution (`nn.NoiseInjection`).
        normalized: Whether latents are normalized to mean square 1. Truncation then has no effect.
        transposed: Whether the last doubling is one transposed 4x4 convolution that gives the
            image, which saves the layers of full resolution. Gates then reach one doubling less.
        axis_name: Name of the batch's axis under shard_map and pmap.

    References:
        Liu et al. 2021, section 3.1.
    """

    shape: tuple[int, int, int]
    width: int = 16
    classes: int = 0
    noise: bool = False
    normalized: bool = True
    transposed: bool = False
    axis_name: str | None = None

    @linen.compact
    def __call__(
        self, latents: Array, *conditions: Array, keys: Keys | None = None, train: bool = False
    ) -> Array:
        """Returns images of latents, and of labels `[B]` if there are classes."""
        height, width, channels = self.shape
        count = dcgan.stages((height, width))
        widths = [min(self.width << (count - i), _MOST_CHANNELS) for i in range(count + 1)]
        doublings = widths[1 : count + 1 - self.transposed]
        reach = max(1, min(4, count - 1) - self.transposed)
        x = equalized.pixel_norm(latents) if self.normalized else latents
        base = (height >> count, width >> count, 2 * widths[0])
        start = linen.Dense(math.prod(base), use_bias=False, kernel_init=_by_outputs)
        x = self._bounded(start, x, train)
        activated = partial(self._activated, labels=conditions, train=train)
        maps = [activated(x.reshape(-1, *base), None)]
        for index, features in enumerate(doublings):
            x = self._bounded(
                nn.DoublingConv(2 * features, kernel_init=uniform_weights), maps[-1], train
            )
            x = activated(x, keys)
            if index % 2 == 0:
                conv = nn.Conv(2 * features, (3, 3), use_bias=False, kernel_init=uniform_weights)
                x = activated(self._bounded(conv, x, train), keys)
            if len(maps) >= reach:
                x = nn.SkipLayerExcitation()(maps[len(maps) - reach], x, train=train)
            maps.append(x)
        return jnp.tanh(self._bounded(self._last(channels), maps[-1], train))

    def _last(self, channels: int) -> linen.Module:
        options = {"use_bias": False, "kernel_init": uniform_weights}
        if self.transposed:
            return nn.ConvTranspose(channels, (4, 4), strides=(2, 2), **options)
        return nn.Conv(channels, (3, 3), **options)

    def _bounded(self, layer: linen.Module, x: Array, train: bool) -> Array:
        return nn.SpectralNorm(layer)(x, train=train)

    def _activated(
        self, x: Array, keys: Keys | None, *, labels: tuple[Array, ...], train: bool
    ) -> Array:
        if self.noise:  # in training alone: samples are drawn without
            x = nn.NoiseInjection()(x, keys if train else None)
        if labels:
            norm = nn.ConditionalBatchNorm(self.classes, axis_name=self.axis_name)
            return nn.glu(norm(x, *labels, train=train))
        return nn.glu(normalization.batch_norm(train, self.axis_name)(x))


# --- discriminator --------------------------------------------------------------------------------


class Decoder(linen.Module):
    """Rebuilds images of at most 4 times the size of a feature map from it.

    Each doubling is a 3x3 convolution, batch normalization and a gated linear unit. It always
    normalizes by the statistics of the batch: it is for training alone.

    Attributes:
        channels: Channels of an image.
        doublings: Number of doublings of the resolution.
        width: Channels after the first doubling; they halve with each further one.
        axis_name: Name of the batch's axis under shard_map and pmap.

    References:
        Liu et al. 2021, section 3.2.
    """

    channels: int
    doublings: int = 2
    width: int = 64
    axis_name: str | None = None

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """Returns images `[B, H, W, C]` in [-1, 1] of features `[B, h, w, c]`."""
        for index in range(self.doublings):
            x = nn.DoublingConv(2 * (self.width >> index), kernel_init=uniform_weights)(x)
            x = nn.glu(normalization.batch_norm(True, self.axis_name)(x))
        return jnp.tanh(nn.Conv(self.channels, (3, 3), kernel_init=uniform_weights)(x))


class Discriminator(linen.Module):
    """Images `[B, H, W, C]` to logits `[B]`.

    Strided 4x4 convolutions with LeakyReLU 0.2 lead to the base. The deviation within groups of
    examples is joined to its map. A dense layer and a linear one, with a projection on the class if
    there are classes, give the logit. Nothing is normalized, so that penalties may bound the slope.

    Attributes:
        width: Channels of the first layer. They double with every layer, up to `max_width`.
        max_width: The most channels.
        classes: Number of classes; 0 if unconditional.
        group: Examples of a group whose deviation is a feature; 0: no such feature.
        decoder: Whether images are rebuilt from the map before the smallest one (`Decoder`).
        axis_name: Name of the batch's axis under shard_map and pmap.
    """

    width: int = 32
    max_width: int = 256
    classes: int = 0
    group: int = 4
    decoder: bool = False
    axis_name: str | None = None

    @linen.compact
    def __call__(
        self,
        images: Array,
        *conditions: Array,
        keys: Keys | None = None,
        train: bool = False,
        rebuild: bool = False,
    ) -> Array:
        """Returns the logits of images, and of labels `[B]` if there are classes.

        Args:
            images: Images `[B, H, W, C]` in [-1, 1].
            *conditions: The labels.
            keys: Unused; every network takes it.
            train: Unused; every network takes it.
            rebuild: Returns the squared error `[B]` of the rebuilt images instead.
        """
        count = dcgan.stages((images.shape[1], images.shape[2]))
        maps = [images]
        for index in range(count):
            features = min(self.width << index, self.max_width)
            conv = nn.Conv(features, (4, 4), strides=(2, 2), kernel_init=_unit)
            maps.append(layers.leaky_relu(conv(maps[-1])))
        # A network has all its parameters from its first call on, whatever is asked of it.
        if self.decoder and (rebuild or self.is_initializing()):
            error = self._error(images, maps[-2], halvings=count - 1)
            if rebuild:
                return error
        x = MinibatchStddev(self.group)(maps[-1]) if self.group else maps[-1]
        dense = linen.Dense(self.max_width, kernel_init=_unit)
        x = layers.leaky_relu(dense(x.reshape(x.shape[0], -1)))
        if self.classes:
            return ProjectionHead(self.classes, kernel_init=_unit)(x, *conditions)
        return linen.Dense(1, kernel_init=_unit)(x)[:, 0]

    def _error(self, images: Array, features: Array, *, halvings: int) -> Array:
        doublings = min(2, halvings)
        rebuilt = Decoder(images.shape[-1], doublings, axis_name=self.axis_name)(features)
        smaller = resampling.halve(images, halvings - doublings)
        return jnp.mean(jnp.square(rebuilt - smaller), axis=(1, 2, 3))


# --- game -----------------------------------------------------------------------------------------


def rebuilding(
    objective: Objective, *, weight: float, conditions: objectives.Conditions
) -> Objective:
    """Returns the discriminator's objective with the error of the real images that it rebuilds.

    The decoder sees the real images as the discriminator does, augmentation included.

    Args:
        objective: The discriminator's objective.
        weight: Weight of the mean squared error, which is reported as 'rebuilt'.
        conditions: Selects the conditions from the batch.

    References:
        Liu et al. 2021, section 3.2, equation 4, with the squared error for a perceptual distance.
    """

    def error(state: GANState, batch: Batch, keys: Keys) -> Array:
        at_real = random.fold(keys, "real")  # those of the objective: one pass serves both
        return state["discriminator"](
            batch["image"], *conditions(batch), keys=at_real, train=True, rebuild=True
        )

    return regularizers.plus(objective, error, name="rebuilt", weight=weight)


def build(
    *,
    shape: tuple[int, int, int],
    training: Training,
    classes: int = 0,
    latent_size: int = 256,
    prior: str = "normal",
    width: int = 16,
    noise: bool = False,
    discriminator_width: int = 32,
    group: int = 4,
    reconstruction: float = 0.0,
    loss: AdversarialLoss = HINGE,
    **game: Any,
) -> GAN:
    """Returns the game of FastGAN's generator, in its cheap form, and a strided discriminator.

    Args:
        shape: Shape (H, W, C) of an image.
        training: How the players are trained.
        classes: Number of classes of batch['label']. 0: unconditional.
        latent_size: Entries of a latent vector.
        prior: Prior of the latents: 'normal', 'uniform' or 'unit_uniform'.
        width: Half the channels of the generator's last map.
        noise: Whether the generator adds noise in training.
        discriminator_width: Channels of the discriminator's first layer; it has at most 8 times as
            many.
        group: Examples of a group whose deviation the discriminator sees; 0: none.
        reconstruction: Weight of the error of the real images that the discriminator rebuilds. 0:
            it has no decoder.
        loss: The adversarial loss.
        **game: Other arguments of `two_player.build`, `penalty` above all.

    Returns:
        The model. With classes, `sample(state, keys, label=...)` draws the classes asked for; by
        default, example i has label i mod `classes`.

    Raises:
        ValueError: If the networks cannot make images of this size, the prior is unknown, there is
            only one class, the weight is negative, or a lazy penalty meets a decoder.
    """
    dcgan.stages(shape[:2])
    _require_possible(reconstruction, game.get("penalty"))
    given = two_player.labeled(classes)
    if reconstruction:
        conditions = given.get("conditions", objectives.unconditional)

        def refine(discriminator: Objective, generator: Objective) -> tuple[Objective, Objective]:
            refined = rebuilding(discriminator, weight=reconstruction, conditions=conditions)
            return refined, generator

        training = training.refined(refine)
    axis_name = training.axis_name
    return two_player.build(
        Generator(shape, width, classes, noise, False, True, axis_name),
        Discriminator(
            discriminator_width,
            8 * discriminator_width,
            classes,
            group,
            bool(reconstruction),
            axis_name,
        ),
        shape=shape,
        loss=loss,
        latents=partial(random.latents, size=latent_size, prior=random.known_prior(prior)),
        training=training,
        **given,
        **game,
    )


def _require_possible(reconstruction: float, penalty: Any) -> None:
    """Raises ValueError if the images cannot be rebuilt with this weight and this penalty."""
    if not reconstruction >= 0:
        raise ValueError(
            f"the weight of the rebuilt images is {reconstruction}; expected 0 or more"
        )
    if reconstruction and penalization.lazy_or_none(penalty) is not None:
        raise ValueError(
            f"the penalty is an update of its own in every {penalty.interval} steps, which would "
            "rebuild images, too; leave its interval at 1, or the weight of rebuilt images at 0"
        )
