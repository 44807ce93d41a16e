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
from jaxgan.steps.shared_forward import Forward
from jaxgan.types import GAN, Array, Objective, Step, TrainStep

Schedule = Callable[..., Step]
"""How a discriminator step and a generator step make a round, e.g. `partial(steps.alternate,
n_critic=5)`.
"""

Refinement = Callable[[Objective, Objective], tuple[Objective, Objective]]
"""What becomes of the discriminators' and the generators' objective before they are lifted to
steps: seen through a view (`input_transforms.for_both`), with a term more (`regularizers.plus`),
unrolled, ...
"""


def unrefined(discriminator: Objective, generator: Objective) -> tuple[Objective, Objective]:
    """Both objectives as they are."""
    return discriminator, generator


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
    discriminators: Side,
    generators: Side,
    *,
    schedule: Schedule,
    refine: Refinement = unrefined,
    shared_noise: Forward | None = None,
    accumulate: int = 1,
    axis_name: str | None = None,
) -> Step:
    """The round that the schedule makes of the two sides' updates, on their objectives as `refine`
    leaves them.

    `shared_noise` is the forward pass of the generators that a round computes once, for both sides.
    """

    def lift(side: Side, objective: Objective) -> Step:
        return steps.update(
            side.players,
            objective,
            prefix=f"{side.role}/",
            accumulate=accumulate,
            axis_name=axis_name,
        )

    if shared_noise is not None:
        schedule = functools.partial(schedule, shared_noise=shared_noise)
    judging, generating = refine(discriminators.objective, generators.objective)
    return schedule(lift(discriminators, judging), lift(generators, generating))


def train_step(
    body: Step, averaged: Sequence[str], *, ema_half_life: float | None, axis_name: str | None
) -> TrainStep:
    """The body as a train step, after which the averages of the `averaged` players follow them with
    the half-life, in images (None: no average is kept).
    """
    if ema_half_life is not None:
        average = steps.track_ema(averaged, half_life=ema_half_life, axis_name=axis_name)
        body = steps.then(body, average)
    return steps.make_train_step(body, axis_name=axis_name)


def assemble(
    networks: Mapping[str, Network],
    body: Step,
    sample: Callable[..., Array],
    *,
    conditions: tuple[str, ...],
    averaged: Sequence[str] = ("generator",),
    buffers: Callable[[], Mapping[str, Any]] = dict,
    extra: Mapping[str, Any] | None = None,
    ema_half_life: float | None = None,
    axis_name: str | None = None,
) -> GAN:
    """The model of these players whose train step is that of the body (`train_step`).

    `extra` and `buffers()` are the state's at first: what refined objectives, the schedule or
    pools carry in it.
    """
    step = train_step(body, averaged, ema_half_life=ema_half_life, axis_name=axis_name)
    kept = () if ema_half_life is None else averaged
    first = functools.partial(state.create, ema=kept, extra=extra)
    return GAN(_initializer(networks, first, buffers), step, sample, conditions=conditions)


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
