"""Differentiable augmentation: DiffAugment and ADA (adaptive discriminator augmentation).

A transformation maps images [B, H, W, C] in [-1, 1] to images of the same shape, with each
example's own key. Pixels that enter from outside the image are 0. `sequence` composes
transformations, and `sometimes` applies one with a given probability. `diff_augment` and `adaptive`
make views, which `jaxgan.games.input_transforms.through` puts in front of the discriminator.

References:
    Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training" (DiffAugment).
    Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data" (ADA).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from jaxgan import collectives, random
from jaxgan.games.input_transforms import View
from jaxgan.random import Keys
from jaxgan.state import GANState, Mean
from jaxgan.types import Array, Batch, Metrics, Step

Transformation = Callable[[Array, Keys], Array]
"""`transformation(images, keys) -> images`, both [B, H, W, C]."""

ENTRY = "augmentation"
"""Key of ADA's entry in `state.extra`."""

# --- colors ---------------------------------------------------------------------------------------


def _sparing_transparency(change: Callable[..., Array]) -> Callable[..., Array]:
    """Wraps a color transformation so that it leaves an alpha channel (the fourth) unchanged."""

    @functools.wraps(change)
    def run(images: Array, keys: Keys, **options: Any) -> Array:
        if images.shape[3] != 4:
            return change(images, keys, **options)
        colors = change(images[..., :3], keys, **options)
        return jnp.concatenate([colors, images[..., 3:]], axis=3)

    return run


@_sparing_transparency
def brightness(images: Array, keys: Keys, *, most: float = 0.5) -> Array:
    """Adds one uniform number from [-most, most) to each image.

    Args:
        images: Images [B, H, W, C] in [-1, 1].
        keys: Per-example keys [B].
        most: Largest change of brightness.
    """
    return images + _uniform(keys, "brightness", -most, most)


@_sparing_transparency
def saturation(images: Array, keys: Keys, *, most: float = 1.0) -> Array:
    """Scales each image's distance from its gray version by a number from [1 - most, 1 + most).

    Args:
        images: Images [B, H, W, C] in [-1, 1].
        keys: Per-example keys [B].
        most: Largest deviation of the factor from 1.
    """
    gray = jnp.mean(images, axis=3, keepdims=True)
    return gray + (images - gray) * _uniform(keys, "saturation", 1 - most, 1 + most)


@_sparing_transparency
def contrast(images: Array, keys: Keys, *, most: float = 0.5) -> Array:
    """Scales each image's distance from its mean by a number from [1 - most, 1 + most).

    Args:
        images: Images [B, H, W, C] in [-1, 1].
        keys: Per-example keys [B].
        most: Largest deviation of the factor from 1.
    """
    mean = jnp.mean(images, axis=(1, 2, 3), keepdims=True)
    return mean + (images - mean) * _uniform(keys, "contrast", 1 - most, 1 + most)


def color(images: Array, keys: Keys) -> Array:
    """Changes brightness, saturation and contrast: the 'color' policy of DiffAugment.

    Args:
        images: Images [B, H, W, C] in [-1, 1].
        keys: Per-example keys [B].
    """
    return contrast(saturation(brightness(images, keys), keys), keys)


# --- geometry -------------------------------------------------------------------------------------


def translation(images: Array, keys: Keys, *, most: float = 1 / 8) -> Array:
    """Translates each image by whole pixels.

    Args:
        images: Images [B, H, W, C] in [-1, 1].
        keys: Per-example keys [B].
        most: Largest translation, as a fraction of the height and of the width.
    """
    weights = []
    for axis in (1, 2):
        limit = int(images.shape[axis] * most + 0.5)
        own = random.fold(keys, f"translation {axis}")
        shift = jnp.floor(random.uniform(own, (), low=-limit, high=limit + 1))
        weights.append(_lines(images, axis, shift=shift))
    return resampled(images, *weights)


