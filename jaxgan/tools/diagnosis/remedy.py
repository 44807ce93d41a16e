"""One remedy against a finding, and for which runs it is one. Imports no JAX: experiments declare
their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Remedy(NamedTuple):
    """What to do.

    do:      a flag ('--real-label 0.9'), a command that trains something else, or a function of the
             library ('jaxgan.penalties.r1').
    why:     what it does, in a few words.
    source:  the paper.
    fits:    whether it can help a run of this configuration; a flag must also exist in it.
    helps:   whether it can where these numbers were seen, by name: the finding's evidence, and
             under `remedies.CHECKPOINTS` how many the run has.
    """

    do: str
    why: str
    source: str
    fits: Callable[[Any], bool] = lambda config: True
    helps: Callable[[Mapping[str, float]], bool] = lambda seen: True


def has(name: str, *values: Any) -> Callable[[Any], bool]:
    """Whether the configuration's field is one of the values."""
    return lambda config: getattr(config, name, None) in values


def lacks(name: str, *values: Any) -> Callable[[Any], bool]:
    """Whether the configuration's field is none of the values, or does not exist."""
    return lambda config: getattr(config, name, None) not in values


def above(name: str, least: float) -> Callable[[Any], bool]:
    """Whether the configuration has the field and it is more than `least`."""
    return lambda config: getattr(config, name, least) > least


def both(*conditions: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Whether all of the conditions hold of the configuration."""
    return lambda config: all(condition(config) for condition in conditions)
