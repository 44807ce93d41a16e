"""Progressive growing (Karras et al. 2018): a game at 4 pixels, which doubles its images in stages.

Each stage is a `GAN` of its own (`build`), compiled once; `grow` takes the state of one to the
next. A new resolution fades in: its share alpha rises with the images shown, from 0, where the
grown networks are the old ones between a doubling and a halving, to 1, where they are the new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import flax.linen as linen
import jax.numpy as jnp

from jaxgan import collectives, random, steps
from jaxgan.games import stages, two_player
from jaxgan.games.training import Training
from jaxgan.losses import AdversarialLoss
from jaxgan.nn import equalized, layers, minibatch, resampling
from jaxgan.random import Keys
from jaxgan.state import GANState, Mean
from jaxgan.types import GAN, Array, Batch, Metrics, Step

_SMALLEST_BASE = 4


def levels(size: tuple[int, int]) -> int:
    """How often images of (height, width) double from the base, whose shorter side is 4 to 7
    pixels: 32 doubles three times, 1024 eight times, 28 twice (from 7).

    Raises ValueError on a size that is no such doubling, with the nearest smaller one that is.
    """
    count = (min(size) // _SMALLEST_BASE).bit_length() - 1
    unit = 1 << max(count, 0)
    if count < 1 or any(side % unit for side in size):
        nearest = "x".join(str(max(side // unit, _SMALLEST_BASE) * unit) for side in size)
        raise ValueError(
            f"images of {size[0]}x{size[1]} cannot be grown to: the base of 4 to 7 pixels on the "
            f"shorter side must double to both sides; use {'8x8' if count < 1 else nearest}"
        )
    return count


def channels_by_level(count: int, *, width: int, max_width: int) -> tuple[int, ...]:
    """Features of each level, the base first: `width` at full size, doubling towards the base, at
    most `max_width` (16 and 512 for 1024 pixels in the paper).
    """
    return tuple(min(width << (count - level), max_width) for level in range(count + 1))


def mix(old: Array, new: Array, alpha: Array) -> Array:
    """(1 - alpha) old + alpha new, each example [H, W, C] by its alpha [B]; exact at 0 and at 1."""
    share = alpha.reshape(-1, 1, 1, 1)
    return (1 - share) * old + share * new


def faded(images: Array, alpha: Array) -> Array:
    """Images [B, H, W, C] with only the share alpha [B] of the detail that halving loses."""
    return mix(resampling.double(resampling.halve(images)), images, alpha)


# --- networks -------------------------------------------------------------------------------------


def _from_latent(x: Array, w: Array) -> Array:
    """The base [B, H, W, F] from latents [B, 1, 1, Z] by a kernel [H, W, Z, F]: a convolution of
    one pixel with all of its padding, each output of which sees one tap.
    """
    return jnp.einsum("bz,hwzf->bhwf", x[:, 0, 0], w)


def _normalized(x: Array) -> Array:
    return equalized.pixel_norm(layers.leaky_relu(x))


class GeneratorBase(linen.Module):
    """Latents [B, Z] to features [B, *size, features]."""

    size: tuple[int, int]
    features: int

    @linen.compact
    def __call__(self, latents: Array) -> Array:
        x = equalized.pixel_norm(latents)[:, None, None, :]
        x = _normalized(
            equalized.EqualizedConv(self.features, self.size, operation=_from_latent)(x)
        )
        return _normalized(equalized.EqualizedConv(self.features)(x))


class GeneratorBlock(linen.Module):
    """Features [B, H, W, C] to [B, 2 H, 2 W, features]."""

    features: int

    @linen.compact
    def __call__(self, x: Array) -> Array:
        doubled = equalized.EqualizedConv(self.features, operation=resampling.conv_double)
        return _normalized(equalized.EqualizedConv(self.features)(_normalized(doubled(x))))


class Generator(linen.Module):
    """Latents [B, Z] and alpha [B] to images [B, H, W, channels], unbounded as in the paper.

    `base` is the size (H, W) at level 0 and `widths` are the features of each level grown so far.
    Layers are named by their level, so that a grown network finds the old ones' weights.
    """

    base: tuple[int, int]
    widths: tuple[int, ...]
    channels: int

    @linen.compact
    def __call__(
        self, latents: Array, alpha: Array, *, keys: Keys | None = None, train: bool = False
    ) -> Array:
        level = len(self.widths) - 1
        x = GeneratorBase(self.base, self.widths[0], name="block_0")(latents)
        below = x
        for index, features in enumerate(self.widths[1:], start=1):
            below, x = x, GeneratorBlock(features, name=f"block_{index}")(x)
        images = self._to_image(x, level)
        if level == 0:
            return images
        return mix(resampling.double(self._to_image(below, level - 1)), images, alpha)

    def _to_image(self, x: Array, level: int) -> Array:
        return equalized.EqualizedDense(self.channels, gain=1.0, name=f"to_image_{level}")(x)


class DiscriminatorBlock(linen.Module):
    """Features [B, H, W, C] to [B, H / 2, W / 2, features]."""

    features: int

    @linen.compact
    def __call__(self, x: Array) -> Array:
        x = layers.leaky_relu(equalized.EqualizedConv(x.shape[-1])(x))
        halved = equalized.EqualizedConv(self.features, operation=resampling.conv_halve)
        return layers.leaky_relu(halved(x))


class DiscriminatorHead(linen.Module):
    """Features [B, H, W, C] of the base to logits [B], by way of the minibatch's deviation."""

    group: int

    @linen.compact
    def __call__(self, x: Array) -> Array:
        features = x.shape[-1]
        x = minibatch.MinibatchStddev(self.group)(x)
        x = layers.leaky_relu(equalized.EqualizedConv(features)(x))
        x = x.reshape(x.shape[0], -1)
        x = layers.leaky_relu(equalized.EqualizedDense(features)(x))
        return equalized.EqualizedDense(1, gain=1.0)(x)[:, 0]


