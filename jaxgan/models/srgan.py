"""SRGAN (Ledig et al. 2017): single images made `factor` times larger, first by mean square, then
against a discriminator and by what a network sees in them.

Batches hold pairs: small images 'a' and their originals 'b'.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import optax

from jaxgan import losses, nn, objectives, steps, translation
from jaxgan.forward import Forward
from jaxgan.losses import AdversarialLoss
from jaxgan.nn import layers, normalisation, upscale
from jaxgan.random import Keys
from jaxgan.state import GANState, Mean, Out, Player
from jaxgan.translation import Network, Schedule, Shape, Side
from jaxgan.types import GAN, Array, Batch, Objective, PyTree

CROSS_ENTROPY = losses.non_saturating()

Features = Callable[[Array], PyTree]
"""Images [B, H, W, C] in [-1, 1] to feature maps [B, ...], one or several.

For VGG19 as in the paper: map the images to the range and the means that its weights expect, take
the fourth convolution before the fifth pooling after its ReLU, and divide the MAPS by 12.75.
"""

Distance = Callable[[Array, Array], Array]
"""`(fake, real) -> distance` of every pixel."""

_RESIDUAL = linen.initializers.variance_scaling(0.01, "fan_in", "truncated_normal")


# --- networks -------------------------------------------------------------------------------------


class SRResNet(linen.Module):
    """Images [B, H, W, C] to images [B, factor H, factor W, C], of any size, not clipped.

    Residual blocks with batch normalisation and PReLU, then a pixel shuffle for every doubling
    (Ledig et al. 2017, figure 4). `factor` is a power of two.
    """

    factor: int
    blocks: int = 16
    width: int = 64
    axis_name: str | None = None

    @linen.compact
    def __call__(self, images: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        first = _prelu()(nn.Conv(self.width, (9, 9))(images))
        x = first
        for _ in range(self.blocks):
            x = x + self._normalised(_prelu()(self._normalised(x, train)), train)
        x = first + self._normalised(x, train)
        for _ in range(self.factor.bit_length() - 1):
            x = upscale.depth_to_space(nn.Conv(4 * self.width, (3, 3))(x), 2)
            x = _prelu()(x)
        return nn.Conv(images.shape[-1], (9, 9))(x)

    def _normalised(self, x: Array, train: bool) -> Array:
        x = nn.Conv(self.width, (3, 3), use_bias=False)(x)
        return normalisation.normalise("batch", train=train, axis_name=self.axis_name)(x)


class EfficientResNet(linen.Module):
    """Images [B, H, W, C] to images [B, factor H, factor W, C], of any size, not clipped: a
    correction of the bicubic enlargement, computed at the low resolution alone.

    Residual blocks without normalisation (Lim et al. 2017), and one layer whose channels become
    the pixels (Shi et al. 2016). It starts near the bicubic enlargement.
    """

    factor: int
    blocks: int = 8
    width: int = 64

    @linen.compact
    def __call__(self, images: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        first = nn.Conv(self.width, (3, 3))(images)
        x = first
        for _ in range(self.blocks):
            inner = jax.nn.relu(nn.Conv(self.width, (3, 3))(x))
            x = x + nn.Conv(self.width, (3, 3), kernel_init=_RESIDUAL)(inner)
        x = first + nn.Conv(self.width, (3, 3))(x)
        pixels = self.factor**2 * images.shape[-1]
        detail = nn.Conv(pixels, (3, 3), kernel_init=_RESIDUAL)(x)
        return upscale.bicubic(images, self.factor) + upscale.depth_to_space(detail, self.factor)


class Discriminator(linen.Module):
    """Images [B, H, W, C] to logits [B]: eight 3x3 convolutions, every second of stride 2, the
    channels doubling from `width` to eight times it, then 16 times it densely (figure 4).
    """

    width: int = 64
    axis_name: str | None = None

    @linen.compact
    def __call__(self, images: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        x = images
        for index in range(8):
            stride = 1 + index % 2
            x = nn.Conv(
                self.width << (index // 2), (3, 3), strides=(stride, stride), use_bias=index == 0
            )(x)
            norm = normalisation.normalise(
                "batch" if index else "none", train=train, axis_name=self.axis_name
            )
            x = layers.leaky_relu(norm(x))
        x = layers.leaky_relu(linen.Dense(16 * self.width)(x.reshape(x.shape[0], -1)))
        return linen.Dense(1)(x)[:, 0]


def _prelu() -> linen.PReLU:
    return linen.PReLU(negative_slope_init=0.25)


def generator_of(
    architecture: str, *, factor: int, blocks: int, width: int, axis_name: str | None
) -> linen.Module:
    """The generator of that name, 'resnet' (the paper's) or 'efficient'; ValueError on another, or
    on a factor that it does not reach.
    """
    if architecture == "efficient":
        if factor < 2:
            raise ValueError(f"images are to become {factor} times larger; expected 2 or more")
        return EfficientResNet(factor, blocks, width)
    if architecture != "resnet":
        raise ValueError(f"the architecture is {architecture!r}; expected 'resnet' or 'efficient'")
    if factor < 2 or factor & (factor - 1):
        raise ValueError(
            f"images are to become {factor} times larger; this network doubles: "
            "use 2, 4 or 8, or the architecture 'efficient'"
        )
    return SRResNet(factor, blocks, width, axis_name)


# --- objectives -----------------------------------------------------------------------------------


def enlarged(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, dict[str, Player]]:
    """What the generator makes of 'a', with the batch's statistics."""
    images, generator = state["generator"].mutate(batch["a"], train=True)
    return images, {"generator": generator}


def squared(fake: Array, real: Array) -> Array:
    """The squared difference of every pixel."""
    return jnp.square(fake - real)


def pixel_objective(distance: Distance = squared) -> Objective:
    """The generator's before there is a discriminator: the mean distance of pixels (equation 4)."""

    def objective(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        fake, players = enlarged(state, batch, keys)
        distances = distance(fake, batch["b"])
        return jnp.mean(distances), Out({"content": Mean.of(distances)}, players=players)

    return objective


def content_of(features: Features | None) -> objectives.Content:
    """The mean squared difference of the images' feature maps (equation 5), or of the images."""

    def content(state: GANState, batch: Batch, fake: Array) -> Array:
        real, see = batch["b"], state.players.get("features", features)
        if see is None:
            return squared(fake, real)
        differences = jax.tree.map(squared, see(fake), see(real))
        return sum(
            (jnp.mean(d.reshape(d.shape[0], -1), axis=1) for d in jax.tree.leaves(differences)),
            jnp.zeros((fake.shape[0],)),
        )

    return content


def objectives_of(
    loss: AdversarialLoss, draw: Forward, features: Features | None, *, adversarial: float
) -> tuple[Side, Side]:
    """The discriminator's side and the generator's."""
    judging = objectives.discriminator_objective(loss, draw, image="b")
    enlarging = objectives.generator_objective(
        loss, draw, weight=adversarial, content=content_of(features), image="b"
    )
    return (
        Side("discriminator", ("discriminator",), judging),
        Side("generator", ("generator",), enlarging),
    )


# --- the game -------------------------------------------------------------------------------------


def build(
    *,
    shape: Shape,
    optimisers: Mapping[str, optax.GradientTransformation],
    factor: int = 4,
    architecture: str = "resnet",
    blocks: int = 16,
    width: int = 64,
    discriminator_width: int = 64,
    pretraining: int | None = 0,
    distance: Distance = squared,
    features: Features | Player | None = None,
    loss: AdversarialLoss = CROSS_ENTROPY,
    adversarial: float = 1e-3,
    schedule: Schedule = steps.alternate,
    shared_noise: bool = True,
    accumulate: int = 1,
    ema_half_life: float | None = None,
    axis_name: str | None = None,
) -> GAN:
    """Enlargement of images to `shape` ([H, W, C]) from `factor` times smaller ones.

    optimisers:  by player, 'generator' and 'discriminator'.
    pretraining: train steps in which the generator alone learns, by the mean `distance` of pixels;
                 then the game begins. None: it never does, and there is no discriminator.
    features:    what the content loss compares (None: pixels). A Player joins the state as
                 'features', is saved with it, and never learns; a function is part of the program.
    adversarial: the adversarial loss's weight beside the content's.

    `sample(state, keys, a=images)` enlarges images of any size, with running batch statistics, to
    [-1, 1]. Raises ValueError where the factor does not divide the size, or on an architecture or a
    factor that there is no network for.
    """
    small = _smaller(shape, factor)
    options: dict[str, Any] = {"accumulate": accumulate, "axis_name": axis_name}
    generator = generator_of(
        architecture, factor=factor, blocks=blocks, width=width, axis_name=axis_name
    )
    networks = {"generator": Network(generator, optimisers["generator"], [small])}
    pixels = pixel_objective(distance)
    body = steps.update("generator", pixels, prefix="pretraining/", **options)
    if pretraining is not None:
        judge = Discriminator(discriminator_width, axis_name)
        networks["discriminator"] = Network(judge, optimisers["discriminator"], [shape])
        draw = Forward(("generator",), enlarged)
        game = translation.round_of_play(
            *objectives_of(loss, draw, features, adversarial=adversarial),
            schedule=schedule,
            shared_noise=draw if shared_noise else None,
            **options,
        )
        body = steps.succession(body, until=pretraining, rest=game) if pretraining else game

    def sample(state: GANState, keys: Keys, **conditions: Any) -> Array:
        _, images = translation.source(conditions, {"a": small}, len(keys))
        return jnp.clip(state["generator"](images), -1.0, 1.0)

    gan = translation.assemble(
        networks,
        body,
        sample,
        conditions=("a",),
        ema_half_life=ema_half_life,
        axis_name=axis_name,
    )
    if isinstance(features, Player):
        return gan._replace(init=_with_features(gan.init, features))
    return gan


def _with_features(
    init: Callable[[Array], GANState], features: Player
) -> Callable[[Array], GANState]:
    def extended(key: Array) -> GANState:
        state = init(key)
        # A copy: a state's arrays are given away to the step that it is passed to.
        seeing = jax.tree.map(jnp.copy, features)
        return state.replace(players={**state.players, "features": seeing})

    return extended


def _smaller(shape: Shape, factor: int) -> Shape:
    height, width, channels = shape
    if factor < 1 or height % factor or width % factor:
        raise ValueError(
            f"images of {height}x{width} pixels cannot be made from images {factor} times smaller; "
            f"use sides that {factor} divides"
        )
    return height // factor, width // factor, channels