def mirroring(images: Array, keys: Keys) -> Array:
    """Flips each image left to right with probability 1/2.

    Args:
        images: Images [B, H, W, C] in [-1, 1].
        keys: Per-example keys [B].
    """
    flip = random.bernoulli(random.fold(keys, "mirroring"), (1, 1, 1), probability=0.5)
    return jnp.where(flip, images[:, :, ::-1], images)


def scaling(images: Array, keys: Keys, *, deviation: float = 0.2) -> Array:
    """Scales each image about its center by 2^N(0, deviation^2), the isotropic scaling of ADA.

    Args:
        images: Images [B, H, W, C] in [-1, 1].
        keys: Per-example keys [B].
        deviation: Standard deviation of the base-2 logarithm of the scale.
    """
    factors = 2 ** (deviation * random.normal(random.fold(keys, "scaling"), ()))
    return resampled(images, _lines(images, 1, scale=factors), _lines(images, 2, scale=factors))


def cutout(images: Array, keys: Keys, *, share: float = 1 / 2) -> Array:
    """Sets a random rectangle of each image to 0.

    The center of the rectangle may be any pixel, so a part of it may lie outside the image.

    Args:
        images: Images [B, H, W, C] in [-1, 1].
        keys: Per-example keys [B].
        share: Size of the rectangle, as a fraction of the height and of the width.
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
    """Resamples each image with its own weight matrices for lines and columns.

    Uses matrix products, whose gradients are fast on every device; those of a gather are not. The
    products are computed in full precision: TF32, the default of recent GPUs, would change pixels
    that are only moved.

    Args:
        images: Images [B, H, W, C].
        vertical: Weights [B, H, H]: output line i is the sum over j of `vertical[b, i, j]` times
            line j.
        horizontal: Weights [B, W, W] of the columns, in the same way.
    """
    product = functools.partial(jnp.einsum, precision=lax.Precision.HIGHEST)
    lines = product("bij,bjwc->biwc", vertical.astype(images.dtype), images)
    return product("bij,bhjc->bhic", horizontal.astype(images.dtype), lines)


def _lines(
    images: Array, axis: int, *, scale: Array | float = 1.0, shift: Array | float = 0.0
) -> Array:
    """Returns weights [B, N, N] of linear interpolation along the axis.

    The image is made `scale` [B] times larger about its center, then moved by `shift` [B] pixels.
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
"""The transformations of DiffAugment by the name of their policy."""

ADAPTIVE = (mirroring, translation, scaling, brightness, contrast, saturation)
"""Transformations of ADA: most of the "bgc" pipeline (pixel blitting, geometry, color), in order.

Differences from Karras et al. 2020, appendix B:

- Missing: rotations (by 90 degrees and by any angle), anisotropic scaling, translation by fractions
  of a pixel, luma flip and hue rotation.
- Flips and isotropic scaling have the paper's distributions. Translation by whole pixels has the
  paper's range.
- Pixels from outside the image are 0; the paper reflects the image.
- Scaling interpolates linearly; the paper applies a low-pass filter.
- Brightness, contrast and saturation are drawn from DiffAugment's uniform distributions; the
  paper's are normal and log-normal.
- Contrast is changed about each image's mean; the paper changes it about 0.
"""


def sequence(transformations: Sequence[Transformation]) -> Transformation:
    """Composes transformations, each with independent random numbers."""

    def run(images: Array, keys: Keys) -> Array:
        for index, transformation in enumerate(transformations):
            images = transformation(images, random.fold(keys, index))
        return images

    return run


def sometimes(transformation: Transformation, probability: Array | float) -> Transformation:
    """Returns a transformation that is applied to each image with the given probability.

    Args:
        transformation: The transformation; images that it is not applied to stay as they are.
        probability: Probability from 0 to 1, a number or an array [].
    """

    def run(images: Array, keys: Keys) -> Array:
        chosen = random.fold(keys, "sometimes")
        draws = random.uniform(chosen, (1, 1, 1))
        return jnp.where(draws < probability, transformation(images, keys), images)

    return run