class Discriminator(linen.Module):
    """Images [B, H, W, C] and alpha [B] to logits [B]: the generator's levels in reverse, without
    any norm.

    `group` rows make a group of the minibatch's standard deviation and must divide the batch.
    """

    widths: tuple[int, ...]
    group: int = 4

    @linen.compact
    def __call__(
        self, images: Array, alpha: Array, *, keys: Keys | None = None, train: bool = False
    ) -> Array:
        level = len(self.widths) - 1
        x = self._from_image(images, level)
        for index in range(level, 0, -1):
            x = DiscriminatorBlock(self.widths[index - 1], name=f"block_{index}")(x)
            if index == level:
                x = mix(self._from_image(resampling.halve(images), level - 1), x, alpha)
        return DiscriminatorHead(self.group, name="block_0")(x)

    def _from_image(self, images: Array, level: int) -> Array:
        layer = equalized.EqualizedDense(self.widths[level], name=f"from_image_{level}")
        return layers.leaky_relu(layer(images))


# --- the game of a stage --------------------------------------------------------------------------


def build(
    *,
    shape: tuple[int, int, int],
    training: Training,
    level: int,
    rows: int,
    fade_images: int,
    latent_size: int = 512,
    prior: str = "normal",
    width: int = 16,
    max_width: int = 512,
    group: int = 4,
    **game: Any,
) -> GAN:
    """The game at `level` (0 is the base) of images of the full `shape` (H, W, C);
    `training` and `game` are passed on to `two_player.build`.

    rows:        examples one train step takes, over all devices: alpha counts images by it.
    group:       of the minibatch's deviation, which couples its examples. A `penalty` on the slope
                 then takes that of the group's summed logits by each image, as the authors' does.
    fade_images: images over which the level fades in; at level 0, and if 0, alpha is 1.

    `step` takes images of the full shape, which it brings to the level by means, and fades as the
    generator's. `sample` draws at the full shape too, doubled to it and clipped to [-1, 1]. Raises
    ValueError on a size that cannot be grown to (`levels`), on a level or a number out of range,
    and, when traced, where a batch does not have `rows` rows or `group` does not divide them.
    """
    last = levels(shape[:2])
    _require(level in range(last + 1), f"the level is {level}; expected 0 to {last}")
    _require(rows >= 1, f"a step takes {rows} rows; expected 1 or more")
    _require(fade_images >= 0, f"the fade takes {fade_images} images; expected 0 or more")
    height, breadth, channels = shape
    widths = channels_by_level(last, width=width, max_width=max_width)[: level + 1]
    fading = level > 0 and fade_images > 0
    alpha_of = partial(alpha, per_step=rows / fade_images if fading else None)
    missing = last - level
    played = two_player.build(
        Generator((height >> last, breadth >> last), widths, channels),
        Discriminator(widths, group),
        shape=(height >> missing, breadth >> missing, channels),
        latents=partial(random.latents, size=latent_size, prior=random.known_prior(prior)),
        conditions=lambda batch: (batch["alpha"],),
        default_conditions={"alpha": jnp.ones},
        training=training.scheduled(reporting_alpha),
        **game,
    )

    def init(key: Array) -> GANState:
        state = played.init(key)
        return state.replace(extra={**state.extra, "stage_start": jnp.zeros((), jnp.int32)})

    def step(state: GANState, batch: Batch) -> tuple[GANState, Metrics]:
        count = batch["image"].shape[0]
        whole = count * collectives.axis_size(training.axis_name)
        _require(whole == rows, f"a batch has {whole} rows, but the stage was built for {rows}")
        share = jnp.broadcast_to(alpha_of(state), (count,))
        images = resampling.halve(batch["image"], missing)
        if fading:
            images = faded(images, share)
        return played.step(state, {**batch, "image": images, "alpha": share})

    def sample(state: GANState, keys: Keys) -> Array:
        share = jnp.broadcast_to(alpha_of(state), (len(keys),))
        images = played.sample(state, keys, alpha=share)
        return jnp.clip(resampling.double(images, missing), -1, 1)

    return GAN(init, step, sample)


