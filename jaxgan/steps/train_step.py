"""Steps that follow the updates (averages, projections), and the train step around all of them."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from jaxgan import collectives, random
from jaxgan.random import Keys
from jaxgan.state import GANState
from jaxgan.steps.common import Names, as_names, require_players
from jaxgan.types import Array, Batch, Metrics, PyTree, Step, TrainStep

HalfLife = float | Callable[[Array], Array]
"""A half-life in images, or a function from the images shown so far to one."""

_SHARE = 2.0**-12
"""Fraction of the half-life: an average waits for up to this long before it moves."""


def track_ema(
    names: Names,
    *,
    half_life: HalfLife,
    ramp_up: float | None = 0.05,
    axis_name: str | None = None,
) -> Step:
    """Returns a step that moves the averages of the named players toward the players.

    Params AND collections are averaged. With a half-life of more than 2^13 steps, the average moves
    only every 2nd, 4th, ... step, by the sum of their moves, because smaller moves would be lost in
    the rounding of float32.

    Args:
        names: Name (or names) of the players with an average.
        half_life: Half-life of the average in images, where one train step counts its whole batch:
            a number, or a function of the images shown before the step. With 0 the average is a
            copy.
        ramp_up: Limits a constant half-life to this fraction of the images seen so far, so that
            early averages forget the initial weights, or None for no limit.
        axis_name: Name of the batch's mesh axis under shard_map and pmap, or None.

    Raises:
        ValueError: If a constant half_life is not positive, or, when traced, if the state has no
            average of a player.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import optax
        >>> from jaxgan import random, steps
        >>> from jaxgan.state import Player, create
        >>> player = Player.create(apply_fn=None, params={"x": jnp.float32(0.0)}, tx=optax.sgd(1.0))
        >>> state = create(jax.random.key(0), {"generator": player}, ema=["generator"])
        >>> state = state.with_params({"generator": {"x": jnp.float32(1.0)}})
        >>> follow = steps.track_ema("generator", half_life=2.0, ramp_up=None)
        >>> state, _ = follow(state, {}, random.row_keys(jax.random.key(0), 2))
        >>> round(float(state.ema["generator"]["params"]["x"]), 3)
        0.5

    References:
        Karras et al. 2020, Analyzing and Improving the Image Quality of StyleGAN (its code).
    """
    if not callable(half_life) and half_life <= 0:
        raise ValueError(f"the half-life is {half_life} images; expected a positive number")
    averaged = as_names(names)

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        missing = [name for name in averaged if name not in state.ema]
        if missing:
            raise ValueError(
                f"there is no average of {missing[0]!r}; name it where the state is created"
            )
        images = len(keys) * collectives.axis_size(axis_name)
        effective = _in_images(half_life, ramp_up, state.step.astype(jnp.float32), images)
        rate = _rate(state.step + 1, jnp.maximum(effective, 1e-8) / images)

        def toward(average: Array, value: Array) -> Array:
            if not jnp.issubdtype(average.dtype, jnp.inexact):
                return value
            return average + rate.astype(average.dtype) * (value - average)

        ema = dict(state.ema)
        for name in averaged:
            current = {"params": state[name].params, **state[name].variables}
            ema[name] = jax.tree.map(toward, ema[name], current)
        return state.replace(ema=ema), {}

    return step


def _in_images(half_life: HalfLife, ramp_up: float | None, step: Array, images: int) -> Array:
    """Returns the half-life [] at a train step, which shows so many images."""
    if callable(half_life):
        return jnp.asarray(half_life(step * images), jnp.float32)
    if ramp_up is None:
        return jnp.float32(half_life)
    return jnp.minimum(jnp.float32(half_life), ramp_up * ((step + 1) * images))


def _rate(count: Array, half_life: Array) -> Array:
    """Returns the fraction [] by which an average moves at step `count` (from 1).

    `half_life` is in steps.
    """
    stride = jnp.exp2(jnp.floor(jnp.log2(jnp.clip(half_life * _SHARE, 1, 2.0**30))))
    due = count % stride.astype(jnp.int32) == 0
    # expm1 because 1 - 0.5**x with a small x keeps only a few bits in float32.
    return jnp.where(due, -jnp.expm1(-math.log(2) * stride / half_life), 0.0)


def project(names: Names, projection: Callable[[PyTree], PyTree]) -> Step:
    """Returns a step that replaces the named players' params by their projection.

    Args:
        names: Name (or names) of the players.
        projection: Function from params to params, such as weight clipping after each update.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import optax
        >>> from jaxgan import penalties, random, steps
        >>> from jaxgan.state import Player, create
        >>> critic = Player.create(apply_fn=None, params={"x": jnp.float32(3.0)}, tx=optax.sgd(1.0))
        >>> clip = steps.project("critic", lambda params: penalties.clip_weights(params, 0.5))
        >>> start = create(jax.random.key(0), {"critic": critic})
        >>> state, _ = clip(start, {}, random.row_keys(jax.random.key(0), 2))
        >>> float(state["critic"].params["x"])
        0.5
    """
    projected = as_names(names)

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        require_players(projected, state)
        return state.with_params({n: projection(state[n].params) for n in projected}), {}

    return step


def make_train_step(body: Step, *, axis_name: str | None = None) -> TrainStep:
    """Returns the train step `(state, batch) -> (state, metrics)`, ready to be compiled.

    It advances the step counter and makes the keys. Each example's key is a function of
    (seed, step, index in the batch).

    Args:
        body: The step to run.
        axis_name: Name of the batch's mesh axis under shard_map and pmap, or None.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jaxgan import steps
        >>> from jaxgan.state import Mean, create
        >>> def body(state, batch, keys):
        ...     return state, {"brightness": Mean.of(batch["image"])}
        >>> train_step = jax.jit(steps.make_train_step(body))
        >>> state, metrics = train_step(create(jax.random.key(0), {}), {"image": jnp.ones((2, 3))})
        >>> print(state.step, metrics["brightness"].value)
        1 1.0
    """

    def train_step(state: GANState, batch: Batch) -> tuple[GANState, Metrics]:
        count = jax.tree.leaves(batch)[0].shape[0]
        rows = collectives.global_rows(count, axis_name)
        keys = random.example_keys(state.rng, state.step, rows)
        state, metrics = body(state, batch, keys)
        return state.replace(step=state.step + 1), metrics

    return train_step


def repeat(step: TrainStep) -> TrainStep:
    """Returns a function that runs K train steps in one compiled loop.

    It takes batches stacked on a new first axis, [K, B, ...], and returns metrics stacked likewise.

    Args:
        step: The train step.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jaxgan import steps
        >>> from jaxgan.state import Mean, create
        >>> def body(state, batch, keys):
        ...     return state, {"brightness": Mean.of(batch["image"])}
        >>> run = steps.repeat(steps.make_train_step(body))
        >>> state, metrics = run(create(jax.random.key(0), {}), {"image": jnp.ones((5, 2, 3))})
        >>> print(state.step, metrics["brightness"].value)
        5 [1. 1. 1. 1. 1.]
    """

    def run(state: GANState, batches: Batch) -> tuple[GANState, Metrics]:
        return lax.scan(step, state, dict(batches))

    return run
