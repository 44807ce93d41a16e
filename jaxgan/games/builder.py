"""Builds a `GAN` from players: player groups, their round of updates, and the initial state.

`two_player` uses it for one generator and one discriminator. Models with other players, or with
batches that hold more than images, use it directly.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
import optax

from jaxgan import state, steps
from jaxgan.games import signatures
from jaxgan.games.training import Training
from jaxgan.steps.common import Names
from jaxgan.steps.shared_forward import Forward
from jaxgan.types import GAN, Array, Objective, Step, TrainStep


class Network(NamedTuple):
    """A player before initialization.

    Attributes:
        module: The network.
        optimizer: The player's optimizer.
        inputs: Shape of one example of each input, without the batch axis.
        output: What it returns, to be checked: `signatures.LOGITS`, the shape of one example, or
            None for anything.
    """

    module: linen.Module
    optimizer: optax.GradientTransformation
    inputs: Sequence[tuple[int, ...]]
    output: signatures.Output = None


class Side(NamedTuple):
    """A player group: players that are updated together on one objective.

    Attributes:
        role: Prefix of the group's metrics, such as 'discriminator'.
        players: Names of the players.
        objective: Their common objective.
    """

    role: str
    players: tuple[str, ...]
    objective: Objective


def round_of_play(
    discriminators: Side, generators: Side, training: Training, *, draw: Forward
) -> Step:
    """Returns one round of updates of both player groups, combined by the schedule.

    The objectives are first transformed by `training.refine`.

    Args:
        discriminators: The discriminators' group.
        generators: The generators' group.
        training: Training options.
        draw: The generators' forward pass. A round with shared noise computes it once for both
            groups.
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
    """Updates both player groups from the same state, on the same latents.

    This is the schedule in the code of Goodfellow et al. 2014 (whose Algorithm 1 alternates), of
    ALI, BiGAN and CycleGAN.

    Args:
        discriminator: The discriminators' step.
        generator: The generators' step.
        discriminators: Names of the players that the discriminators' step updates.
        generators: Names of the players that the generators' step updates. Models with other
            players bind their names with `functools.partial`.
        **options: Options of `steps.simultaneous`.

    Returns:
        The step of the round.
    """
    return steps.simultaneous({discriminators: discriminator, generators: generator}, **options)


def train_step(body: Step, averaged: Sequence[str], training: Training) -> TrainStep:
    """Returns the train step of a round, with the update of the moving averages if any are kept.

    Args:
        body: The step of a round.
        averaged: Names of the players that are averaged.
        training: Training options.
    """
    if training.ema_half_life is not None:
        average = steps.track_ema(
            averaged, half_life=training.ema_half_life, axis_name=training.axis_name
        )
        body = steps.then(body, average)
    return steps.make_train_step(body, axis_name=training.axis_name)


def first_state(averaged: Sequence[str], training: Training) -> Callable[..., state.GANState]:
    """Returns `state.create` with the averages and the `extra` of the training options.

    Args:
        averaged: Names of the players that are averaged.
        training: Training options.
    """
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
    """Returns the `GAN` with these players.

    Args:
        networks: The players by name.
        body: The step of a round (`round_of_play`).
        sample: `sample(state, keys, **conditions) -> images`.
        training: Training options.
        conditions: Names of the conditions that `sample` takes.
        averaged: Names of the players that are averaged (EMA).
        buffers: `buffers()` returns the initial value of `state.buffers`, such as replay pools.
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
            players[name] = signatures.initialized(
                name, player_key, network.module, network.optimizer, inputs, output=network.output
            )
        return create(for_training, players, buffers=buffers())

    return init
