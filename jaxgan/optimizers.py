"""Gradient transformations for games, to be chained with any optimizer of optax.

What they remember lives in the optimizer's state, and is saved and resumed with it. They see
gradients that are already reduced over slices and devices. Two step sizes, b(n) for the
discriminator and a(n) for the generator (TTUR, Heusel et al. 2017, eq. 1), need nothing: each
player has an optimizer of its own.
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

    Chain it after an optimizer, `optax.chain(optax.adam(1e-4, b1=0.5), optimistic())` being the
    paper's Optimistic Adam: the coming gradient is foretold to be the last one.

    It is `optax.scale_by_optimistic_gradient()` from the second step on. That one takes the first
    update as its own predecessor and so leaves it as it is; the paper's algorithm starts from a
    predecessor of zero and doubles it.
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

    Chain it before the optimizer: `optax.chain(historical_averaging(1e-2), optax.adam(2e-4))`.
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


def constant_then_linear(value: float, *, constant: int, decay: int) -> optax.Schedule:
    """`value` for `constant` steps, then linearly to 0 over `decay` steps, and 0 from there on.

    Zhu et al. 2017 train 100 epochs each way. The steps are those of the optimizer that uses it.
    Raises ValueError where a number of steps is negative or both are zero.
    """
    if min(constant, decay) < 0 or constant + decay == 0:
        raise ValueError(
            f"the rate is constant for {constant} steps and decays over {decay}; "
            "expected no negative number, and not 0 steps in all"
        )
    if decay == 0:
        return optax.constant_schedule(value)
    return optax.linear_schedule(value, 0.0, decay, transition_begin=constant)


def linear_from(value: float, share: float, *, steps: int) -> optax.ScalarOrSchedule:
    """`value`, which falls linearly from the `share` of so many steps on, to 0 at their end.

    A plain number where the share is 1: a schedule would add its counter to the optimizer's state.
    Raises ValueError where the share is outside [0, 1].
    """
    if share == 1.0:
        return value
    constant = round(share * steps)
    return constant_then_linear(value, constant=constant, decay=steps - constant)


def falling_from(
    value: float, share: float, *, steps: int, to: float = 0.0
) -> optax.ScalarOrSchedule:
    """`value`, which falls from the `share` of so many steps on, to `to` times itself at their end:
    linearly where that is 0 (`linear_from`), else exponentially. It stays there.

    Raises ValueError where the share is outside [0, 1], or `to` outside [0, 1].
    """
    if not 0 <= to <= 1:
        raise ValueError(f"the rate falls to {to} times itself; expected a number from 0 to 1")
    linear = linear_from(value, share, steps=steps)
    if to == 0 or share == 1.0:
        return linear
    constant = round(share * steps)
    span = max(steps - constant, 1)
    return optax.exponential_decay(value, span, to, constant, end_value=to * value)


def adam(
    learning_rate: optax.ScalarOrSchedule = 2e-4,
    beta1: float = 0.5,
    beta2: float = 0.999,
    *,
    eps: float = 1e-8,
    eps_root: float = 0.0,
) -> optax.GradientTransformation:
    """Adam as GANs use it: momentum 0.5 (Radford et al. 2016).

    Args:
        learning_rate: A number, or a schedule over the optimizer's own updates.
        beta1: Decay of the mean gradient.
        beta2: Decay of the mean squared gradient.
        eps: Added to the root of the mean square.
        eps_root: Added to the mean square under the root, which makes the update smooth where a
            gradient is zero. A derivative of the update (unrolling) needs it.

    Returns:
        The gradient transformation.
    """
    return optax.adam(learning_rate, b1=beta1, b2=beta2, eps=eps, eps_root=eps_root)


def rmsprop(learning_rate: optax.ScalarOrSchedule = 5e-5) -> optax.GradientTransformation:
    """RMSProp with the constants of the code of Arjovsky et al. 2017, who found that momentum makes
    a clipped critic unstable: decay 0.99, epsilon 1e-8 beside the root.
    """
    return optax.rmsprop(learning_rate, decay=0.99, eps=1e-8, eps_in_sqrt=False)
