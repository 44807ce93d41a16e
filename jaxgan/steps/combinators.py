"""Steps made of steps: one after another, in turn, at once, now and then."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
from jax import lax

from jaxgan import random
from jaxgan.random import Keys
from jaxgan.state import GANState, add_metrics
from jaxgan.steps import shared_forward
from jaxgan.steps.common import Names, as_names, merged, require_players, split_rows
from jaxgan.types import Array, Batch, Metrics, PyTree, Step


def chain(*steps: Step) -> Step:
    """The steps one after another on the same batch, step i with its own keys `fold(keys, i)`.

    Raises ValueError where two of them report a metric of the same name.
    """

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        metrics: Metrics = {}
        for index, inner in enumerate(steps):
            state, new = inner(state, batch, random.fold(keys, index))
            metrics = merged(metrics, new)
        return state, metrics

    return step


def then(first: Step, *rest: Step) -> Step:
    """The steps one after another, all with the same keys: for what draws nothing of its own
    (averages, projections).
    """

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        state, metrics = first(state, batch, keys)
        for inner in rest:
            state, new = inner(state, batch, keys)
            metrics = merged(metrics, new)
        return state, metrics

    return step


def alternate(
    discriminator: Step,
    generator: Step,
    *,
    n_critic: int = 1,
    shared_noise: shared_forward.Forward | None = None,
) -> Step:
    """`n_critic` discriminator steps, each on its own rows, then one generator step (Goodfellow et
    al. 2014, Algorithm 1).

    The batch holds n_critic minibatches: discriminator step j sees rows j, j + n_critic, j + 2
    n_critic, ... of each shard, the generator the rows of the last one. The generator draws afresh,
    as in Algorithm 1. With `shared_noise`, the forward pass that makes the fakes, it meets the
    fakes of the last discriminator step instead, and the round computes that pass once.

    Raises ValueError where n_critic is not positive or does not divide the batch.
    """
    if n_critic < 1:
        raise ValueError(f"n_critic is {n_critic}; expected 1 or more discriminator steps a round")

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        pieces, piece_keys = split_rows((dict(batch), keys), n_critic)
        critic_keys = random.fold(piece_keys, "discriminator")
        last, last_keys, last_critic_keys = jax.tree.map(
            lambda leaf: leaf[-1], (pieces, piece_keys, critic_keys)
        )
        earlier = []
        if n_critic > 1:
            state, stacked = lax.scan(
                lambda state, piece: discriminator(state, *piece),
                state,
                jax.tree.map(lambda leaf: leaf[:-1], (pieces, critic_keys)),
            )
            earlier = [jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), stacked)]
        generator_keys = random.fold(last_keys, "generator")
        if shared_noise is not None:
            generator_keys = last_critic_keys
            last = shared_forward.share(shared_noise, state, last, generator_keys)
        state, of_last = discriminator(state, last, last_critic_keys)
        state, of_generator = generator(state, last, generator_keys)
        return state, merged(functools.reduce(add_metrics, [*earlier, of_last]), of_generator)

    return step


def simultaneous(
    steps: Mapping[Names, Step], *, shared_noise: shared_forward.Forward | None = None
) -> Step:
    """Every group of players moves from the same old state, on the same keys, and so on the same
    draw.

    `steps` maps the name (or names) of the players a step moves to the step, and what a step does
    to others is not kept; `extra` and `buffers` pass from one to the next. This is the update of
    GAN 2014, ALI, BiGAN and CycleGAN. With `shared_noise`, the forward pass that makes the fakes,
    the round computes that pass once; its result is the same. Raises ValueError where a player is
    named twice.
    """
    groups = [(as_names(names), step) for names, step in steps.items()]
    everyone = [name for names, _ in groups for name in names]
    if len(set(everyone)) < len(everyone):
        raise ValueError(f"simultaneous steps move {everyone}; each player must be named once")

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        require_players(tuple(everyone), state)
        old, metrics = state, {}
        if shared_noise is not None:
            batch = shared_forward.share(shared_noise, state, batch, keys)
        for names, inner in groups:
            reached, new = inner(old.replace(extra=state.extra, buffers=state.buffers), batch, keys)
            moved = {name: reached[name] for name in names}
            state = state.replace(
                players={**state.players, **moved}, extra=reached.extra, buffers=reached.buffers
            )
            metrics = merged(metrics, new)
        return state, metrics

    return step


def rotate(schedule: Sequence[Step]) -> Step:
    """At train step t, the step `schedule[t % len(schedule)]`; the metrics of the others are zero
    (nothing seen).

    Raises ValueError on an empty schedule.
    """
    if not schedule:
        raise ValueError("there is nothing to rotate; give the steps of one period")
    distinct = list(dict.fromkeys(schedule))
    branch_at = jnp.array([distinct.index(step) for step in schedule], jnp.int32)
    return _choice(distinct, lambda step: branch_at[step % len(schedule)])


def succession(first: Step, *, until: int, rest: Step) -> Step:
    """The first step at train steps 0 ... until - 1, the rest from there on; the metrics of the
    other are zero (nothing seen).

    A pre-training and what it prepares are one run so, with one state. Raises ValueError where
    `until` is negative.
    """
    if until < 0:
        raise ValueError(f"the first step is to last until train step {until}; expected 0 or more")
    return _choice([first, rest], lambda step: (step >= until).astype(jnp.int32))


def _choice(steps: Sequence[Step], turn: Callable[[Array], Array]) -> Step:
    """The step `steps[turn(train step)]`; the metrics of the others are zero."""

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        silent: Metrics = {}
        for inner in steps:
            silent = merged(silent, _zeros(jax.eval_shape(inner, state, batch, keys)[1]))

        def full(inner: Step) -> Callable[..., tuple[GANState, Metrics]]:
            def run(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
                state, metrics = inner(state, batch, keys)
                return state, {**silent, **metrics}

            return run

        branches = [full(inner) for inner in steps]
        return lax.switch(turn(state.step), branches, state, dict(batch), keys)

    return step


def every(period: int, inner: Step) -> Step:
    """The inner step at train steps 0, period, 2 period, ...; elsewhere the identity, with zero
    metrics.

    Raises ValueError where the period is not positive.
    """
    if period < 1:
        raise ValueError(f"the period is {period}; expected 1 or more train steps")

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        silent = _zeros(jax.eval_shape(inner, state, batch, keys)[1])
        return lax.cond(
            state.step % period == 0,
            inner,
            lambda state, batch, keys: (state, silent),
            state,
            dict(batch),
            keys,
        )

    return step


def _zeros(report: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), report)
