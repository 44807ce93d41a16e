"""R3GAN (Huang et al. 2024, "The GAN is dead; long live the GAN!", arXiv 2501.05441).

A relativistic pairing loss with penalties on the slope of the discriminator at real and at
generated images (R1 and R2, in every step) needs no trick of other GANs: both networks are plain
residual networks without any normalization, whose initial weights (Fixup) make every block the
identity. Resolutions are doubled and halved by the filter [1, 3, 3, 1].

`build` leaves the penalty to its caller (`penalty=penalization.ZeroCentered(gamma)`), as it leaves
the optimizers: their weights and rates follow schedules (`optimizers.cosine_between`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgan import losses, nn, random
from jaxgan.games import augmentation, input_transforms, two_player
from jaxgan.games.training import Training
from jaxgan.losses import AdversarialLoss
from jaxgan.models import dcgan
from jaxgan.nn import layers, resampling
from jaxgan.random import Keys
from jaxgan.state import GANState
from jaxgan.steps import split_rows
from jaxgan.steps.common import merged
from jaxgan.types import GAN, Array, Batch, Metrics, Step

PAIRED = losses.relativistic_paired()

PIPELINE: Mapping[str, float] = {"blit": 1.0, "geometry": 1.0, "color": 0.5, "cutout": 1.0}
"""The authors' augmentation: items of `games.augmentation`, with multipliers of the probability."""

_EXPANSION = 2
_LEAK = 0.2
_EMBEDDED = 64  # entries of the embedding of a class that is joined to the latents
_unit = linen.initializers.variance_scaling(1.0, "fan_in", "normal")


class Resolutions(NamedTuple):
    """The feature maps of both networks, from the base to the image.

    Attributes:
        base: Height and width of the smallest maps. Each further one is twice as high and wide.
        widths: Channels at each resolution.
        blocks: Residual blocks at each resolution.
        group: Channels of a group of the grouped convolutions.
    """

    base: tuple[int, int]
    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    group: int = 16


def resolutions(
    size: tuple[int, int],
    *,
    width: int = 32,
    max_width: int = 128,
    blocks: int = 2,
    fine_blocks: int | None = None,
    group: int = 16,
) -> Resolutions:
    """Returns the feature maps for images of one size.

    Args:
        size: Height and width of the images; `dcgan.stages` says which can be made.
        width: Channels at the image. They double toward the base.
        max_width: The most channels.
        blocks: Residual blocks at each resolution.
        fine_blocks: Residual blocks at each of the two highest resolutions, which cost most. None:
            `blocks`.
        group: Channels of a group of the grouped convolutions.

    Raises:
        ValueError: If images of this size cannot be made.
    """
    count = dcgan.stages(size)
    fine = blocks if fine_blocks is None else fine_blocks
    return Resolutions(
        (size[0] >> count, size[1] >> count),
        tuple(min(width << (count - i), max(width, max_width)) for i in range(count + 1)),
        tuple(fine if count - i < 2 else blocks for i in range(count + 1)),
        group,
    )


# --- networks -------------------------------------------------------------------------------------


class Activation(linen.Module):
    """LeakyReLU 0.2 after a learned bias per channel: `[..., C]` to `[..., C]`."""

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """Returns the activations."""
        bias = self.param("bias", linen.initializers.zeros_init(), (x.shape[-1],))
        return layers.leaky_relu(x + bias.reshape((1,) * (x.ndim - 1) + (-1,)), _LEAK)


