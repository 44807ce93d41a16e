"""Which convolutions a run trains with, and how precise their products are.

Both are chosen when it begins, recorded, and kept ever after.

On an x86 processor oneDNN makes the train steps of most networks faster, but a program with it is
compiled anew at every start, which takes 5 to 16 seconds more than reading it from the compilation
cache. So it is for runs that are long enough, as their settings say. No clock decides, and a
resumed run takes what it began with: it equals an uninterrupted one to the bit. Samples and
evaluations are computed by the platform's own convolutions in any case.

Products of bfloat16 are twice as fast by oneDNN, on processors that have instructions for them.
JAX's own configuration asks for them, so that researchers' programs can (`traced_with`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import jax

from jaxgan.kernels import convolution_primitives, onednn_probe, processor
from jaxgan.kernels.convolution_geometry import BFLOAT16
from jaxgan.runs.config import RunConfig
from jaxgan.runs.errors import RunError
from jaxgan.types import TrainStep

BY_PLATFORM = "auto"
ONEDNN = "onednn"

FASTEST = "auto"
FLOAT32 = "float32"
PRODUCTS = "bf16_products"

_MINUTES = 10.0  # of a run that compiles its train step twice, as --minutes does


def as_recorded(config: RunConfig, record: dict[str, Any]) -> RunConfig:
    """Returns the configuration of a run to resume, with the convolutions that it trains with.

    Args:
        config: The requested configuration. If it names convolutions or a precision, they are kept.
        record: The recorded config.json of the run. An older run trains with the platform's own
            convolutions, in float32.
    """
    if config.precision == FASTEST:
        kept = record["config"].get("precision", FLOAT32)
        config = dataclasses.replace(config, precision=kept)
    if config.convolutions is not None:
        return config
    return dataclasses.replace(config, convolutions=_of_record(record))


def _of_record(record: dict[str, Any]) -> str:
    return record["config"].get("convolutions") or BY_PLATFORM


def require(config: RunConfig, path: pathlib.Path) -> None:
    """Checks that this machine has the convolutions of a run.

    Args:
        config: The configuration of the run, as it begins or goes on.
        path: The run directory, for messages.

    Raises:
        RunError: If they are oneDNN's, and cannot be used on this machine's CPU with products of
            that precision. On a GPU or a TPU they are XLA's own in any case.
    """
    if config.convolutions != ONEDNN or not _on_a_cpu():
        return
    reason = _why_not(config)
    if reason:
        raise RunError(
            f"{path} trains with the convolutions of oneDNN, and {reason}; --convolutions auto "
            "trains with others, whose results differ in the last bits"
        )
    reason = config.precision == PRODUCTS and _why_not(config, BFLOAT16)
    if reason:
        raise RunError(
            f"{path} trains with --precision {PRODUCTS}, and {reason}; --convolutions auto goes on "
            "with products of float32, whose results differ"
        )


def chosen(
    config: RunConfig, *, shape: Sequence[int], devices: int
) -> tuple[RunConfig, tuple[str, ...]]:
    """Returns the configuration of a run that begins, with its convolutions, and notes on them.

    Args:
        config: The configuration, with the number of steps.
        shape: The shape of an example.
        devices: Number of devices that a train step is split over.

    Raises:
        RunError: If products of bfloat16 are asked for, and are not faster on this CPU.
    """
    config, notes = _with_convolutions(config, shape, devices)
    config, more = _with_products(config, devices)
    return config, (*notes, *more)


def _with_convolutions(
    config: RunConfig, shape: Sequence[int], devices: int
) -> tuple[RunConfig, tuple[str, ...]]:
    if config.convolutions is not None:
        return config, ()
    pays = _is_long(config, shape) or (len(shape) == 3 and config.precision == PRODUCTS)
    pays = pays and devices == 1 and config.models == 1 and _on_a_cpu()
    reason = _why_not(config) if pays else None
    if not pays or reason:
        notes = (f"convolutions of jaxgan instead of oneDNN: {reason}",) if reason else ()
        return dataclasses.replace(config, convolutions=BY_PLATFORM), notes
    note = (
        "convolutions of oneDNN: faster steps, but each start compiles the train step anew "
        "(--convolutions auto: jaxgan's)"
    )
    if config.precision == FLOAT32 and processor.multiplies_bfloat16():
        note += f"; faster still, but rounded: --precision {PRODUCTS}"
    return dataclasses.replace(config, convolutions=ONEDNN), (note,)


def _with_products(config: RunConfig, devices: int) -> tuple[RunConfig, tuple[str, ...]]:
    """Returns the configuration with its precision decided if it is `auto`, and a note on it."""
    asked = config.precision
    if asked not in (FASTEST, PRODUCTS) or (asked == PRODUCTS and not _on_a_cpu()):
        return config, ()
    reason = _why_not_products(config, devices)
    if reason and asked == PRODUCTS:
        raise RunError(f"--precision {asked} cannot be used here: {reason}; use float32 or auto")
    if reason:
        return dataclasses.replace(config, precision=FLOAT32), ()
    note = (
        "products of bfloat16, added up in float32: faster steps (--precision float32: not rounded)"
    )
    return dataclasses.replace(config, precision=PRODUCTS), (note,)


def _why_not_products(config: RunConfig, devices: int) -> str | None:
    """Returns why products of bfloat16 are not faster here, or None if they are."""
    if not _on_a_cpu():
        return "GPUs and TPUs have products of their own"
    if config.convolutions != ONEDNN:
        return "only --convolutions onednn has them on a CPU"
    if devices > 1 and config.parallel == "jit":
        return "XLA cannot split oneDNN's convolutions over devices"
    return _why_not(config, BFLOAT16)


def _is_long(config: RunConfig, shape: Sequence[int]) -> bool:
    """Returns whether the faster steps of a run on images save more time than its starts take."""
    if len(shape) != 3 or config.preset == "smoke":
        return False
    if config.precision == "bf16" and not processor.multiplies_bfloat16():
        return False
    if config.minutes is not None:
        return config.minutes >= _MINUTES
    pixels = config.steps * config.rows_per_step * math.prod(shape[:2])
    return pixels >= config.PIXELS_FOR_ONEDNN


def note_on_change(config: RunConfig, record: dict[str, Any]) -> list[str]:
    """Warns if a run goes on with other convolutions than before.

    Args:
        config: The configuration to go on with.
        record: The recorded config.json of the run.

    Returns:
        A list with the warning, or an empty list.
    """
    before, now = _of_record(record), config.convolutions
    if before == now:
        return []
    # Products of bfloat16 are oneDNN's alone.
    where = "" if config.precision == PRODUCTS else " in the last bits"
    return [
        f"warning: the run goes on with --convolutions {now} after {before}: its results differ "
        f"from those of an uninterrupted run{where}"
    ]


def traced_with(step: TrainStep, implementation: str | None, precision: str) -> TrainStep:
    """Returns the train step whose convolutions, when it is traced, have the implementation.

    Args:
        step: The train step, not compiled.
        implementation: The recorded convolutions of a run.
        precision: The recorded precision of a run.
    """

    @functools.wraps(step)
    def traced(*arguments: Any) -> Any:
        with contextlib.ExitStack() as stack:
            stack.enter_context(convolution_primitives.ASKED(implementation or BY_PLATFORM))
            if precision == PRODUCTS:
                stack.enter_context(jax.default_matmul_precision(BFLOAT16))
            return step(*arguments)

    return traced


def _on_a_cpu() -> bool:
    return jax.default_backend() == "cpu"


def _why_not(config: RunConfig, precision: str | None = None) -> str | None:
    return onednn_probe.why_not(onednn_probe.folder() if config.cache else None, precision)
