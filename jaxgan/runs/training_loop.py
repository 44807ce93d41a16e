"""The training loop. It handles steps, batches and events, and is independent of the players."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from jax.sharding import Mesh

from jaxgan import parallel, steps
from jaxgan.runs import convolutions, prefetch
from jaxgan.runs.seeds import Seeds, stacked
from jaxgan.types import Batch, TrainStep


class Recorder(Protocol):
    """The part of the log that the loop uses."""

    def add(self, step: int, metrics: Any) -> None:
        """Adds the metrics of one call.

        Args:
            step: The step at which the call began.
            metrics: The metrics that the call returned.
        """
        ...

    def settle(self) -> None:
        """Waits for all metrics. Raises NotFinite if they are not finite."""
        ...

    def waited(self, seconds: float) -> None:
        """Adds the time that a call waited for its batch."""
        ...


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
    """Trains over the steps of `span`; returns the step reached and its state.

    Events see only states whose metrics are known to be finite.

    Args:
        step: The compiled train step, or several of them in one call.
        state: The state at the first step of the span.
        batches: `batches(t)`, the batch of the call that begins at step t. It is called ahead of
            time, in a thread.
        span: The steps at which the calls begin. Its stride is the number of steps of a call.
        recorder: The log, which takes the metrics.
        events: What to do at some steps, in this order.
        asked_to_stop: Whether to end early; asked between two calls.
    """
    reached = span.start
    with prefetch.batches(batches, span) as following:
        for at in span:
            batch, waited = following()
            recorder.waited(waited)
            state, metrics = step(state, batch)
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


def compile_call(
    step: TrainStep,
    *,
    per_call: int,
    mode: str,
    mesh: Mesh,
    implementation: str | None = None,
    precision: str = "float32",
    shard_parameters: bool = False,
) -> TrainStep:
    """Returns `per_call` train steps as one compiled call.

    Args:
        step: The train step of the model.
        per_call: Steps of a call, K. If there are several, batches and metrics are stacked
            [K, ...].
        mode: How to run on several devices: jit, shard_map or pmap.
        mesh: The devices.
        implementation: That of the convolutions (`runs.convolutions`); None: by platform.
        precision: The run's precision.
        shard_parameters: Whether the arrays of the players are split over the devices.
    """
    step = convolutions.traced_with(step, implementation, precision)

    def compiled(donate: bool) -> TrainStep:
        return parallel.compile_step(
            step, mode=mode, mesh=mesh, donate=donate, shard_parameters=shard_parameters
        )

    if per_call == 1:
        return compiled(donate=True)
    single = compiled(donate=False)
    return jax.jit(steps.repeat(single), donate_argnums=(0,))


def compile_ahead(step: Any, state: Any, batch: Batch) -> Any:
    """Compiles the step of `compile_call`, so that its first call takes no longer than others.

    That call donates the memory of the state; this function leaves it alone. It returns the
    compiled step, to look at.

    Args:
        step: What `compile_call` returned.
        state: The state, for shapes and devices.
        batch: A batch, for shapes and devices.
    """
    return step.lower(state, batch).compile()


def batches_of(
    dataset: Any, *, seeds: Seeds, size: int, per_call: int, mesh: Mesh
) -> Callable[[int], Batch]:
    """Returns a pure function of a step: the batch, on the devices, of the call that begins there.

    A batch is [B, ...], or [S, B, ...] for several seeds. With several steps a call it is stacked
    [K, ...]. Of several processes, each reads only the examples that its own devices take.

    Args:
        dataset: The training data.
        seeds: The seeds of the models. One model's examples are split over the devices; of several
            models, the models are.
        size: Examples of a step, B.
        per_call: Steps of a call, K.
        mesh: The devices.

    Raises:
        ValueError: If the devices do not divide the examples of a single model.
    """
    seeds.require_divided(size, mesh)
    share = parallel.share_of(size, mesh) if seeds.single else None

    def one(step: int) -> Mapping[str, np.ndarray]:
        return seeds.batch(dataset, step=step, size=size, rows=share and share.rows)

    def several(step: int) -> Batch:
        batches = [one(step + offset) for offset in range(per_call)]
        return parallel.shard(stacked(batches), mesh, axis=1, share=share)

    if per_call == 1:
        return lambda step: parallel.shard(one(step), mesh, share=share)
    return several
