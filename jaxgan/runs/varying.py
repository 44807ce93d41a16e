"""Which settings the models of a sweep can differ in: those that leave their program the same.

No list says so. The model is built and traced with them, which computes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxgan.games import ensemble
from jaxgan.games.stages import Stage
from jaxgan.runs import ranges, sweeps
from jaxgan.runs.config import RunConfig
from jaxgan.runs.errors import RunError
from jaxgan.types import GAN


def build_of(stage: Stage, axis_name: str | None) -> ensemble.Build:
    """Returns what builds the model of a stage with other numbers in its settings.

    Args:
        stage: The stage.
        axis_name: Name of the batch's axis, or None.
    """
    with_numbers = stage.with_numbers
    assert with_numbers is not None, "the stages of `Experiment.plan` have it"

    def build(values: Mapping[str, Any]) -> GAN:
        return with_numbers(values)(axis_name=axis_name)

    return build


def require(config: RunConfig, build: ensemble.Build, batch: Mapping[str, np.ndarray]) -> None:
    """Checks that one program trains the models of a sweep.

    Args:
        config: The configuration of the run.
        build: Builds a model with numbers in its settings.
        batch: A batch of one model [B, ...] by name, for its shapes.

    Raises:
        RunError: If a setting needs a program for each of its values, or nothing depends on it. The
            message lists the settings that work in this run.
        ValueError: If a model cannot be built.
    """
    settings = config.model_settings
    for row in zip(*settings.values(), strict=True):
        build(dict(zip(settings, row, strict=True)))
    met = _met(build, settings, batch)
    if met == set(settings):
        return
    for name in settings:
        alone = _met(build, {name: config.swept[name]}, batch)
        if alone is None:
            raise RunError(sweeps.different(name, _working(config, build, batch)))
        if not alone:
            raise RunError(sweeps.unused(name, _working(config, build, batch)))
    raise RunError(
        f"--sweep {' '.join(settings)}: each can be swept, but not together: sweep one of them"
    )


def _met(
    build: ensemble.Build,
    settings: Mapping[str, Sequence[float]],
    batch: Mapping[str, np.ndarray],
) -> set[str] | None:
    """Returns the settings on which training depends, or None if one program does not train all."""
    size = len(next(iter(settings.values())))
    shapes = {
        name: jax.ShapeDtypeStruct((size, *np.shape(values)), np.asarray(values).dtype)
        for name, values in batch.items()
    }
    try:
        return ensemble.numbers_met(build, settings, shapes)
    except Exception:  # whatever code does that needs a number, where each model has its own
        return None


def _working(
    config: RunConfig, build: ensemble.Build, batch: Mapping[str, np.ndarray]
) -> list[str]:
    """Returns the settings that can be swept in this run."""
    return [
        name
        for name in sweeps.sweepable(type(config), RunConfig)
        if (values := _tried(config, name)) and _met(build, {name: values}, batch)
    ]


def _tried(config: RunConfig, name: str) -> tuple[float, ...]:
    """Returns two values of a setting to try, near its own; none if it has whole numbers."""
    if not sweeps.is_continuous(name, type(config)):
        return ()
    allowed = ranges.declared(type(config)).get(name, ranges.Range())
    now = getattr(config, name) or 0.25
    found = tuple(value for value in (0.9 * now, 0.8 * now) if allowed.holds(value))
    return found if len(found) == 2 else ()