def alpha(state: GANState, *, per_step: float | None) -> Array:
    """The share [] in [0, 1] of the new level: `per_step` for each step since the stage began;
    1 if None.
    """
    if per_step is None:
        return jnp.ones(())
    done = state.step - state.extra["stage_start"]
    return jnp.clip(done.astype(jnp.float32) * per_step, 0, 1)


def reporting_alpha(schedule: Callable[..., Step]) -> Callable[..., Step]:
    """The schedule, whose discriminator steps report alpha as well."""

    def report(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        return state, {"alpha": Mean.of(batch["alpha"])}

    def round_of_play(discriminator: Step, generator: Step, **options: Any) -> Step:
        return schedule(steps.then(discriminator, report), generator, **options)

    return round_of_play


def grow(old: GANState, new: GANState, *, keep_optimizers: bool = False) -> GANState:
    """The state of a stage's end as the next stage's beginning: `new` is fresh from its `init`.

    Weights, averages, step and randomness go on; new layers are fresh. The optimizers start afresh,
    as in the authors' code, or keep what they know of the old layers.
    """
    state = stages.carry_over(old, new, optimizers=keep_optimizers)
    return state.replace(extra={**state.extra, "stage_start": jnp.copy(old.step)})


def enter(state: GANState, arrays: Mapping[str, Any], step: int) -> GANState:
    """The state of a run that begins in a stage with the weights of another run's `step` in it: the
    share of the new level goes on from where it was.
    """
    if "extra/stage_start" not in arrays:  # no run in stages
        return state
    shown = step - jnp.asarray(arrays["extra/stage_start"], jnp.int32)
    return state.replace(extra={**state.extra, "stage_start": state.step - shown})


def drifting(loss: AdversarialLoss, weight: float) -> AdversarialLoss:
    """The loss with `weight` * D(real)^2 added to the critic's, which keeps a critic whose loss
    sees no shift of its logits near zero (Karras et al. 2018, appendix A.1, with 0.001).
    """

    def discriminator(real_logits: Array, fake_logits: Array) -> Array:
        return loss.discriminator(real_logits, fake_logits) + weight * jnp.square(real_logits)

    return loss._replace(discriminator=discriminator)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
