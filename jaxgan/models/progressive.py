"""Progressive growing of GANs (Karras et al. 2018): the resolution doubles in stages.

Training starts at 4 pixels. Each stage is a `GAN` of its own (`build`), compiled once. `grow` turns
the state of one stage into the initial state of the next. A new resolution fades in. Its weight
alpha rises from 0 to 1 with the number of images shown. At 0 the grown networks equal the old ones
with a doubling or halving added. At 1 only the new layers count.
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
    """Returns how often images double from the base, whose shorter side has 4 to 7 pixels.

    32 pixels double three times, 1024 eight times, 28 twice (from 7).

    Args:
        size: Height and width of the full images.

    Raises:
        ValueError: The size is not such a doubling. The error names the nearest smaller one that
            is.
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
    """Returns the number of channels at each level, from the base to the full size.

    Args:
        count: Number of doublings.
        width: Channels at the full size, doubling toward the base (16 in the paper, for 1024
            pixels).
        max_width: Upper limit of the channels (512 in the paper).
    """
    return tuple(min(width << (count - level), max_width) for level in range(count + 1))


def mix(old: Array, new: Array, alpha: Array) -> Array:
    """Computes (1 - alpha) old + alpha new. The result is exact at 0 and at 1.

    Args:
        old: Arrays [B, H, W, C].
        new: Arrays [B, H, W, C].
        alpha: Weight [B] of each example, in [0, 1].
    """
    share = alpha.reshape(-1, 1, 1, 1)
    return (1 - share) * old + share * new


def faded(images: Array, alpha: Array) -> Array:
    """Blends images with their halved and doubled versions, so that detail fades in.

    Args:
        images: Images [B, H, W, C].
        alpha: Fraction [B] of the detail that is kept, in [0, 1].

    References:
        Karras et al. 2018, section 2 and figure 2.
    """
    return mix(resampling.double(resampling.halve(images)), images, alpha)


# --- networks -------------------------------------------------------------------------------------


def _from_latent(x: Array, w: Array) -> Array:
    """Computes the base [B, H, W, F] from latents [B, 1, 1, Z] and a kernel [H, W, Z, F].

    It is a convolution of one fully padded pixel: each output sees one tap.
    """
    return jnp.einsum("bz,hwzf->bhwf", x[:, 0, 0], w)


def _normalized(x: Array) -> Array:
    return equalized.pixel_norm(layers.leaky_relu(x))


class GeneratorBase(linen.Module):
    """First block of the generator: maps latents [B, Z] to features [B, *size, features].

    Attributes:
        size: Height and width of the base.
        features: Output channels.
    """

    size: tuple[int, int]
    features: int

    @linen.compact
    def __call__(self, latents: Array) -> Array:
        """Returns features [B, *size, features] for latents [B, Z]."""
        x = equalized.pixel_norm(latents)[:, None, None, :]
        x = _normalized(
            equalized.EqualizedConv(self.features, self.size, operation=_from_latent)(x)
        )
        return _normalized(equalized.EqualizedConv(self.features)(x))


class GeneratorBlock(linen.Module):
    """Block of the generator that doubles the size: [B, H, W, C] to [B, 2 H, 2 W, features].

    Attributes:
        features: Output channels.
    """

    features: int

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """Returns features [B, 2 H, 2 W, features] for `x` [B, H, W, C]."""
        doubled = equalized.EqualizedConv(self.features, operation=resampling.conv_double)
        return _normalized(equalized.EqualizedConv(self.features)(_normalized(doubled(x))))


class Generator(linen.Module):
    """Maps latents [B, Z] to images [B, H, W, channels], unbounded as in the paper.

    Layers are named by their level, so that a grown network finds the weights of the old one.

    Attributes:
        base: Height and width at level 0.
        widths: Channels of each level grown so far, from the base on.
        channels: Channels of an image.

    References:
        Karras et al. 2018, section 2, table 2.
    """

    base: tuple[int, int]
    widths: tuple[int, ...]
    channels: int

    @linen.compact
    def __call__(
        self, latents: Array, alpha: Array, *, keys: Keys | None = None, train: bool = False
    ) -> Array:
        """Returns generated images [B, H, W, channels].

        Args:
            latents: Latents [B, Z].
            alpha: Weight [B] of the newest level, in [0, 1].
            keys: Unused; every network takes it.
            train: Unused; every network takes it.
        """
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
    """Block of the discriminator that halves the size: [B, H, W, C] to [B, H / 2, W / 2, features].

    Attributes:
        features: Output channels.
    """

    features: int

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """Returns features [B, H / 2, W / 2, features] for `x` [B, H, W, C]."""
        x = layers.leaky_relu(equalized.EqualizedConv(x.shape[-1])(x))
        halved = equalized.EqualizedConv(self.features, operation=resampling.conv_halve)
        return layers.leaky_relu(halved(x))


class DiscriminatorHead(linen.Module):
    """Last block of the discriminator: maps the base's features [B, H, W, C] to logits [B].

    It begins with the minibatch standard deviation.

    Attributes:
        group: Examples per group of the minibatch standard deviation.
    """

    group: int

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """Returns logits [B] for features `x` [B, H, W, C]."""
        features = x.shape[-1]
        x = minibatch.MinibatchStddev(self.group)(x)
        x = layers.leaky_relu(equalized.EqualizedConv(features)(x))
        x = x.reshape(x.shape[0], -1)
        x = layers.leaky_relu(equalized.EqualizedDense(features)(x))
        return equalized.EqualizedDense(1, gain=1.0)(x)[:, 0]


