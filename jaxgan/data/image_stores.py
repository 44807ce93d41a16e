"""Where decoded images are stored: in memory, or in files that are then mapped into memory.

Images lie in a file as they would in memory, so batches are the same bit for bit. A set is
described by JSON values (`described`), from which its images are read again (`contents`).
"""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from jaxgan.data import cropping
from jaxgan.data.value_range import ValueRange

FORMAT = 3
"""Format number of prepared sets. Increase it when the same source is decoded to other numbers."""

SUFFIX = ".pixels"
"""The suffix of files of images."""

_PARTS = ("training", "held_out")


class Watch(Protocol):
    """Yields the items of a long task and shows how much of it is done."""

    def __call__(self, items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
        """Returns the items.

        Args:
            items: What to yield; each has a length.
            total: The sum of their lengths.
            what: The name of the task.
        """
        ...


def unseen(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
    """Returns the items, and shows nothing."""
    return items


def _unsaid(sentence: str) -> None:
    pass


class Storing(NamedTuple):
    """Where decoded images are stored: in memory, or on disk if they need most of it.

    Attributes:
        always: whether to store them on disk even if memory suffices.
        watch: shows the progress of decoding to disk.
        say: takes sentences on what is written, before it is.
    """

    always: bool = False
    watch: Watch = unseen
    say: Callable[[str], None] = _unsaid


class Side(NamedTuple):
    """The images of one collection in a part of a set.

    Attributes:
        shape: the shape (H, W, C) of an image.
        dtype: the name of its type.
        varied: whether the whole images, which differ in size, are there, too: `shape` is then that
            of their centers.
    """

    shape: tuple[int, int, int]
    dtype: str
    varied: bool


class Part(NamedTuple):
    """The training or the held-out images of all collections.

    Attributes:
        rows: int64 [N]; the images' indices in their collection.
        images: for each collection, [N, H, W, C].
        uncut: for each collection, the whole images if they differ in size, else None.
    """

    rows: np.ndarray
    images: list[np.ndarray]
    uncut: list[cropping.Uncut | None]


class Contents(NamedTuple):
    """A decoded set.

    Attributes:
        train: the training images.
        held_out: the held-out images, or None if there are none.
        notes: for each collection, sentences on what was converted or left out.
        ranges: for each collection, the range of the values of its training images.
        place: the folder of a prepared set, or None for a set in memory.
    """

    train: Part
    held_out: Part | None
    notes: list[tuple[str, ...]]
    ranges: list[ValueRange]
    place: pathlib.Path | None = None


class Sheet(Protocol):
    """Pixels of images that are stored one after the other."""

    def append(self, image: np.ndarray) -> None:
        """Adds an image [h, w, C]."""
        ...


class Store(Protocol):
    """What decoded images are written to, by name, and read from."""

    def sheet(self, name: str, count: int, channels: int, dtype: str) -> Sheet:
        """Returns a new sheet for at most `count` pixels."""
        ...

    def keep(self, name: str, numbers: np.ndarray) -> None:
        """Stores an array of numbers."""
        ...

    def pixels(self, name: str, channels: int, dtype: str) -> np.ndarray:
        """Returns the pixels of a sheet, [P, C]."""
        ...

    def numbers(self, name: str) -> np.ndarray:
        """Returns an array of numbers."""
        ...


class InMemory:
    """Stores images in memory."""

    def __init__(self) -> None:
        self._sheets: dict[str, _ArraySheet] = {}
        self._numbers: dict[str, np.ndarray] = {}

    def sheet(self, name: str, count: int, channels: int, dtype: str) -> Sheet:
        """Returns a new sheet for at most `count` pixels."""
        self._sheets[name] = _ArraySheet(np.empty((count, channels), dtype))
        return self._sheets[name]

    def keep(self, name: str, numbers: np.ndarray) -> None:
        """Stores an array of numbers."""
        self._numbers[name] = numbers

    def pixels(self, name: str, channels: int, dtype: str) -> np.ndarray:
        """Returns the pixels of a sheet, [P, C]."""
        return self._sheets[name].filled()

    def numbers(self, name: str) -> np.ndarray:
        """Returns an array of numbers."""
        return self._numbers[name]


class _ArraySheet:
    def __init__(self, pixels: np.ndarray) -> None:
        self._pixels, self._end = pixels, 0

    def append(self, image: np.ndarray) -> None:
        flat = image.reshape(-1, image.shape[-1])
        self._pixels[self._end : self._end + len(flat)] = flat
        self._end += len(flat)

    def filled(self) -> np.ndarray:
        return self._pixels[: self._end]


class OnDisk:
    """Stores images in the files of a folder; they are mapped to be read.

    Args:
        folder: the folder.
        stack: closes the files that are written.
    """

    def __init__(self, folder: pathlib.Path, stack: contextlib.ExitStack | None = None) -> None:
        self._folder, self._stack = folder, stack or contextlib.ExitStack()

    def sheet(self, name: str, count: int, channels: int, dtype: str) -> Sheet:
        """Returns a new sheet for at most `count` pixels."""
        return self._stack.enter_context(_FileSheet(self._pixels(name)))

    def keep(self, name: str, numbers: np.ndarray) -> None:
        """Stores an array of numbers."""
        np.save(self._numbers(name), numbers, allow_pickle=False)

    def pixels(self, name: str, channels: int, dtype: str) -> np.ndarray:
        """Returns the pixels of a sheet, [P, C]."""
        return np.memmap(self._pixels(name), dtype, mode="r").reshape(-1, channels)

    def numbers(self, name: str) -> np.ndarray:
        """Returns an array of numbers."""
        return np.load(self._numbers(name), allow_pickle=False)

    def _pixels(self, name: str) -> pathlib.Path:
        return self._folder / f"{name}{SUFFIX}"

    def _numbers(self, name: str) -> pathlib.Path:
        return self._folder / f"{name}.npy"


class _FileSheet:
    def __init__(self, path: pathlib.Path) -> None:
        self._file = path.open("xb", buffering=2**20)

    def append(self, image: np.ndarray) -> None:
        self._file.write(np.ascontiguousarray(image).data)

    def __enter__(self) -> _FileSheet:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is not None:
            with contextlib.suppress(OSError):  # a full disk fails here again
                self._file.close()
            return
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def described(
    source: str,
    parts: Mapping[str, Sequence[Side]],
    notes: Sequence[Sequence[str]],
    ranges: Sequence[ValueRange],
) -> dict[str, Any]:
    """Returns the description of a stored set, as JSON values.

    Args:
        source: the name of the data.
        parts: the sides of the training and, if there are any, of the held-out images.
        notes: for each collection, sentences on what was converted or left out.
        ranges: for each collection, the range of the values of its training images.
    """
    sides = {part: [side._asdict() for side in own] for part, own in parts.items()}
    values = [of.record() for of in ranges]
    found = {"format": FORMAT, "source": source, "parts": sides, "notes": notes}
    return {**found, "ranges": values}


def contents(store: Store, meta: Mapping[str, Any], place: pathlib.Path | None = None) -> Contents:
    """Returns the set that a store holds.

    Args:
        store: The store.
        meta: The description of the set (see `described`).
        place: the folder of a prepared set.
    """

    def part(name: str) -> Part:
        rows = store.numbers(f"{name}-rows")
        images, uncut = [], []
        for index, side in enumerate(meta["parts"][name]):
            shape, dtype = side["shape"], side["dtype"]
            flat = store.pixels(sheet_name(name, index), shape[2], dtype)
            images.append(flat.reshape(len(rows), *shape))
            whole = None
            if side["varied"]:
                pixels = store.pixels(sheet_name(name, index, whole=True), shape[2], dtype)
                sizes = store.numbers(f"{name}-{index}-sizes")
                whole = cropping.Uncut.in_order(pixels, sizes)
            uncut.append(whole)
        return Part(rows, images, uncut)

    train, held_out = (part(name) if name in meta["parts"] else None for name in _PARTS)
    assert train is not None
    notes = [tuple(own) for own in meta["notes"]]
    ranges = [ValueRange.recorded(of) for of in meta["ranges"]]
    return Contents(train, held_out, notes, ranges, place)


def sheet_name(part: str, index: int, *, whole: bool = False) -> str:
    """Returns the name of a sheet.

    Args:
        part: 'training' or 'held_out'.
        index: the number of the collection.
        whole: whether it holds whole images of different sizes.
    """
    return f"{part}-{index}{'-whole' if whole else ''}"
