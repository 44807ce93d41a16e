"""GANs with one generator and one discriminator, for any networks, loss and schedule."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from jaxgan import random, state, steps
from jaxgan.games import builder, objectives, penalization, signatures
from jaxgan.games.builder import Side
from jaxgan.games.penalization import Penalty, ZeroCentered
from jaxgan.games.training import Schedule, Training
from jaxgan.losses import AdversarialLoss
from jaxgan.random import Keys
from jaxgan.types import GAN, Array, Batch, Metrics, Objective, PyTree, Step

Defaults = Mapping[str, Callable[[int], Array]]
"""Default values of conditions: by name, `count -> values [count]`."""


def build(
    generator: linen.Module,
    discriminator: linen.Module,
    *,
    shape: tuple[int, ...],
    loss: AdversarialLoss,
    latents: objectives.Draw,
    training: Training,
    conditions: objectives.Conditions = objectives.unconditional,
    default_conditions: Defaults | None = None,
    relabel: Callable[[Array, Array, Keys], tuple[Array, Array]] | None = None,
    penalty: Penalty | ZeroCentered | None = None,
    projection: Callable[[PyTree], PyTree] | None = None,
    image: str = "image",
) -> GAN:
    """Returns the `GAN` with this generator and this discriminator.

    Its `sample(state, keys, **conditions)` generates with running batch statistics
    (`train=False`). The generator is given keys there, too, so that it can draw noise inside, by
    `jaxgan.random` or a layer such as `nn.NoiseInjection`: the same key gives the same sample,
    whatever the batch. A generator with noise layers for training alone gives them `keys if train
    else None`.

    Args:
        generator: Maps latents [B, ...] and the conditions to images.
        discriminator: Maps images and the conditions to logits.
        shape: Shape of the images, (H, W, C), or (D,) for points.
        loss: The adversarial loss.
        latents: Samples the latents from per-example keys.
        training: Optimizers, schedule and other training options. The generator is averaged (EMA).
        conditions: Selects the conditions from the batch, in the order in which the networks take
            them.
        default_conditions: Default values of the conditions of `sample`, in the same order: by
            name, `count -> values [count]`. Value i must not depend on `count`. None: no
            conditions.
        relabel: May swap the discriminator's logits of real and fake images before the loss is
            computed (see `objectives.discriminator_objective`).
        penalty: Added to the discriminator's loss, such as a gradient penalty, or minimized by
            updates of its own (`penalization.ZeroCentered.interval`), which refinements of the
            discriminator's objective then refine, too.
        projection: Applied to the discriminator's params after each of its updates, such as weight
            clipping.
        image: Name of the batch entry with the real examples.
    """
    defaults = dict(default_conditions or {})
    draw = objectives.fakes(latents, conditions)
    lazy = penalization.lazy_or_none(penalty)
    judging = objectives.discriminator_objective(
        loss,
        draw,
        conditions=conditions,
        relabel=relabel,
        penalty=penalty if lazy is None else None,
        image=image,
    )
    generating = objectives.generator_objective(loss, draw, conditions=conditions, image=image)
    if projection is not None:
        training = _followed(training, steps.project("discriminator", projection))
    if lazy is not None:
        alone = objectives.penalty_objective(
            lazy, draw, conditions=conditions, weight=float(lazy.interval), image=image
        )
        training = _followed(training, _penalizing(lazy.interval, alone, generating, training))
    body = builder.round_of_play(
        Side("discriminator", ("discriminator",), judging),
        Side("generator", ("generator",), generating),
        training,
        draw=draw,
    )
    networks = {"generator": generator, "discriminator": discriminator}
    first = builder.first_state(("generator",), training)
    return GAN(
        _initializer(
            networks, training.optimizers, shape, latents, defaults=defaults, create=first
        ),
        builder.train_step(body, ("generator",), training),
        _sampler(latents, defaults),
        conditions=tuple(defaults),
        defaults=tuple(defaults.items()),
    )


def labeled(classes: int) -> dict[str, Any]:
    """Returns the arguments of `build` that give both players the label of each example.

    Args:
        classes: Number of classes of batch['label']; by default, sample i has the class i mod
            `classes`. 0: no conditions.

    Raises:
        ValueError: If there is only one class.
    """
    if classes == 1:
        raise ValueError(
            "the data have 1 class; a conditional model needs at least 2, or classes=0"
        )

    def labels(batch: Batch) -> tuple[Array, ...]:
        return (batch["label"],)

    if not classes:
        return {}
    defaults = {"label": lambda count: jnp.arange(count, dtype=jnp.int32) % classes}
    return {"conditions": labels, "default_conditions": defaults}


def conditioned(typical: Mapping[str, ArrayLike]) -> dict[str, Any]:
    """Returns the arguments of `build` that give both players continuous conditions.

    Args:
        typical: By the name of each condition's batch entry, typical values [K, ...]; by default,
            sample i has value i mod K. The networks take the conditions in this order, each
            [B, ...]. Of data with conditions they are the `typical` of `DataSpec`.

    Raises:
        ValueError: If a condition has no typical value.

    Example:
        >>> from jaxgan.games import two_player
        >>> given = two_player.conditioned({"condition_mass": [[1.0], [2.0], [4.0]]})
        >>> given["default_conditions"]["condition_mass"](4).tolist()
        [[1.0], [2.0], [4.0], [1.0]]
    """
    values = {name: np.asarray(of, np.float32) for name, of in typical.items()}
    empty = [name for name, of in values.items() if of.ndim < 1 or not of.size]
    if empty:
        raise ValueError(
            f"the condition {empty[0]!r} has typical values of shape {values[empty[0]].shape}; "
            "expected at least one, [K, ...]"
        )

    def conditions(batch: Batch) -> tuple[Array, ...]:
        return tuple(batch[name] for name in values)

    def cycled(of: np.ndarray, count: int) -> Array:
        return jnp.asarray(of)[jnp.arange(count) % len(of)]

    defaults = {name: functools.partial(cycled, of) for name, of in values.items()}
    return {"conditions": conditions, "default_conditions": defaults}


def _followed(training: Training, last: Step) -> Training:
    """Returns the training with each of the discriminator's steps followed by another one."""

    def around(schedule: Schedule) -> Schedule:
        def round_of_play(discriminator: Step, generator: Step, **options: Any) -> Step:
            return schedule(steps.then(discriminator, last), generator, **options)

        return round_of_play

    return training.with_schedule(around)


