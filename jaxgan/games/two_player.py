"""The game of one generator and one discriminator as a `GAN`, whatever their networks, loss and
schedule.
"""

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
"""By the name of a condition, `count -> values [count]` where the caller gives none."""


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
    """The game as three pure functions; images have `shape` ([H, W, C], or [D] for points).

    training:           averages the generator.
    default_conditions: by name, `count -> values [count]`: what `sample` takes where the caller
                        gives none; its order is the order in which the networks take their
                        conditions. The value of an index does not depend on the count.
    relabel:            may swap the discriminator's verdicts (`objectives`).
    penalty:            added to the discriminator's loss (`objectives.Penalty`).
    projection:         of the discriminator's params, after each of its steps (weight clipping).

    `sample(state, keys, **conditions)` draws in inference mode: running batch statistics, no noise
    layers.
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
    """The schedule, after each of whose discriminator steps its params are projected."""

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
    """`init(key)`: both players from one example each, a drawn latent and an image of zeros."""

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
    """`sample(state, keys, **conditions)`; ValueError on a condition that has no default."""

    def sample(state: state.GANState, keys: Keys, **conditions: Any) -> Array:
        objectives.require_known(conditions, defaults)
        given = [
            jnp.asarray(conditions[name]) if name in conditions else default(len(keys))
            for name, default in defaults.items()
        ]
        return state["generator"](latents(keys), *given, train=False)

    return sample
