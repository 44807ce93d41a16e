"""The log of metrics: checks every step, averages over rows, writes JSON lines."""

from __future__ import annotations

import collections
import contextlib
import json
import math
import pathlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import files
from jaxgan.runs import device_memory, run_directory, sweeps
from jaxgan.runs.errors import NotFinite, RunError, RunStopped
from jaxgan.types import Array, Metrics

Row = dict[str, Any]
Sink = Callable[[Row], None]

TIMES = ("images_per_second", "seconds", "data_wait", "peak_memory")
"""The entries of a row that depend on the machine. All others repeat exactly."""

MEASURED = "measured"
"""The entry of an evaluation's row that holds the settings its numbers depend on."""

LOGIT = "_logit"
"""The end of the names of mean logits."""

NO_NUMBERS = ("step", "members", MEASURED)
"""The entries of a row that are not numbers to plot."""


def calls_ahead() -> int:
    """Returns how many calls the host may run ahead of the device.

    Running ahead keeps the device from waiting for the host. On a CPU, which is the host, it is 0:
    the arrays of waiting calls would only take memory.
    """
    return 0 if jax.default_backend() == "cpu" else 4


class Members(NamedTuple):
    """What a row says of each member of an ensemble.

    Attributes:
        seeds: The seed of each member [S].
        settings: By name, the setting of each member [S]; empty if they differ in none.
        numbers: By name of a metric, the value of each member [S].
    """

    seeds: Sequence[int]
    settings: Mapping[str, Sequence[float]]
    numbers: Mapping[str, Sequence[float]]

    @property
    def labels(self) -> list[str]:
        """Returns what names each member, such as 'seed 3'."""
        return sweeps.labels(self.seeds, self.settings)

    @property
    def entry(self) -> dict[str, Any]:
        """Returns the entry 'members' of a row, as JSON values."""
        settings = {name: list(values) for name, values in self.settings.items()}
        named = {"settings": settings} if settings else {}
        return {"seed": list(self.seeds), **named, **self.numbers}


def members(row: Row) -> Members | None:
    """Returns what a row says of each member; None if it is of a single model.

    Args:
        row: A row that `read` returned.
    """
    if "members" not in row:
        return None
    numbers = dict(row["members"])
    return Members(numbers.pop("seed"), numbers.pop("settings", {}), numbers)


