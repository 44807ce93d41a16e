"""The game of one generator and one discriminator as a `GAN`, whatever their networks, loss and
schedule.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import optax

from jaxgan import random, state, steps
from jaxgan.games import builder, objectives
from jaxgan.games.builder import Refinement, Schedule, Side, unrefined
from jaxgan.losses import AdversarialLoss
from jaxgan.random import Keys
from jaxgan.types import GAN, Array, PyTree, Step

Optimizers = Mapping[str, optax.GradientTransformation]
"""What moves each player, by its name."""

Defaults = Mapping[str, Callable[[int], Array]]
"""By the name of a condition, `count -> values [count]` where the caller gives none."""


def simultaneously(discriminator: Step, generator: Step) -> Step:
    """The schedule of GAN 2014: both players move from the same state, on the same draw."""
    return steps.simultaneous({"discriminator": discriminator, "generator": generator})


def build(
    generator: linen.Module,
    discriminator: linen.Module,
    *,
    shape: tuple[int, ...],
    loss: AdversarialLoss,
    latents: objectives.Draw,
    optimizers: Optimizers,
    schedule: Schedule = steps.alternate,
    shared_noise: bool = False,
    conditions: objectives.Conditions = objectives.unconditional,
    default_conditions: Defaults | None = None,
    relabel: Callable[[Array, Array, Keys], tuple[Array, Array]] | None = None,
    penalty: objectives.Penalty | None = None,
    refine: Refinement = unrefined,
    projection: Callable[[PyTree], PyTree] | None = None,
    extra: Mapping[str, Any] | None = None,
    accumulate: int = 1,
    ema_half_life: float | None = None,
    axis_name: str | None = None,
) -> GAN:
    """The game as three pure functions; images have `shape` ([H, W, C], or [D] for points).

    optimizers:         by player, 'generator' and 'discriminator'.
    shared_noise:       the generator meets the fakes of the last discriminator step (see
                        `steps.alternate`), whose forward pass is computed once; a fresh draw
                        otherwise, as in Goodfellow et al. 2014, Algorithm 1.
    default_conditions: by name, `count -> values [count]`: what `sample` takes where the caller
                        gives none; its order is the order in which the networks take their
                        conditions. The value of an index does not depend on the count.
    refine:             of both objectives, before they are lifted to steps.
    projection:         of the discriminator's params, after each of its steps (weight clipping).
    extra:              the state's at first: what refined objectives or the schedule carry in it.
    ema_half_life:      in images; averages the generator (None: no average is kept).

    `sample(state, keys, **conditions)` draws in inference mode: running batch statistics, no noise
    layers.
    """
    defaults = dict(default_conditions or {})
    draw = objectives.fakes(latents, conditions)
    judging = objectives.discriminator_objective(
        loss, draw, conditions=conditions, relabel=relabel, penalty=penalty
    )
    generating = objectives.generator_objective(loss, draw, conditions=conditions)
    body = builder.round_of_play(
        Side("discriminator", ("discriminator",), judging),
        Side("generator", ("generator",), generating),
        schedule=schedule if projection is None else _projecting(schedule, projection),
        refine=refine,
        shared_noise=draw if shared_noise else None,
        accumulate=accumulate,
        axis_name=axis_name,
    )
    networks = {"generator": generator, "discriminator": discriminator}
    averaged = () if ema_half_life is None else ("generator",)
    first = functools.partial(state.create, ema=averaged, extra=extra)
    return GAN(
        _initializer(networks, optimizers, shape, latents, defaults=defaults, create=first),
        builder.train_step(body, averaged, ema_half_life=ema_half_life, axis_name=axis_name),
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
    optimizers: Optimizers,
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
