"""The length of a run: train steps, or images or minutes that become steps once, at its start.

The number of steps is part of the run's record. A clock decides nothing later, so a resumed run
equals an uninterrupted one.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxgan.games import stages
from jaxgan.runs import estimate, flags, metric_log, training_loop
from jaxgan.runs.config import DataSpec, RunConfig
from jaxgan.runs.errors import RunError
from jaxgan.runs.experiments import Experiment
from jaxgan.types import Batch, TrainStep

_COUNT = re.compile(r"(\d[\d_]*\.?\d*|\.\d+)([kM]?)")
_UNITS = {"": 1, "k": 1_000, "M": 1_000_000}


def parse_images(text: int | str) -> int:
    """Returns the number of images of a text such as '50_000', '250k' or '1.5M'.

    Args:
        text: The text, or the number itself.

    Raises:
        RunError: If it is not a whole number of at least one.
    """
    found = _COUNT.fullmatch(str(text))
    count = float(found[1].replace("_", "")) * _UNITS[found[2]] if found else 0.0
    if count < 1 or count != int(count):
        raise RunError(f"--images is {text}; expected a number such as 50_000, 250k or 1M")
    return int(count)


def check(config: RunConfig) -> None:
    """Checks that at most one of `minutes` and `images` is given, and can be read.

    Raises:
        RunError: If both are given, or `images` is not a number.
    """
    if config.images is not None:
        parse_images(config.images)
    given = [name for name in ("minutes", "images") if getattr(config, name) is not None]
    flags.require_one_of(given, what="the length of the run")


def as_recorded(config: RunConfig, record: dict[str, Any], path: pathlib.Path) -> RunConfig:
    """Returns the configuration of a run to resume, with the steps that it began with.

    Args:
        config: The requested configuration.
        record: The recorded config.json of the run.
        path: The run directory, for messages.

    Raises:
        RunError: If `minutes` or `images` is not what the run began with.
    """
    recorded = record["config"]
    for name in ("minutes", "images"):
        asked, was = getattr(config, name), recorded.get(name)
        if asked is None:
            continue
        if was is None or _comparable(name, asked) != _comparable(name, was):
            raise RunError(
                f"{flags.flag(name)} {asked} becomes a number of steps only when a run begins, and "
                f"{path} has begun with {recorded['steps']} steps; use a larger --steps to make it "
                "longer"
            )
        return dataclasses.replace(config, steps=recorded["steps"])
    return config


def _comparable(name: str, value: Any) -> float:
    return parse_images(value) if name == "images" else float(value)


def of_images(experiment: Experiment, config: RunConfig, spec: DataSpec) -> RunConfig:
    """Returns the configuration with the steps that show as many images as it asks for.

    The last compiled call may show some more.

    Args:
        experiment: The experiment to train.
        config: Its configuration, whose `images` are given.
        spec: Shape, classes and inputs of the data.
    """
    assert config.images is not None
    images, per_call = parse_images(config.images), config.steps_per_call
    # The plan may depend on the number of steps. This number is right unless batches differ in
    # size between the stages, which no plan with steps of its own has.
    calls = -(-images // (config.rows_per_step * per_call))
    plan = experiment.plan(dataclasses.replace(config, steps=calls * per_call), spec)
    steps = stages.steps_showing(plan, images, per_call=per_call)
    return dataclasses.replace(config, steps=steps)


def note_on_images(config: RunConfig) -> str:
    """Returns the sentence that says how many steps the images became."""
    assert config.images is not None
    return f"{parse_images(config.images):,} images (--images) are {config.steps} train steps"


def of_minutes(config: RunConfig, seconds_per_step: float) -> tuple[RunConfig, str]:
    """Returns the configuration with the steps that fit into its minutes, and a sentence on them.

    Args:
        config: The configuration, whose `minutes` are given.
        seconds_per_step: The measured seconds of a train step.

    Returns:
        The configuration, with at least one compiled call, and the sentence.
    """
    assert config.minutes is not None
    per_call = config.steps_per_call
    calls = int(60 * config.minutes / (seconds_per_step * per_call))
    found = dataclasses.replace(config, steps=max(1, calls) * per_call)
    note = (
        f"measured {seconds_per_step:.3g} seconds a train step: {config.minutes:g} minutes "
        f"(--minutes) are {found.steps} steps, without compiling, pictures, checkpoints "
        "and evaluations"
    )
    return found, note


def require_one_stage(plan: tuple[stages.Stage, ...]) -> None:
    """Checks that the speed of the first steps is that of the whole run.

    Args:
        plan: The stages of the run.

    Raises:
        RunError: If there are several stages.
    """
    if len(plan) > 1:
        raise RunError(
            f"--minutes measures the first steps, but this run has {len(plan)} stages of different "
            "speed; use --images or --steps"
        )


def measured(
    step: TrainStep,
    state: Any,
    batches: Callable[[int], Batch],
    *,
    config: RunConfig,
    speed: estimate.Speed | None = None,
) -> float:
    """Returns the seconds that a train step takes, of the first steps, on a copy of the state.

    It trains as the run does, with the same batches and waits, until `estimate.Speed` has seen
    enough. The given state stays as it is.

    Args:
        step: The compiled train step, or several of them in one call.
        state: The state before the first step.
        batches: `batches(t)`, the batch of the call that begins at step t.
        config: The configuration of the run.
        speed: What measures. Default: a new `estimate.Speed`.
    """
    speed = speed or estimate.Speed()
    found: list[float] = []

    def tick(reached: int) -> None:
        seconds = speed.after(reached, time.monotonic())
        if seconds is not None:
            found.append(seconds)

    recorder = metric_log.Recorder(
        every=sys.maxsize,
        rows_per_step=config.rows_per_step,
        sinks=(),
        notes={},
        ahead=metric_log.calls_ahead(),
        seeds=config.model_seeds if config.models > 1 else (),
        tick=tick,
    )
    span = range(0, sys.maxsize // config.steps_per_call, config.steps_per_call)
    training_loop.fit(
        step,
        jax.tree.map(jnp.copy, state),
        batches,
        span=span,
        recorder=recorder,
        asked_to_stop=lambda: bool(found),
    )
    return found[0]
