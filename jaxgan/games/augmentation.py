"""Differentiable augmentation of images, and the strength at which it keeps a discriminator honest.

A transformation maps images [B, H, W, C] in [-1, 1] to images of the same shape by each example's
own key, and what it brings in from outside the picture is 0. `sequence` makes a view of some
(`jaxgan.games.input_transforms.through`), and `sometimes` applies one to a share of the images.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from jaxgan import collectives, random
from jaxgan.games.input_transforms import View
from jaxgan.random import Keys
from jaxgan.state import GANState, Mean
from jaxgan.types import Array, Batch, Metrics, Step

Transformation = Callable[[Array, Keys], Array]

ENTRY = "augmentation"

# --- colors --------------------------------------------------------------------------------------


def _sparing_transparency(change: Callable[..., Array]) -> Callable[..., Array]:
    """The change of the first three channels where there are four, and of all of them elsewhere."""

    @functools.wraps(change)
    def run(images: Array, keys: Keys, **options: Any) -> Array:
        if images.shape[3] != 4:
            return change(images, keys, **options)
        colors = change(images[..., :3], keys, **options)
        return jnp.concatenate([colors, images[..., 3:]], axis=3)

    return run


@_sparing_transparency
def brightness(images: Array, keys: Keys, *, most: float = 0.5) -> Array:
    """The images, each made brighter by one number in [-most, most)."""
    return images + _uniform(keys, "brightness", -most, most)


@_sparing_transparency
def saturation(images: Array, keys: Keys, *, most: float = 1.0) -> Array:
    """The images, each pixel's distance from its gray scaled by one in [1 - most, 1 + most)."""
    gray = jnp.mean(images, axis=3, keepdims=True)
    return gray + (images - gray) * _uniform(keys, "saturation", 1 - most, 1 + most)


@_sparing_transparency
def contrast(images: Array, keys: Keys, *, most: float = 0.5) -> Array:
    """The images, each one's distance from its mean scaled by a number in [1 - most, 1 + most)."""
    mean = jnp.mean(images, axis=(1, 2, 3), keepdims=True)
    return mean + (images - mean) * _uniform(keys, "contrast", 1 - most, 1 + most)


def color(images: Array, keys: Keys) -> Array:
    """Brightness, saturation and contrast, as DiffAugment's policy of that name."""
    return contrast(saturation(brightness(images, keys), keys), keys)


# --- places ---------------------------------------------------------------------------------------


def translation(images: Array, keys: Keys, *, most: float = 1 / 8) -> Array:
    """The images, moved by whole pixels, at most the given share of height and of width."""
    weights = []
    for axis in (1, 2):
        limit = int(images.shape[axis] * most + 0.5)
        own = random.fold(keys, f"translation {axis}")
        shift = jnp.floor(random.uniform(own, (), low=-limit, high=limit + 1))
        weights.append(_lines(images, axis, shift=shift))
    return resampled(images, *weights)


def mirroring(images: Array, keys: Keys) -> Array:
    """The images, each one mirrored left to right with probability 1/2."""
    flip = random.bernoulli(random.fold(keys, "mirroring"), (1, 1, 1), probability=0.5)
    return jnp.where(flip, images[:, :, ::-1], images)


def scaling(images: Array, keys: Keys, *, deviation: float = 0.2) -> Array:
    """The images, each scaled about its center by 2^N(0, deviation^2), as in ADA."""
    factors = 2 ** (deviation * random.normal(random.fold(keys, "scaling"), ()))
    return resampled(images, _lines(images, 1, scale=factors), _lines(images, 2, scale=factors))


def cutout(images: Array, keys: Keys, *, share: float = 1 / 2) -> Array:
    """The images, in each of which a rectangle of the given share of height and width is 0; its
    center may be any pixel, so part of it may lie outside.
    """
    inside = []
    for axis, size in enumerate(images.shape[1:3]):
        length = int(size * share + 0.5)
        centers = size + 1 - length % 2
        draw = random.uniform(random.fold(keys, f"cutout {axis}"), (1,), high=centers)
        start = jnp.floor(draw) - length // 2
        pixels = jnp.arange(size, dtype=jnp.float32).reshape(1, size)
        inside.append((pixels >= start) & (pixels < start + length))
    hole = inside[0][:, :, None, None] & inside[1][:, None, :, None]
    return jnp.where(hole, 0.0, images)


def resampled(images: Array, vertical: Array, horizontal: Array) -> Array:
    """Images [B, H, W, C] by each one's own weights [B, H, H] of lines and [B, W, W] of columns.

    Products of matrices, whose gradients are fast everywhere; a gather's are not. In full
    precision: TF32, the default of recent GPUs, changes pixels that are only moved.
    """
    product = functools.partial(jnp.einsum, precision=lax.Precision.HIGHEST)
    lines = product("bij,bjwc->biwc", vertical.astype(images.dtype), images)
    return product("bij,bhjc->bhic", horizontal.astype(images.dtype), lines)


def _lines(
    images: Array, axis: int, *, scale: Array | float = 1.0, shift: Array | float = 0.0
) -> Array:
    """Weights [B, N, N] of linear interpolation along the axis: the image about its center is made
    `scale` [B] times larger, then moved by `shift` [B] pixels.
    """
    size, rows = images.shape[axis], images.shape[0]
    center = (size - 1) / 2
    places = jnp.arange(size, dtype=jnp.float32)
    scale, shift = (jnp.broadcast_to(jnp.asarray(x), (rows,))[:, None] for x in (scale, shift))
    sources = (places[None, :] - center - shift) / scale + center
    return jnp.maximum(0.0, 1 - jnp.abs(sources[:, :, None] - places[None, None, :]))


