"""Arrays of numbers with continuous conditions, each through a transform of its own."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from jaxgan.data import remembered, transforms
from jaxgan.data.dataset import Rows, positions, visited
from jaxgan.data.errors import DataError
from jaxgan.data.transforms import Transform

IMAGE, CONDITION = "image", "condition"
"""The entry with the examples to generate, and the beginning of the names of its conditions."""

_T = TypeVar("_T")
_PIECE = 2**20  # numbers that are read at a time
_DRAWN = 256  # examples that say how wide the values reach
_MOST_TYPICAL = 16  # typical conditions
_MOST_NUMBERS = 2**14  # of all typical conditions together, unless one has more


@dataclasses.dataclass(frozen=True, eq=False)
class Arrays:
    """Examples of numbers of any range, with conditions, in memory or in files.

    Batches hold every entry in float32, transformed.

    Attributes:
        name: what the user asked for; used in messages.
        entries: by name, 'image' [N, ..., C], and conditions [N, ..., C], in the units of the
            data; memory-mapped or not.
        transforms: by name, the transform of each entry.
        rows: indices int64 [M] of the examples in the entries, of which this source consists.
        classes: always (): there are no labels.
    """

    name: str
    entries: Mapping[str, np.ndarray]
    transforms: Mapping[str, Transform]
    rows: np.ndarray
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example of 'image'."""
        return self.entries[IMAGE].shape[1:]

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """The shape of one example of each condition, by its name."""
        return {key: array.shape[1:] for key, array in self.entries.items() if key != IMAGE}

    @functools.cached_property
    def digest(self) -> str:
        """The sha256, in hex, of the values of all entries, before their transforms."""
        return self.remembered("digest", list(self.entries), self._digest)

    def remembered(self, asked: str, keys: Sequence[str], compute: Callable[[], _T]) -> _T:
        """Returns what is found by reading entries as a whole, or what was found the last time.

        Args:
            asked: what is computed (see `remembered.of_files`).
            keys: the names of the entries.
            compute: computes it, as JSON values.
        """
        rows = hashlib.sha256(self.rows.tobytes()).hexdigest()
        asked = f"{asked} of {' '.join(keys)} at {rows}"
        return remembered.of_files([self.entries[key] for key in keys], asked, compute)

    def _digest(self) -> str:
        contents = hashlib.sha256()
        for key, array in self.entries.items():
            contents.update(f"{key} {array.dtype.newbyteorder('<')} {array.shape[1:]} ".encode())
            for piece in self.pieces(key):
                plain = piece.astype(piece.dtype.newbyteorder("<"), order="C", copy=False)
                contents.update(plain.data)
        return contents.hexdigest()

    @functools.cached_property
    def typical(self) -> dict[str, np.ndarray]:
        """A few conditions that occur together, evenly spread over the examples, by name.

        They are transformed, [K, ..., C], and K is at most 16.
        """
        size = sum(int(np.prod(shape)) for shape in self.inputs.values())
        count = max(1, min(_MOST_TYPICAL, len(self), _MOST_NUMBERS // max(1, size)))
        chosen = self.rows[np.arange(count) * len(self) // count]
        return {key: self._transformed(key, chosen) for key in self.inputs}

    @functools.cached_property
    def reach(self) -> float:
        """A number within which 99 % of the transformed 'image' lie, to draw pictures by."""
        count = min(_DRAWN, len(self))
        return reach(self._transformed(IMAGE, self.rows[np.arange(count) * len(self) // count]))

    def pieces(self, key: str) -> Iterator[np.ndarray]:
        """Yields an entry in the units of the data, [n, ..., C], a few examples at a time.

        Args:
            key: the name of the entry.
        """
        array = self.entries[key]
        step = max(1, _PIECE // max(1, int(np.prod(array.shape[1:]))))
        for start in range(0, len(self), step):
            yield np.ascontiguousarray(array[self.rows[start : start + step]])

    def batch(
        self, *, seed: int, step: int, size: int, rows: Rows = None, stream: str = ""
    ) -> dict[str, np.ndarray]:
        """Returns the batch of a step, float32 [B, ...] by entry, a pure function of the arguments.

        The examples are visited as those of a `Dataset`.

        Args:
            seed: seed of the run.
            step: training step, 0 or more.
            size: batch size.
            rows: which examples of the batch to build (B = R). None builds all of them (B = size).
            stream: name of the stream; each stream has an independent order.
        """
        index = visited(seed, positions(step, size, rows), len(self), stream)
        return {key: self._transformed(key, self.rows[index]) for key in self.entries}

    def float_images(self, rows: slice | np.ndarray | None = None) -> np.ndarray:
        """Returns examples of 'image', transformed, as float32 [N, ..., C], in stored order.

        Args:
            rows: which examples; None for all of them.
        """
        return self._transformed(IMAGE, self.rows if rows is None else self.rows[rows])

    def subset(self, indices: Sequence[int] | np.ndarray) -> Arrays:
        """Returns the examples at `indices`, in that order, with the same transforms."""
        return dataclasses.replace(self, rows=self.rows[np.asarray(indices)])

    def _transformed(self, key: str, rows: np.ndarray) -> np.ndarray:
        return transforms.apply(self.transforms[key], self.entries[key][rows]).astype(np.float32)


def reach(values: np.ndarray) -> float:
    """Returns a number within which 99 % of the values lie; 1 if it is 0."""
    return float(np.quantile(np.abs(values), 0.99)) or 1.0


def fitted(source: Arrays, text: str | None) -> dict[str, Transform]:
    """Returns the transform of each entry, measured on all examples of the source.

    Args:
        source: the training data.
        text: the transforms as the user writes them, see `transforms.parsed`.

    Raises:
        DataError: if a transform does not exist or cannot be applied to the values.
    """

    def measured(key: str, kinds: Sequence[str]) -> list[dict[str, Any]]:
        name, pieces = f"{source.name}: '{key}'", functools.partial(source.pieces, key)
        return transforms.fit(kinds, pieces, name=name).record()

    return {
        key: Transform.recorded(
            source.remembered(
                f"transform {'+'.join(kinds)}", [key], functools.partial(measured, key, kinds)
            )
        )
        for key, kinds in transforms.parsed(text, source.entries).items()
    }


def require_finite(source: Arrays) -> None:
    """Raises DataError if a value of an entry is NaN or infinite."""
    for key in source.entries:
        source.remembered("finite", [key], functools.partial(_require_finite, source, key))


def _require_finite(source: Arrays, key: str) -> bool:
    start = count = 0
    first = None
    for piece in source.pieces(key):
        bad = ~np.isfinite(piece).reshape(len(piece), -1).all(axis=1)
        if first is None and bad.any():
            first = source.rows[start + int(np.argmax(bad))]
        count += np.count_nonzero(bad)
        start += len(piece)
    if count:
        raise DataError(
            f"{source.name}: {count} examples of '{key}' hold NaN or infinite values, the "
            f"first is example {first}; replace them or remove these examples"
        )
    return True
