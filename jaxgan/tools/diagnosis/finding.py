"""What a signal tells: a finding, and since when it holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

LASTING_ROWS = 5
"""Rows of the log that a state must have lasted: fewer may be a passing swing."""

LASTING_SHARE = 0.1
"""The share of the log that a state must have lasted, for the same reason."""

_NEIGHBORS = 5  # rows whose median stands for the middle one: a single outlier is nothing


class Series(NamedTuple):
    """A column of the log.

    steps:  int [n], rising: where each row ends, whose mean is of the steps since the one before.
    values: float64 [n].
    """

    steps: np.ndarray
    values: np.ndarray

    def finite(self) -> Series:
        """The rows whose value is finite."""
        kept = np.isfinite(self.values)
        return Series(self.steps[kept], self.values[kept])


class Finding(NamedTuple):
    """What is wrong.

    kind:     by which `remedies` knows what helps.
    what:     one sentence.
    since:    the train step since when, or None where it cannot be told.
    evidence: the numbers it rests on, by name.
    """

    kind: str
    what: str
    since: int | None
    evidence: Mapping[str, float]


class Part(NamedTuple):
    """What one examination found, what it saw in numbers and in sentences, and what it could not
    examine and why.

    looked: what it looked at, by name, and through what.
    early:  why it is too early for it to say that nothing is wrong.
    """

    findings: tuple[Finding, ...] = ()
    numbers: Mapping[str, float | complex] = {}
    remarks: tuple[str, ...] = ()
    unexamined: Mapping[str, str] = {}
    looked: Mapping[str, str] = {}
    early: tuple[str, ...] = ()


def merged(parts: Iterable[Part]) -> Part:
    """All that the examinations found, saw and could not examine."""
    parts = list(parts)
    return Part(
        tuple(finding for part in parts for finding in part.findings),
        {name: value for part in parts for name, value in part.numbers.items()},
        tuple(remark for part in parts for remark in part.remarks),
        {name: why for part in parts for name, why in part.unexamined.items()},
        {name: how for part in parts for name, how in part.looked.items()},
        tuple(why for part in parts for why in part.early),
    )


def smooth(values: np.ndarray) -> np.ndarray:
    """The median [n] of each value and its neighbors; at the ends of fewer."""
    reach = _NEIGHBORS // 2
    windows = [values[max(0, i - reach) : i + reach + 1] for i in range(len(values))]
    return np.array([np.median(window) for window in windows])


def lasting(steps: np.ndarray, holds: np.ndarray) -> int | None:
    """The step since which `holds` (bool [n]) has been true to the end; None where it is not, or
    not for long enough (`LASTING_ROWS`, `LASTING_SHARE`).
    """
    broken = np.flatnonzero(~holds)
    first = int(broken[-1]) + 1 if len(broken) else 0
    if len(holds) - first < max(LASTING_ROWS, LASTING_SHARE * len(holds)):
        return None
    return int(steps[first])


def together(*columns: Series) -> tuple[np.ndarray, list[np.ndarray]]:
    """The steps at which all columns have a row, and the values of each there."""
    steps = columns[0].steps
    for column in columns[1:]:
        steps = np.intersect1d(steps, column.steps)
    return steps, [c.values[np.isin(c.steps, steps)] for c in columns]
