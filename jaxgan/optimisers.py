"""Gradient transformations for games, to be chained with any optimiser of optax.

What they remember lives in the optimiser's state, and is saved and resumed with it. They see
gradients that are already reduced over slices and devices. Two step sizes, b(n) for the
discriminator and a(n) for the generator (TTUR, Heusel et al. 2017, eq. 1), need nothing: each
player has an optimiser of its own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgan.types import Array, PyTree


class Optimistic(NamedTuple):
    """The update of the step before, zero at first."""

    last: PyTree


def optimistic() -> optax.GradientTransformation:
    """Twice the update less the one before (Daskalakis et al. 2018, eq. 6 and algorithm 1).

    Chain it after an optimiser, `optax.chain(optax.adam(1e-4, b1=0.5), optimistic())` being the
    paper's Optimistic Adam: the coming gradient is foretold to be the last one.
    """

    def init(params: PyTree) -> Optimistic:
        return Optimistic(jax.tree.map(jnp.zeros_like, params))

    def update(updates: PyTree, state: Any, params: Any = None) -> tuple[PyTree, Optimistic]:
        del params
        ahead = jax.tree.map(lambda new, last: 2 * new - last, updates, state.last)
        return ahead, Optimistic(updates)

    return optax.GradientTransformation(init, update)


class History(NamedTuple):
    """How many params have been seen, and their mean."""

    count: Array
    mean: PyTree


def historical_averaging(weight: float) -> optax.GradientTransformation:
    """Adds the gradient of weight * |params - mean of all params so far|^2 (Salimans et al. 2016,
    section 3.3), the mean taken as constant and holding the present params.

    Chain it before the optimiser: `optax.chain(historical_averaging(1e-2), optax.adam(2e-4))`.
    Raises ValueError where the weight is negative, and where it is called without params.
    """
    if weight < 0:
        raise ValueError(f"the weight of the historical average is {weight}; expected 0 or more")

    def init(params: PyTree) -> History:
        return History(jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, params))

    def update(updates: PyTree, state: Any, params: Any = None) -> tuple[PyTree, History]:
        if params is None:
            raise ValueError("historical averaging compares params; call update with them")
        count = state.count + 1
        mean = jax.tree.map(lambda old, new: old + (new - old) / count, state.mean, params)
        pulled = jax.tree.map(
            lambda gradient, now, average: gradient + 2 * weight * (now - average),
            updates,
            params,
            mean,
        )
        return pulled, History(count, mean)

    return optax.GradientTransformation(init, update)
