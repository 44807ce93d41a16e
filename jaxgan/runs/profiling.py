"""Traces of some train steps, for TensorBoard or Perfetto."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import jax

from jaxgan.types import TrainStep

_WARM_UP = 2  # calls: the first compiles, the second may still allocate


@contextlib.contextmanager
def traced(
    step: TrainStep, *, calls: int, path: pathlib.Path, say: Callable[[str], None]
) -> Iterator[TrainStep]:
    """Yields the step, some of whose calls are traced, from the third on.

    Args:
        step: A compiled train step.
        calls: How many calls to trace; 0: none.
        path: The folder of the trace.
        say: Reports a line to the user: where the trace is, or that the run was too short for one.
    """
    if calls == 0:
        yield step
        return
    made, tracing = 0, False

    def finish(output: Any) -> None:
        nonlocal tracing
        jax.block_until_ready(output)
        jax.profiler.stop_trace()
        tracing = False
        say(f"traced {made - _WARM_UP} calls to {path}")

    def call(state: Any, batch: Any) -> Any:
        nonlocal made, tracing
        if made == _WARM_UP:
            jax.block_until_ready(state)
            jax.profiler.start_trace(str(path), create_perfetto_trace=True)
            tracing = True
        output = step(state, batch)
        made += 1
        if tracing and made == _WARM_UP + calls:
            finish(output)
        return output

    try:
        yield call
    finally:
        if tracing:
            finish(())
        elif made <= _WARM_UP:
            say(
                f"nothing was traced: the run made {made} calls, and the trace begins "
                f"after {_WARM_UP}"
            )