class Block(linen.Module):
    """A residual bottleneck of maps `[B, H, W, C]`, at first the identity.

    x + W3 act(W2 act(W1 x)): W1 (1x1) to twice the channels, W2 a grouped 3x3 convolution, W3 (1x1)
    back. The biases are those of the activations.

    Attributes:
        depth: Number of blocks of the network, by which the initial weights are scaled.
        group: Channels of a group of W2; with no more channels than that there is one group.

    Raises:
        ValueError: The groups do not divide the channels (when traced).

    References:
        Huang et al. 2024, section 3.2 and appendix (initial weights as in Fixup, Zhang et al.
        2019).
    """

    depth: int
    group: int = 16

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """Returns maps of the same shape."""
        features, wide = x.shape[-1], _EXPANSION * x.shape[-1]
        groups = max(1, wide // self.group)
        if wide > self.group and wide % self.group:
            raise ValueError(
                f"{wide} channels cannot be split into groups of {self.group}; choose widths that "
                "half of the group divides"
            )
        gain = 2 / (1 + _LEAK**2) / math.sqrt(self.depth)
        weights = linen.initializers.variance_scaling(gain, "fan_in", "normal")
        conv = partial(nn.Conv, use_bias=False)
        y = Activation()(conv(wide, (1, 1), kernel_init=weights)(x))
        y = conv(wide, (3, 3), feature_group_count=groups, kernel_init=weights)(y)
        y = Activation()(y)
        return x + conv(features, (1, 1), kernel_init=linen.initializers.zeros_init())(y)


def _mixed(features: int, x: Array) -> Array:
    """Applies a 1x1 convolution without bias."""
    return nn.Conv(features, (1, 1), use_bias=False, kernel_init=_unit)(x)


class Generator(linen.Module):
    """Latents `[B, Z]` to images `[B, H, W, C]`, at first a linear map.

    A learned tensor times a linear map of the latents is the smallest map. Residual blocks follow,
    and between resolutions a 1x1 convolution, if the channels change, and `smooth_double`. The last
    layer is a 1x1 convolution without activation, so that images may leave [-1, 1].

    Attributes:
        maps: The feature maps.
        channels: Channels of an image.
        classes: Number of classes; 0 if unconditional. An embedding of the label is joined to the
            latents.
    """

    maps: Resolutions
    channels: int
    classes: int = 0

    @linen.compact
    def __call__(
        self, latents: Array, *conditions: Array, keys: Keys | None = None, train: bool = False
    ) -> Array:
        """Returns images of latents, and of labels `[B]` if there are classes."""
        widths, blocks = self.maps.widths, self.maps.blocks
        x = latents
        for label in conditions:
            one_hot = linen.initializers.normal(1 / math.sqrt(self.classes))
            embedded = linen.Embed(self.classes, _EMBEDDED, embedding_init=one_hot)(label)
            x = jnp.concatenate([x, embedded], axis=-1)
        x = linen.Dense(widths[0], use_bias=False, kernel_init=_unit)(x)
        shape = (*self.maps.base, widths[0])
        basis = self.param("basis", linen.initializers.normal(1.0), shape)
        x = basis[None] * x[:, None, None, :]
        for index, features in enumerate(widths):
            if index:
                x = x if features == x.shape[-1] else _mixed(features, x)
                x = resampling.smooth_double(x)
            for _ in range(blocks[index]):
                x = Block(sum(blocks), self.maps.group)(x)
        return _mixed(self.channels, x)


class Discriminator(linen.Module):
    """Images `[B, H, W, C]` to logits `[B]`, at first a linear map: the generator's mirror.

    The smallest map is weighted by a learned tensor and summed over its pixels; a linear map gives
    the logit.

    Attributes:
        maps: The feature maps.
        classes: Number of classes; 0 if unconditional. The linear map then has as many outputs as
            inputs, whose product with an embedding of the class is the logit.
    """

    maps: Resolutions
    classes: int = 0

    @linen.compact
    def __call__(
        self, images: Array, *conditions: Array, keys: Keys | None = None, train: bool = False
    ) -> Array:
        """Returns the logits of images, and of labels `[B]` if there are classes."""
        widths, blocks = self.maps.widths, self.maps.blocks
        x = _mixed(widths[-1], images)
        for index in reversed(range(len(widths))):
            for _ in range(blocks[index]):
                x = Block(sum(blocks), self.maps.group)(x)
            if index:
                x = resampling.smooth_halve(x)
                x = x if widths[index - 1] == x.shape[-1] else _mixed(widths[index - 1], x)
        scale = linen.initializers.normal(1 / math.sqrt(math.prod(self.maps.base)))
        basis = self.param("basis", scale, x.shape[1:])
        x = jnp.sum(x * basis[None], axis=(1, 2))
        x = linen.Dense(x.shape[-1] if conditions else 1, use_bias=False, kernel_init=_unit)(x)
        for label in conditions:
            scale = linen.initializers.normal(1 / math.sqrt(self.classes * x.shape[-1]))
            x = x * linen.Embed(self.classes, x.shape[-1], embedding_init=scale)(label)
        return jnp.sum(x, axis=-1)


# --- game -----------------------------------------------------------------------------------------


def apart(discriminator: Step, generator: Step, **options: Any) -> Step:
    """Returns a round in which each player has real images of its own: a half of the batch.

    It is the schedule of R3GAN, whose generator compares fakes with other real images than those
    that the discriminator has just learned from. The batch holds both, in turn.

    Args:
        discriminator: The discriminator's step, the first.
        generator: The generator's step.
        **options: None; shared noise needs the same examples.

    Raises:
        ValueError: If the batch is to share its noise.
    """
    if options:
        raise ValueError(
            f"players with examples of their own have no {', '.join(options)}; leave it out"
        )

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        pieces, piece_keys = split_rows((dict(batch), keys), 2)
        metrics: Metrics = {}
        for index, (name, inner) in enumerate(
            (("discriminator", discriminator), ("generator", generator))
        ):
            own, own_keys = jax.tree.map(lambda leaf, i=index: leaf[i], (pieces, piece_keys))
            state, new = inner(state, own, random.fold(own_keys, name))
            metrics = merged(metrics, new)
        return state, metrics

    return step


def build(
    *,
    shape: tuple[int, int, int],
    training: Training,
    classes: int = 0,
    latent_size: int = 64,
    prior: str = "normal",
    maps: Resolutions | None = None,
    probability: Callable[[Array], Array] | None = None,
    loss: AdversarialLoss = PAIRED,
    **game: Any,
) -> GAN:
    """Returns the game of R3GAN's networks.

    Args:
        shape: Shape (H, W, C) of an image.
        training: How the players are trained. Its schedule is `apart` by default: a batch holds the
            examples of both players. It refines the objectives of augmented images.
        classes: Number of classes of batch['label']. 0: unconditional.
        latent_size: Entries of a latent vector.
        prior: Prior of the latents: 'normal', 'uniform' or 'unit_uniform'.
        maps: The feature maps, for images of this size. None: `resolutions(shape[:2])`.
        probability: Probability of augmentation as a function of the train step, which `PIPELINE`
            multiplies. None: no augmentation.
        loss: The adversarial loss.
        **game: Other arguments of `two_player.build`, `penalty` above all.

    Returns:
        The model. `sample` clips images to [-1, 1]. With classes it draws those asked for by
        `label`; by default, example i has label i mod `classes`.

    Raises:
        ValueError: If the networks cannot make images of this size or widths, the prior is unknown,
            or there is only one class.

    References:
        Huang et al. 2024, section 3.
    """
    maps = maps or resolutions(shape[:2])
    training = training.otherwise(schedule=apart)
    if probability is not None:
        view = augmentation.by_step(probability, PIPELINE)
        training = training.refined(input_transforms.for_both(view))
    gan = two_player.build(
        Generator(maps, shape[2], classes),
        Discriminator(maps, classes),
        shape=shape,
        loss=loss,
        latents=partial(random.latents, size=latent_size, prior=random.known_prior(prior)),
        training=training,
        **two_player.labeled(classes),
        **game,
    )

    def sample(state: GANState, keys: Keys, **conditions: Any) -> Array:
        return jnp.clip(gan.sample(state, keys, **conditions), -1.0, 1.0)

    return gan._replace(sample=sample)