def _uniform(keys: Keys, name: str, low: float, high: float) -> Array:
    return random.uniform(random.fold(keys, name), (1, 1, 1), low=low, high=high)


# --- pipelines ------------------------------------------------------------------------------------

POLICIES = {"color": color, "translation": translation, "cutout": cutout}

ADAPTIVE = (mirroring, translation, scaling, brightness, contrast, saturation)
"""What is adapted, in the order of the 'bgc' of Karras et al. 2020 (appendix B: pixels, geometry,
colors), but not all of it and not as there.

Missing are rotations (by 90 degrees and by any angle), anisotropic scale, translation by parts of a
pixel, luma flip and hue rotation. Mirroring and isotropic scale have the paper's distributions and
translation by whole pixels its range, but what comes in from outside is 0, where the paper reflects
the image, and scale interpolates linearly, where it filters. Brightness, contrast and saturation
are DiffAugment's uniform draws, where the paper's are normal and log-normal, and contrast is about
each image's own mean, where the paper's is about 0.
"""


def sequence(transformations: Sequence[Transformation]) -> Transformation:
    """The transformations one after another, each with draws of its own."""

    def run(images: Array, keys: Keys) -> Array:
        for index, transformation in enumerate(transformations):
            images = transformation(images, random.fold(keys, index))
        return images

    return run


def sometimes(transformation: Transformation, probability: Array | float) -> Transformation:
    """The transformation of each image with the given probability, and the image as it is
    otherwise.
    """

    def run(images: Array, keys: Keys) -> Array:
        chosen = random.fold(keys, "sometimes")
        draws = random.uniform(chosen, (1, 1, 1))
        return jnp.where(draws < probability, transformation(images, keys), images)

    return run


def diff_augment(policy: Sequence[str] = tuple(POLICIES)) -> View:
    """DiffAugment (Zhao et al. 2020, section 3): every image, always, by the named policies.

    Raises ValueError on a name that is none of 'color', 'translation' and 'cutout'.
    """
    unknown = [name for name in policy if name not in POLICIES]
    if unknown:
        raise ValueError(f"the policy is {unknown[0]!r}; expected {', '.join(POLICIES)}")
    transform = sequence([POLICIES[name] for name in policy])
    return lambda state, images, keys: transform(images, keys)


# --- adaptive strength ----------------------------------------------------------------------------


def initial(probability: float = 0.0) -> dict[str, Any]:
    """What `adapt` carries in the state's `extra`, before the first step."""
    return {ENTRY: {"probability": probability, "signs": 0.0, "count": 0.0, "images": 0.0}}


def adaptive(transformations: Sequence[Transformation] = ADAPTIVE) -> View:
    """Each transformation of each image with the probability that `adapt` has found (Karras et al.
    2020, section 3.1).
    """

    def view(state: GANState, images: Array, keys: Keys) -> Array:
        probability = state.extra[ENTRY]["probability"]
        return sequence([sometimes(t, probability) for t in transformations])(images, keys)

    return view


def adapt(
    step: Step,
    *,
    signal: str = "discriminator/real_sign",
    target: float = 0.6,
    images: float = 500_000,
    period: int = 4,
    axis_name: str | None = None,
) -> Step:
    """The step, after which the probability follows how much the discriminator overfits (Karras et
    al. 2020, section 3.2).

    r = mean(sign(D(real))), of augmented real images, is the metric `signal` of the step. Every
    `period` train steps the probability moves up where r is above the target and down where it is
    below, at a speed that takes `images` images from 0 to 1, and stays in [0, 1]. It is reported as
    'augmentation/probability', and lives in the state's `extra` (`initial`): it is saved and
    resumed with all the rest. Raises ValueError on a target that r cannot pass on both sides, on
    numbers that are not positive, and, when traced, where the step does not report the signal.
    """
    if not -1 <= target <= 1:
        raise ValueError(f"the target of the mean sign is {target}; expected -1 to 1")
    if images <= 0 or period < 1:
        raise ValueError(
            f"the probability is to move every {period} steps, from 0 to 1 in {images} images; "
            "expected positive numbers"
        )

    def adapted(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        state, metrics = step(state, batch, keys)
        if signal not in metrics:
            raise ValueError(
                f"the step reports no {signal!r}, by which augmentation is adapted; "
                "take a loss whose logits have a boundary, such as non_saturating or hinge"
            )
        rows = len(keys) * collectives.axis_size(axis_name)
        old = state.extra[ENTRY]
        signs, count = old["signs"] + metrics[signal].total, old["count"] + metrics[signal].count
        seen = old["images"] + rows
        due = ((state.step + 1) % period == 0) & (count > 0)
        towards = jnp.sign(signs / jnp.maximum(count, 1) - target)
        moved = jnp.clip(old["probability"] + towards * seen / images, 0.0, 1.0)
        new = {
            "probability": jnp.where(due, moved, old["probability"]),
            "signs": jnp.where(due, 0.0, signs),
            "count": jnp.where(due, 0.0, count),
            "images": jnp.where(due, 0.0, seen),
        }
        report = {"augmentation/probability": Mean.of(old["probability"])}
        return state.replace(extra={**state.extra, ENTRY: new}), {**metrics, **report}

    return adapted


def adapting(schedule: Callable[..., Step], **options: Any) -> Callable[..., Step]:
    """The schedule of a game whose rounds `adapt` follows; `options` are those of `adapt`.

    A round of several discriminator steps moves the probability once, by the signs of all of them.
    """

    def round_of_play(discriminator: Step, generator: Step, **shared: Any) -> Step:
        return adapt(schedule(discriminator, generator, **shared), **options)

    return round_of_play
