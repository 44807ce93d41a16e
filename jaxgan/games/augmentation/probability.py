"""The probability of augmentation in `state.extra`: adaptive, or on a schedule.

`adaptive` makes a view, which `jaxgan.games.input_transforms.through` puts in front of the
discriminator. `adapting` or `ramping` sets the probability with which it augments.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from jaxgan import collectives
from jaxgan.games.augmentation import pipeline as pipelines
from jaxgan.games.input_transforms import View
from jaxgan.random import Keys
from jaxgan.state import GANState, Mean
from jaxgan.steps.common import Names, as_names
from jaxgan.types import Array, Batch, Metrics, Step

ENTRY = "augmentation"
"""Key of the entry in `state.extra`."""


def initial(probability: float = 0.0) -> dict[str, Any]:
    """Returns the initial entry of `state.extra` that `adapt` and `ramp` update.

    Args:
        probability: Initial augmentation probability p, from 0 to 1.
    """
    return {ENTRY: {"probability": probability, "signs": 0.0, "count": 0.0, "images": 0.0}}


def adaptive(
    policy: Sequence[str] | pipelines.Multipliers = pipelines.BGC, *, filtered: bool = False
) -> View:
    """Returns the view of ADA: each item of the pipeline changes each image with probability p.

    p is read from `state.extra`.

    Args:
        policy: Names of groups and of items of the pipeline, or their multipliers by name (see
            `augmentation.pipeline`).
        filtered: Whether pixels are moved without aliasing, as in the paper, at several times the
            cost.

    Raises:
        ValueError: If there is no such group or item, or a multiplier is negative.

    References:
        Karras et al. 2020, Training Generative Adversarial Networks with Limited Data, section 3.1.
    """
    augment = pipelines.pipeline(policy, filtered=filtered)

    def view(state: GANState, images: Array, keys: Keys) -> Array:
        return augment(images, keys, state.extra[ENTRY]["probability"])

    return view


# --- adaptive -------------------------------------------------------------------------------------


def adapt(
    step: Step,
    *,
    signal: Names = "discriminator/real_sign",
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
            images. Of several discriminators, the names of all: their signs count alike.
        target: Target of r_t, from -1 to 1.
        images: Number of images in which p can move from 0 to 1. The experiments' default is
            100,000, as their sets are small.
        period: Train steps between two updates of p.
        axis_name: Name of the batch's axis under shard_map and pmap. None under jit.

    Raises:
        ValueError: If the target is not in [-1, 1], or `images` or `period` is not positive. Also
            when the step is traced, if it does not report the signal.

    References:
        Karras et al. 2020, Training Generative Adversarial Networks with Limited Data, section 3.2.
    """
    if not -1 <= target <= 1:
        raise ValueError(f"the target of the mean sign is {target}; expected a number from -1 to 1")
    if images <= 0 or period < 1:
        raise ValueError(
            f"the period is {period} and the number of images is {images}; "
            "expected positive numbers"
        )
    names = as_names(signal)

    def adapted(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        state, metrics = step(state, batch, keys)
        for name in names:
            if name not in metrics:
                raise ValueError(
                    f"the step reports no {name!r}, which adaptive augmentation needs; "
                    "use a loss with a decision boundary, such as non_saturating or hinge, or a "
                    "scheduled probability"
                )
        rows = len(keys) * collectives.axis_size(axis_name)
        old = state.extra[ENTRY]
        signs = old["signs"] + sum(metrics[name].total for name in names)
        count = old["count"] + sum(metrics[name].count for name in names)
        seen = old["images"] + rows
        due = ((state.step + 1) % period == 0) & (count > 0)
        toward = jnp.sign(signs / jnp.maximum(count, 1) - target)
        moved = jnp.clip(old["probability"] + toward * seen / images, 0.0, 1.0)
        new = {
            "probability": jnp.where(due, moved, old["probability"]),
            "signs": jnp.where(due, 0.0, signs),
            "count": jnp.where(due, 0.0, count),
            "images": jnp.where(due, 0.0, seen),
        }
        return _changed(state, metrics, new)

    return adapted


def adapting(schedule: Callable[..., Step], **options: Any) -> Callable[..., Step]:
    """Returns a schedule whose rounds are followed by ADA's update (`adapt`).

    A round of several discriminator steps updates p once, with the signs of all these steps.

    Args:
        schedule: The schedule, as in `Training.schedule`.
        **options: Options of `adapt`.
    """
    return _followed(schedule, functools.partial(adapt, **options))


# --- scheduled ------------------------------------------------------------------------------------


def by_step(
    probability: Callable[[Array], Array],
    policy: Sequence[str] | pipelines.Multipliers = pipelines.BGC,
    *,
    filtered: bool = False,
) -> View:
    """Returns the view of `adaptive`, with a probability that is a function of the train step.

    Args:
        probability: `probability(step)`, from 0 to 1.
        policy: Names of groups and of items of the pipeline, or their multipliers by name.
        filtered: Whether pixels are moved without aliasing.

    Raises:
        ValueError: If there is no such group or item, or a multiplier is negative.

    References:
        Huang et al. 2024, "The GAN is dead; long live the GAN!" (its code).
    """
    augment = pipelines.pipeline(policy, filtered=filtered)

    def view(state: GANState, images: Array, keys: Keys) -> Array:
        return augment(images, keys, probability(state.step))

    return view


def ramp(step: Step, *, probability: float, images: float, axis_name: str | None = None) -> Step:
    """Returns the step followed by an update of p, which rises linearly and then stays.

    It suits losses without a decision boundary, such as relativistic and Wasserstein losses, which
    give ADA no signal. p is reported as 'augmentation/probability' and kept in `state.extra`.

    Args:
        step: The step of a round.
        probability: The value that p rises to, from 0 to 1.
        images: Number of images over which it rises. 0: it has this value after the first step;
            start from `initial(probability)`.
        axis_name: Name of the batch's axis under shard_map and pmap. None under jit.

    Raises:
        ValueError: If the probability is not in [0, 1], or `images` is negative.
    """
    if not 0 <= probability <= 1:
        raise ValueError(
            f"the probability of augmentation is {probability}; expected a number from 0 to 1"
        )
    if images < 0:
        raise ValueError(f"the number of images is {images}; expected 0 or more")

    def ramped(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        state, metrics = step(state, batch, keys)
        rows = len(keys) * collectives.axis_size(axis_name)
        old = state.extra[ENTRY]
        # Counted no further than to the end of the rise: float32 cannot count forever.
        seen = jnp.minimum(old["images"] + rows, max(images, 1.0))
        share = jnp.minimum(1.0, seen / max(images, 1.0)) if images else 1.0
        return _changed(state, metrics, {**old, "images": seen, "probability": probability * share})

    return ramped


def ramping(schedule: Callable[..., Step], **options: Any) -> Callable[..., Step]:
    """Returns a schedule whose rounds are followed by the update of p (`ramp`).

    Args:
        schedule: The schedule, as in `Training.schedule`.
        **options: Options of `ramp`.
    """
    return _followed(schedule, functools.partial(ramp, **options))


def _changed(
    state: GANState, metrics: Metrics, entry: Mapping[str, Any]
) -> tuple[GANState, Metrics]:
    """The state with a new entry, and the metrics with the probability of the step."""
    old = state.extra[ENTRY]
    new = {name: jnp.asarray(entry[name], jnp.asarray(value).dtype) for name, value in old.items()}
    report = {"augmentation/probability": Mean.of(old["probability"])}
    return state.replace(extra={**state.extra, ENTRY: new}), {**metrics, **report}


def _followed(schedule: Callable[..., Step], after: Callable[[Step], Step]) -> Callable[..., Step]:
    """The schedule of rounds that `after` completes."""

    def round_of_play(discriminator: Step, generator: Step, **shared: Any) -> Step:
        return after(schedule(discriminator, generator, **shared))

    return round_of_play
