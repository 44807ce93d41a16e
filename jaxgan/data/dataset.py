"""Images in memory in their own type, and batches of them as a pure function of (seed, step)."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from jaxgan.data import counter_rng, pixels, resizing, value_range
from jaxgan.data.errors import DataError
from jaxgan.data.value_range import ValueRange

Rows: TypeAlias = "slice | Sequence[int] | np.ndarray | None"
"""Which examples of a batch to build: a slice, indices [R], or None for all of them."""


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Images with optional labels, held in memory.

    Attributes:
        name: what the user asked for; used in messages.
        images: uint8, uint16 or float32 [N, H, W, C].
        labels: int32 [N] in [0, len(classes)), or None.
        classes: the name of each label; () if there are no labels.
        flip: whether batches mirror images left to right at random.
        jitter: pixels by which batches enlarge both sides of an image before a random crop to its
            original size; 0 for no crop.
        values: the range of the values, which batches are scaled by. Default: that of `images` (see
            `value_range.found`).
        show: indices of the channels that pictures show (see `bands.shown`); () for the usual ones.

    Raises:
        DataError: if the shapes, types or labels do not fit together.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    flip: bool = False
    jitter: int = 0
    values: ValueRange = None  # type: ignore[assignment]  # never None once it is made
    show: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        dtype = self.images.dtype.name
        if self.images.ndim != 4 or dtype not in value_range.STORED or 0 in self.images.shape:
            raise DataError(
                f"{self.name}: the images are {self.images.dtype} of shape {self.images.shape}; "
                "expected uint8, uint16 or float32 of shape [N, H, W, C] with no dimension of size "
                "0"
            )
        if self.values is None:
            object.__setattr__(self, "values", value_range.found(self.images, name=self.name))
        elif self.values.dtype != dtype:
            raise DataError(
                f"{self.name}: the images are {dtype} and their range is of {self.values.dtype}; "
                "give the range of the images, or leave it out"
            )
        if self.labels is not None:
            checked = check_labels(self.labels, len(self.images), self.classes, name=self.name)
            object.__setattr__(self, "labels", checked)
        elif self.classes:
            raise DataError(
                f"{self.name}: there are {len(self.classes)} class names but no labels; "
                "give a label for each image or leave the names out"
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape (H, W, C) of one image."""
        return self.images.shape[1:]

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """The shape of each further input of an example, by its name: here none."""
        return {}

    @property
    def ranges(self) -> dict[str, ValueRange]:
        """The range of the values of each array of images, by its name in a batch."""
        return {"image": self.values}

    @functools.cached_property
    def digest(self) -> str:
        """The sha256, in hex, of the images, labels and class names: equal for equal data."""
        described = f"{self.images.shape} {self.labels is not None} {self.classes}"
        if self.values[:3] != value_range.BYTES[:3]:  # recorded digests of 8 bits must not change
            described += f" {self.values[:3]}"
        contents = hashlib.sha256(described.encode())
        contents.update(np.ascontiguousarray(self.images).data)
        if self.labels is not None:
            contents.update(self.labels.astype("<i4").tobytes())
        return contents.hexdigest()

    def batch(
        self, *, seed: int, step: int, size: int, rows: Rows = None, stream: str = ""
    ) -> dict[str, np.ndarray]:
        """Returns the batch of a step, a pure function of the arguments.

        The batch holds 'image', float32 [B, H, W, C] in [-1, 1], and 'label', int32 [B], if there
        are labels. Example i of step s has position p = s * size + i. Epoch p // N visits every
        image once, in an order of its own. A batch may therefore span two epochs, and a resumed run
        continues in the middle of one.

        Args:
            seed: seed of the run.
            step: training step, 0 or more.
            size: batch size.
            rows: which examples of the batch to build (B = R), as one process of several needs.
                They equal the same examples of the full batch. None builds all of them (B = size).
            stream: name of the stream; each stream has an independent order, mirroring and crops.
        """
        at = positions(step, size, rows)
        index = visited(seed, at, len(self), stream)
        chosen = self.images[index]
        if self.flip:
            mirrored = counter_rng.bits(seed, f"{stream}flip", at) >> np.uint64(63) == 1
            chosen[mirrored] = chosen[mirrored, :, ::-1]
        if self.jitter:
            chosen = cut(chosen, self.jitter, counter_rng.bits(seed, f"{stream}jitter", at))
        batch = {"image": self.values.to_float(chosen)}
        if self.labels is not None:
            batch["label"] = self.labels[index]
        return batch

    def augmented(self, *, flip: bool, jitter: int) -> Dataset:
        """Returns the dataset whose batches are augmented.

        Args:
            flip: whether to mirror images left to right at random.
            jitter: pixels by which to enlarge an image before a random crop; 0 for no crop.
        """
        return dataclasses.replace(self, flip=flip, jitter=jitter)

    def subset(self, indices: Sequence[int] | np.ndarray) -> Dataset:
        """Returns the dataset of the images at `indices`, in that order, with the same classes."""
        chosen = np.asarray(indices)
        labels = None if self.labels is None else self.labels[chosen]
        return dataclasses.replace(self, images=self.images[chosen], labels=labels)

    def take(self, count: int) -> Dataset:
        """Returns the dataset of `count` images that are spread evenly over this one.

        A dataset that is sorted by class stays balanced.

        Raises:
            DataError: if there are fewer than `count` images.
        """
        return self.subset(self.evenly(count))

    def evenly(self, count: int) -> np.ndarray:
        """Returns the indices, int [count], of images that are spread evenly over the dataset.

        Raises:
            DataError: if there are fewer than `count` images.
        """
        if not 1 <= count <= len(self):
            raise DataError(
                f"{self.name}: {count} images were asked for; "
                f"expected 1 to {len(self)}, as many as there are"
            )
        return np.arange(count) * len(self) // count

    def float_images(self, rows: slice | np.ndarray | None = None) -> np.ndarray:
        """Returns images as float32 [N, H, W, C] in [-1, 1], in stored order and never mirrored.

        Args:
            rows: which images; None for all images.
        """
        return self.values.to_float(self.images if rows is None else self.images[rows])

    def pictures(self, rows: slice | np.ndarray | None = None) -> np.ndarray:
        """Returns images in 8 bits, uint8 [N, H, W, C], as people and metrics see them.

        Args:
            rows: which images; None for all images. Those of 8 bits are not copied.
        """
        chosen = self.images if rows is None else self.images[rows]
        if self.values[:3] == value_range.BYTES[:3]:
            return chosen
        return pixels.to_uint8(self.values.to_float(chosen))


