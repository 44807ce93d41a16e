"""The best states of a run, by the evaluations in its log.

The latest evaluation decides which metric ranks the states. Evaluations with other settings, such
as fewer samples, are not compared with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from jaxgan.runs import metric_log
from jaxgan.runs.metric_log import MEASURED, Row


def ranked(rows: Iterable[Row]) -> list[int]:
    """Returns the steps of the evaluated states, the best first and ties by step.

    Only evaluations with the settings of the latest one count.
    """
    measured = [row for row in rows if metric_log.is_measurement(row)]
    alike = [row for row in measured if _manner(row) == _manner(measured[-1])]
    return [row["step"] for row in sorted(alike, key=_cost)]


class Ranking:
    """The evaluations of a run so far; the best `keep` states are to have checkpoints.

    Args:
        rows: The rows of the log when the run is started or resumed.
        saved: The steps that have a checkpoint then.
        keep: How many of the best states to keep.
    """

    def __init__(self, rows: Iterable[Row], *, saved: Iterable[int], keep: int) -> None:
        measured = [row for row in rows if metric_log.is_measurement(row)]
        self._steps, self._keep = {row["step"] for row in measured}, keep
        held = self._steps.intersection(saved)
        self._rows = [row for row in measured if row["step"] in held]

    def add(self, row: Row) -> bool:
        """Adds an evaluation and returns whether its state is among the best."""
        self._rows.append(row)
        self._steps.add(row["step"])
        return row["step"] in self.best()

    def best(self) -> list[int]:
        """Returns the steps of the best states, the best first."""
        return ranked(self._rows)[: self._keep]

    def knows(self, step: int) -> bool:
        """Returns whether the state of the step has been evaluated."""
        return step in self._steps


def _manner(row: Row) -> Any:
    """Returns the settings in which two evaluations must agree to be compared."""
    aim, settings = row[MEASURED]["aim"], row[MEASURED]["settings"]
    return aim, {**settings, "metrics": settings["metrics"][aim["metric"]]}


def _cost(row: Row) -> float:
    """Returns a number that is lower for better states."""
    aim = row[MEASURED]["aim"]
    value = row[aim["number"]]
    cost = value if aim["best"] == "lowest" else -value
    return cost if math.isfinite(cost) else math.inf
