"""Images as uint8 in memory, and batches of them as a pure function of (seed, step)."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from jaxgan.data import counter_rng, pixels, resizing
from jaxgan.data.errors import DataError

Rows: TypeAlias = "slice | Sequence[int] | np.ndarray | None"
"""Which rows of a batch to build: a slice, row indices [R], or None for all of them."""


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Images uint8 [N, H, W, C], with labels int32 [N] in [0, len(classes)) or None.

    name:    what the user asked for, for messages.
    classes: the name of each label; () where there are no labels.
    flip:    whether batches mirror images left to right at random.
    jitter:  pixels by which batches enlarge both sides of an image, to cut its size out at random.

    Raises DataError, with `name`, where the shapes, the types or the labels do not fit together.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    flip: bool = False
    jitter: int = 0

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype != np.uint8 or 0 in self.images.shape:
            raise DataError(
                f"{self.name}: the images are {self.images.dtype} of shape {self.images.shape}; "
                "expected uint8 of shape [N, H, W, C] with nothing of size 0"
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
        """The shapes of what else an example holds, by role: nothing."""
        return {}

    @functools.cached_property
    def digest(self) -> str:
        """The sha256, in hex, of the images, labels and class names: equal for equal data."""
        described = f"{self.images.shape} {self.labels is not None} {self.classes}"
        contents = hashlib.sha256(described.encode())
        contents.update(np.ascontiguousarray(self.images).data)
        if self.labels is not None:
            contents.update(self.labels.astype("<i4").tobytes())
        return contents.hexdigest()

    def batch(
        self, *, seed: int, step: int, size: int, rows: Rows = None, stream: str = ""
    ) -> dict[str, np.ndarray]:
        """The batch of step `step`: 'image' float32 [B, H, W, C] in [-1, 1], and 'label' int32 [B].

        A pure function of its arguments. Row i of step s stands at position p = s * size + i; epoch
        p // N visits every image once, in an order of its own, so a batch may straddle two epochs
        and a resumed run goes on in the middle of one. `rows` builds only those rows of the batch
        (B = R), as one process of several needs; they equal the same rows of the full batch. Every
        `stream` is an independent order, with mirroring and cuts of its own.
        """
        at = positions(step, size, rows)
        index = visited(seed, at, len(self), stream)
        chosen = self.images[index]
        if self.flip:
            mirrored = counter_rng.bits(seed, f"{stream}flip", at) >> np.uint64(63) == 1
            chosen[mirrored] = chosen[mirrored, :, ::-1]
        if self.jitter:
            chosen = cut(chosen, self.jitter, counter_rng.bits(seed, f"{stream}jitter", at))
        batch = {"image": pixels.to_float(chosen)}
        if self.labels is not None:
            batch["label"] = self.labels[index]
        return batch

    def augmented(self, *, flip: bool, jitter: int) -> Dataset:
        """The dataset whose batches are mirrored and cut out at random as asked."""
        return dataclasses.replace(self, flip=flip, jitter=jitter)

    def subset(self, indices: Sequence[int] | np.ndarray) -> Dataset:
        """The dataset of the images at `indices`, in that order, with the same classes."""
        chosen = np.asarray(indices)
        labels = None if self.labels is None else self.labels[chosen]
        return dataclasses.replace(self, images=self.images[chosen], labels=labels)

    def take(self, count: int) -> Dataset:
        """The dataset of `count` images spread evenly over this one.

        A set that is sorted by class stays balanced. Raises DataError where there are fewer.
        """
        return self.subset(self.evenly(count))

    def evenly(self, count: int) -> np.ndarray:
        """The rows of `count` images spread evenly over the dataset, int [count]; DataError where
        there are fewer.
        """
        if not 1 <= count <= len(self):
            raise DataError(
                f"{self.name}: {count} images were asked for; "
                f"expected 1 to {len(self)}, as many as there are"
            )
        return np.arange(count) * len(self) // count

    def float_images(self, rows: np.ndarray | None = None) -> np.ndarray:
        """All images, or those at `rows`, as float32 [N, H, W, C] in [-1, 1], in stored order and
        never mirrored.
        """
        return pixels.to_float(self.images if rows is None else self.images[rows])


def positions(step: int, size: int, rows: Rows = None) -> np.ndarray:
    """The positions of the rows of batch `step` in the endless stream of examples: [size], or [R].

    Raises ValueError on a negative step or a size below 1.
    """
    if step < 0 or size < 1:
        raise ValueError(f"step is {step} and size {size}; expected step >= 0 and size >= 1")
    every = np.arange(size, dtype=np.int64)
    if rows is not None:
        every = every[rows if isinstance(rows, slice) else np.asarray(rows, np.int64)]
    return step * size + every


def visited(seed: int, at: np.ndarray, count: int, stream: str = "") -> np.ndarray:
    """The examples [B] in [0, count) that a run with `seed` visits at the positions `at` [B]."""
    epochs, places = np.divmod(at, count)
    index = np.empty_like(places)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        index[here] = counter_rng.permutation(seed, int(epoch), count, stream)[places[here]]
    return index


def cut(images: np.ndarray, margin: int, draws: np.ndarray) -> np.ndarray:
    """Images uint8 [B, H, W, C] enlarged by `margin` pixels a side, and of each the H x W pixels at
    the place that its uint64 draw [B] says.
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
    """The labels as int32 [count].

    Raises DataError where they are not `count` integers in [0, len(classes)).
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
            f"{name}: {len(outside)} labels lie out of range, the first being {labels[outside[0]]} "
            f"for image {outside[0]}; expected 0 to {len(classes) - 1} for {len(classes)} classes"
        )
    return labels.astype(np.int32)
