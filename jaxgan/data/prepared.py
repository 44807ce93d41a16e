"""Sets larger than memory: decoded once into files, which are then mapped into memory.

A prepared set is a folder in the user's cache folder. Its name is a digest of its source: of the
names, sizes and times of the files, of which are held out, and of the shape that they are decoded
to. So a source that has changed is prepared anew. It is written next to its final place and then
renamed, under a lock: it is there as a whole or not at all, and processes that need it at the same
time prepare it once.

Images lie in a file as they would in memory, so batches are the same bit for bit.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import pathlib
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from jaxgan import files
from jaxgan.data import cropping, memory
from jaxgan.data.errors import DataError
from jaxgan.data.value_range import ValueRange

_FORMAT = 2
"""Format number of prepared sets. Increase it when the same source is decoded to other numbers."""

_META, _DIGESTS = "meta.json", "digests.json"
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
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


# --- stores ---------------------------------------------------------------------------------------


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
        return self._folder / f"{name}.pixels"

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
    found = {"format": _FORMAT, "source": source, "parts": sides, "notes": notes}
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


# --- prepared sets --------------------------------------------------------------------------------


def root() -> pathlib.Path:
    """Returns the folder of the prepared sets."""
    return files.cache_folder("prepared")


def key(
    sources: Sequence[Sequence[tuple[bytes | pathlib.Path | str, object]]],
    held_out: np.ndarray,
    settings: Mapping[str, Any],
) -> str:
    """Returns the name of a prepared set: a digest of everything that it depends on.

    Args:
        sources: for each collection, its images: each a file, a content, or a text that changes
            with it; and what of it is used.
        held_out: True [N] for the images held out.
        settings: how the images are decoded, as JSON values.
    """
    made = hashlib.sha256(json.dumps([_FORMAT, settings], sort_keys=True).encode())
    for collection in sources:
        for source, used in collection:
            made.update(f"{_identity(source)} {used}\n".encode(errors="surrogateescape"))
    made.update(np.packbits(held_out).tobytes())
    return made.hexdigest()[:32]


def _identity(source: bytes | pathlib.Path | str) -> str:
    """Returns what changes with a file: its path, size and time; or the digest of a content."""
    if isinstance(source, str):
        return source
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    path = os.path.abspath(source)
    try:
        found = os.stat(path)
    except OSError:
        return path
    return f"{path} {found.st_size} {found.st_mtime_ns}"


def find(name: str) -> Contents | None:
    """Returns the prepared set of this name (see `key`), or None if there is none that is whole."""
    folder = root() / name
    try:
        meta = json.loads(files.read(folder / _META))
        if meta["format"] != _FORMAT:
            return None
        if any((folder / file).stat().st_size != size for file, size in meta["files"].items()):
            return None
        return contents(OnDisk(folder), meta, folder)
    except (OSError, ValueError, KeyError, TypeError):  # absent, or damaged
        return None


def write(
    name: str,
    needed: int,
    fill: Callable[[Store], dict[str, Any]],
    *,
    source: str,
    what: str,
    storing: Storing,
) -> Contents:
    """Prepares a set, unless another process does so first, and returns it.

    Args:
        name: the name of the set (see `key`).
        needed: bytes that the set needs.
        fill: writes the set to a store and returns its description (see `described`).
        source: the name of the data, for messages.
        what: what is prepared, in the plural.
        storing: takes a sentence on what is written.

    Raises:
        DataError: if the disk has no room for it, or it cannot be written to.
    """
    try:
        root().mkdir(parents=True, exist_ok=True)
        with _locked(name, source, storing):
            found = find(name)
            if found is None:
                _clear(name)
                _require_space(needed, f"{source}: {what}", storing)
                _write(name, fill)
                found = find(name)
    except OSError as error:
        raise DataError(
            f"{source}: it cannot be prepared in {root()}: {files.reason(error)}; {_ADVICE}"
        ) from error
    if found is None:
        raise DataError(f"{source}: what was prepared in {root() / name} cannot be read; delete it")
    return found


_ADVICE = (
    "make room there, give a lower --resolution, or set XDG_CACHE_HOME to a folder on another disk"
)


def _write(name: str, fill: Callable[[Store], dict[str, Any]]) -> None:
    """Writes a set next to its place and renames it; what is unfinished is deleted."""
    partial = root() / f"{name}.{secrets.token_hex(4)}.partial"
    partial.mkdir()
    try:
        with contextlib.ExitStack() as stack:
            meta = fill(OnDisk(partial, stack))
        meta["files"] = {path.name: path.stat().st_size for path in sorted(partial.iterdir())}
        files.write_whole(partial / _META, json.dumps(meta))
        shutil.rmtree(root() / name, ignore_errors=True)  # damaged, as it was not found
        partial.rename(root() / name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def _locked(name: str, source: str, storing: Storing) -> Iterator[None]:
    """Holds the lock of a set; a file system without locks has none."""
    import filelock

    lock = filelock.FileLock(root() / f"{name}.lock")
    try:
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            storing.say(f"{source}: another process prepares it; waiting")
            lock.acquire()
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    try:
        yield
    finally:
        lock.release()


def _clear(held: str) -> None:
    """Deletes what killed processes have left unfinished; the lock of the set `held` is held."""
    import filelock

    for partial in root().glob("*.partial"):
        own = partial.name.partition(".")[0]
        lock = filelock.FileLock(root() / f"{own}.lock", blocking=False)
        # A process that is alive holds its lock: that raises Timeout, an OSError.
        with contextlib.suppress(OSError), contextlib.nullcontext() if own == held else lock:
            shutil.rmtree(partial, ignore_errors=True)


def _require_space(needed: int, what: str, storing: Storing) -> None:
    free, size = shutil.disk_usage(root()).free, memory.size(needed)
    if needed > free:
        raise DataError(
            f"{what} need {size} on disk and {memory.size(free)} are free in {root()}; {_ADVICE}"
        )
    storing.say(
        f"{what} are prepared in {root()}: {size}, of {memory.size(free)} that are free there"
    )


# --- mapped images --------------------------------------------------------------------------------


def folder_of(pixels: np.ndarray) -> pathlib.Path | None:
    """Returns the folder of the prepared set that the images are mapped from, or None."""
    file = getattr(pixels, "filename", None) if isinstance(pixels, np.memmap) else None
    return pathlib.Path(file).parent if file is not None else None


def size_of(folder: pathlib.Path) -> int:
    """Returns the bytes of a prepared set."""
    return sum(path.stat().st_size for path in folder.iterdir())


def remembered(pixels: np.ndarray, of: str, compute: Callable[[], str]) -> str:
    """Returns a digest, which takes minutes for a large set and so is kept next to mapped images.

    Args:
        pixels: the images, or all their pixels.
        of: everything else that the digest depends on.
        compute: computes the digest.
    """
    folder = folder_of(pixels)
    if folder is None or not pixels.flags.c_contiguous:
        return compute()
    file = pathlib.Path(str(pixels.filename))  # pyright: ignore[reportAttributeAccessIssue]
    path, name = folder / _DIGESTS, hashlib.sha256(f"{file.name} {of}".encode()).hexdigest()
    try:
        if file.stat().st_size != pixels.nbytes:  # a part of them
            return compute()
        known = json.loads(files.read(path)) if path.exists() else {}
    except (OSError, ValueError):
        known = {}
    if name not in known:
        known[name] = compute()
        with contextlib.suppress(OSError):
            files.write_whole(path, json.dumps(known))
    return known[name]