class Discriminator(linen.Module):
    """Maps images [B, H, W, C] to logits [B].

    The levels are those of the generator in reverse. Nothing is normalized.

    Attributes:
        widths: Channels of each level grown so far, from the base on.
        group: Examples per group of the minibatch standard deviation. Must divide the batch size.

    References:
        Karras et al. 2018, sections 2 and 3, table 2.
    """

    widths: tuple[int, ...]
    group: int = 4

    @linen.compact
    def __call__(
        self, images: Array, alpha: Array, *, keys: Keys | None = None, train: bool = False
    ) -> Array:
        """Returns logits [B].

        Args:
            images: Images [B, H, W, C].
            alpha: Weight [B] of the newest level, in [0, 1].
            keys: Unused; every network takes it.
            train: Unused; every network takes it.
        """
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
    """Builds the GAN of one stage.

    `step` takes images of the full shape. It reduces them to the level by box filtering, and fades
    them as the generator's images fade. `sample` returns images of the full shape, doubled to it
    and clipped to [-1, 1].

    Args:
        shape: Height, width and channels of the full images.
        training: How the players are trained.
        level: Number of doublings so far. 0 is the base.
        rows: Batch size over all devices. Alpha counts images by it.
        fade_images: Images over which the level fades in. If it is 0, and at level 0, alpha is 1.
        latent_size: Size of the latents.
        prior: Prior of the latents: 'normal', 'uniform' or 'unit_uniform'.
        width: Channels at the full size, doubling toward the base.
        max_width: Upper limit of the channels.
        group: Examples per group of the minibatch standard deviation, which couples them. A
            gradient penalty then takes the gradient of the group's summed logits by each image, as
            the authors' does.
        **game: Further arguments of `two_player.build`: `loss` (required), `penalty` and others.

    Returns:
        The model. `sample(state, keys)` draws images [B, H, W, C] in [-1, 1].

    Raises:
        ValueError: The size cannot be grown to (`levels`), or the level or a number is out of
            range. When traced: the batch does not have `rows` examples, or `group` does not divide
            them.

    References:
        Karras et al. 2018, sections 2 to 4, appendix A.1.
    """
    last = levels(shape[:2])
    _require(level in range(last + 1), f"the level is {level}; expected 0 to {last}")
    _require(rows >= 1, f"the batch size is {rows}; expected 1 or more")
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
        training=training.with_schedule(reporting_alpha),
        **game,
    )

    def init(key: Array) -> GANState:
        state = played.init(key)
        return state.replace(extra={**state.extra, "stage_start": jnp.zeros((), jnp.int32)})

    def step(state: GANState, batch: Batch) -> tuple[GANState, Metrics]:
        count = batch["image"].shape[0]
        whole = count * collectives.axis_size(training.axis_name)
        _require(whole == rows, f"a batch has {whole} examples, but the stage was built for {rows}")
        share = jnp.broadcast_to(alpha_of(state), (count,))
        images = resampling.halve(batch["image"], missing)
        if fading:
            images = faded(images, share)
        return played.step(state, {**batch, "image": images, "alpha": share})

    def sample(state: GANState, keys: Keys) -> Array:
        share = jnp.broadcast_to(alpha_of(state), (keys.count,))
        images = played.sample(state, keys, alpha=share)
        return jnp.clip(resampling.double(images, missing), -1, 1)

    return GAN(init, step, sample)


def alpha(state: GANState, *, per_step: float | None) -> Array:
    """Returns the weight [] of the new level, in [0, 1].

    Args:
        state: State of the stage.
        per_step: Increase for each step since the stage began. None: the weight is 1.
    """
    if per_step is None:
        return jnp.ones(())
    done = state.step - state.extra["stage_start"]
    return jnp.clip(done.astype(jnp.float32) * per_step, 0, 1)


def reporting_alpha(schedule: Callable[..., Step]) -> Callable[..., Step]:
    """Returns the schedule with alpha as an additional metric of its discriminator steps."""

    def report(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        return state, {"alpha": Mean.of(batch["alpha"])}

    def round_of_play(discriminator: Step, generator: Step, **options: Any) -> Step:
        return schedule(steps.then(discriminator, report), generator, **options)

    return round_of_play


def grow(old: GANState, new: GANState, *, keep_optimizers: bool = False) -> GANState:
    """Returns the initial state of the next stage.

    Weights, averages, step and randomness are carried over. New layers are fresh.

    Args:
        old: Last state of a stage.
        new: Fresh state from `init` of the next stage.
        keep_optimizers: Whether optimizer states of the old layers are carried over. By default
            optimizers start afresh, as in the authors' code.
    """
    state = stages.carry_over(old, new, optimizers=keep_optimizers)
    return state.replace(extra={**state.extra, "stage_start": jnp.copy(old.step)})


def enter(state: GANState, arrays: Mapping[str, Any], step: int) -> GANState:
    """Returns the state of a run that starts within a stage, with the weights of another run.

    The fade of the new level continues where it was.

    Args:
        state: State that already has the weights.
        arrays: Arrays of the other run's checkpoint by name.
        step: Step of the checkpoint.
    """
    if "extra/stage_start" not in arrays:  # the other run had no stages
        return state
    shown = step - jnp.asarray(arrays["extra/stage_start"], jnp.int32)
    return state.replace(extra={**state.extra, "stage_start": state.step - shown})


def drifting(loss: AdversarialLoss, weight: float) -> AdversarialLoss:
    """Returns the loss with `weight` * D(real)^2 added to the critic's.

    It keeps logits near zero. The Wasserstein loss alone does not change when all logits are
    shifted.

    Args:
        loss: Adversarial loss.
        weight: Weight of the drift term, 0.001 in the paper.

    References:
        Karras et al. 2018, appendix A.1.
    """

    def discriminator(real_logits: Array, fake_logits: Array) -> Array:
        return loss.discriminator(real_logits, fake_logits) + weight * jnp.square(real_logits)

    return loss._replace(discriminator=discriminator)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
