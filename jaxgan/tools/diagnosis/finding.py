"""Findings: what a signal detects, and since which step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

LASTING_ROWS = 5
"""Number of rows of the log that a condition must last; fewer may be a passing fluctuation."""

LASTING_SHARE = 0.1
"""Fraction of the log that a condition must last, for the same reason."""

_NEIGHBORS = 5  # rows of the running median, which ignores a single outlier


class Series(NamedTuple):
    """A column of the log.

    Attributes:
        steps: The step at the end of each row, increasing, int [n]. A value is the mean over the
            steps since the previous row.
        values: The values, float64 [n].
    """

    steps: np.ndarray
    values: np.ndarray

    def finite(self) -> Series:
        """Returns the rows whose value is finite."""
        kept = np.isfinite(self.values)
        return Series(self.steps[kept], self.values[kept])


class Finding(NamedTuple):
    """A problem of the run.

    Attributes:
        kind: Kind of the problem, by which `remedies` finds the remedies.
        what: One sentence.
        since: The train step at which it began; None if unknown.
        evidence: The numbers it is based on, by name.
    """

    kind: str
    what: str
    since: int | None
    evidence: Mapping[str, float]


class Part(NamedTuple):
    """The result of one examination.

    Attributes:
        findings: The problems found.
        numbers: The numbers measured, by name.
        remarks: Sentences about the numbers.
        unexamined: What could not be examined, and why.
        looked: What was examined, and how.
        early: Reasons why it is too early to report that nothing is wrong.
    """

    findings: tuple[Finding, ...] = ()
    numbers: Mapping[str, float | complex] = {}
    remarks: tuple[str, ...] = ()
    unexamined: Mapping[str, str] = {}
    looked: Mapping[str, str] = {}
    early: tuple[str, ...] = ()


def merged(parts: Iterable[Part]) -> Part:
    """Returns the results of all examinations as one."""
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
    """Computes the running median [n] of each value and its neighbors, of fewer at the ends."""
    reach = _NEIGHBORS // 2
    windows = [values[max(0, i - reach) : i + reach + 1] for i in range(len(values))]
    return np.array([np.median(window) for window in windows])


def lasting(steps: np.ndarray, holds: np.ndarray) -> int | None:
    """Returns the step since which `holds` has been true until the end of the log.

    Args:
        steps: The steps of the rows, [n].
        holds: Whether the condition holds in each row, bool [n].

    Returns:
        The step; None if the condition does not hold at the end, or has not lasted long enough
        (`LASTING_ROWS`, `LASTING_SHARE`).
    """
    broken = np.flatnonzero(~holds)
    first = int(broken[-1]) + 1 if len(broken) else 0
    if len(holds) - first < max(LASTING_ROWS, LASTING_SHARE * len(holds)):
        return None
    return int(steps[first])


def together(*columns: Series) -> tuple[np.ndarray, list[np.ndarray]]:
    """Returns the steps at which all columns have a row, and the values of each column there."""
    steps = columns[0].steps
    for column in columns[1:]:
        steps = np.intersect1d(steps, column.steps)
    return steps, [c.values[np.isin(c.steps, steps)] for c in columns]
