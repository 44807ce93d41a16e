"""Pix2Pix (Isola et al. 2017): translation from one domain to another, learned from pairs.

The generator is a U-Net, whose noise is dropout. The discriminator sees patches of the output next
to the input. Batches hold pairs: inputs 'a' and targets 'b'.
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
    """Returns how often an image halves on its way to the bottleneck.

    The shorter side of the bottleneck is 1 pixel, unless 8 halvings are not enough. Halving rounds
    up: 256 pixels halve 8 times, 64 six times, 28 five times.

    Args:
        size: Height and width of the image.

    Raises:
        ValueError: A side has fewer than 4 pixels.
    """
    if min(size) < 4:
        raise ValueError(f"images of {size[0]}x{size[1]} pixels are too small; expected 4 or more")
    return min(_DEEPEST, (min(size) - 1).bit_length())


class UNet(linen.Module):
    """Maps images [B, H, W, C] of any size to images [B, H, W, channels] in [-1, 1].

    There are `depth` encoder layers of stride 2 and as many decoder layers. Each decoder layer also
    sees the encoder's output of its size. The first encoder layer and the bottleneck are not
    normalized: for a single image, a norm over the one pixel of the bottleneck would leave nothing.
    The first three decoder layers have dropout if `keys` are given. Odd sizes are rounded up on the
    way down and cropped on the way up.

    Attributes:
        channels: Channels of the output.
        depth: Number of encoder layers.
        width: Channels of the first layer. They double with every layer, up to eight times.
        norm: 'batch', 'instance' or 'none'.
        dropout: Fraction of entries that are dropped.
        axis_name: Name of the batch's axis under shard_map or pmap, over which batch statistics are
            taken. None under jit.

    References:
        Isola et al. 2017, sections 3.2.1 and 6.1.1.
    """

    channels: int
    depth: int
    width: int = 64
    norm: str = "batch"
    dropout: float = 0.5
    axis_name: str | None = None

    @linen.compact
    def __call__(self, images: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        """Returns translated images [B, H, W, channels] in [-1, 1].

        Args:
            images: Images [B, H, W, C] in [-1, 1].
            keys: One key per example, for dropout. None drops nothing.
            train: Normalizes by the batch's statistics if True, by the running averages if False.
        """
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
        """Returns the outputs of the encoder layers, before their nonlinearity."""
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
    """Translates the images 'a' in training mode, with dropout.

    Args:
        state: State of the game.
        batch: Pairs of images 'a' and 'b'.
        keys: One key per example, for dropout.

    Returns:
        The generated images, and the generator with new batch statistics.
    """
    noise = random.fold(keys, objectives.GENERATOR_NOISE)
    images, generator = state["generator"].mutate(batch["a"], keys=noise, train=True)
    return images, {"generator": generator}


def objectives_of(
    loss: AdversarialLoss, draw: Forward, *, l1: float, adversarial: float
) -> tuple[Side, Side]:
    """Returns the two sides of the game: discriminator, whose loss is halved, and generator.

    Args:
        loss: Adversarial loss.
        draw: Forward pass of the generator.
        l1: Weight of the mean absolute error.
        adversarial: Weight of the generator's adversarial loss.

    References:
        Isola et al. 2017, equation 4 and section 3.3.
    """

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
    """Builds a Pix2Pix model from images of one shape to images of another.

    The generator minimizes `adversarial` times its adversarial loss plus `l1` times the mean
    absolute error. With `adversarial=0` it is a U-Net trained with L1 alone.

    Args:
        shape_a: Height, width and channels of the inputs 'a'.
        shape_b: Height, width and channels of the targets 'b', of the same height and width.
        training: How the players are trained. By default with shared noise: both players see the
            same outputs, as in the authors' code.
        loss: Adversarial loss. The discriminator's is halved.
        l1: Weight of the mean absolute error.
        adversarial: Weight of the generator's adversarial loss.
        width: Channels of the generator's first layer.
        discriminator_width: Channels of the discriminator's first layer.
        patch_size: Patch size of the discriminator in pixels.
        norm: 'batch' (the authors'), 'none', or 'instance', with which an output does not depend on
            the other images of the batch.
        dropout: Fraction of entries that are dropped.

    Returns:
        The model. `sample(state, keys, a=images)` translates as the authors test: in training mode,
        with dropout and the batch statistics of the given images. Their height and width may differ
        from those in training.

    Raises:
        ValueError: The sizes differ or are too small, or the patch size or the norm is unknown.

    References:
        Isola et al. 2017, section 3.
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
    # Samples are drawn outside of a step, where batch statistics have no axis to be taken over.
    alone = unet.clone(axis_name=None)

    def sample(state: GANState, keys: Keys, **conditions: Any) -> Array:
        _, images = domain_translation.source(conditions, {"a": shape_a}, keys.count)
        player = state["generator"].replace(apply_fn=alone.apply)
        return player(images, keys=random.fold(keys, objectives.GENERATOR_NOISE), train=True)

    return builder.assemble(
        networks,
        body,
        sample,
        training,
        conditions=("a",),
    )
