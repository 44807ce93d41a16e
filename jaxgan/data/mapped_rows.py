"""Rows of images that are mapped from a file, chosen without reading them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

_PIECE = 2**22  # values that are read at a time


@dataclasses.dataclass(frozen=True, eq=False)
class MappedRows:
    """The rows `base[rows]` of images in a file, which are read only where they are asked for.

    It stands for the array of images of a `Dataset`: any index that does not say otherwise reads
    what it names into memory.

    Attributes:
        base: all images, [N, H, W, C], mapped.
        rows: int64 [M], the indices of those that are chosen.
    """

    base: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape [M, H, W, C]."""
        return (len(self.rows), *self.base.shape[1:])

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.base.ndim

    @property
    def dtype(self) -> np.dtype:
        """The type of the values."""
        return self.base.dtype

    @property
    def nbytes(self) -> int:
        """The bytes of the chosen images in memory."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __getitem__(self, key: Any) -> Any:
        """Returns images in memory; those of a part of each, `[:, ...]`, stay in the file."""
        if isinstance(key, tuple):
            first, *parts = key
            if isinstance(first, slice) and first == slice(None) and Ellipsis not in parts:
                return MappedRows(self.base[(first, *parts)], self.rows)
            return np.asarray(self)[key]
        return np.asarray(self.base[self.rows[key]])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Returns all images in memory, as NumPy asks for them."""
        found = np.asarray(self.base[self.rows])
        return found if dtype is None else found.astype(dtype, copy=False)

    def pieces(self) -> Iterator[np.ndarray]:
        """Yields the images in their order, a few at a time."""
        step = max(1, _PIECE // max(1, int(np.prod(self.shape[1:]))))
        return (self[start : start + step] for start in range(0, len(self), step))

    def min(self) -> np.generic:
        """Returns the least value."""
        return min(piece.min() for piece in self.pieces())

    def max(self) -> np.generic:
        """Returns the largest value."""
        return max(piece.max() for piece in self.pieces())

    def mean(self, dtype: Any = float) -> float:
        """Returns the mean of all values."""
        total = sum(float(piece.sum(dtype=dtype)) for piece in self.pieces())
        return total / int(np.prod(self.shape, dtype=np.int64))


def chosen(images: Any, rows: np.ndarray) -> Any:
    """Returns images [M, H, W, C] at some indices: in memory, or in their file if they are mapped.

    Args:
        images: images [N, H, W, C], an array in memory, a mapped one, or `MappedRows`.
        rows: which images: int [M], or True [N] for those to choose.
    """
    if isinstance(images, MappedRows):
        return MappedRows(images.base, images.rows[rows])
    if isinstance(images, np.memmap) and images.filename is not None:
        return MappedRows(images, np.arange(len(images))[rows])
    return images[rows]


def parts(images: Any) -> Iterator[np.ndarray]:
    """Yields images in their order, as arrays: those chosen of a file a few at a time.

    Args:
        images: images [N, H, W, C], an array or `MappedRows`.
    """
    if isinstance(images, MappedRows):
        yield from images.pieces()
    else:
        yield images
