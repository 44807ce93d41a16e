"""Arrays in NumPy's files, `.npy` and `.npz`: what their headers say, and where their values lie.

Nothing is ever unpickled.
"""

from __future__ import annotations

import contextlib
import math
import os
import pathlib
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, NamedTuple

import numpy as np

from jaxgan.data import remembered

HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
DAMAGE = (
    *(OSError, ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile, struct.error),
    # Encrypted members, unknown compression methods, headers that are nested too deeply.
    *(RuntimeError, MemoryError, SyntaxError, TypeError, OverflowError, tokenize.TokenError),
)
"""What reading a damaged file raises."""

_MAGIC = b"\x93NUMPY"
_LOCAL_HEADER = struct.Struct("<26xHH")
"""The beginning of a member in an archive: it ends with the lengths of its name and its extra."""


class Header(NamedTuple):
    """What the beginning of an array says.

    Attributes:
        shape: the shape of the array.
        fortran: whether the first axis varies fastest.
        dtype: the type of the values.
        start: number of bytes of the beginning.
    """

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype
    start: int

    @property
    def bytes(self) -> int:
        """The bytes of the values."""
        return math.prod(self.shape) * self.dtype.itemsize


def header(stream: IO[bytes]) -> Header:
    """Reads the beginning of an array; raises one of `DAMAGE` if it is none."""
    shape, fortran, dtype = HEADERS[np.lib.format.read_magic(stream)](stream)
    return Header(shape, fortran, dtype, stream.tell())


def is_single(path: pathlib.Path) -> bool:
    """Returns whether the file is one array (`.npy`), and no archive of some."""
    with path.open("rb") as stream:
        return stream.read(len(_MAGIC)) == _MAGIC


@contextlib.contextmanager
def opened(path: pathlib.Path, key: str) -> Iterator[tuple[IO[bytes], int]]:
    """Opens an array of an archive, or that of a file of a single one, which has any key.

    It yields the stream and the number of its bytes, and raises one of `DAMAGE`.

    Args:
        path: the archive or the file.
        key: the name of the array.
    """
    if is_single(path):
        with path.open("rb") as stream:
            yield stream, os.fstat(stream.fileno()).st_size
        return
    with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as stream:
        yield stream, archive.getinfo(f"{key}.npy").file_size


def place(path: pathlib.Path, key: str) -> int | None:
    """Returns where an array begins in its file (see `opened`); None if it is compressed."""
    if is_single(path):
        return 0
    with zipfile.ZipFile(path) as archive, path.open("rb") as whole:
        return begin_of(archive.getinfo(f"{key}.npy"), whole)


def begin_of(member: zipfile.ZipInfo, whole: IO[bytes]) -> int | None:
    """Returns where a member begins in its archive, or None if it is compressed.

    Args:
        member: the member.
        whole: the archive, opened as a file.
    """
    if member.compress_type != zipfile.ZIP_STORED:
        return None
    whole.seek(member.header_offset)
    lengths = _LOCAL_HEADER.unpack(whole.read(_LOCAL_HEADER.size))
    return member.header_offset + _LOCAL_HEADER.size + sum(lengths)


def mapped(path: pathlib.Path, header: Header, begin: int) -> np.ndarray:
    """Returns the array that begins at a place of a file, memory-mapped.

    Args:
        path: the file.
        header: the beginning of the array, which has values.
        begin: where it lies.
    """
    order, offset = "F" if header.fortran else "C", begin + header.start
    with path.open("rb") as file:
        found = np.memmap(file, header.dtype, "r", offset, header.shape, order)
        remembered.note_file(found, file)
    return found
