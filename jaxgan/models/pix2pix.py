"""Pix2Pix (Isola et al. 2017): from the images of one domain to those of another, learned from
pairs.

The generator is a U-Net whose noise is its dropout; the discriminator judges patches of the output
beside the input. Batches hold pairs: images 'a' and what they are to become, 'b'.
"""

from __future__ import annotations

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgan import losses, nn, random
from jaxgan.games import builder, domain_translation, objectives
from jaxgan.games.builder import Network, Side
from jaxgan.games.domain_translation import Shape
from jaxgan.games.training import Training
from jaxgan.losses import AdversarialLoss
from jaxgan.nn import layers, normalization, patch_discriminator
from jaxgan.random import Keys
from jaxgan.state import GANState, Player
from jaxgan.steps.shared_forward import Forward
from jaxgan.types import GAN, Array, Batch

CROSS_ENTROPY = losses.non_saturating()

_DEEPEST, _MOST_WIDENING, _NOISY_LAYERS = 8, 8, 3


def depth(size: tuple[int, int]) -> int:
    """How often an image of (height, width) halves on its way to the bottleneck, whose shorter side
    is 1 pixel (at most 8 times, rounding up): 256 halve 8 times, 64 six times, 28 five times.

    Raises ValueError where a side is below 4 pixels.
    """
    if min(size) < 4:
        raise ValueError(f"images of {size[0]}x{size[1]} pixels are too small; expected 4 or more")
    return min(_DEEPEST, (min(size) - 1).bit_length())


class UNet(linen.Module):
    """Images [B, H, W, C] to images [B, H, W, channels] in [-1, 1], of any size.

    Encoder layers of stride 2, as many as `depth`, and as many decoder layers, each of which sees
    the encoder's output of its own size. Neither the first encoder layer nor the bottleneck is
    normalized: with one image, a norm over the bottleneck's one pixel would leave nothing. Dropout
    on the first three decoder layers, while `keys` are given. Sides that do not halve are rounded
    up on the way down and cropped on the way up.
    """

    channels: int
    depth: int
    width: int = 64
    norm: str = "batch"
    dropout: float = 0.5
    axis_name: str | None = None

    @linen.compact
    def __call__(self, images: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        levels = self._encode(images, train)
        x = levels[-1]
        for level in reversed(range(self.depth)):
            target = levels[level - 1] if level else images
            x = self._enlarge(jax.nn.relu(x), level)[:, : target.shape[1], : target.shape[2]]
            if level == 0:
                break
            x = self._normalize(x, train)
            if self.depth - level <= _NOISY_LAYERS:
                x = nn.Dropout(self.dropout)(x, keys)
            x = jnp.concatenate([x, target], axis=-1)
        return jnp.tanh(x)

    def _encode(self, x: Array, train: bool) -> list[Array]:
        """The outputs of the encoder's layers, before their nonlinearity."""
        levels: list[Array] = []
        for level in range(self.depth):
            bare = level in (0, self.depth - 1)
            x = nn.Conv(
                self._features(level),
                (4, 4),
                strides=(2, 2),
                use_bias=bare,
                kernel_init=layers.normal_weights,
            )(layers.leaky_relu(x) if level else x)
            if not bare:
                x = self._normalize(x, train)
            levels.append(x)
        return levels

    def _enlarge(self, x: Array, level: int) -> Array:
        features = self._features(level - 1) if level else self.channels
        return nn.ConvTranspose(
            features,
            (4, 4),
            strides=2,
            use_bias=level == 0,
            kernel_init=layers.normal_weights,
        )(x)

    def _normalize(self, x: Array, train: bool) -> Array:
        return normalization.normalize(self.norm, train=train, axis_name=self.axis_name)(x)

    def _features(self, level: int) -> int:
        return self.width * min(1 << level, _MOST_WIDENING)


def outputs(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, dict[str, Player]]:
    """What the generator makes of 'a', dropout and all."""
    noise = random.fold(keys, "generator noise")
    images, generator = state["generator"].mutate(batch["a"], keys=noise, train=True)
    return images, {"generator": generator}


def objectives_of(
    loss: AdversarialLoss, draw: Forward, *, l1: float, adversarial: float
) -> tuple[Side, Side]:
    """The discriminator's side, whose loss is halved, and the generator's."""

    def inputs(batch: Batch) -> tuple[Array, ...]:
        return (batch["a"],)

    def error(state: GANState, batch: Batch, fake: Array) -> Array:
        return l1 * jnp.abs(fake - batch["b"])

    judging = objectives.discriminator_objective(
        domain_translation.halved(loss), draw, conditions=inputs, image="b"
    )
    drawing = objectives.generator_objective(
        loss, draw, conditions=inputs, weight=adversarial, content=error, image="b"
    )
    return (
        Side("discriminator", ("discriminator",), judging),
        Side("generator", ("generator",), drawing),
    )


def build(
    *,
    shape_a: Shape,
    shape_b: Shape,
    training: Training,
    loss: AdversarialLoss = CROSS_ENTROPY,
    l1: float = 100.0,
    adversarial: float = 1.0,
    width: int = 64,
    discriminator_width: int = 64,
    patch_size: int = 70,
    norm: str = "batch",
    dropout: float = 0.5,
) -> GAN:
    """Translation from images of `shape_a` to images of `shape_b` ([H, W, C], of one size).

    The generator minimizes `adversarial` times its loss plus `l1` times the mean absolute error;
    without the first it is the U-Net on L1 alone.

    training: by default with shared noise: both players meet the same outputs, as with the authors.
    norm:     'batch' as the authors, or 'instance', by which images do not depend on the others of
              their batch.

    `sample(state, keys, a=images)` translates as the authors test: in training mode, dropout on and
    with the statistics of the images given; another H x W than in training is allowed. Raises
    ValueError where sizes differ, or on a patch or norm that the networks do not know.
    """
    training = training.otherwise(shared_noise=True)
    domain_translation.require_one_size(shape_a, shape_b)
    patch_discriminator.verdicts(patch_size, shape_b[:2])
    normalization.known(norm)
    unet = UNet(shape_b[2], depth(shape_a[:2]), width, norm, dropout, training.axis_name)
    judge = patch_discriminator.PatchDiscriminator(
        patch_size, discriminator_width, norm, training.axis_name
    )
    networks = {
        "generator": Network(unet, training.optimizers["generator"], [shape_a]),
        "discriminator": Network(judge, training.optimizers["discriminator"], [shape_b, shape_a]),
    }
    draw = Forward(("generator",), outputs)
    body = builder.round_of_play(
        *objectives_of(loss, draw, l1=l1, adversarial=adversarial),
        training,
        draw=draw,
    )
    # Samples are drawn outside of a step, where there is no axis to take statistics over.
    alone = unet.clone(axis_name=None)

    def sample(state: GANState, keys: Keys, **conditions: Any) -> Array:
        _, images = domain_translation.source(conditions, {"a": shape_a}, len(keys))
        player = state["generator"].replace(apply_fn=alone.apply)
        return player(images, keys=random.fold(keys, "generator noise"), train=True)

    return builder.assemble(
        networks,
        body,
        sample,
        training,
        conditions=("a",),
    )
