"""One training run, from its configuration to its last checkpoint.

An experiment of your own needs `command_line` and `config`, with the ranges of its numbers in
`ranges`; `trained_model` opens a finished run, and `experiments` finds the one that made it. The
other modules are parts of a run: the loop, checkpoints, logs, interrupts. May use all rooms up to
plotting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxgan import _submodule

if TYPE_CHECKING:
    from jaxgan.runs import (
        command_line,
        config,
        environment,
        errors,
        experiments,
        ranges,
        run_directory,
        trained_model,
    )

__all__ = [
    "command_line",
    "config",
    "environment",
    "errors",
    "experiments",
    "ranges",
    "run_directory",
    "trained_model",
]


def __getattr__(name: str) -> Any:
    return _submodule(__name__, __all__, name)
