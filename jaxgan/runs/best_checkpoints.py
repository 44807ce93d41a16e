"""Which states of a run are its best, by the measurements in its log.

What better means the latest measurement says. One that was made otherwise, of fewer samples say,
compares with none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from jaxgan.runs import metric_log
from jaxgan.runs.metric_log import MEASURED, Row


def ranked(rows: Iterable[Row]) -> list[int]:
    """The steps whose states the rows of a log have measured as its latest measurement does, the
    best first; of equally good states the earlier.
    """
    measured = [row for row in rows if metric_log.is_measurement(row)]
    alike = [row for row in measured if _manner(row) == _manner(measured[-1])]
    return [row["step"] for row in sorted(alike, key=_cost)]


class Ranking:
    """The measurements of a run so far, whose best `keep` states are to have checkpoints.

    `rows` are those of the log when it starts or goes on, and `saved` the steps that have one then.
    """

    def __init__(self, rows: Iterable[Row], *, saved: Iterable[int], keep: int) -> None:
        measured = [row for row in rows if metric_log.is_measurement(row)]
        self._steps, self._keep = {row["step"] for row in measured}, keep
        held = self._steps.intersection(saved)
        self._rows = [row for row in measured if row["step"] in held]

    def add(self, row: Row) -> bool:
        """Takes one measurement more; whether its state is among the best."""
        self._rows.append(row)
        self._steps.add(row["step"])
        return row["step"] in self.best()

    def best(self) -> list[int]:
        """The steps of the best states, the very best first."""
        return ranked(self._rows)[: self._keep]

    def knows(self, step: int) -> bool:
        """Whether the state of the step has been measured."""
        return step in self._steps


def _manner(row: Row) -> Any:
    """What two measurements must have in common to compare."""
    aim, settings = row[MEASURED]["aim"], row[MEASURED]["settings"]
    return aim, {**settings, "metrics": settings["metrics"][aim["metric"]]}


def _cost(row: Row) -> float:
    """What is lower for better states."""
    aim = row[MEASURED]["aim"]
    value = row[aim["number"]]
    cost = value if aim["best"] == "lowest" else -value
    return cost if math.isfinite(cost) else math.inf