def _penalizing(
    interval: int, penalty: Objective, generating: Objective, training: Training
) -> Step:
    """Returns the discriminator's updates by a lazy penalty, with the metrics of one in the loss.

    The norm of its gradient is reported as 'penalty_gradient_norm'.
    """
    refined, _ = training.refine(penalty, generating)
    update = steps.update(
        "discriminator",
        refined,
        prefix="",
        accumulate=training.accumulate,
        axis_name=training.axis_name,
    )
    lazy = steps.every(interval, update)

    def penalizing(
        state: state.GANState, batch: Batch, keys: Keys
    ) -> tuple[state.GANState, Metrics]:
        state, metrics = lazy(state, batch, keys)
        norm = metrics.pop("gradient_norm")
        del metrics["loss"]  # the penalty times the interval
        metrics["penalty_gradient_norm"] = norm
        return state, {f"discriminator/{name}": mean for name, mean in metrics.items()}

    return penalizing


def _initializer(
    networks: Mapping[str, linen.Module],
    optimizers: Mapping[str, optax.GradientTransformation],
    shape: tuple[int, ...],
    latents: objectives.Draw,
    *,
    defaults: Defaults,
    create: Callable[..., state.GANState],
) -> Callable[[Array], state.GANState]:
    """Returns `init(key)`, which initializes both players with a latent and an image of zeros."""

    @jax.jit
    def init(key: Array) -> state.GANState:
        for_generator, for_discriminator, for_training = jax.random.split(key, 3)
        one = random.row_keys(key, 1)
        given = [default(1) for default in defaults.values()]

        def player(
            name: str, key: Array, example: Array, output: signatures.Output
        ) -> state.Player:
            return signatures.initialized(
                name,
                key,
                networks[name],
                optimizers[name],
                [example, *given],
                output=output,
                noise=key,
            )

        example = jnp.zeros((1, *shape))
        players = {
            "generator": player("generator", for_generator, latents(one), shape),
            "discriminator": player("discriminator", for_discriminator, example, signatures.LOGITS),
        }
        return create(for_training, players)

    return init


def _sampler(latents: objectives.Draw, defaults: Defaults) -> Callable[..., Array]:
    """Returns `sample(state, keys, **conditions)`. It raises ValueError on an unknown condition."""

    def sample(state: state.GANState, keys: Keys, **conditions: Any) -> Array:
        objectives.require_known(conditions, defaults)
        given = [
            jnp.asarray(conditions[name]) if name in conditions else default(keys.count)
            for name, default in defaults.items()
        ]
        noise = random.fold(keys, objectives.GENERATOR_NOISE)
        return state["generator"](latents(keys), *given, keys=noise, train=False)

    return sample
