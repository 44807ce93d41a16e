"""Metrics on their way from the device to the logs: checked step by step, averaged over rows."""

from __future__ import annotations

import collections
import contextlib
import json
import math
import pathlib
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tensorboardX import record_writer
from tensorboardX.proto import event_pb2, summary_pb2

from jaxgan import files
from jaxgan.runs import run_directory
from jaxgan.runs.errors import NotFinite, RunError, RunStopped
from jaxgan.types import Array, Metrics

Row = dict[str, Any]
Sink = Callable[[Row], None]

TIMES = ("images_per_second", "seconds")
"""The entries of a row that depend on the machine; all others repeat exactly."""

# Protocol buffers make their classes when they are loaded: no type checker knows them.
_EVENTS: Any = event_pb2
_SUMMARIES: Any = summary_pb2

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

    Of an ensemble, whose `seeds` are given, a row holds the means over the members and, under
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
        of an ensemble [S], or [K, S].

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
    """Totals and counts by sorted name as one array to transfer: [M, 2], of an ensemble [S, M, 2],
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
        _append(path, json.dumps(row) + "\n")

    return write


def _append(path: pathlib.Path, content: str | bytes) -> None:
    try:
        files.append(path, content)
    except OSError as error:
        raise RunStopped(f"{path} cannot be written to: {files.reason(error)}") from error


class Log(NamedTuple):
    """What a file of rows holds: the rows, and the lines that are none, but for what a crash left
    of a last one.
    """

    rows: list[Row]
    damaged: list[bytes]


def read(path: pathlib.Path) -> Log:
    """What is in the file; nothing where there is no file. RunError where it cannot be read."""
    try:
        content = files.read(path)
    except FileNotFoundError:
        return Log([], [])
    except OSError as error:
        raise RunError(f"{path} cannot be read: {files.reason(error)}") from error
    *lines, last = content.split(b"\n")
    found, damaged = [], []
    for line in filter(bytes.strip, lines):
        row = _row(line)
        if row is None:
            damaged.append(line)
        else:
            found.append(row)
    torn = _row(last)
    return Log(found if torn is None else [*found, torn], damaged)


def rows(path: pathlib.Path) -> list[Row]:
    """The rows in the file, without what is none; none where there is no file."""
    return read(path).rows


def _row(line: bytes) -> Row | None:
    """The row that the line holds; None where it holds none that a run could have written."""
    try:
        row = run_directory.parsed(line.decode("utf-8-sig"))
    except ValueError:
        return None
    if not isinstance(row, dict) or type(row.get("step")) is not int or row["step"] < 0:
        return None
    numbers = all(_is_number(value) for name, value in row.items() if name not in NO_NUMBERS)
    members = "members" not in row or _are_members(row["members"])
    measured = MEASURED not in row or _is_measured(row[MEASURED], row)
    return row if numbers and members and measured else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_members(value: Any) -> bool:
    """Whether it is the numbers of each seed by name, and as many seeds."""
    if not isinstance(value, dict) or not isinstance(value.get("seed"), list):
        return False
    return all(
        isinstance(of_seeds, list)
        and len(of_seeds) == len(value["seed"])
        and all(map(_is_number, of_seeds))
        for of_seeds in value.values()
    )


def _is_measured(value: Any, row: Row) -> bool:
    """Whether it says what the measurement in the row depends on, as a choice of the best reads."""
    try:
        aim, settings = value["aim"], value["settings"]
        metric, number = aim["metric"], aim["number"]
        says = isinstance(settings, dict) and metric in settings["metrics"].keys()  # noqa: SIM118
        return says and _is_number(row[number]) and isinstance(aim["best"], str)
    except (KeyError, TypeError, AttributeError):  # other types than those of a measurement
        return False


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
    """Event files of the rows, each written out at once: those given, and what is called with.

    The file replaces those that are there, whose rows may be void or may lack the last ones before
    a crash, and tells a TensorBoard that has read them to forget them. A member of an ensemble has
    a tag of its own, like 'generator/loss/seed_3'.
    """

    def __init__(self, path: pathlib.Path, rows: Sequence[Row] = ()) -> None:
        path.mkdir(exist_ok=True)
        earlier = sorted(path.glob(f"{run_directory.EVENTS}*"))
        self._path = _later(path, earlier)
        # When the rows were written is not known, but how much training time lay between them.
        self._began = time.time() - max((row.get("seconds", 0.0) for row in rows), default=0.0)
        self._seconds = 0.0
        self._write(self._began, file_version="brain.Event:2")
        if earlier:
            forget = _EVENTS.SessionLog(status=_EVENTS.SessionLog.START)
            self._write(self._began, step=0, session_log=forget)
        for row in rows:
            self._seconds = max(self._seconds, row.get("seconds", 0.0))
            self._add(row, self._began + self._seconds)
        for file in earlier:
            file.unlink()

    def __call__(self, row: Row) -> None:
        self._add(row, time.time())

    def _add(self, row: Row, when: float) -> None:
        of_members = dict(row.get("members", {}))
        seeds = of_members.pop("seed", [])
        scalars = {name: value for name, value in row.items() if name not in NO_NUMBERS}
        for name, values in of_members.items():
            tags = [f"{name}/seed_{seed}" for seed in seeds]
            scalars |= dict(zip(tags, values, strict=True))
        points = [_SUMMARIES.Summary.Value(tag=k, simple_value=v) for k, v in scalars.items()]
        self._write(when, step=row["step"], summary=_SUMMARIES.Summary(value=points))

    def _write(self, when: float, **entries: Any) -> None:
        content = _EVENTS.Event(wall_time=when, **entries).SerializeToString()
        length = struct.pack("<Q", len(content))
        _append(self._path, length + _checksum(length) + content + _checksum(content))


def _later(path: pathlib.Path, earlier: Sequence[pathlib.Path]) -> pathlib.Path:
    """A new event file in the directory whose name sorts after the earlier ones': TensorBoard reads
    them in that order.
    """
    seconds = int(time.time())
    while True:
        file = path / f"{run_directory.EVENTS}{seconds:010d}.{socket.gethostname()}"
        if not file.exists() and all(file.name > other.name for other in earlier):
            return file
        seconds += 1


def _checksum(content: bytes) -> bytes:
    return struct.pack("<I", record_writer.masked_crc32c(content))
