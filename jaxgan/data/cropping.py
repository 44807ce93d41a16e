"""Random crops in full detail: where they lie is a pure function of the draws of a batch.

Batches show a part of each image at a random place. Everything else shows the center: held-out
data, metrics and pictures.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxgan.data.errors import DataError
from jaxgan.data.mapped_rows import MappedRows

Size = tuple[int, int]


@dataclasses.dataclass(frozen=True, eq=False)
class Uncut:
    """Whole images, of one or of several sizes, of which batches show parts.

    Attributes:
        pixels: [P, C], the pixels of the images: row by row, and one image after the other.
        starts: int64 [N], the place in `pixels` at which each image begins.
        sizes: int64 [N, 2], the size (H, W) of each image.
    """

    pixels: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, images: np.ndarray | MappedRows) -> Uncut:
        """Returns images of one size, [N, H, W, C], without a copy if their memory is in order."""
        count, height, width, channels = images.shape
        if isinstance(images, MappedRows):
            whole, rows = images.base, images.rows
        else:
            whole, rows = images, np.arange(count, dtype=np.int64)
        return cls(
            whole.reshape(-1, channels),
            rows * (height * width),
            np.tile(np.array([[height, width]], np.int64), (count, 1)),
        )

    @classmethod
    def in_order(cls, pixels: np.ndarray, sizes: np.ndarray) -> Uncut:
        """Returns images that lie in `pixels` [P, C] one after the other, of sizes [N, 2]."""
        ends = np.cumsum(sizes[:, 0] * sizes[:, 1], dtype=np.int64)
        return cls(pixels, np.concatenate([[0], ends[:-1]]), sizes)

    def __len__(self) -> int:
        return len(self.sizes)

    def image(self, index: int) -> np.ndarray:
        """Returns a view of one whole image, [H, W, C]."""
        start, (height, width) = self.starts[index], self.sizes[index]
        return self.pixels[start : start + height * width].reshape(height, width, -1)

    def cut(self, index: np.ndarray, size: Size, draws: np.ndarray) -> np.ndarray:
        """Returns a part of each image at a random place, [B, h, w, C].

        Every place is equally likely. Images of one size are cut alike by equal draws.

        Args:
            index: which images, [B].
            size: the size (h, w) of the parts; no image is smaller.
            draws: uint64 [B]; each determines the place of one part.
        """
        free = (self.sizes[index] - np.array(size) + 1).astype(np.uint64)
        down = (draws >> np.uint64(32)) % free[:, 0]
        across = (draws & np.uint64(0xFFFFFFFF)) % free[:, 1]
        return self._parts(index, size, np.stack([down, across], axis=1).astype(np.int64))

    def centers(self, size: Size) -> np.ndarray:
        """Returns the center of each image, [N, h, w, C].

        Args:
            size: the size (h, w) of the parts; no image is smaller.
        """
        return self._parts(np.arange(len(self)), size, (self.sizes - np.array(size)) // 2)

    def subset(self, indices: np.ndarray) -> Uncut:
        """Returns the images at `indices`, which share the memory of these."""
        return dataclasses.replace(self, starts=self.starts[indices], sizes=self.sizes[indices])

    def contents(self) -> Iterator[np.ndarray]:
        """Yields the sizes, and then the pixels of each image: what a digest is made of."""
        yield self.sizes.astype("<i8")
        for index in range(len(self)):
            yield self.image(index)

    def _parts(self, index: np.ndarray, size: Size, places: np.ndarray) -> np.ndarray:
        height, width = size
        pixels = np.asarray(self.pixels)  # mapped arrays take long for every view
        channels = pixels.shape[1]
        found = np.empty((len(index), height, width, channels), pixels.dtype)
        starts, sizes = self.starts[index].tolist(), self.sizes[index].tolist()
        chosen = zip(starts, sizes, places.tolist(), strict=True)
        for row, (start, (tall, wide), (top, left)) in enumerate(chosen):
            image = pixels[start : start + tall * wide].reshape(tall, wide, channels)
            found[row] = image[top : top + height, left : left + width]
        return found


def center(images: Any, size: Size) -> Any:
    """Returns a view of the center of images [..., H, W, C], as [..., h, w, C].

    Args:
        images: images that are not smaller than the size.
        size: the size (h, w) of the center.
    """
    if isinstance(images, MappedRows):
        return dataclasses.replace(images, base=center(images.base, size))
    (top, left), (height, width) = place(images.shape[-3:-1], size), size
    return images[..., top : top + height, left : left + width, :]


def place(whole: tuple[int, ...], size: Size) -> Size:
    """Returns the upper left corner (top, left) of the center of an image.

    Args:
        whole: the size (H, W) of the image.
        size: the size (h, w) of the center.
    """
    return (whole[0] - size[0]) // 2, (whole[1] - size[1]) // 2


def require_room(shape: tuple[int, ...], size: Size, *, name: str) -> None:
    """Raises DataError if images are smaller than their parts.

    Args:
        shape: the shape (H, W, C) of the images.
        size: the size (h, w) of the parts.
        name: the name of the data, for the message.

    Raises:
        DataError: if they are smaller.
    """
    height, width = shape[:2]
    if height < size[0] or width < size[1]:
        raise DataError(
            f"{name}: the images are {height}x{width}, which has no room for a crop of "
            f"{size[0]}x{size[1]}; give a smaller --crop, or a --load that is as large"
        )
