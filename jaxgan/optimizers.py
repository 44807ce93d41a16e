"""Optimizers, gradient transformations and learning rate schedules for GANs, on top of optax.

Their memory lives in the optimizer's state, and is saved and restored with it. They receive
gradients that are already reduced over slices and devices. Two learning rates, b(n) for the
discriminator and a(n) for the generator (TTUR, Heusel et al. 2017, eq. 1), need no code: each
player has its own optimizer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgan.types import Array, PyTree


class Optimistic(NamedTuple):
    """State of `optimistic`.

    Attributes:
        last: The previous update; its initial value is zero.
    """

    last: PyTree


def optimistic() -> optax.GradientTransformation:
    """Returns twice the update minus the previous update (optimistic gradient descent).

    It predicts that the next gradient equals the last one. Chain it after an optimizer: the paper's
    Optimistic Adam is `optax.chain(optax.adam(1e-4, b1=0.5), optimistic())`.

    It differs from `optax.scale_by_optimistic_gradient()` in the first step only. optax takes the
    first update as its own predecessor and so leaves it unchanged. The paper's algorithm starts
    from a previous update of zero and doubles the first one.

    Examples:
        >>> import jax.numpy as jnp
        >>> import optax
        >>> from jaxgan import optimizers
        >>> optimizer = optax.chain(optax.sgd(1.0), optimizers.optimistic())
        >>> update, state = optimizer.update(jnp.array(1.0), optimizer.init(jnp.array(0.0)))
        >>> print(update, optimizer.update(jnp.array(3.0), state)[0])
        -2.0 -5.0

    References:
        Daskalakis et al. 2018, Training GANs with Optimism, eq. 6 and algorithm 1.
    """

    def init(params: PyTree) -> Optimistic:
        return Optimistic(jax.tree.map(jnp.zeros_like, params))

    def update(updates: PyTree, state: Any, params: Any = None) -> tuple[PyTree, Optimistic]:
        del params
        ahead = jax.tree.map(lambda new, last: 2 * new - last, updates, state.last)
        return ahead, Optimistic(updates)

    return optax.GradientTransformation(init, update)


class History(NamedTuple):
    """State of `historical_averaging`.

    Attributes:
        count: Number of params seen.
        mean: Mean of the params seen.
    """

    count: Array
    mean: PyTree


def historical_averaging(weight: float) -> optax.GradientTransformation:
    """Adds the gradient of weight * |params - mean of all params so far|^2.

    The mean includes the present params and is treated as a constant. Chain it before the
    optimizer: `optax.chain(historical_averaging(1e-2), optax.adam(2e-4))`.

    Args:
        weight: Weight of the penalty, 0 or more.

    Raises:
        ValueError: If the weight is negative, or if `update` is called without params.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan import optimizers
        >>> averaging = optimizers.historical_averaging(0.5)
        >>> gradient, state = jnp.array(0.0), averaging.init(jnp.array(0.0))
        >>> _, state = averaging.update(gradient, state, jnp.array(0.0))
        >>> print(averaging.update(gradient, state, jnp.array(4.0))[0])  # the mean is 2
        2.0

    References:
        Salimans et al. 2016, Improved Techniques for Training GANs, section 3.3.
    """
    if weight < 0:
        raise ValueError(f"the weight of the historical average is {weight}; expected 0 or more")

    def init(params: PyTree) -> History:
        return History(jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, params))

    def update(updates: PyTree, state: Any, params: Any = None) -> tuple[PyTree, History]:
        if params is None:
            raise ValueError("historical averaging needs the params; call update with them")
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
    """Returns a schedule: `value` for `constant` steps, then linear decay to 0 over `decay` steps.

    It stays at 0 after that. Zhu et al. 2017 (CycleGAN) train 100 epochs each way.

    Args:
        value: Initial learning rate.
        constant: Number of updates at the initial learning rate.
        decay: Number of updates of the decay. The updates are those of the optimizer that uses the
            schedule.

    Raises:
        ValueError: If a number of steps is negative or both are zero.

    Examples:
        >>> from jaxgan import optimizers
        >>> schedule = optimizers.constant_then_linear(1.0, constant=2, decay=4)
        >>> [float(schedule(step)) for step in range(8)]
        [1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """
    if min(constant, decay) < 0 or constant + decay == 0:
        raise ValueError(
            f"the learning rate is constant for {constant} steps and decays over {decay}; "
            "expected no negative number, and at least 1 step in total"
        )
    if decay == 0:
        return optax.constant_schedule(value)
    return optax.linear_schedule(value, 0.0, decay, transition_begin=constant)


def linear_from(value: float, share: float, *, steps: int) -> optax.ScalarOrSchedule:
    """Returns a learning rate that decays linearly to 0 after a fraction of the steps.

    Args:
        value: Initial learning rate.
        share: Fraction of the steps at the initial learning rate, in [0, 1]. If it is 1, the result
            is a plain number, because a schedule would add a counter to the optimizer's state.
        steps: Total number of updates; the decay ends there.

    Raises:
        ValueError: If the fraction is outside [0, 1].

    Examples:
        >>> from jaxgan import optimizers
        >>> schedule = optimizers.linear_from(1.0, 0.5, steps=4)
        >>> [float(schedule(step)) for step in range(5)]
        [1.0, 1.0, 1.0, 0.5, 0.0]
        >>> optimizers.linear_from(2e-4, 1.0, steps=4)
        0.0002
    """
    if share == 1.0:
        return value
    constant = round(share * steps)
    return constant_then_linear(value, constant=constant, decay=steps - constant)


def falling_from(
    value: float, share: float, *, steps: int, to: float = 0.0
) -> optax.ScalarOrSchedule:
    """Returns a learning rate that decays to `to * value` after a fraction of the steps.

    The decay is linear if `to` is 0 (`linear_from`), and exponential otherwise. The learning rate
    stays constant after that.

    Args:
        value: Initial learning rate.
        share: Fraction of the steps at the initial learning rate, in [0, 1]. If it is 1, the result
            is a plain number.
        steps: Total number of updates; the decay ends there.
        to: Final learning rate, relative to `value`, in [0, 1].

    Raises:
        ValueError: If the fraction or `to` is outside [0, 1].

    Examples:
        >>> from jaxgan import optimizers
        >>> schedule = optimizers.falling_from(1.0, 0.5, steps=4, to=0.25)
        >>> [round(float(schedule(step)), 3) for step in range(6)]
        [1.0, 1.0, 1.0, 0.5, 0.25, 0.25]
    """
    if not 0 <= to <= 1:
        raise ValueError(
            f"the learning rate decays to {to} times its value; expected a number from 0 to 1"
        )
    linear = linear_from(value, share, steps=steps)
    if to == 0 or share == 1.0:
        return linear
    constant = round(share * steps)
    span = max(steps - constant, 1)
    return optax.exponential_decay(value, span, to, constant, end_value=to * value)


def cosine_between(start: float, end: float, *, over: float) -> Callable[[Any], Array]:
    """Returns a schedule: half a cosine from `start` to `end`, constant after that.

    v(n) = start + (end - start) (1 - cos(pi n / over)) / 2. R3GAN's learning rate, beta2, gamma,
    half-life and probability of augmentation all follow it.

    Args:
        start: Value at n = 0.
        end: Value from n = `over` on.
        over: The n at which it ends, positive. n counts what the schedule is called with, such as
            updates, or images shown (`by_images`).

    Raises:
        ValueError: Unless over > 0.

    Examples:
        >>> from jaxgan import optimizers
        >>> schedule = optimizers.cosine_between(1.0, 0.0, over=4)
        >>> [round(float(schedule(n)), 3) for n in range(6)]
        [1.0, 0.854, 0.5, 0.146, 0.0, 0.0]

    References:
        Loshchilov and Hutter 2017, SGDR, eq. 5.
        Huang et al. 2024, The GAN is dead; long live the GAN! (R3GAN).
    """
    if not over > 0:
        raise ValueError(f"the schedule ends after {over}; expected a positive number")

    def schedule(count: Any) -> Array:
        passed = jnp.clip(jnp.asarray(count, jnp.float32) / over, 0, 1)
        return start + (end - start) * (1 - jnp.cos(jnp.pi * passed)) / 2

    return schedule


def by_images(schedule: Callable[[Any], Any], batch_size: int) -> Callable[[Any], Any]:
    """Returns a schedule over steps from one over the images shown.

    Args:
        schedule: Function of the number of images shown so far.
        batch_size: Images shown in each step.

    Examples:
        >>> from jaxgan import optimizers
        >>> schedule = optimizers.by_images(lambda images: images / 100, 8)
        >>> print(schedule(25))
        2.0
    """
    # In float32, as a long run shows more images than int32 holds.
    return lambda step: schedule(jnp.asarray(step, jnp.float32) * batch_size)


def adam(
    learning_rate: optax.ScalarOrSchedule = 2e-4,
    beta1: float = 0.5,
    beta2: optax.ScalarOrSchedule = 0.999,
    *,
    eps: float = 1e-8,
    eps_root: float = 0.0,
) -> optax.GradientTransformation:
    """Adam with the default momentum of GANs, 0.5 (Radford et al. 2016).

    Args:
        learning_rate: A number, or a schedule over the optimizer's own updates.
        beta1: Decay rate of the mean gradient.
        beta2: Decay rate of the mean squared gradient: a number, or a schedule over the optimizer's
            own updates. The bias is corrected by the present one, 1 - beta2^t.
        eps: Added to the root of the mean square.
        eps_root: Added to the mean square under the root, which makes the update smooth at a zero
            gradient. Derivatives of the update (unrolling) need it.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan import optimizers
        >>> optimizer = optimizers.adam(0.1)
        >>> params = jnp.array([1.0, -1.0])
        >>> updates, _ = optimizer.update(jnp.array([3.0, -2.0]), optimizer.init(params), params)
        >>> [round(update, 3) for update in updates.tolist()]
        [-0.1, 0.1]
    """
    if not callable(beta2):
        return optax.adam(learning_rate, b1=beta1, b2=beta2, eps=eps, eps_root=eps_root)
    scheduled = optax.inject_hyperparams(optax.adam, static_args=("b1", "eps", "eps_root"))
    return scheduled(learning_rate, b1=beta1, b2=beta2, eps=eps, eps_root=eps_root)


def lazy_adam(
    learning_rate: optax.ScalarOrSchedule = 2e-4,
    beta1: float = 0.5,
    beta2: float = 0.999,
    *,
    interval: int,
    eps: float = 1e-8,
) -> optax.GradientTransformation:
    """Adam for a player that a lazy penalty updates once more in every `interval` steps.

    With c = interval / (interval + 1) the learning rate is multiplied by c, and the betas are
    raised to the power c. So `interval` steps change the params and the moments as much as without
    the additional update.

    Args:
        learning_rate: A number, or a schedule over the player's updates without the additional
            ones.
        beta1: Decay rate of the mean gradient.
        beta2: Decay rate of the mean squared gradient.
        interval: Train steps from one penalty to the next (`penalization.ZeroCentered`).
        eps: Added to the root of the mean square.

    Raises:
        ValueError: If the interval is not positive.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan import optimizers
        >>> optimizer, params = optimizers.lazy_adam(0.1, interval=4), jnp.array([1.0])
        >>> updates, _ = optimizer.update(jnp.array([3.0]), optimizer.init(params), params)
        >>> [round(update, 3) for update in updates.tolist()]
        [-0.08]

    References:
        Karras et al. 2020, Analyzing and Improving the Image Quality of StyleGAN, appendix B.
    """
    if interval < 1:
        raise ValueError(f"the penalty's interval is {interval}; expected 1 or more train steps")
    share = interval / (interval + 1)
    if callable(learning_rate):
        given = learning_rate
        rate: optax.ScalarOrSchedule = lambda count: share * given(share * count)  # noqa: E731
    else:
        rate = share * learning_rate
    return adam(rate, beta1**share, beta2**share, eps=eps)


def rmsprop(learning_rate: optax.ScalarOrSchedule = 5e-5) -> optax.GradientTransformation:
    """RMSProp with the constants of the WGAN code: decay 0.99, epsilon 1e-8 next to the root.

    Arjovsky et al. 2017 found that momentum makes a critic with clipped weights unstable.

    Args:
        learning_rate: A number, or a schedule over the optimizer's own updates.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan import optimizers
        >>> optimizer, params = optimizers.rmsprop(0.01), jnp.array([1.0, -1.0])
        >>> updates, _ = optimizer.update(jnp.array([3.0, -2.0]), optimizer.init(params), params)
        >>> [round(update, 3) for update in updates.tolist()]
        [-0.1, 0.1]

    References:
        Arjovsky et al. 2017, Wasserstein GAN, algorithm 1.
    """
    return optax.rmsprop(learning_rate, decay=0.99, eps=1e-8, eps_in_sqrt=False)
