"""Ranges of the numbers in a configuration, declared with the fields and checked in one place.

    width: ranges.Positive = 64
    dropout: Annotated[float, Range(0, 1, open_high=True)] = 0.5

A subclass that only changes the default of a field keeps its range. Imports no JAX.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import typing
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple, TypeAlias


class Range(NamedTuple):
    """The range of numbers that a field may have.

    Attributes:
        low: The lower bound.
        high: The upper bound.
        open_low: Whether the lower bound itself is excluded.
        open_high: Whether the upper bound itself is excluded.
    """

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def holds(self, value: float) -> bool:
        """Returns whether the value is finite and within the range."""
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return math.isfinite(value) and above and below

    def __str__(self) -> str:
        low = f"more than {self.low:g}" if self.open_low else f"{self.low:g}"
        if math.isinf(self.high):
            return low if self.open_low else f"{low} or more"
        high = f"less than {self.high:g}" if self.open_high else f"at most {self.high:g}"
        return f"{low if self.open_low else low + ' or more'}, and {high}"


Positive: TypeAlias = Annotated[int, Range(1)]
"""A count of at least one."""

Count: TypeAlias = Annotated[int, Range(0)]
"""A count that may be zero."""

Fraction: TypeAlias = Annotated[float, Range(0, 1)]
"""A probability or fraction, in [0, 1]."""

Decay: TypeAlias = Annotated[float, Range(0, 1, open_high=True)]
"""A decay rate in [0, 1), such as Adam's beta1; with 1 nothing would be learned."""

Weight: TypeAlias = Annotated[float, Range(0, 1e6)]
"""The weight of a term in a loss."""

LearningRate: TypeAlias = Annotated[float, Range(0, 100)]
"""A learning rate; 0 does not train the player."""

HalfLife: TypeAlias = Annotated[float, Range(0)]
"""A half-life in images; 0 for no averaging."""

KernelSize: TypeAlias = Annotated[int, Range(1, 31)]
"""The kernel size of a convolution."""


def declared(config_class: type) -> dict[str, Range]:
    """Returns the range of every field that has one.

    Args:
        config_class: A dataclass. The nearest of its bases that declares a field's range decides.
    """
    found: dict[str, Range] = {}
    for declaring in reversed(config_class.__mro__):
        own = inspect.get_annotations(declaring)
        hints = typing.get_type_hints(declaring, include_extras=True) if own else {}
        for name in own:
            allowed = [item for item in _metadata(hints[name]) if isinstance(item, Range)]
            if allowed:
                found[name] = allowed[0]
    return found


def violations(config: Any) -> Iterator[tuple[str, Any, Range]]:
    """Yields the name, value and range of every number that is outside its range."""
    ranges = declared(type(config))
    for field in dataclasses.fields(config):
        value, allowed = getattr(config, field.name), ranges.get(field.name)
        for number in value if isinstance(value, tuple) else (value,):
            if allowed is not None and _is_number(number) and not allowed.holds(number):
                yield field.name, number, allowed


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _metadata(hint: Any) -> Iterator[Any]:
    """Yields the annotations of a type and of its parts, such as the items of a tuple."""
    yield from getattr(hint, "__metadata__", ())
    for part in typing.get_args(hint):
        yield from _metadata(part)
