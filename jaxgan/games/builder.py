"""A model of any players: the sides that they move on, their round, and their first state.

`two_player` makes the game of one generator and one discriminator of it; games with other players,
or whose batches hold more than images, begin here.
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
from jaxgan.games.training import Training
from jaxgan.steps.common import Names
from jaxgan.steps.shared_forward import Forward
from jaxgan.types import GAN, Array, Objective, Step, TrainStep


class Network(NamedTuple):
    """A player to be: its module, its optimizer, and the shapes of an example of each input."""

    module: linen.Module
    optimizer: optax.GradientTransformation
    inputs: Sequence[tuple[int, ...]]


class Side(NamedTuple):
    """Players that move together, on one objective; `role` names their metrics."""

    role: str
    players: tuple[str, ...]
    objective: Objective


def round_of_play(
    discriminators: Side, generators: Side, training: Training, *, draw: Forward
) -> Step:
    """The round that the schedule makes of the two sides' updates, on their objectives as
    `training.refine` leaves them.

    `draw` is the forward pass of the generators that a round with shared noise computes once, for
    both sides.
    """

    def lift(side: Side, objective: Objective) -> Step:
        return steps.update(
            side.players,
            objective,
            prefix=f"{side.role}/",
            accumulate=training.accumulate,
            axis_name=training.axis_name,
        )

    schedule = training.schedule or steps.alternate
    if training.shared_noise:
        schedule = functools.partial(schedule, shared_noise=draw)
    judging, generating = training.refine(discriminators.objective, generators.objective)
    return schedule(lift(discriminators, judging), lift(generators, generating))


def simultaneously(
    discriminator: Step,
    generator: Step,
    *,
    discriminators: Names = "discriminator",
    generators: Names = "generator",
    **options: Any,
) -> Step:
    """Moves both sides from the same state, on the same draw: the schedule of GAN 2014, ALI, BiGAN
    and CycleGAN.

    Args:
        discriminator: The discriminators' step.
        generator: The generators' step.
        discriminators: Names of the players that the first step moves.
        generators: Names of the players that the second step moves. A model with other players than
            one generator and one discriminator has this schedule with its own names.
        **options: Of `steps.simultaneous`.

    Returns:
        The step of the round.
    """
    return steps.simultaneous({discriminators: discriminator, generators: generator}, **options)


def train_step(body: Step, averaged: Sequence[str], training: Training) -> TrainStep:
    """The body as a train step, after which the averages of the `averaged` players follow them,
    if any are kept.
    """
    if training.ema_half_life is not None:
        average = steps.track_ema(
            averaged, half_life=training.ema_half_life, axis_name=training.axis_name
        )
        body = steps.then(body, average)
    return steps.make_train_step(body, axis_name=training.axis_name)


def first_state(averaged: Sequence[str], training: Training) -> Callable[..., state.GANState]:
    """`state.create` with the averages and the `extra` that the training keeps."""
    kept = () if training.ema_half_life is None else averaged
    return functools.partial(state.create, ema=kept, extra=training.extra)


def assemble(
    networks: Mapping[str, Network],
    body: Step,
    sample: Callable[..., Array],
    training: Training,
    *,
    conditions: tuple[str, ...],
    averaged: Sequence[str] = ("generator",),
    buffers: Callable[[], Mapping[str, Any]] = dict,
) -> GAN:
    """The model of these players whose train step is that of the body (`train_step`).

    `buffers()` is the initial value of `state.buffers`: what pools carry in it.
    """
    step = train_step(body, averaged, training)
    init = _initializer(networks, first_state(averaged, training), buffers)
    return GAN(init, step, sample, conditions=conditions)


def _initializer(
    networks: Mapping[str, Network],
    create: Callable[..., state.GANState],
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
                network.optimizer,
                *inputs,
                keys=random.row_keys(player_key, 1),
                train=True,
            )
        return create(for_training, players, buffers=buffers())

    return init
