"""jaxgan's side. It trains as a run does: compiled initialization and steps, a donated state.

    python -m benchmarks.side_by_side.jaxgan_side train CASE [SEED ...]
    python -m benchmarks.side_by_side.jaxgan_side run CASE STEPS SEED [SEED ...]
    python -m benchmarks.side_by_side.jaxgan_side record CASE FILE

Several seeds train together, as an ensemble in one program.
"""

from __future__ import annotations

import contextlib
import math
import os
import pathlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks import cases
from benchmarks.side_by_side import evidence, protocol
from jaxgan import parallel, random
from jaxgan.games import ensemble
from jaxgan.kernels import threefry
from jaxgan.runs import environment, setup, training_loop
from jaxgan.types import GAN

_EARLY = 10


class Started(NamedTuple):
    """A run after its first call.

    Attributes:
        seconds: Time from building the model to the end of the first call.
        train_on: `train_on(steps)` makes that many more train steps, in whole calls, and waits for
            them.
        losses: By name of the metric, the losses of the first steps of the first seed.
    """

    seconds: float
    train_on: Callable[[int], None]
    losses: dict[str, list[float]]


def start(case: cases.Case, seeds: Sequence[int] = (0,)) -> Started:
    """Starts to train the case, as an ensemble if there are several seeds.

    Its seconds exclude imports, the start of JAX's devices, and the transfer of the batch.

    Args:
        case: The case to train.
        seeds: The seeds of the models.
    """
    case.build_gan()  # imports what it needs
    threefry.install()
    if len(seeds) > 1:
        environment.use_cores(len(seeds))
    mesh = parallel.data_mesh()
    if len(seeds) > 1:
        mesh = ensemble.mesh_for(len(seeds), mesh)
    batch = _on_devices(case, len(seeds), mesh)
    begun = time.perf_counter()
    gan, state = _fresh(case, seeds, mesh)
    call = training_loop.compile_call(
        gan.step,
        per_call=case.per_call,
        mode="jit",
        mesh=mesh,
        implementation=os.environ.get(protocol.CONVOLUTIONS),
        precision=os.environ.get(protocol.PRECISION, "float32"),
    )
    state, metrics = jax.block_until_ready(call(state, batch))
    seconds = time.perf_counter() - begun
    losses = {
        name: np.reshape(mean.value, (case.per_call, -1))[:_EARLY, 0].tolist()
        for name, mean in metrics.items()
        if name.endswith("/loss")
    }

    def train_on(steps: int) -> None:
        nonlocal state
        for _ in range(steps // case.per_call):
            state, _ = jax.block_until_ready(call(state, batch))

    return Started(seconds, train_on, losses)


def _fresh(case: cases.Case, seeds: Sequence[int], mesh: jax.sharding.Mesh) -> tuple[GAN, Any]:
    """Returns the model and its initial state on the mesh."""
    gan = case.build_gan()
    if len(seeds) == 1:
        return gan, parallel.place_state(setup.initial_state(gan, jax.random.key(seeds[0])), mesh)
    gan = ensemble.spread(ensemble.of(gan), mesh)
    return gan, ensemble.place(setup.initial_state(gan, ensemble.keys(seeds)), mesh)


def _on_devices(case: cases.Case, seeds: int, mesh: jax.sharding.Mesh) -> Any:
    """Returns a call's batch: [S, B, ...] for several seeds, [K, ...] for several steps."""
    data, axis = case.data(), 0
    if seeds > 1:
        data = {name: np.stack([values] * seeds) for name, values in data.items()}
    if case.per_call > 1:
        data, axis = {n: np.stack([values] * case.per_call) for n, values in data.items()}, 1
    return parallel.shard(data, mesh, axis=axis)


def record(case: cases.Case) -> evidence.Evidence:
    """Records the first steps of the case: weights, batch, random draws, and losses."""
    gan, batch = case.build_gan(), case.data()
    state = jax.jit(gan.init)(jax.random.key(0))
    before = {name: lively(player.params) for name, player in state.players.items()}
    state = state.with_params(before)
    losses: dict[str, list[float]] = {}
    with _recorded() as draws:
        step = jax.jit(gan.step)
        for _ in range(case.compared):
            state, metrics = step(state, batch)
            for name, mean in metrics.items():
                losses.setdefault(name, []).append(float(mean.value))
        jax.effects_barrier()
    after = {name: jax.device_get(state[name].params) for name in before}
    return evidence.Evidence(before, after, batch, draws, losses)


def lively(params: Any) -> Any:
    """Returns params with kernels large enough to pass a signal on, and nonzero biases.

    The outputs of freshly initialized networks are nearly zero, so even different networks would
    agree.
    """
    draws = np.random.default_rng(0)

    def enliven(leaf: jax.Array) -> np.ndarray:
        values = np.asarray(leaf)
        if values.ndim < 2:
            return values + draws.normal(0, 0.1, values.shape).astype(values.dtype)
        wanted = math.sqrt(2 / math.prod(values.shape[:-1]))
        if not values.any():  # the last kernel of a block that begins as the identity
            return draws.normal(0, wanted, values.shape).astype(values.dtype)
        return values * np.float32(max(wanted / values.std(), 1.0))

    return jax.tree.map(enliven, params)


@contextlib.contextmanager
def _recorded() -> Iterator[list[tuple[str, np.ndarray]]]:
    """Yields a list to which programs traced in the block append every draw's name and values.

    All draws of the library pass through `random.draw`, which is replaced inside the block.
    """
    made: list[tuple[str, np.ndarray]] = []
    original = random.draw

    def draw(keys: random.Keys, function: Callable[[jax.Array], jax.Array]) -> jax.Array:
        values = original(keys, function)
        name = keys.path.rsplit("/")[-1]
        jax.debug.callback(lambda v: made.append((name, np.asarray(v))), values, ordered=True)
        return values

    random.draw = draw
    try:
        yield made
    finally:
        random.draw = original


def main(action: str, name: str, *rest: str) -> None:
    """Serves the requests of the benchmark, trains for some steps, or records the first steps.

    Args:
        action: 'train', 'run' or 'record'.
        name: The name of the case.
        *rest: The other arguments of the action.
    """
    case = cases.named(name)
    if action == "record":
        evidence.save(pathlib.Path(rest[0]), record(case))
        return
    environment.use_compilation_cache()
    environment.keep_freed_memory()
    if action == "run":
        steps, *seeds = (int(number) for number in rest)
        start(case, seeds).train_on(steps - case.per_call)
        return
    started = start(case, [int(seed) for seed in rest] or (0,))
    hello = {"first_step_s": started.seconds, "losses": started.losses, "per_call": case.per_call}
    protocol.serve(hello, started.train_on)


if __name__ == "__main__":
    main(*sys.argv[1:])
