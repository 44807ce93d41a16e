"""Images in their own type, and batches of them as a pure function of (seed, step)."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from jaxgan.data import counter_rng, cropping, mapped_rows, pixels, prepared, value_range
from jaxgan.data.errors import DataError
from jaxgan.data.value_range import ValueRange

Rows: TypeAlias = "slice | Sequence[int] | np.ndarray | None"
"""Which examples of a batch to build: a slice, indices [R], or None for all of them."""


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Images with optional labels, in memory or mapped from a file.

    Attributes:
        name: what the user asked for; used in messages.
        images: uint8, uint16 or float32 [N, H, W, C]: an array, which may be mapped, or chosen
            rows of a mapped one (`mapped_rows.MappedRows`).
        labels: int32 [N] in [0, len(classes)), or None.
        classes: the name of each label; () if there are no labels.
        flip: whether batches mirror images left to right at random.
        uncut: the whole images, if batches show a part of each at a random place; `images` are then
            their centers (see `cropping`).
        values: the range of the values, which batches are scaled by. Default: that of the images
            (see `value_range.found`).
        show: indices of the channels that pictures show (see `bands.shown`); () for the usual ones.

    Raises:
        DataError: if the shapes, types or labels do not fit together.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    flip: bool = False
    uncut: cropping.Uncut | None = None
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
            object.__setattr__(self, "values", value_range.found(self.stored, name=self.name))
        elif self.values.dtype != dtype:
            raise DataError(
                f"{self.name}: the images are {dtype} and their range is of {self.values.dtype}; "
                "give the range of the images, or leave it out"
            )
        if self.labels is not None:
            checked = check_labels(self.labels, len(self.images), self.classes, name=self.name)
            object.__setattr__(self, "labels", checked)
        elif self.classes and not self.several:
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
    def several(self) -> bool:
        """Whether an image may belong to several classes (see `MultiLabeled`)."""
        return False

    @property
    def ranges(self) -> dict[str, ValueRange]:
        """The range of the values of each array of images, by its name in a batch."""
        return {"image": self.values}

    @property
    def stored(self) -> np.ndarray:
        """All values of which batches show some, [..., C]: of whole images if these are cut."""
        return self.images if self.uncut is None else self.uncut.pixels

    @functools.cached_property
    def digest(self) -> str:
        """The sha256, in hex, of the images, labels and class names: equal for equal data."""
        described = f"{self.images.shape} {self.labels is not None} {self.classes}"
        if self.values[:3] != value_range.BYTES[:3]:  # recorded digests of 8 bits must not change
            described += f" {self.values[:3]}"
        parts = mapped_rows.parts(self.images) if self.uncut is None else self.uncut.contents()
        labels = b"" if self.labels is None else self.labels.astype("<i4").tobytes()

        def computed() -> str:
            contents = hashlib.sha256(described.encode())
            for part in parts:
                contents.update(np.ascontiguousarray(part).data)
            contents.update(labels)
            return contents.hexdigest()

        chosen = b"" if self.uncut is None else self.uncut.starts.tobytes()
        if isinstance(self.images, mapped_rows.MappedRows):
            chosen += self.images.rows.tobytes()
        others = hashlib.sha256(labels + chosen).hexdigest()
        return prepared.remembered(self.stored, f"{described} {others}", computed)

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
        if self.uncut is None:
            chosen = self.images[index]
        else:
            draws = counter_rng.bits(seed, f"{stream}crop", at)
            chosen = self.uncut.cut(index, self.images.shape[1:3], draws)
        if self.flip:
            mirrored = counter_rng.bits(seed, f"{stream}flip", at) >> np.uint64(63) == 1
            chosen[mirrored] = chosen[mirrored, :, ::-1]
        batch = {"image": self.values.to_float(chosen)}
        if self.labels is not None:
            batch["label"] = self.labels[index]
        return batch

    def augmented(self, *, flip: bool) -> Dataset:
        """Returns the dataset whose batches are augmented.

        Args:
            flip: whether to mirror images left to right at random.
        """
        return dataclasses.replace(self, flip=flip)

    def cut_at_random(self, size: cropping.Size) -> Dataset:
        """Returns the dataset whose batches show a part of each image, at a random place.

        Its `images` are the centers.

        Args:
            size: the size (h, w) of the parts.

        Raises:
            DataError: if the images are smaller.
        """
        if self.uncut is not None or self.shape[:2] == size:
            return self
        cropping.require_room(self.shape, size, name=self.name)
        uncut = cropping.Uncut.of(self.images)
        return dataclasses.replace(self, images=cropping.center(self.images, size), uncut=uncut)

    def cut_in_the_center(self, size: cropping.Size) -> Dataset:
        """Returns the dataset of the centers of the images, for evaluation.

        Args:
            size: the size (h, w) of the centers.

        Raises:
            DataError: if the images are smaller.
        """
        if self.shape[:2] == size:
            return dataclasses.replace(self, uncut=None)
        cropping.require_room(self.shape, size, name=self.name)
        return dataclasses.replace(self, images=cropping.center(self.images, size), uncut=None)

    def of_each(self, change: Callable[[Dataset], Dataset]) -> Dataset:
        """Returns what `change` makes of this dataset: of two domains it changes each."""
        return change(self)

    def subset(self, indices: Sequence[int] | np.ndarray) -> Dataset:
        """Returns the dataset of the images at `indices`, in that order, with the same classes."""
        return dataclasses.replace(self, **self._chosen(np.asarray(indices)))

    def rows_of(self, label: int) -> np.ndarray:
        """Returns the indices, int [M], of the images that belong to a class."""
        return np.flatnonzero(self.labels == label)

    def class_counts(self) -> np.ndarray:
        """Returns the number of images of each class, int [K]; K is 0 if there are no labels."""
        labels = np.zeros(0, np.int32) if self.labels is None else self.labels
        return np.bincount(labels, minlength=len(self.classes))

    def of_classes(self, kept: np.ndarray) -> Dataset | None:
        """Returns the images of some classes, renumbered, or None if there is no such image.

        Args:
            kept: True [K] for the classes to keep.
        """
        assert self.labels is not None
        rows = np.flatnonzero(kept[self.labels])
        if not len(rows):
            return None
        names = tuple(np.compress(kept, np.array(self.classes, object)).tolist())
        numbers = (np.cumsum(kept, dtype=np.int32) - 1)[self.labels[rows]]
        chosen = {} if len(rows) == len(self) else self._chosen(rows)
        return dataclasses.replace(self, **{**chosen, "labels": numbers, "classes": names})

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
        return self.values.to_float(self._read(rows))

    def pictures(self, rows: slice | np.ndarray | None = None) -> np.ndarray:
        """Returns images in 8 bits, uint8 [N, H, W, C], as people and metrics see them.

        Args:
            rows: which images; None for all images. Those of 8 bits are not copied.
        """
        chosen = self._read(rows)
        if self.values[:3] == value_range.BYTES[:3]:
            return chosen
        return pixels.to_uint8(self.values.to_float(chosen))

    def _read(self, rows: slice | np.ndarray | None) -> np.ndarray:
        """Returns images in their own type; chosen rows of a file are read into memory."""
        return np.asarray(self.images) if rows is None else self.images[rows]

    def _chosen(self, indices: np.ndarray) -> dict[str, Any]:
        """Returns the fields that hold something of each image, for those at `indices` [R].

        Mapped images stay in their file.
        """
        return {
            "images": mapped_rows.chosen(self.images, indices),
            "labels": None if self.labels is None else self.labels[indices],
            "uncut": None if self.uncut is None else self.uncut.subset(indices),
        }


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
