"""Arrays of floats with continuous conditions, in NumPy's files: never unpickled.

A folder of `.npy` files, one `.npz` archive, or one `.npy` file with the images alone. Each array
is an entry, named by its file: `image` [N, H, W, C], [N, T, H, W, C] or [N, D], floats in any
units, and any number of conditions, `condition` or `condition_NAME`, [N, ...].

Arrays stay in their files and are read a batch at a time, unless they are compressed.
"""

from __future__ import annotations

import dataclasses
import pathlib
import zipfile
from typing import IO

import numpy as np

from jaxgan import files
from jaxgan.data import arrays, holdout, memory
from jaxgan.data.arrays import CONDITION, IMAGE, Arrays
from jaxgan.data.errors import DataError, reason
from jaxgan.data.readers import file_listing, numpy_files
from jaxgan.data.readers.numpy_files import DAMAGE, Header
from jaxgan.data.splits import Splits

_DIMENSIONS = (2, 4, 5)


def load(place: str, held: holdout.Holdout, transform: str | None = None) -> Splits:
    """Returns the arrays of a folder, an archive or a file.

    Args:
        place: path of the folder, the `.npz` archive or the `.npy` file.
        held: a fraction to hold out, a list file with the indices of examples, counted from 0, or
            None for a fraction of 0.1.
        transform: the transform of each entry, 'image=symlog,condition=standardize'; see
            `transforms`. It is fitted to the training data.

    Raises:
        DataError: if the arrays cannot be used.
    """
    name, path = f"arrays:{place}", pathlib.Path(place).expanduser()
    try:
        found = _found(path, name=name)
    except DAMAGE as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{name}: {path} cannot be read ({reason(error)}); save its arrays again with numpy"
        ) from error
    entries, notes = _entries(found, name=name)
    count = len(entries[IMAGE])
    everything = Arrays(name, entries, {}, np.arange(count))
    arrays.require_finite(everything)
    mask, note = holdout.choose(list(map(str, range(count))), held, name=name)
    train = everything.subset(np.flatnonzero(~mask))
    train = dataclasses.replace(train, transforms=arrays.fitted(train, transform))
    if not mask.any():
        return Splits(train, train, (*notes, note))
    held_out = dataclasses.replace(train, rows=np.flatnonzero(mask))
    return Splits(train, held_out, (*notes, note))


def _found(path: pathlib.Path, *, name: str) -> dict[str, np.ndarray]:
    """Returns the arrays by name; those that are not compressed stay in their files."""
    if files.is_folder(path):
        listed = sorted(path.glob("*.npy"))
        return {file.stem: _of_file(file, file.stem, name=name) for file in listed}
    if not files.is_file(path):
        raise DataError(
            f"{name}: {path} is not there; expected a folder of .npy files, or an .npz or .npy file"
        )
    if zipfile.is_zipfile(path):
        return _of_archive(path, name=name)
    return {IMAGE: _of_file(path, path.name, name=name)}


def _of_file(path: pathlib.Path, key: str, *, name: str) -> np.ndarray:
    with path.open("rb") as stream:
        header = _header(stream, key, name=name)
    return _mapped(path, header, 0, path.stat().st_size, key, name=name)


def _of_archive(path: pathlib.Path, *, name: str) -> dict[str, np.ndarray]:
    """Returns the arrays of an archive."""
    found = {}
    with zipfile.ZipFile(path) as archive, path.open("rb") as whole:
        for member in archive.infolist():
            key = member.filename.removesuffix(".npy")
            if key in found:
                raise DataError(
                    f"{name}: the archive holds '{files.shortened(key)}' more than once; expected "
                    "one array of each name: save it again"
                )
            with archive.open(member) as stream:
                header = _header(stream, key, name=name)
            begin = numpy_files.begin_of(member, whole)
            if begin is not None:
                end = begin + member.file_size
                found[key] = _mapped(path, header, begin, end, key, name=name)
                continue
            what = f"the numbers of '{key}', which are compressed,"
            memory.require(header.bytes, name=name, what=what)
            with archive.open(member) as stream:
                found[key] = np.lib.format.read_array(stream, allow_pickle=False)
    return found


def _header(stream: IO[bytes], key: str, *, name: str) -> Header:
    """Returns the beginning of an array; raises DataError if it holds objects, or is damaged."""
    try:
        header = numpy_files.header(stream)
    except DAMAGE as error:
        raise DataError(
            f"{name}: '{files.shortened(key)}' is no array of numpy ({reason(error)}); save it "
            "again with np.save or np.savez"
        ) from error
    if header.dtype.hasobject:
        raise DataError(
            f"{name}: '{files.shortened(key)}' holds Python objects, which are never loaded "
            "because that can run code; save a plain array of numbers"
        )
    return header


def _mapped(
    path: pathlib.Path, header: Header, begin: int, end: int, key: str, *, name: str
) -> np.ndarray:
    """Returns the array at a place of a file, memory-mapped."""
    held = end - begin - header.start
    if any(side < 0 for side in header.shape) or header.bytes != held:
        raise DataError(
            f"{name}: '{files.shortened(key)}' is damaged (shape {files.shortened(header.shape)} "
            f"needs {header.bytes:,} bytes but it holds {held:,}); save it again"
        )
    if not header.bytes:
        return np.empty(header.shape, header.dtype)
    return numpy_files.mapped(path, header, begin)


def _entries(
    found: dict[str, np.ndarray], *, name: str
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Returns the image and the conditions, in the order of their names, and a note on others."""
    conditions = [key for key in sorted(found) if _is_condition(key)]
    if IMAGE not in found:
        held = file_listing.some(sorted(found), 20) or "no array"
        raise DataError(f"{name}: expected an array '{IMAGE}', found {held}; rename the array")
    image = found[IMAGE]
    if image.ndim not in _DIMENSIONS or 0 in image.shape:
        raise DataError(
            f"{name}: '{IMAGE}' has shape {image.shape}; expected [N, H, W, C], [N, T, H, W, C] or "
            "[N, D], with no axis of size 0; image[..., None] adds an axis of channels"
        )
    for key in (IMAGE, *conditions):
        _require_floats(key, found[key], len(image), name=name)
    others = sorted(set(found) - {IMAGE, *conditions})
    notes = (
        (
            f"Left out {file_listing.some(others)}: entries are '{IMAGE}', '{CONDITION}' and "
            f"'{CONDITION}_NAME'.",
        )
        if others
        else ()
    )
    return {key: _with_channels(found[key]) for key in (IMAGE, *conditions)}, notes


def _is_condition(key: str) -> bool:
    return key.isidentifier() and (key == CONDITION or key.startswith(f"{CONDITION}_"))


def _require_floats(key: str, array: np.ndarray, count: int, *, name: str) -> None:
    if not np.issubdtype(array.dtype, np.floating) or array.dtype.itemsize > 8:
        advice = "; images of 8 bits are read by npz:PATH" if array.dtype == np.uint8 else ""
        raise DataError(
            f"{name}: '{key}' is {array.dtype}; expected float32: use {key}.astype(np.float32)"
            f"{advice}"
        )
    if array.ndim < 1 or len(array) != count or 0 in array.shape:
        raise DataError(
            f"{name}: '{key}' has shape {array.shape} and '{IMAGE}' has {count} examples; expected "
            f"[{count}, ...] with no axis of size 0"
        )


def _with_channels(array: np.ndarray) -> np.ndarray:
    """Returns an array [N, ..., C]; one number for each example is one channel."""
    return array[:, None] if array.ndim == 1 else array
