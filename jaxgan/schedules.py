"""Values that change with the step."""

from __future__ import annotations

import optax


def constant_then_linear(value: float, *, constant: int, decay: int) -> optax.Schedule:
    """`value` for `constant` steps, then linearly to 0 over `decay` steps, and 0 from there on.

    Zhu et al. 2017 train 100 epochs each way. The steps are those of the optimiser that uses it.
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

    A plain number where the share is 1: a schedule would add its counter to the optimiser's state.
    Raises ValueError where the share is outside [0, 1].
    """
    if share == 1.0:
        return value
    constant = round(share * steps)
    return constant_then_linear(value, constant=constant, decay=steps - constant)