def positions(step: int, size: int, rows: Rows = None) -> np.ndarray:
    """Returns the positions of the examples of a batch in the endless stream of examples.

    Args:
        step: training step, 0 or more.
        size: batch size.
        rows: which examples of the batch; None for all of them.

    Returns:
        int64 [size], or [R] with `rows`.

    Raises:
        ValueError: if the step is negative or the size is below 1.
    """
    if step < 0 or size < 1:
        raise ValueError(f"step is {step} and size {size}; expected step >= 0 and size >= 1")
    every = np.arange(size, dtype=np.int64)
    if rows is not None:
        every = every[rows if isinstance(rows, slice) else np.asarray(rows, np.int64)]
    return step * size + every


def visited(seed: int, at: np.ndarray, count: int, stream: str = "") -> np.ndarray:
    """Returns the indices [B] in [0, count) of the examples that a run visits.

    Args:
        seed: seed of the run.
        at: positions [B] in the endless stream of examples (see `positions`).
        count: number of examples in the dataset.
        stream: name of the stream; each stream has an independent order.
    """
    epochs, places = np.divmod(at, count)
    index = np.empty_like(places)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        index[here] = counter_rng.permutation(seed, int(epoch), count, stream)[places[here]]
    return index


def cut(images: np.ndarray, margin: int, draws: np.ndarray) -> np.ndarray:
    """Returns random crops of enlarged images, [B, H, W, C] in their own type.

    Args:
        images: uint8, uint16 or float32 [B, H, W, C].
        margin: pixels by which to enlarge height and width before the crop.
        draws: uint64 [B]; each determines the place of one crop.
    """
    height, width = images.shape[1:3]
    enlarged = resizing.stretched(images, (height + margin, width + margin))
    places, half = np.uint64(margin + 1), np.uint64(32)
    tops, lefts = (draws >> half) % places, (draws & np.uint64(0xFFFFFFFF)) % places
    rows = tops.astype(int)[:, None] + np.arange(height)
    columns = lefts.astype(int)[:, None] + np.arange(width)
    return enlarged[np.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]]


def check_labels(
    labels: np.ndarray, count: int, classes: Sequence[str], *, name: str
) -> np.ndarray:
    """Returns the labels as int32 [count].

    Args:
        labels: the labels, of any type.
        count: number of images.
        classes: the names of the classes.
        name: the name of the data, for messages.

    Raises:
        DataError: if the labels are not `count` integers in [0, len(classes)).
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"{name}: the labels are {labels.dtype} of shape {labels.shape}; "
            f"expected one integer for each of the {count} images"
        )
    if len(labels) != count:
        raise DataError(
            f"{name}: there are {len(labels)} labels for {count} images; give one for each image"
        )
    outside = np.flatnonzero((labels < 0) | (labels >= len(classes)))
    if len(outside):
        raise DataError(
            f"{name}: {len(outside)} labels are out of range, the first is {labels[outside[0]]} "
            f"for image {outside[0]}; expected 0 to {len(classes) - 1} for {len(classes)} classes"
        )
    return labels.astype(np.int32)
