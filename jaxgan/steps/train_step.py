"""Steps that follow the players (averages, projections), and the train step around them all."""

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

_SHARE = 2.0**-12
"""Of a half-life: an average waits for up to so much of it where steps are shorter."""


def track_ema(
    names: Names, *, half_life: float, ramp_up: float | None = 0.05, axis_name: str | None = None
) -> Step:
    """A step that moves the averages of the named players' params AND collections towards the
    players.

    `half_life` counts images: rows of the train step's whole batch. With `ramp_up`, the half-life
    is at most that share of the images seen so far, so that early averages forget the initial
    weights (Karras et al. 2020, StyleGAN2 code).

    Half-lives of more than 2^13 steps move the average only every 2nd, 4th, ... step, by as much as
    in all of these: smaller moves would be lost in the rounding of float32. Raises ValueError where
    half_life is not positive or the state keeps no average of a player.
    """
    if half_life <= 0:
        raise ValueError(f"the half-life is {half_life} images; expected a positive number")
    averaged = as_names(names)

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        missing = [name for name in averaged if name not in state.ema]
        if missing:
            raise ValueError(
                f"there is no average of {missing[0]!r}; name it where the state is created"
            )
        images = len(keys) * collectives.axis_size(axis_name)
        seen = (state.step + 1).astype(jnp.float32) * images
        effective = jnp.float32(half_life)
        if ramp_up is not None:
            effective = jnp.minimum(effective, ramp_up * seen)
        rate = _rate(state.step + 1, jnp.maximum(effective, 1e-8) / images)

        def towards(average: Array, value: Array) -> Array:
            if not jnp.issubdtype(average.dtype, jnp.inexact):
                return value
            return average + rate.astype(average.dtype) * (value - average)

        ema = dict(state.ema)
        for name in averaged:
            current = {"params": state[name].params, **state[name].variables}
            ema[name] = jax.tree.map(towards, ema[name], current)
        return state.replace(ema=ema), {}

    return step


def _rate(count: Array, half_life: Array) -> Array:
    """The share [] by which an average moves at step `count` (from 1), its half-life in steps."""
    stride = jnp.exp2(jnp.floor(jnp.log2(jnp.clip(half_life * _SHARE, 1, 2.0**30))))
    due = count % stride.astype(jnp.int32) == 0
    # As 1 - 0.5**x, a long half-life would be rounded to a few steps of float32 below 1.
    return jnp.where(due, -jnp.expm1(-math.log(2) * stride / half_life), 0.0)


def project(names: Names, projection: Callable[[PyTree], PyTree]) -> Step:
    """A step that replaces the named players' params by their projection (weight clipping after
    each update, say).
    """
    projected = as_names(names)

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        require_players(projected, state)
        return state.with_params({n: projection(state[n].params) for n in projected}), {}

    return step


def make_train_step(body: Step, *, axis_name: str | None = None) -> TrainStep:
    """The body closed over the counter and the randomness: each example's key is a function of
    (seed, step, row).
    """

    def train_step(state: GANState, batch: Batch) -> tuple[GANState, Metrics]:
        count = jax.tree.leaves(batch)[0].shape[0]
        rows = collectives.global_rows(count, axis_name)
        keys = random.example_keys(state.rng, state.step, rows)
        state, metrics = body(state, batch, keys)
        return state.replace(step=state.step + 1), metrics

    return train_step


def repeat(step: TrainStep) -> TrainStep:
    """The train step over batches stacked on a new first axis [K, B, ...], metrics stacked alike,
    in one compiled loop.
    """

    def run(state: GANState, batches: Batch) -> tuple[GANState, Metrics]:
        return lax.scan(step, state, dict(batches))

    return run
