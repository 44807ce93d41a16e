"""The run in TensorBoard: curves, sample pictures, histograms of logits and hyper-parameters.

Only runs import this module: tensorboardX imports PyTorch where that is installed, which takes
seconds and 220 MB.
"""

from __future__ import annotations

import io
import pathlib
import socket
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image
from tensorboardX import record_writer, summary
from tensorboardX.proto import event_pb2, summary_pb2

from jaxgan.runs import metric_log, run_directory
from jaxgan.runs.metric_log import Row

# Protocol buffers create their classes at import, so type checkers do not know them.
_EVENTS: Any = event_pb2
_SUMMARIES: Any = summary_pb2

_FRAME = struct.Struct("<QI")  # before an event: its length, and the checksum of that
_SEAL = 4  # bytes after it: its checksum
_BINS = 30


class Events:
    """A sink that writes rows to a TensorBoard event file, each at once.

    The new file replaces the earlier ones. Their rows may have been deleted by `metric_log.cut`, or
    may lack the last ones before a crash; so they are written anew, and pictures and histograms are
    taken over up to the step that the run continues at. The file asks a TensorBoard that has read
    the earlier ones to discard them. Each member of an ensemble has its own tag, such as
    'generator/loss/seed_3'.

    Args:
        path: The directory of the event files; it is created if needed.
        rows: The rows so far, which are written first.
        settings: The flags of the run, for the tab HParams.
        step: The step that the run continues at.
    """

    def __init__(
        self,
        path: pathlib.Path,
        rows: Sequence[Row] = (),
        *,
        settings: Mapping[str, Any] | None = None,
        step: int = 0,
    ) -> None:
        path.mkdir(exist_ok=True)
        earlier = sorted(path.glob(f"{run_directory.EVENTS}*"))
        kept = [record for file in earlier for record in _pictures_and_histograms(file, until=step)]
        self._path = _later(path, earlier)
        # The rows hold training times but no dates: date them back from now.
        self._began = time.time() - max((row.get("seconds", 0.0) for row in rows), default=0.0)
        self._seconds = 0.0
        self._write(self._began, file_version="brain.Event:2")
        if earlier:
            forget = _EVENTS.SessionLog(status=_EVENTS.SessionLog.START)
            self._write(self._began, step=0, session_log=forget)
        if settings is not None:
            # Without a list of metrics TensorBoard offers all of the run.
            _, flags, _ = summary.hparams(
                {name: _simple(value) for name, value in settings.items()}, {}
            )
            self._write(self._began, step=0, summary=flags)
        for row in rows:
            self._seconds = max(self._seconds, row.get("seconds", 0.0))
            self._add(row, self._began + self._seconds)
        metric_log.append(self._path, b"".join(kept))
        for file in earlier:
            file.unlink()

    def __call__(self, row: Row) -> None:
        """Writes the row."""
        self._add(row, time.time())

    def histograms(self, step: int, values: Mapping[str, np.ndarray]) -> None:
        """Writes a histogram of the values that each name had in the steps of a row.

        Args:
            step: The step.
            values: By name, numbers of any shape.
        """
        # A tag of its own: TensorBoard shows each tag in one way only.
        arrays = {f"{name}/steps": np.asarray(of, np.float64) for name, of in values.items()}
        found = [summary.histogram(tag, of, _edges(of)) for tag, of in arrays.items()]
        content = _SUMMARIES.Summary(value=[value for one in found for value in one.value])
        self._write(time.time(), step=step, summary=content)

    def picture(self, step: int, path: pathlib.Path) -> None:
        """Writes the sample picture of a step.

        Args:
            step: The step.
            path: A PNG file.
        """
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as opened:
            width, height = opened.size
        image = _SUMMARIES.Summary.Image(
            height=height, width=width, colorspace=3, encoded_image_string=content
        )
        value = _SUMMARIES.Summary.Value(tag="samples", image=image)
        self._write(time.time(), step=step, summary=_SUMMARIES.Summary(value=[value]))

    def _add(self, row: Row, when: float) -> None:
        numbers = metric_log.scalars(row)
        points = [_SUMMARIES.Summary.Value(tag=k, simple_value=v) for k, v in numbers.items()]
        self._write(when, step=row["step"], summary=_SUMMARIES.Summary(value=points))

    def _write(self, when: float, **entries: Any) -> None:
        content = _EVENTS.Event(wall_time=when, **entries).SerializeToString()
        length = struct.pack("<Q", len(content))
        metric_log.append(self._path, length + _checksum(length) + content + _checksum(content))


def _edges(values: np.ndarray) -> np.ndarray:
    """Returns the edges of a histogram's bins: fewer where floats lie too far apart for all."""
    low, high = values.min(), values.max()
    if low == high:
        return np.array([low - 0.5, high + 0.5])
    return np.unique([low, *np.linspace(low, high, _BINS + 1), high])


def _pictures_and_histograms(file: pathlib.Path, *, until: int) -> Iterator[bytes]:
    """Yields those records of a file up to a step; the file may end in the middle of a record."""
    for record in _records(file.read_bytes()):
        event = _EVENTS.Event.FromString(record[_FRAME.size : -_SEAL])
        kinds = {value.WhichOneof("value") for value in event.summary.value}
        if kinds & {"image", "histo"} and event.step <= until:
            yield record


def _records(content: bytes) -> Iterator[bytes]:
    """Yields the records of an event file as they lie there, up to the first that is not whole."""
    place = 0
    while place + _FRAME.size <= len(content):
        length, checksum = _FRAME.unpack_from(content, place)
        begin = place + _FRAME.size
        end = begin + length
        event, seal = content[begin:end], content[end : end + _SEAL]
        whole = struct.pack("<I", checksum) == _checksum(content[place : place + 8])
        if not whole or seal != _checksum(event):
            return
        yield content[place : end + _SEAL]
        place = end + _SEAL


def _simple(value: Any) -> bool | float | str | None:
    """Returns a flag's value as TensorBoard can filter by it; it shows no flag that is None."""
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def _later(path: pathlib.Path, earlier: Sequence[pathlib.Path]) -> pathlib.Path:
    """Returns a new event file whose name sorts after the earlier ones.

    TensorBoard reads the files in the order of their names.
    """
    seconds = int(time.time())
    while True:
        file = path / f"{run_directory.EVENTS}{seconds:010d}.{socket.gethostname()}"
        if not file.exists() and all(file.name > other.name for other in earlier):
            return file
        seconds += 1


def _checksum(content: bytes) -> bytes:
    return struct.pack("<I", record_writer.masked_crc32c(content))
