"""Images in NumPy's files that need most of the memory: mapped where they lie, or written to disk.

Values that lie in a file as a batch needs them (`.npy`, or `.npz` without compression) are mapped.
All others are read once, a few images at a time, into a prepared set (see `prepared`): those that
are compressed, of another type or byte order, or brought to another shape.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Iterator
from typing import IO, Any, NamedTuple

import numpy as np

from jaxgan.data import image_stores, memory, prepared, remembered, resizing, value_range
from jaxgan.data.errors import DataError, reason
from jaxgan.data.readers import numpy_files, stored_types
from jaxgan.data.readers.numpy_files import DAMAGE, Header

_PIECE = 2**24
"""Number of bytes that are read at a time."""


class Found(NamedTuple):
    """Where images lie, and what they become.

    Attributes:
        path: the archive, or the file of a single array.
        key: the name of the array.
        name: the name of the data, for messages.
        header: the beginning of the array, [N, H, W, C] or [N, H, W].
        target: the shape of an image that it is brought to.
    """

    path: pathlib.Path
    key: str
    name: str
    header: Header
    target: resizing.Target

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape [N, H, W, C] of the images in the file."""
        shape = self.header.shape
        return shape if len(shape) == 4 else (*shape, 1)

    @property
    def ready(self) -> bool:
        """Whether the values are those of batches, in type and shape."""
        dtype = self.header.dtype
        plain = dtype.isnative and dtype.name in value_range.STORED
        return plain and self.shape[1:] == self.target.shape

    @property
    def kept(self) -> int:
        """The bytes of all images as they are stored, at most."""
        dtype = self.header.dtype
        each = dtype.itemsize if dtype.name in value_range.STORED else 4
        return len(self) * int(np.prod(self.target.shape)) * each

    @property
    def needed(self) -> int:
        """The bytes of memory that it takes to read all images."""
        return self.header.bytes + (0 if self.ready else self.kept)

    @property
    def what(self) -> str:
        """The images in words."""
        return f"{len(self)} images of {resizing.describe(self.target.shape)}"

    def __len__(self) -> int:
        return self.header.shape[0]


def images(found: Found, fit: resizing.Fit) -> tuple[np.ndarray, tuple[str, ...]] | None:
    """Returns mapped images [N, H, W, C], and notes; None if they belong into memory.

    Args:
        found: where they lie.
        fit: the shape to convert them to.

    Raises:
        DataError: if they are damaged or cannot be used, or neither memory nor the disk suffices.
    """
    large = not memory.is_enough(found.needed)
    try:
        begin = numpy_files.place(found.path, found.key)
    except DAMAGE as error:
        raise _damaged(found, error) from error
    if begin is not None and found.ready and not found.header.fortran:
        return _in_place(found, begin) if large else None
    name = ""
    if fit.storing.always or prepared.root().is_dir():
        name = _name(found, fit)
        known = prepared.find(name)
        if known is not None:
            return _read(known)
    if not (large or fit.storing.always):
        return None
    return _read(
        prepared.write(
            name or _name(found, fit),
            found.kept,
            lambda store: _fill(store, found, begin, fit),
            source=found.name,
            what=found.what,
            storing=fit.storing,
        )
    )


def _in_place(found: Found, begin: int) -> tuple[np.ndarray, tuple[str, ...]]:
    mapped = numpy_files.mapped(found.path, found.header, begin).reshape(found.shape)

    def require_finite() -> bool:
        pieces = (mapped[rows] for rows in stored_types.slices(mapped))
        stored_types.require_finite(pieces, found.key, name=found.name)
        return True

    remembered.of_files([mapped], "finite", require_finite)
    return mapped, (f"The images are read from disk, where they lie: {found.path}.",)


def _name(found: Found, fit: resizing.Fit) -> str:
    """Returns the name of the prepared set of these images."""
    settings = {"key": found.key, "target": [*found.target.shape], "policy": fit.policy}
    return prepared.key([[(found.path, "")]], np.zeros(0, bool), settings)


def _read(found: image_stores.Contents) -> tuple[np.ndarray, tuple[str, ...]]:
    assert found.place is not None
    return found.train.images[0], (*found.notes[0], prepared.note(found.place))


def _fill(
    store: image_stores.Store, found: Found, begin: int | None, fit: resizing.Fit
) -> dict[str, Any]:
    """Writes the images to a store and returns the description of the set."""
    dtype, note = found.header.dtype, ()
    if dtype.name not in value_range.STORED:
        ends = stored_types.ends(_pieces(found, begin), found.key, name=found.name)
        kept, note = stored_types.kept(dtype, *ends, found.key, name=found.name)
        dtype = np.dtype(kept)
    part, shape = "training", found.target.shape
    count = len(found) * int(np.prod(shape[:2]))
    sheet = store.sheet(image_stores.sheet_name(part, 0), count, shape[2], dtype.name)
    checked = stored_types.checked(_pieces(found, begin), found.key, name=found.name)
    low, high = np.inf, -np.inf
    for piece in fit.storing.watch(checked, len(found), "preparing images"):
        values = piece.astype(dtype.newbyteorder("="), copy=False)
        fitted = resizing.fit_array(values, fit, name=found.name)
        low, high = min(low, float(fitted.min())), max(high, float(fitted.max()))
        sheet.append(fitted)
    store.keep(f"{part}-rows", np.arange(len(found)))
    sides = {part: [image_stores.Side(shape, dtype.name, varied=False)]}
    values = value_range.spanning(low, high, dtype.name, name=found.name)
    return image_stores.described(found.name, sides, [note], [values])


def _pieces(found: Found, begin: int | None) -> Iterator[np.ndarray]:
    """Yields the images in their order, [n, H, W, C], a few at a time, as they are in the file."""
    size = found.header.bytes // len(found)
    step = max(1, _PIECE // size)
    counts = [min(step, len(found) - start) for start in range(0, len(found), step)]
    if begin is not None:
        mapped = numpy_files.mapped(found.path, found.header, begin).reshape(found.shape)
        yield from (mapped[at * step : at * step + count] for at, count in enumerate(counts))
        return
    if found.header.fortran:
        what = f"the numbers of '{found.key}', compressed in Fortran's order,"
        memory.require(found.header.bytes, name=found.name, what=what)
    try:
        with numpy_files.opened(found.path, found.key) as (stream, _):
            if found.header.fortran:
                whole = np.lib.format.read_array(stream, allow_pickle=False)
                pieces: Iterable[np.ndarray] = np.split(whole, np.cumsum(counts)[:-1])
            else:
                numpy_files.header(stream)
                pieces = (_values(stream, count, size, found) for count in counts)
            for piece in pieces:
                yield piece.reshape(-1, *found.shape[1:])
    except DAMAGE as error:
        if isinstance(error, DataError):
            raise
        raise _damaged(found, error) from error


def _values(stream: IO[bytes], count: int, size: int, found: Found) -> np.ndarray:
    """Reads a few images of `size` bytes each."""
    content = stream.read(count * size)
    if len(content) != count * size:
        raise EOFError("it ends too early")
    return np.frombuffer(content, found.header.dtype)


def _damaged(found: Found, error: Exception) -> DataError:
    return DataError(
        f"{found.name}: '{found.key}' is damaged ({reason(error)}); save the archive again"
    )
