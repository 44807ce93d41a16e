"""Training in every mode on every number of devices, next to training on one device.

    python -m tests.parity build/parity.jsonl                  # all models
    python -m tests.parity build/parity.jsonl dcgan cyclegan   # some

measures what is missing in the file, first on 8 devices (half an hour on two cores), then on 2, 4
and 1, and prints the table of what is in it.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import json
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

if __name__ == "__main__":
    from tests import conftest  # noqa: F401 - simulates the devices, before JAX is imported

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from jaxgan import parallel
from jaxgan.types import GAN
from tests import laws

COUNTS = (1, 2, 4, 8)
"""Numbers of devices."""


def ways(name: str) -> Iterator[tuple[str, int]]:
    """The modes and numbers of devices in which the case trains as on one device under jit."""
    for mode in parallel.MODES:
        for devices in COUNTS:
            same = (mode, devices) == ("jit", 1)
            if not same and (mode == "jit" or "L3" not in laws.BY_NAME[name].exempt):
                yield mode, devices


class Trained(NamedTuple):
    """A state after some train steps, and the metrics of each of them."""

    state: Any
    reports: list[dict[str, float]]


@functools.cache
def compiled(gan: GAN, mode: str = "jit", devices: int = 1, split: bool = False) -> Any:
    """The compiled step on the first devices, and the list that grows by one at every tracing."""
    traces: list[None] = []

    def counted(state: Any, batch: Any) -> Any:
        traces.append(None)
        return gan.step(state, batch)

    mesh = parallel.data_mesh(jax.devices()[:devices])
    step = parallel.compile_step(
        counted, mode=mode, mesh=mesh, donate=False, shard_parameters=split
    )
    return step, mesh, traces


def as_state_of(gan: GAN, state: Any) -> Any:
    """The values of the state as a state of the model: a state carries its networks, axis names and
    all.
    """
    return jax.tree.unflatten(
        jax.tree.structure(gan.init(jax.random.key(7))), jax.tree.leaves(state)
    )


def run(
    gan: GAN,
    case: laws.Case,
    count: int,
    state: Any = None,
    mode: str = "jit",
    devices: int = 1,
    dtype: Any = np.float32,
    split: bool = False,
) -> Trained:
    """Trains `count` steps on the first devices."""
    step, mesh, _ = compiled(gan, mode, devices, split)
    state = gan.init(jax.random.key(7)) if state is None else state
    state = parallel.place_state(state, mesh, mode=mode, shard_parameters=split)
    reports = []
    for _ in range(count):
        batch = laws.batch_of(case, seed=int(state.step), dtype=dtype)
        state, metrics = step(state, parallel.shard(batch, mesh))
        # A mean of nothing, of a step whose turn it is not, is NaN and equals nothing.
        reports.append({n: float(mean.value) for n, mean in metrics.items() if mean.count})
    return Trained(state, reports)


@functools.cache
def plain(name: str) -> GAN:
    """The model of the case, so that laws share its programs."""
    return laws.BY_NAME[name].build()


@functools.cache
def parallelized(name: str) -> GAN:
    """The model of the case for the modes that name an axis."""
    return laws.BY_NAME[name].build(axis_name=parallel.AXIS)


def distance(expected: Any, found: Any) -> float:
    """The largest difference of two numbers of the trees, relative where they exceed 1."""
    worst = 0.0
    for a, b in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        if jnp.issubdtype(jnp.result_type(a), jnp.floating) and np.size(a):
            a, b = np.asarray(a), np.asarray(b)
            apart = float(np.max(np.abs(a - b) / np.maximum(1, np.abs(a))))
            worst = max(worst, np.inf if np.isnan(apart) else apart)
    return worst


def losses_of(trained: Trained) -> list[dict[str, float]]:
    return [{n: v for n, v in row.items() if n.endswith("/loss")} for row in trained.reports]


# --- the table ------------------------------------------------------------------------------------


class Apart(NamedTuple):
    """How far a training is from that of one device (`distance`).

    early: all numbers of the state after 2 steps, and the metrics of both.
    late:  the same of 10 steps.
    loss:  the losses of 10 steps.
    """

    early: float
    late: float
    loss: float


def _snapshots(
    gan: GAN, case: laws.Case, state: Any, dtype: str, *way: Any
) -> tuple[Trained, Trained]:
    early = run(gan, case, 2, state, *way, dtype=np.dtype(dtype))
    late = run(gan, case, 8, early.state, *way, dtype=np.dtype(dtype))
    return early, Trained(late.state, early.reports + late.reports)


def _apart(expected: tuple[Trained, Trained], found: tuple[Trained, Trained]) -> Apart:
    return Apart(
        *(distance(tuple(a), tuple(b)) for a, b in zip(expected, found, strict=True)),
        loss=distance(losses_of(expected[1]), losses_of(found[1])),
    )


def nudged(state: Any) -> Any:
    """The state with each float changed by one rounding error, up or down."""
    draws = np.random.default_rng(0)

    def nudge(leaf: Any) -> Any:
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return leaf
        signs = draws.choice([-1, 1], size=leaf.shape)
        return leaf * (1 + signs * jnp.finfo(leaf.dtype).eps).astype(leaf.dtype)

    return jax.tree.map(nudge, state)


ROUNDING = "one device"
"""Stands in place of the mode: one device, from a first state with other rounding errors."""


@functools.cache
def _start(name: str, dtype: str) -> tuple[Any, tuple[Trained, Trained]]:
    """The first state of the case, and its training on one device."""
    gan = plain(name)
    start = gan.init(jax.random.key(7))
    start = laws.at_double_precision(start) if dtype == "float64" else start
    return start, _snapshots(gan, laws.BY_NAME[name], start, dtype)


def measured(name: str, dtype: str, mode: str, devices: int) -> Apart:
    """How far training is from that of one device.

    Args:
        name: The case.
        dtype: 'float32' or 'float64'.
        mode: The mode, or `ROUNDING`: how much the model itself makes of rounding errors.
        devices: Number of devices.
    """
    with jax.enable_x64(dtype == "float64"):
        case = laws.BY_NAME[name]
        start, expected = _start(name, dtype)
        if mode == ROUNDING:
            return _apart(expected, _snapshots(plain(name), case, nudged(start), dtype))
        gan = plain(name) if mode == "jit" else parallelized(name)
        start = as_state_of(gan, start)
        return _apart(expected, _snapshots(gan, case, start, dtype, mode, devices))


def wanted(names: list[str]) -> Iterator[tuple[str, str, str, int]]:
    """What the table needs, in an order in which its first part says most."""
    for count in (8, 2, 4, 1):
        for name in names:
            for dtype in ("float64", "float32"):
                if count == 8:
                    yield name, dtype, ROUNDING, 1
                for mode, devices in ways(name):
                    if devices == count:
                        yield name, dtype, mode, devices


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """The largest difference of every model, in lines of Markdown."""
    most: dict[Any, float] = collections.defaultdict(float)
    ways = collections.Counter(row["name"] for row in rows if row["mode"] != ROUNDING)
    for row in rows:
        for field in Apart._fields:
            place = row["name"], row["dtype"], row["mode"] == ROUNDING, field
            most[place] = max(most[place], row[field])
    columns = {
        "float64, 2 steps": ("float64", False, "early"),
        "10 steps": ("float64", False, "late"),
        "by rounding": ("float64", True, "late"),
        "float32, losses of 10 steps": ("float32", False, "loss"),
        "by rounding ": ("float32", True, "loss"),
    }
    yield "| model | " + " | ".join(columns) + " | measured |"
    yield "|---" * (2 + len(columns)) + "|"
    for name in ways:
        numbers = (most.get((name, *column)) for column in columns.values())
        written = ("" if number is None else f"{number:.0e}" for number in numbers)
        yield f"| {name} | {' | '.join(written)} | {ways[name]} |"


@dataclasses.dataclass(frozen=True)
class Config:
    """Trains in every mode on every number of devices, and compares."""

    file: tyro.conf.Positional[pathlib.Path]
    """The rows measured so far; others are added."""
    models: tyro.conf.Positional[tuple[str, ...]] = ()
    """Cases of tests/laws.py; default: all."""


def main() -> None:
    """Measures what is missing in the file, row by row, and prints the table."""
    given = tyro.cli(Config)
    path = given.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    known = {(row["name"], row["dtype"], row["mode"], row["devices"]) for row in rows}
    latest = None
    for way in wanted(list(given.models or laws.BY_NAME)):
        if way in known:
            continue
        if latest not in (None, way[:2]):  # programs and states take memory
            for cached in (compiled, _start):
                cached.cache_clear()
            jax.clear_caches()
        latest = way[:2]
        apart = measured(*way)
        named = dict(zip(("name", "dtype", "mode", "devices"), way, strict=True))
        rows.append({**named, **apart._asdict()})
        with path.open("a") as file:
            file.write(json.dumps(rows[-1]) + "\n")
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
