"""A model of any players: the sides that they move on, their round, and their first state.

`two_player` is for one generator and one discriminator; this is for games with other players, or
whose batches hold more than images.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
import optax

from jaxgan import random, state, steps
from jaxgan.forward import Forward
from jaxgan.types import GAN, Array, Objective, Step

Schedule = Callable[..., Step]
"""How the steps of two sides make a round (see `two_player.Schedule`)."""


class Network(NamedTuple):
    """A player to be: its module, its optimiser, and the shapes of an example of each input."""

    module: linen.Module
    optimiser: optax.GradientTransformation
    inputs: Sequence[tuple[int, ...]]


class Side(NamedTuple):
    """Players that move together, on one objective; `role` names their metrics."""

    role: str
    players: tuple[str, ...]
    objective: Objective


def round_of_play(
    discriminators: Side,
    generators: Side,
    *,
    schedule: Schedule,
    shared_noise: Forward | None = None,
    accumulate: int = 1,
    axis_name: str | None = None,
) -> Step:
    """The round that the schedule makes of the two sides' updates.

    `shared_noise` is the forward pass of the generators that a round computes once, for both sides.
    """

    def lift(side: Side) -> Step:
        return steps.update(
            side.players,
            side.objective,
            prefix=f"{side.role}/",
            accumulate=accumulate,
            axis_name=axis_name,
        )

    if shared_noise is not None:
        schedule = functools.partial(schedule, shared_noise=shared_noise)
    return schedule(lift(discriminators), lift(generators))


def assemble(
    networks: Mapping[str, Network],
    body: Step,
    sample: Callable[..., Array],
    *,
    conditions: tuple[str, ...],
    averaged: Sequence[str] = ("generator",),
    buffers: Callable[[], Mapping[str, Any]] = dict,
    ema_half_life: float | None = None,
    axis_name: str | None = None,
) -> GAN:
    """The model of these players whose train step is the body; the averages of the `averaged`
    players have the half-life, in images (None: no average is kept).
    """
    if ema_half_life is None:
        averaged = ()
    else:
        average = steps.track_ema(averaged, half_life=ema_half_life, axis_name=axis_name)
        body = steps.then(body, average)
    step = steps.make_train_step(body, axis_name=axis_name)
    return GAN(_initialiser(networks, averaged, buffers), step, sample, conditions=conditions)


def _initialiser(
    networks: Mapping[str, Network],
    averaged: Sequence[str],
    buffers: Callable[[], Mapping[str, Any]],
) -> Callable[[Array], state.GANState]:
    @jax.jit
    def init(key: Array) -> state.GANState:
        for_training, *for_players = jax.random.split(key, 1 + len(networks))
        players = {}
        for player_key, (name, network) in zip(for_players, networks.items(), strict=True):
            inputs = [jnp.zeros((1, *shape)) for shape in network.inputs]
            players[name] = state.init_player(
                player_key,
                network.module,
                network.optimiser,
                *inputs,
                keys=random.row_keys(player_key, 1),
                train=True,
            )
        return state.create(for_training, players, ema=averaged, buffers=buffers())

    return init
