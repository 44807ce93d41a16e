"""The type in which numbers of any type are kept as images, and checks of their values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from jaxgan.data import value_range
from jaxgan.data.errors import DataError

_EXACT = 2**24
"""Integers up to this size are float32 numbers, too."""
_PIECE = 2**18
"""Number of values checked at a time: the memory for that is not counted."""


def stored(images: np.ndarray, key: str, *, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns the images in a type of `value_range.STORED`, and a note if that is another type.

    Args:
        images: integers or floats [N, ...].
        key: their name in the archive, for messages.
        name: the name of the data, for messages.

    Raises:
        DataError: if values are not finite, or are no float32 numbers.
    """
    require_finite((images[rows] for rows in slices(images)), key, name=name)
    if images.dtype.name in value_range.STORED:
        return images.astype(images.dtype.newbyteorder("="), copy=False), ()
    low, high = images.min().item(), images.max().item()
    dtype, notes = kept(images.dtype, low, high, key, name=name)
    return images.astype(dtype), notes


def kept(
    dtype: np.dtype, low: float, high: float, key: str, *, name: str
) -> tuple[str, tuple[str, ...]]:
    """Returns the type that numbers of a type that is not in `value_range.STORED` are kept in.

    Args:
        dtype: their type.
        low: the least number.
        high: the largest one.
        key: their name in the archive, for messages.
        name: the name of the data, for messages.

    Returns:
        The name of the type, and a note on it.

    Raises:
        DataError: if they are no float32 numbers.
    """
    most = _EXACT if dtype.kind in "ui" else float(np.finfo(np.float32).max)
    if max(-low, high) > most:
        raise DataError(
            f"{name}: '{key}' is {dtype} in [{low:.6g}, {high:.6g}]; expected values that float32 "
            f"holds, up to {most:.6g}: subtract or divide by a constant first"
        )
    found = "float32"
    if dtype.kind in "ui" and low >= 0 and high <= 65535:
        found = "uint8" if high <= 255 else "uint16"
    return found, (f"The {dtype} of '{key}' are kept as {found}.",)


def ends(pieces: Iterable[np.ndarray], key: str, *, name: str) -> tuple[float, float]:
    """Returns the least and the largest number.

    Args:
        pieces: the numbers, a few images [n, ...] at a time.
        key: their name in the archive, for messages.
        name: the name of the data, for messages.

    Raises:
        DataError: if values are not finite.
    """
    found = [(piece.min().item(), piece.max().item()) for piece in checked(pieces, key, name=name)]
    return min(low for low, _ in found), max(high for _, high in found)


def require_finite(pieces: Iterable[np.ndarray], key: str, *, name: str) -> None:
    """Raises DataError if values are not finite (see `checked`).

    Args:
        pieces: the numbers, a few images [n, ...] at a time.
        key: their name in the archive, for messages.
        name: the name of the data, for messages.
    """
    for _ in checked(pieces, key, name=name):
        pass


def checked(pieces: Iterable[np.ndarray], key: str, *, name: str) -> Iterator[np.ndarray]:
    """Yields the pieces, and at the end raises DataError if values are not finite.

    Args:
        pieces: the numbers, a few images [n, ...] at a time.
        key: their name in the archive, for messages.
        name: the name of the data, for messages.
    """
    count, first, start = 0, None, 0
    for piece in pieces:
        if piece.dtype.kind == "f":
            bad = ~np.isfinite(piece)
            if first is None and bad.any():
                first = start + np.nonzero(bad)[0][0]
            count += np.count_nonzero(bad)
        start += len(piece)
        yield piece
    if count:
        raise DataError(
            f"{name}: {count} values of '{key}' are NaN or infinite, "
            f"the first in image {first}; replace them or remove these images"
        )


def slices(images: np.ndarray) -> Iterator[slice]:
    """Returns slices over images [N, ...], of a few images each."""
    step = max(1, _PIECE // max(1, math.prod(images.shape[1:])))
    return (slice(at, at + step) for at in range(0, len(images), step))