def diff_augment(policy: Sequence[str] = tuple(POLICIES)) -> View:
    """Returns the view of DiffAugment: every policy is applied to every image.

    Args:
        policy: Names of policies, in order: any of 'color', 'translation' and 'cutout'. All three
            by default.

    Raises:
        ValueError: If a name is not one of these.

    References:
        Zhao et al. 2020, section 3.
    """
    unknown = [name for name in policy if name not in POLICIES]
    if unknown:
        raise ValueError(f"the policy is {unknown[0]!r}; expected {', '.join(POLICIES)}")
    transform = sequence([POLICIES[name] for name in policy])
    return lambda state, images, keys: transform(images, keys)


def scheduled(
    probability: Callable[[Array], Array], transformations: Mapping[Transformation, float]
) -> View:
    """Returns the view that applies transformations with a probability that follows the train step.

    It takes the place of `adaptive` where a logit has no sign to adapt to, as under relativistic
    losses.

    Args:
        probability: `probability(step)`, from 0 to 1.
        transformations: The transformations, in order, each with the number by which the
            probability is multiplied for it.

    References:
        Huang et al. 2024, "The GAN is dead; long live the GAN!" (its code).
    """

    def view(state: GANState, images: Array, keys: Keys) -> Array:
        now = probability(state.step)
        chosen = [sometimes(change, part * now) for change, part in transformations.items()]
        return sequence(chosen)(images, keys)

    return view


# --- adaptive probability -------------------------------------------------------------------------


def initial(probability: float = 0.0) -> dict[str, Any]:
    """Returns the initial entry of `state.extra` that `adapt` updates.

    Args:
        probability: Initial augmentation probability p, from 0 to 1.
    """
    return {ENTRY: {"probability": probability, "signs": 0.0, "count": 0.0, "images": 0.0}}


def adaptive(transformations: Sequence[Transformation] = ADAPTIVE) -> View:
    """Returns the view of ADA: each transformation is applied to each image with probability p.

    `adapt` adjusts p, which is read from `state.extra`.

    Args:
        transformations: The transformations, in order.

    References:
        Karras et al. 2020, section 3.1.
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
    """Returns the step followed by ADA's update of the augmentation probability p.

    The overfitting heuristic is r_t = mean(sign(D(real))) on augmented real images. Every `period`
    train steps, p is increased if r_t is above the target and decreased if it is below. p is
    clipped to [0, 1]. It is reported as 'augmentation/probability'. It is kept in `state.extra`
    (`initial`), so checkpoints save and restore it.

    Args:
        step: The step of a round. It must report the metric `signal`.
        signal: Name of the metric that holds the signs of the discriminator's logits of real
            images.
        target: Target of r_t, from -1 to 1.
        images: Number of images in which p can move from 0 to 1.
        period: Train steps between two updates of p.
        axis_name: Name of the batch's axis under shard_map and pmap. None under jit.

    Raises:
        ValueError: If the target is not in [-1, 1], or `images` or `period` is not positive. Also
            when the step is traced, if it does not report the signal.

    References:
        Karras et al. 2020, section 3.2.
    """
    if not -1 <= target <= 1:
        raise ValueError(f"the target of the mean sign is {target}; expected a number from -1 to 1")
    if images <= 0 or period < 1:
        raise ValueError(
            f"the period is {period} and the number of images is {images}; "
            "expected positive numbers"
        )

    def adapted(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        state, metrics = step(state, batch, keys)
        if signal not in metrics:
            raise ValueError(
                f"the step reports no {signal!r}, which adaptive augmentation needs; "
                "use a loss with a decision boundary, such as non_saturating or hinge"
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
    """Returns a schedule whose rounds are followed by ADA's update (`adapt`).

    A round of several discriminator steps updates p once, with the signs of all these steps.

    Args:
        schedule: The schedule, as in `Training.schedule`.
        **options: Options of `adapt`.
    """

    def round_of_play(discriminator: Step, generator: Step, **shared: Any) -> Step:
        return adapt(schedule(discriminator, generator, **shared), **options)

    return round_of_play
