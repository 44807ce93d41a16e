"""The range of stored values: which value a network sees as -1 and which as 1, and back.

Images stay in memory in the type of their files (`STORED`). A batch is float32, scaled by the range
of the training images; the inverse gives samples back as values of that type.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from jaxgan.data import pixels, remembered
from jaxgan.data.errors import DataError

STORED = ("uint8", "uint16", "float32")
"""The types of values in memory."""

Limits: TypeAlias = "str | Sequence[float]"
"""A range as users give it: 'LOW,HIGH' or (low, high)."""

_WHENCE = {
    "declared": "declared by the type",
    "given": "given by --range",
    "found": "found in the training images",
}
_PIECE = 2**22  # values that are compared at a time
_USUAL = ((0.0, 1.0), (-1.0, 1.0))
"""Ranges in which floats are usually stored; data that use over half of one have that range."""


class ValueRange(NamedTuple):
    """The values that become -1 and 1.

    Attributes:
        low: the value that becomes -1.
        high: the value that becomes 1; more than `low`.
        dtype: the type of the stored values, one of `STORED`.
        source: how the range was obtained: 'declared' by the type, 'given' or 'found'.
    """

    low: float
    high: float
    dtype: str = "uint8"
    source: str = "declared"

    def to_float(self, values: np.ndarray) -> np.ndarray:
        """Returns stored values as float32; low becomes -1 and high becomes 1.

        Values outside of a range that the user gave are clipped to its ends.

        Args:
            values: values of any shape, of the type `dtype`.

        Raises:
            TypeError: if they are of another type.
        """
        if self[:3] == BYTES[:3]:
            return pixels.to_float(values)
        if values.dtype.name != self.dtype:
            raise TypeError(f"the values are {values.dtype}; expected {self.dtype}")
        levels = values.astype(np.float32)
        if self.low:
            levels -= np.float32(self.low)
        levels /= np.float32((self.high - self.low) / 2)
        levels -= np.float32(1.0)
        return np.clip(levels, -1.0, 1.0, out=levels) if self.source == "given" else levels

    def to_values(self, images: np.ndarray) -> np.ndarray:
        """Returns images as stored values; the inverse of `to_float`.

        Integers are rounded and clipped to the range, and NaN becomes its low end, so that the
        samples of a broken generator can still be written. Floats are neither.

        Args:
            images: floats of any shape; -1 becomes low and 1 becomes high.
        """
        if self[:3] == BYTES[:3]:
            return pixels.to_uint8(images)
        values = (np.asarray(images, np.float64) + 1.0) * ((self.high - self.low) / 2) + self.low
        if self.dtype == "float32":
            return values.astype(np.float32)
        least, most = self._whole
        whole = np.rint(np.clip(values, least, most))
        return np.nan_to_num(whole, nan=least).astype(self.dtype)

    def outside(self, values: np.ndarray) -> int:
        """Returns the number of stored values that lie outside of the range.

        Args:
            values: values [N, ...] of the type `dtype`; they may be mapped from a file.
        """
        step = max(1, _PIECE // max(1, math.prod(values.shape[1:])))
        pieces = (values[start : start + step] for start in range(0, len(values), step))
        return sum(int(((piece < self.low) | (piece > self.high)).sum()) for piece in pieces)

    @property
    def _whole(self) -> tuple[int, int]:
        """The least and the largest integer of the type in the range."""
        limits = np.iinfo(self.dtype)
        return max(math.ceil(self.low), limits.min), min(math.floor(self.high), limits.max)

    def __str__(self) -> str:
        whence = _WHENCE.get(self.source, self.source)
        return f"[{_number(self.low)}, {_number(self.high)}], {whence}"

    def record(self) -> dict[str, Any]:
        """Returns the range as JSON values."""
        return self._asdict()

    @classmethod
    def recorded(cls, record: Mapping[str, Any]) -> ValueRange:
        """Returns the range from its `record`."""
        low, high = float(record["low"]), float(record["high"])
        return cls(low, high, str(record["dtype"]), str(record["source"]))


BYTES = ValueRange(0, 255)
"""The range of 8-bit images, which their type declares."""


def found(values: np.ndarray, *, name: str) -> ValueRange:
    """Returns the range of values, which is their type's for uint8.

    That of uint16 is [0, 2**bits - 1] with the fewest bits, 8 or more, that hold every value:
    [0, 4095] for 12 bits. That of floats is [0, 1] or [-1, 1] if they use over half of it, or else
    reaches from the least to the largest. Values that are all alike lie in its middle.

    Args:
        values: values of any shape, of a type of `STORED`.
        name: the name of the data, for messages.

    Raises:
        DataError: if a value is NaN or infinite.
    """
    if values.dtype == np.uint8:
        return BYTES

    def ends() -> list[float]:
        return [float(values.min()), float(values.max())]

    low, high = remembered.of_files([values], "the least and the largest value", ends)
    return spanning(low, high, values.dtype.name, name=name)


def spanning(low: float, high: float, dtype: str, *, name: str) -> ValueRange:
    """Returns the range of values of which only the ends are known, as `found` does.

    Args:
        low: the least value.
        high: the largest value.
        dtype: their type, one of `STORED`.
        name: the name of the data, for messages.

    Raises:
        DataError: if an end is NaN or infinite.
    """
    if dtype == "uint8":
        return BYTES
    if not (math.isfinite(low) and math.isfinite(high)):
        raise DataError(
            f"{name}: some values are NaN or infinite; replace them or remove these images"
        )
    if dtype == "uint16":
        return ValueRange(0.0, float(2 ** max(8, int(high).bit_length()) - 1), dtype, "found")
    for least, most in _USUAL:
        if least <= low and high <= most and max(-low, high) > most / 2:
            return ValueRange(least, most, dtype, "found")
    if low == high:
        low, high = low - max(1.0, abs(low)), high + max(1.0, abs(high))
    return ValueRange(low, high, dtype, "found")


def limits_of(given: Limits) -> tuple[float, float]:
    """Returns (low, high) from 'LOW,HIGH' or (low, high).

    Raises:
        DataError: if it is no pair of numbers, the lower first.
    """
    parts = given.split(",") if isinstance(given, str) else list(given)
    try:
        low, high = map(float, parts)
    except (TypeError, ValueError):
        low = high = math.nan
    if not (low < high and math.isfinite(low) and math.isfinite(high)):
        raise DataError(
            f"the range is {given!r}; expected LOW,HIGH, two numbers, the lower first, as in "
            "--range=-1000,400"
        )
    return low, high


def _number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e7 else f"{value:.6g}"
