"""A remedy against a finding, and the runs that it applies to.

It imports no JAX, as experiments declare their own remedies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Remedy(NamedTuple):
    """A remedy against a finding.

    Attributes:
        do: A flag ('--real-label 0.9'), a command that trains another experiment, or a function of
            the library ('jaxgan.penalties.r1').
        why: Its effect, in a few words. It may contain fields of the configuration in braces.
        source: The paper.
        fits: `fits(config)`: whether it can help a run of this configuration. A flag must also
            exist in the configuration.
        helps: `helps(seen)`: whether it can help given the measured numbers by name: the finding's
            evidence, and the run's number of checkpoints under `remedies.CHECKPOINTS`.
    """

    do: str
    why: str
    source: str
    fits: Callable[[Any], bool] = lambda config: True
    helps: Callable[[Mapping[str, float]], bool] = lambda seen: True


def has(name: str, *values: Any) -> Callable[[Any], bool]:
    """Returns a condition: the configuration's field is one of the values.

    Args:
        name: The field.
        *values: The values.
    """
    return lambda config: getattr(config, name, None) in values


def lacks(name: str, *values: Any) -> Callable[[Any], bool]:
    """Returns a condition: the configuration's field is none of the values, or does not exist.

    Args:
        name: The field.
        *values: The values.
    """
    return lambda config: getattr(config, name, None) not in values


def above(name: str, least: float) -> Callable[[Any], bool]:
    """Returns a condition: the configuration has the field, and it is larger than `least`.

    Args:
        name: The field.
        least: The bound.
    """
    return lambda config: getattr(config, name, least) > least


def both(*conditions: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Returns a condition: all of the conditions hold."""
    return lambda config: all(condition(config) for condition in conditions)
