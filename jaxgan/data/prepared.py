"""Sets larger than memory: decoded once into files, which are then mapped into memory.

A prepared set is a folder in the user's cache folder. Its name is a digest of its source: of the
names, sizes and times of the files, of which are held out, and of the shape that they are decoded
to. So a source that has changed is prepared anew. It is written next to its final place and then
renamed, under a lock: it is there as a whole or not at all, and processes that need it at the same
time prepare it once.
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jaxgan import files
from jaxgan.data import image_stores, memory
from jaxgan.data import remembered as remembered_files
from jaxgan.data.errors import DataError
from jaxgan.data.image_stores import Contents, Store, Storing
from jaxgan.data.mapped_rows import MappedRows

_META, _DIGESTS = "meta.json", "digests.json"
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


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
    made = hashlib.sha256(json.dumps([image_stores.FORMAT, settings], sort_keys=True).encode())
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
        if meta["format"] != image_stores.FORMAT:
            return None
        if any((folder / file).stat().st_size != size for file, size in meta["files"].items()):
            return None
        return image_stores.contents(image_stores.OnDisk(folder), meta, folder)
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
        fill: writes the set to a store and returns its description (see `image_stores.described`).
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
            meta = fill(image_stores.OnDisk(partial, stack))
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


def folder_of(pixels: np.ndarray | MappedRows) -> pathlib.Path | None:
    """Returns the folder of the prepared set that the images are mapped from, or None."""
    file = _file_of(pixels.base if isinstance(pixels, MappedRows) else pixels)
    return None if file is None else file.parent


def _file_of(pixels: np.ndarray) -> pathlib.Path | None:
    """Returns the file of a prepared set that the images are mapped from, or None."""
    file = getattr(pixels, "filename", None) if isinstance(pixels, np.memmap) else None
    if file is None or pathlib.Path(file).suffix != image_stores.SUFFIX:
        return None  # in memory, or the user's own file
    return pathlib.Path(file)


def note(folder: pathlib.Path) -> str:
    """Returns a sentence for the user on where the images of a prepared set are read from."""
    return f"The images are read from disk: {memory.size(size_of(folder))}, prepared in {folder}."


def size_of(folder: pathlib.Path) -> int:
    """Returns the bytes of a prepared set."""
    return sum(path.stat().st_size for path in folder.iterdir())


def remembered(pixels: np.ndarray | MappedRows, of: str, compute: Callable[[], str]) -> str:
    """Returns a digest, which takes minutes for a large set and so is kept next to mapped images.

    Args:
        pixels: the images, all their pixels, or chosen rows, which `of` tells apart.
        of: everything else that the digest depends on.
        compute: computes the digest.
    """
    whole = pixels.base if isinstance(pixels, MappedRows) else pixels
    file = _file_of(whole)
    if file is None:
        return remembered_files.of_files([pixels], of, compute)
    if not whole.flags.c_contiguous:
        return compute()
    path, name = file.parent / _DIGESTS, hashlib.sha256(f"{file.name} {of}".encode()).hexdigest()
    try:
        if file.stat().st_size != whole.nbytes:  # a part of them
            return compute()
        known = json.loads(files.read(path)) if path.exists() else {}
    except (OSError, ValueError):
        known = {}
    if name not in known:
        known[name] = compute()
        with contextlib.suppress(OSError):
            files.write_whole(path, json.dumps(known))
    return known[name]