class Recorder:
    """Averages the metrics of train steps over rows and passes the rows to sinks.

    For an ensemble a row holds the means over the members. Its entry "members" holds the list of
    their seeds, by name the list of their "settings" if they differ in any, and, by name, a list
    with the value of each member.

    A resumed run starts from the `notes` of its checkpoint: the sums that are not yet in a row, and
    the training time so far. Its rows equal those of a run that was never interrupted.

    Args:
        every: Steps that a row is averaged over.
        rows_per_step: Examples of a train step, of all seeds, for the images per second.
        sinks: Functions that take each row.
        notes: The `notes` of the checkpoint to resume from, or an empty mapping.
        ahead: Calls by which the metrics are fetched late, see `calls_ahead`.
        seeds: The seeds of an ensemble, S; empty for a single model.
        settings: By name, the settings [S] in which the models of an ensemble differ.
        tick: `tick(step)`, called once per call when its metrics are known to be finite.
        spread: `spread(step, values)`, called with each row: by name of a mean logit, its value in
            each step since the last row, or since the run was continued.
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
        settings: Mapping[str, Sequence[float]] = MappingProxyType({}),
        tick: Callable[[int], None] = lambda step: None,
        spread: Callable[[int, Mapping[str, np.ndarray]], None] = lambda step, values: None,
    ) -> None:
        self._every, self._rows_per_step, self._sinks = every, rows_per_step, tuple(sinks)
        self._tick, self._ahead = tick, ahead
        self._spread = spread
        self._logits: dict[str, list[np.ndarray]] = {}
        self._seeds, self._settings = tuple(seeds), settings
        self._waiting: collections.deque[tuple[int, list[str], Array]] = collections.deque()
        sums = {
            name: np.asarray(pairs, np.float64) for name, pairs in notes.get("sums", {}).items()
        }
        self._sums: dict[str, np.ndarray] = sums  # totals and counts by name, [S, 2]
        self._logged = int(notes.get("logged", 0))
        self._step = self._logged
        self._before, self._since = float(notes.get("seconds", 0.0)), time.monotonic()
        self._row_steps, self._timed_steps, self._timed_from = 0, 0, None
        self._waited = 0.0

    @property
    def notes(self) -> dict[str, Any]:
        """Returns what a checkpoint stores: the last row's step, the sums since then, the time."""
        sums = {name: pairs.tolist() for name, pairs in self._sums.items()}
        return {"logged": self._logged, "sums": sums, "seconds": self._seconds()}

    def add(self, step: int, metrics: Metrics) -> None:
        """Adds the metrics of one call.

        Args:
            step: The step at which the call began.
            metrics: By name, totals and counts: scalars, or [K] for a call of several steps; [S]
                or [K, S] for an ensemble.

        Raises:
            NotFinite: If metrics that have arrived, usually those of an earlier call, are not
                finite.
        """
        packed = _pack(metrics)
        packed.copy_to_host_async()
        self._waiting.append((step, sorted(metrics), packed))
        # Wait for the first call, which compiles.
        while len(self._waiting) > (self._ahead if self._timed_from else 0):
            self._take(*self._waiting.popleft())

    def waited(self, seconds: float) -> None:
        """Adds the time that a call waited for its batch.

        Args:
            seconds: The time.
        """
        self._waited += seconds

    def settle(self) -> None:
        """Waits for all metrics added so far.

        Raises:
            NotFinite: If they are not finite.
        """
        while self._waiting:
            self._take(*self._waiting.popleft())

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Excludes the time inside the block from the training time."""
        began = time.monotonic()
        try:
            yield
        finally:
            lost = time.monotonic() - began
            self._since += lost
            if self._timed_from is not None:
                self._timed_from += lost

    def write_rest(self) -> None:
        """Writes the steps since the last row as a short row, which a resumed run replaces."""
        if self._row_steps:
            self._write()

    def _take(self, first: int, names: list[str], packed: Array) -> None:
        values = np.asarray(packed, np.float64).reshape(-1, max(1, len(self._seeds)), len(names), 2)
        for offset, of_step in enumerate(values):
            self._step = first + offset + 1
            _require_finite(self._step, names, of_step, self._seeds, self._settings)
            for index, name in enumerate(names):
                self._sums[name] = self._sums.get(name, 0.0) + of_step[:, index]
                if name.endswith(LOGIT) and of_step[:, index, 1].all():
                    total, count = of_step[:, index].T
                    self._logits.setdefault(name, []).append(total / count)
            self._row_steps += 1
            self._timed_steps += 1
            if self._step % self._every == 0:
                self._write()
                self._sums, self._logged = {}, self._step
        if self._timed_from is None:  # the rate excludes compilation
            self._timed_steps, self._timed_from, self._waited = 0, time.monotonic(), 0.0
        self._tick(self._step)

    def _write(self) -> None:
        row: Row = {"step": self._step}
        seen = {name: pairs.T for name, pairs in self._sums.items() if pairs[:, 1].all()}
        means = {name: total / count for name, (total, count) in seen.items()}
        row |= {name: float(of_members.mean()) for name, of_members in means.items()}
        rate, wait = self._rate()
        row["images_per_second"], row["data_wait"] = round(rate, 1), round(wait, 4)
        row["seconds"] = round(self._seconds(), 3)
        if (most := device_memory.peak()) is not None:
            row["peak_memory"] = most
        if self._seeds:
            numbers = {name: values.tolist() for name, values in means.items()}
            row["members"] = Members(self._seeds, self._settings, numbers).entry
        self._row_steps = 0
        for sink in self._sinks:
            sink(row)
        if self._logits:
            self._spread(self._step, {k: np.concatenate(v) for k, v in self._logits.items()})
            self._logits = {}

    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._since

    def _rate(self) -> tuple[float, float]:
        """Returns what happened since the last row, or zeros after the first call only.

        That is the images per second, and the fraction of the time in which calls waited for their
        batches.
        """
        if self._timed_from is None or not self._timed_steps:
            return 0.0, 0.0
        now = time.monotonic()
        seconds = max(now - self._timed_from, 1e-9)
        rate = self._timed_steps * self._rows_per_step / seconds
        wait = min(self._waited / seconds, 1.0)
        self._timed_steps, self._timed_from, self._waited = 0, now, 0.0
        return rate, wait


@jax.jit
def _pack(metrics: Metrics) -> Array:
    """Stacks totals and counts, sorted by name, into one array to transfer.

    The array is [M, 2], or [S, M, 2] for an ensemble, with a leading [K] for several steps.
    """
    pairs = [jnp.stack(metrics[name], axis=-1) for name in sorted(metrics)]
    return jnp.stack(pairs, axis=-2)


def _require_finite(
    step: int,
    names: list[str],
    values: np.ndarray,
    seeds: Sequence[int],
    settings: Mapping[str, Sequence[float]],
) -> None:
    """Raises NotFinite if totals or counts [S, M, 2] are not finite; it names the first member."""
    finite = np.isfinite(values).all(axis=(1, 2))
    if finite.all():
        return
    first = int(np.argmin(finite))
    place = f"step {step} of {sweeps.labels(seeds, settings)[first]}" if seeds else f"step {step}"
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
    """Returns a sink that appends each row to the file as a line of JSON, and flushes it.

    The sink raises RunStopped if the file cannot be written to, such as on a full disk.
    """

    def write(row: Row) -> None:
        append(path, json.dumps(row) + "\n")

    return write


def append(path: pathlib.Path, content: str | bytes) -> None:
    """Appends to a file of the log, which is created if needed.

    Raises:
        RunStopped: If the file cannot be written to, such as on a full disk.
    """
    try:
        files.append(path, content)
    except OSError as error:
        raise RunStopped(f"{path} cannot be written to: {files.reason(error)}") from error


class Log(NamedTuple):
    """The content of a log file.

    Attributes:
        rows: The rows.
        damaged: The lines that are not rows, without an unfinished last line left by a crash.
    """

    rows: list[Row]
    damaged: list[bytes]


def read(path: pathlib.Path) -> Log:
    """Returns the content of the log file; it is empty if there is no file.

    Raises:
        RunError: If the file cannot be read.
    """
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
    """Returns the rows of the file, without damaged lines; an empty list if there is no file."""
    return read(path).rows


def _row(line: bytes) -> Row | None:
    """Returns the row in the line, or None if it is not a row that a run could have written."""
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
    """Returns whether the value lists seeds and, by name, one number for each of them."""
    if not isinstance(value, dict) or not isinstance(value.get("seed"), list):
        return False
    settings = value.get("settings", {})
    if not isinstance(settings, dict):
        return False
    columns = [*settings.values(), *(of for name, of in value.items() if name != "settings")]
    return all(
        isinstance(of_seeds, list)
        and len(of_seeds) == len(value["seed"])
        and all(map(_is_number, of_seeds))
        for of_seeds in columns
    )


def _is_measured(value: Any, row: Row) -> bool:
    """Returns whether the value has the settings that choosing the best checkpoint needs."""
    try:
        aim, settings = value["aim"], value["settings"]
        metric, number = aim["metric"], aim["number"]
        says = isinstance(settings, dict) and metric in settings["metrics"].keys()  # noqa: SIM118
        return says and _is_number(row[number]) and isinstance(aim["best"], str)
    except (KeyError, TypeError, AttributeError):  # types that no evaluation has
        return False


def is_measurement(row: Row) -> bool:
    """Returns whether the row is an evaluation of one state, rather than of train steps."""
    return MEASURED in row


def cut(path: pathlib.Path, *, after: int, measured: int) -> list[Row]:
    """Deletes the rows of later steps and an unfinished last line; returns the remaining rows.

    Args:
        path: The log file.
        after: The last step whose row of train metrics is kept.
        measured: The last step whose evaluation is kept.
    """

    def last(row: Row) -> int:
        return measured if is_measurement(row) else after

    kept = [row for row in rows(path) if row["step"] <= last(row)]
    if path.exists():
        files.write_whole(path, "".join(json.dumps(row) + "\n" for row in kept))
    return kept


def scalars(row: Row) -> dict[str, float]:
    """Returns the numbers of the row by tag; those of a seed of an ensemble end in '/seed_3'."""
    numbers = {name: value for name, value in row.items() if name not in NO_NUMBERS}
    found = members(row)
    if found is None:
        return numbers
    for name, values in found.numbers.items():
        tags = [f"{name}/{sweeps.tag(label)}" for label in found.labels]
        numbers |= dict(zip(tags, values, strict=True))
    return numbers
