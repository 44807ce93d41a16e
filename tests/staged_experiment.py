"""The toy experiment in three stages, whose networks become wider and whose batches smaller."""

from __future__ import annotations

import dataclasses
from functools import partial

from jaxgan.runs import command_line
from tests import toy_experiment

WIDTHS, STARTS, ROWS = (4, 8, 12), (0, 8, 16), (16, 8, 8)


@dataclasses.dataclass(frozen=True)
class Config(toy_experiment.Config):
    """Two perceptrons that widen."""

    @property
    def rows_per_step(self) -> int:
        return max(ROWS)


def plan(config, spec):
    from jaxgan.games import stages

    return tuple(
        stages.Stage(start, rows, partial(_widened, config, spec, width))
        for width, start, rows in zip(WIDTHS, STARTS, ROWS, strict=True)
    )


def build(config, spec, *, axis_name=None):
    return _widened(config, spec, WIDTHS[-1], axis_name=axis_name)


def _widened(config, spec, width, *, axis_name=None):
    widened = dataclasses.replace(config, width=width)
    return toy_experiment.build(widened, spec, axis_name=axis_name)


if __name__ == "__main__":
    command_line.main(__name__)
