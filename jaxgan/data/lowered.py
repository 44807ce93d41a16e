"""Pairs made of single images: 'b', and 'a', the same reduced, from which it is to be found."""

from __future__ import annotations

import dataclasses
import functools
import hashlib

import numpy as np

from jaxgan.data import bicubic, counter, fitting, pixels
from jaxgan.data.dataset import Dataset, Rows, positions, visited
from jaxgan.data.domains import Pairs
from jaxgan.data.errors import DataError
from jaxgan.data.splits import Splits


@dataclasses.dataclass(frozen=True, eq=False)
class Lowered:
    """Pieces of images, at random places, and the same reduced.

    images: whole.
    factor: how many times smaller the others are.
    crop:   height and width of a piece; a side that is larger than the image is taken whole.

    Raises DataError, with the name of the images, where the factor does not divide the pieces.
    """

    images: Dataset
    factor: int
    crop: tuple[int, int]

    def __post_init__(self) -> None:
        height, width = self.shape[:2]
        if min(height, width) < 1 or height % self.factor or width % self.factor:
            raise DataError(
                f"{self.name}: pieces of {height}x{width} pixels cannot be made {self.factor} "
                f"times smaller; give multiples of {self.factor}"
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def name(self) -> str:
        """What the user asked for, for messages."""
        return self.images.name

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the labels of a batch: none."""
        return ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape (H, W, C) of a piece."""
        height, width, channels = self.images.shape
        return min(self.crop[0], height), min(self.crop[1], width), channels

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """The shapes of what else an example holds, by role: of a reduced piece."""
        height, width, channels = self.shape
        return {"a": (height // self.factor, width // self.factor, channels)}

    @functools.cached_property
    def digest(self) -> str:
        """The sha256, in hex, of the images, the factor and the size of a piece."""
        described = f"{self.images.digest} {self.factor} {self.shape}"
        return hashlib.sha256(described.encode()).hexdigest()

    def batch(self, *, seed: int, step: int, size: int, rows: Rows = None) -> dict[str, np.ndarray]:
        """The batch of step `step`: pieces 'b' and, reduced, 'a', float32 [B, H, W, C] in [-1, 1],
        a pure function of the arguments (see `Dataset.batch`).

        Each piece is reduced by itself, as a whole image is at its edges: so it is what its small
        one was made from.
        """
        at = positions(step, size, rows)
        index = visited(seed, at, len(self))
        found = _cut(self.images.images, index, self._corners(seed, at), self.shape[:2])
        if self.images.flip:
            mirrored = counter.bits(seed, "flip", at) >> np.uint64(63) == 1
            found[mirrored] = found[mirrored, :, ::-1]
        small = bicubic.smaller(found, self.factor)
        return {"a": pixels.to_float(small), "b": pixels.to_float(found)}

    def _corners(self, seed: int, at: np.ndarray) -> np.ndarray:
        """Where the pieces begin, int [B, 2]."""
        room = np.array(self.images.shape[:2]) - self.shape[:2] + 1
        places = [counter.uniform(seed, f"crop {axis}", at) * room[axis] for axis in (0, 1)]
        return np.stack(places, axis=1).astype(int)


def splits(whole: Splits, *, factor: int, crop: fitting.Resolution | None = None) -> Splits:
    """The data of a run as pairs, 'a' reduced and 'b' not: those trained on in pieces of the size
    `crop` (None: whole), those held out whole, as `Pairs`.

    Sides that the factor does not divide are cut at the bottom and on the right. Raises DataError
    where the data are no single images, or where the factor does not fit the images or the crop.
    """
    train, notes = _divisible(whole.train, factor)
    held_out, _ = _divisible(whole.held_out, factor)
    size = train.shape[:2] if crop is None else fitting.parse_resolution(crop)
    return Splits(Lowered(train, factor, size), pairs(held_out, factor), (*whole.notes, *notes))


def pairs(images: Dataset, factor: int) -> Pairs:
    """The images, whole, and the same reduced. Raises ValueError where the factor does not divide
    the size.
    """
    small = bicubic.smaller(images.images, factor)
    return Pairs(dataclasses.replace(images, images=small), images)


def _divisible(images: object, factor: int) -> tuple[Dataset, tuple[str, ...]]:
    """The images cut to multiples of the factor, and a note where that took something away."""
    if not isinstance(images, Dataset):
        raise DataError("the data are no single images; only those can be reduced")
    height, width, _ = images.shape
    if factor < 2 or min(height, width) < factor:
        raise DataError(
            f"{images.name}: images of {height}x{width} pixels cannot be made {factor} times "
            "smaller; give a factor of 2 or more, and images that are larger than it"
        )
    rows, columns = height // factor * factor, width // factor * factor
    if (rows, columns) == (height, width):
        return images, ()
    cut = dataclasses.replace(images, images=images.images[:, :rows, :columns])
    size = f"{height}x{width} pixels are cut to {rows}x{columns}"
    return cut, (f"Images of {size}, multiples of {factor}.",)


def _cut(
    images: np.ndarray, index: np.ndarray, corners: np.ndarray, sides: tuple[int, int]
) -> np.ndarray:
    """A piece of `sides` (height, width) of each image of `index` [B] from its corner [B, 2]."""
    rows = corners[:, :1] + np.arange(sides[0])
    columns = corners[:, 1:] + np.arange(sides[1])
    return images[index[:, None, None], rows[:, :, None], columns[:, None, :]]
