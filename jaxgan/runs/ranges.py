"""Ranges of the numbers in a configuration, declared where a field is and checked in one place.

    width: ranges.Positive = 64
    dropout: Annotated[float, Range(0, 1, open_high=True)] = 0.5

A class that gives an inherited field another default keeps its range. Imports no JAX.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import typing
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple, TypeAlias


class Range(NamedTuple):
    """The numbers that a field may have.

    Attributes:
        low: The smallest, or the bound below all of them if `open_low`.
        high: The largest, or the bound above all of them if `open_high`.
    """

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def holds(self, value: float) -> bool:
        """Returns whether the value is a finite number of the range."""
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
"""A probability, or a fraction of a whole."""

Decay: TypeAlias = Annotated[float, Range(0, 1, open_high=True)]
"""A rate of forgetting, such as Adam's beta1: 1 would never learn."""

Weight: TypeAlias = Annotated[float, Range(0, 1e6)]
"""The weight of a term in a loss."""

LearningRate: TypeAlias = Annotated[float, Range(0, 100)]
"""A learning rate; 0 holds a player still."""

HalfLife: TypeAlias = Annotated[float, Range(0)]
"""A half-life in images; 0 for no average."""

KernelSize: TypeAlias = Annotated[int, Range(1, 31)]
"""The side of a convolution's kernel."""


def of(config_class: type, name: str) -> Range | None:
    """Returns the range that the class, or the nearest class it inherits from, declares."""
    for declaring in config_class.__mro__:
        if name in inspect.get_annotations(declaring):
            hint = typing.get_type_hints(declaring, include_extras=True)[name]
            found = [item for item in _metadata(hint) if isinstance(item, Range)]
            if found:
                return found[0]
    return None


def violations(config: Any) -> Iterator[tuple[str, Any, Range]]:
    """Yields the name, value and range of every field whose number is outside of its range."""
    for field in dataclasses.fields(config):
        allowed = of(type(config), field.name)
        value = getattr(config, field.name)
        for number in value if isinstance(value, tuple) else (value,):
            if allowed is not None and _is_number(number) and not allowed.holds(number):
                yield field.name, number, allowed


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _metadata(hint: Any) -> Iterator[Any]:
    """What annotates a type, or a part of it such as the items of a tuple."""
    yield from getattr(hint, "__metadata__", ())
    for part in typing.get_args(hint):
        yield from _metadata(part)
