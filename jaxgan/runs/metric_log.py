"""Metrics on their way from the device to the logs: checked step by step, averaged over rows."""

from __future__ import annotations

import collections
import contextlib
import json
import math
import pathlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tensorboardX

from jaxgan import files
from jaxgan.runs.errors import NotFinite, RunStopped
from jaxgan.types import Array, Metrics

Row = dict[str, Any]
Sink = Callable[[Row], None]

TIMES = ("images_per_second", "seconds")
"""The entries of a row that depend on the machine; all others repeat exactly."""

MEASURED = "measured"
"""The entry of a row of a measurement with all that its numbers depend on."""

NO_NUMBERS = ("step", "members", MEASURED)
"""The entries of a row that are no numbers to plot."""


def calls_ahead() -> int:
    """How many calls the host may run ahead of the device, so that it never waits for the host.

    None on a CPU, which is the host: the arrays of a call that waits would only take memory.
    """
    return 0 if jax.default_backend() == "cpu" else 4


class Recorder:
    """Collects the metrics of train steps; gives their means, a row every `every` steps, to sinks.

    Of a population, whose `seeds` are given, a row holds the means over the members and, under
    "members", a list of theirs by name, beside that of their seeds.

    Metrics are fetched `ahead` calls late. What is not yet in a row, and the training time so
    far, are in `notes`, with which a resumed run goes on: its rows are those of a run that was
    never interrupted.
    """

    def __init__(
        self,
        *,
        every: int,
        rows_per_step: int,
        sinks: Iterable[Sink],
        notes: Mapping[str, Any],
        ahead: int = 0,
        seeds: Sequence[int] = (),
        tick: Callable[[int], None] = lambda step: None,
    ) -> None:
        self._every, self._rows_per_step, self._sinks = every, rows_per_step, tuple(sinks)
        self._tick, self._seeds, self._ahead = tick, tuple(seeds), ahead
        self._waiting: collections.deque[tuple[int, list[str], Array]] = collections.deque()
        sums = {
            name: np.asarray(pairs, np.float64) for name, pairs in notes.get("sums", {}).items()
        }
        self._sums: dict[str, np.ndarray] = sums  # totals and counts by name, [S, 2]
        self._logged = int(notes.get("logged", 0))
        self._step = self._logged
        self._before, self._since = float(notes.get("seconds", 0.0)), time.monotonic()
        self._row_steps, self._timed_steps, self._timed_from = 0, 0, None

    @property
    def notes(self) -> dict[str, Any]:
        """What a checkpoint must hold of the log: the last row's step, the sums since, the time."""
        sums = {name: pairs.tolist() for name, pairs in self._sums.items()}
        return {"logged": self._logged, "sums": sums, "seconds": self._seconds()}

    def add(self, step: int, metrics: Metrics) -> None:
        """Takes what one call that began at `step` reports: scalars, or stacked [K] over its steps;
        of a population [S], or [K, S].

        Raises NotFinite where those of an earlier call turn out not to be finite.
        """
        packed = _pack(metrics)
        packed.copy_to_host_async()
        self._waiting.append((step, sorted(metrics), packed))
        # The first call is waited for: it compiles.
        while len(self._waiting) > (self._ahead if self._timed_from else 0):
            self._take(*self._waiting.popleft())

    def settle(self) -> None:
        """Waits for all metrics given so far. Raises NotFinite where they are not finite."""
        while self._waiting:
            self._take(*self._waiting.popleft())

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Time inside the block is not counted as training."""
        began = time.monotonic()
        try:
            yield
        finally:
            lost = time.monotonic() - began
            self._since += lost
            if self._timed_from is not None:
                self._timed_from += lost

    def write_rest(self) -> None:
        """Writes the steps since the last row as a short row, which a continued run replaces."""
        if self._row_steps:
            self._write()

    def _take(self, first: int, names: list[str], packed: Array) -> None:
        values = np.asarray(packed, np.float64).reshape(-1, max(1, len(self._seeds)), len(names), 2)
        for offset, of_step in enumerate(values):
            self._step = first + offset + 1
            _require_finite(self._step, names, of_step, seeds=self._seeds)
            for index, name in enumerate(names):
                self._sums[name] = self._sums.get(name, 0.0) + of_step[:, index]
            self._row_steps += 1
            self._timed_steps += 1
            if self._step % self._every == 0:
                self._write()
                self._sums, self._logged = {}, self._step
        if self._timed_from is None:  # what compiling took says nothing of the rate
            self._timed_steps, self._timed_from = 0, time.monotonic()
        self._tick(self._step)

    def _write(self) -> None:
        row: Row = {"step": self._step}
        seen = {name: pairs.T for name, pairs in self._sums.items() if pairs[:, 1].all()}
        means = {name: total / count for name, (total, count) in seen.items()}
        row |= {name: float(of_members.mean()) for name, of_members in means.items()}
        row["images_per_second"] = round(self._rate(), 1)
        row["seconds"] = round(self._seconds(), 3)
        if self._seeds:
            of_members = {name: values.tolist() for name, values in means.items()}
            row["members"] = {"seed": list(self._seeds), **of_members}
        self._row_steps = 0
        for sink in self._sinks:
            sink(row)

    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._since

    def _rate(self) -> float:
        """Images a second since it was last asked for; 0 while only the first call is done."""
        if self._timed_from is None or not self._timed_steps:
            return 0.0
        now = time.monotonic()
        rate = self._timed_steps * self._rows_per_step / max(now - self._timed_from, 1e-9)
        self._timed_steps, self._timed_from = 0, now
        return rate


@jax.jit
def _pack(metrics: Metrics) -> Array:
    """Totals and counts by sorted name as one array to transfer: [M, 2], of a population [S, M, 2],
    of several steps [K, ...].
    """
    pairs = [jnp.stack(metrics[name], axis=-1) for name in sorted(metrics)]
    return jnp.stack(pairs, axis=-2)


def _require_finite(
    step: int, names: list[str], values: np.ndarray, *, seeds: tuple[int, ...]
) -> None:
    """Raises NotFinite, with the first member that has them, where totals or counts [S, M, 2] are
    not finite.
    """
    finite = np.isfinite(values).all(axis=(1, 2))
    if finite.all():
        return
    first = int(np.argmin(finite))
    place = f"step {step} of seed {seeds[first]}" if seeds else f"step {step}"
    broken = [
        (name, total / count if count else total)
        for name, (total, count) in zip(names, values[first], strict=True)
        if not (math.isfinite(total) and math.isfinite(count))
    ]
    name, value = min(broken, key=lambda term: not term[0].endswith("loss"))
    others = ", ".join(other for other, _ in broken if other != name)
    also = f" (and with it {others})" if others else ""
    raise NotFinite(f"{name} is {value} at {place}{also}")


def json_lines(path: pathlib.Path) -> Sink:
    """A sink that appends rows to a file of one JSON object a line, each written out at once.

    It raises RunStopped where the disk refuses.
    """

    def write(row: Row) -> None:
        try:
            with path.open("a") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise RunStopped(f"{path} cannot be written to: {files.reason(error)}") from error

    return write


def rows(path: pathlib.Path) -> list[Row]:
    """The rows in the file, up to what a crash left of a last line; none where there is no file."""
    found = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found


def is_measurement(row: Row) -> bool:
    """Whether the row tells of samples of one state, and not of train steps."""
    return MEASURED in row


def cut(path: pathlib.Path, *, after: int, measured: int) -> list[Row]:
    """Deletes the rows of later steps than `after`, or than `measured` of measurements, and what a
    crash left of a last line; returns those that are left.
    """

    def last(row: Row) -> int:
        return measured if is_measurement(row) else after

    kept = [row for row in rows(path) if row["step"] <= last(row)]
    if path.exists():
        files.write_whole(path, "".join(json.dumps(row) + "\n" for row in kept))
    return kept


class TensorBoard:
    """Event files of the rows; those after `start` of an earlier process are marked void.

    A member of a population has a tag of its own, like 'generator/loss/seed_3'.
    """

    def __init__(self, path: pathlib.Path, *, start: int) -> None:
        purge = start + 1 if start else None
        self._writer = tensorboardX.SummaryWriter(str(path), purge_step=purge, flush_secs=10)

    def __call__(self, row: Row) -> None:
        step, of_members = row["step"], dict(row.get("members", {}))
        seeds = of_members.pop("seed", [])
        scalars = {name: value for name, value in row.items() if name not in NO_NUMBERS}
        for name, values in of_members.items():
            tags = [f"{name}/seed_{seed}" for seed in seeds]
            scalars |= dict(zip(tags, values, strict=True))
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()
