"""GANs with one generator and one discriminator, for any networks, loss and schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import optax

from jaxgan import random, state, steps
from jaxgan.games import builder, objectives
from jaxgan.games.builder import Side
from jaxgan.games.training import Schedule, Training
from jaxgan.losses import AdversarialLoss
from jaxgan.random import Keys
from jaxgan.types import GAN, Array, PyTree, Step

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
    penalty: objectives.Penalty | None = None,
    projection: Callable[[PyTree], PyTree] | None = None,
) -> GAN:
    """Returns the `GAN` with this generator and this discriminator.

    Its `sample(state, keys, **conditions)` generates in inference mode: with running batch
    statistics and without noise layers.

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
        penalty: Added to the discriminator's loss, such as a gradient penalty.
        projection: Applied to the discriminator's params after each of its updates, such as weight
            clipping.
    """
    defaults = dict(default_conditions or {})
    draw = objectives.fakes(latents, conditions)
    judging = objectives.discriminator_objective(
        loss, draw, conditions=conditions, relabel=relabel, penalty=penalty
    )
    generating = objectives.generator_objective(loss, draw, conditions=conditions)
    if projection is not None:
        training = training.scheduled(lambda schedule: _projecting(schedule, projection))
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


def _projecting(schedule: Schedule, projection: Callable[[PyTree], PyTree]) -> Schedule:
    """Returns the schedule with the discriminator's params projected after each of its steps."""

    def round_of_play(discriminator: Step, generator: Step, **options: Any) -> Step:
        projected = steps.then(discriminator, steps.project("discriminator", projection))
        return schedule(projected, generator, **options)

    return round_of_play


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

        def player(name: str, key: Array, example: Array) -> state.Player:
            return state.init_player(
                key, networks[name], optimizers[name], example, *given, keys=one, train=True
            )

        players = {
            "generator": player("generator", for_generator, latents(one)),
            "discriminator": player("discriminator", for_discriminator, jnp.zeros((1, *shape))),
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
        return state["generator"](latents(keys), *given, train=False)

    return sample
