"""Images with several labels each."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Sequence

import numpy as np

from jaxgan.data.dataset import Dataset, Rows, positions, visited
from jaxgan.data.errors import DataError


@dataclasses.dataclass(frozen=True, eq=False)
class MultiLabeled(Dataset):
    """A dataset whose images may each belong to several classes.

    Batches hold them as 'label', float32 [B, K] of 0 and 1 (multi-hot).

    Attributes:
        marks: uint8 [N, K]: 1 where an image belongs to a class.

    The other attributes are those of `Dataset`; `labels` is None.

    Raises:
        DataError: if the marks do not fit the images and the classes, or an image has none.
    """

    marks: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 0), np.uint8))

    def __post_init__(self) -> None:
        super().__post_init__()
        expected = (len(self.images), len(self.classes))
        if self.marks.shape != expected or self.marks.dtype != np.uint8 or self.marks.max() > 1:
            raise DataError(
                f"{self.name}: the labels are {self.marks.dtype} of shape {self.marks.shape}; "
                f"expected uint8 of shape {expected}, 0 or 1 for each image and class"
            )
        if not self.marks.any(axis=1).all():
            raise DataError(
                f"{self.name}: some images have no label; give each one, or leave it out"
            )

    @property
    def several(self) -> bool:
        """Whether an image may belong to several classes: here it may."""
        return True

    @functools.cached_property
    def digest(self) -> str:
        """The sha256, in hex, of the images, labels and class names: equal for equal data."""
        contents = hashlib.sha256(super().digest.encode())
        contents.update(np.ascontiguousarray(self.marks).data)
        return contents.hexdigest()

    def batch(
        self, *, seed: int, step: int, size: int, rows: Rows = None, stream: str = ""
    ) -> dict[str, np.ndarray]:
        """Returns the batch of a step, a pure function of the arguments (see `Dataset.batch`).

        The batch holds 'image', and 'label', float32 [B, K] of 0 and 1.

        Args:
            seed: seed of the run.
            step: training step, 0 or more.
            size: batch size.
            rows: which examples of the batch to build; None builds all of them.
            stream: name of the stream; each stream has an independent order.
        """
        batch = super().batch(seed=seed, step=step, size=size, rows=rows, stream=stream)
        index = visited(seed, positions(step, size, rows), len(self), stream)
        return {**batch, "label": self.marks[index].astype(np.float32)}

    def subset(self, indices: Sequence[int] | np.ndarray) -> MultiLabeled:
        """Returns the dataset of the images at `indices`, in that order, with the same classes."""
        chosen = np.asarray(indices)
        return dataclasses.replace(self, **self._chosen(chosen), marks=self.marks[chosen])

    def rows_of(self, label: int) -> np.ndarray:
        """Returns the indices, int [M], of the images that belong to a class."""
        return np.flatnonzero(self.marks[:, label])

    def class_counts(self) -> np.ndarray:
        """Returns the number of images of each class, int [K]."""
        return self.marks.sum(axis=0, dtype=np.int64)

    def of_classes(self, kept: np.ndarray) -> MultiLabeled | None:
        """Returns the images of some classes, renumbered, or None if there is no such image.

        Args:
            kept: True [K] for the classes to keep.
        """
        rows = np.flatnonzero(self.marks[:, kept].any(axis=1))
        if not len(rows):
            return None
        names = tuple(np.compress(kept, np.array(self.classes, object)).tolist())
        marks = self.marks[rows][:, kept]
        chosen = {} if len(rows) == len(self) else self._chosen(rows)
        return dataclasses.replace(self, **chosen, marks=marks, classes=names)
