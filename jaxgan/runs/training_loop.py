"""The training loop: it knows steps, batches and when to do what, and nothing of players."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from jax.sharding import Mesh

from jaxgan import parallel, steps
from jaxgan.runs.seeds import Seeds, stacked
from jaxgan.types import Batch, TrainStep


class Recorder(Protocol):
    """What the loop needs of the log."""

    def add(self, step: int, metrics: Any) -> None: ...
    def settle(self) -> None: ...


class Event(NamedTuple):
    """Something to do every so many steps, at some steps of its own, and at the end.

    Attributes:
        period: Steps from one time to the next; 0: never in between.
        act: `act(step, state)`, what to do.
        at: Further steps to do it at.
    """

    period: int
    act: Callable[[int, Any], None]
    at: tuple[int, ...] = ()

    def due(self, before: int, reached: int, last: int) -> bool:
        """Returns whether a call does it: one of its steps or the end is in (before, reached].

        Args:
            before: The step the call began at.
            reached: The step it ended at.
            last: The last step of the stage or run.
        """
        crossed = self.period > 0 and reached // self.period > before // self.period
        early = any(before < step <= reached for step in self.at)
        return crossed or early or reached >= last


def fit(
    step: TrainStep,
    state: Any,
    batches: Callable[[int], Batch],
    *,
    span: range,
    recorder: Recorder,
    events: tuple[Event, ...] = (),
    asked_to_stop: Callable[[], bool] = lambda: False,
) -> tuple[int, Any]:
    """The step reached and the state after the steps of `span`, whose stride is those of one call.

    `batches(t)` is what the call that begins at step t trains on. Events see only states whose
    metrics have been found finite; they follow one another in the order given. The loop ends early,
    between two calls, when asked to.
    """
    reached = span.start
    for at in span:
        state, metrics = step(state, batches(at))
        recorder.add(at, metrics)
        reached = at + span.step
        due = [event for event in events if event.due(at, reached, span.stop)]
        if due:
            recorder.settle()
        for event in due:
            event.act(reached, state)
        if asked_to_stop():
            break
    recorder.settle()
    return reached, state


def compile_call(step: TrainStep, *, per_call: int, mode: str, mesh: Mesh) -> TrainStep:
    """`per_call` train steps as one compiled call; of several, all arrays are stacked [K, ...]."""
    if per_call == 1:
        return parallel.compile_step(step, mode=mode, mesh=mesh)
    single = parallel.compile_step(step, mode=mode, mesh=mesh, donate=False)
    return jax.jit(steps.repeat(single), donate_argnums=(0,))


def compile_ahead(step: Any, state: Any, batch: Batch) -> None:
    """Compiles the step of `compile_call` for the state and batch, which it leaves alone: its first
    call, which takes the state's memory, then takes no longer than others.
    """
    step.lower(state, batch).compile()


def batches_of(
    dataset: Any, *, seeds: Seeds, size: int, per_call: int, mesh: Mesh
) -> Callable[[int], Batch]:
    """The batches, on the devices, of the call that begins at a step: a pure function of it.

    They are [B, ...], or [S, B, ...] of several seeds, whose members are then split over the
    devices instead of the rows; those of several steps are stacked [K, ...]. Raises ValueError
    where the devices do not divide the rows of a single seed.
    """
    seeds.require_divided(size, mesh)

    def one(step: int) -> Mapping[str, np.ndarray]:
        return seeds.batch(dataset, step=step, size=size)

    def several(step: int) -> Batch:
        batches = [one(step + offset) for offset in range(per_call)]
        return parallel.shard(stacked(batches), mesh, axis=1)

    if per_call == 1:
        return lambda step: parallel.shard(one(step), mesh)
    return several
