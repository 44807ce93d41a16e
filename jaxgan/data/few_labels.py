"""Data with few labels: batches for semi-supervised training."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxgan.data import counter_rng
from jaxgan.data.dataset import Dataset, Rows
from jaxgan.data.errors import DataError

if TYPE_CHECKING:
    from jaxgan.data.splits import Source


@dataclasses.dataclass(frozen=True, eq=False)
class PartlyLabeled(Dataset):
    """A dataset whose batches show the labels of only a few images of each class.

    Attributes:
        per_class: number of images of each class whose label is shown, 1 or more.

    The other attributes are those of `Dataset`.

    Raises:
        DataError: if there are no labels, or a class has fewer than `per_class` images.
    """

    per_class: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.labels is None:
            raise DataError(
                f"{self.name}: it has no labels; expected labels of every class: give labeled data"
            )
        if self.per_class < 1:
            raise DataError(
                f"{self.name}: {self.per_class} labels of each class were requested; "
                "expected 1 or more"
            )
        counts = np.bincount(self.labels, minlength=len(self.classes))
        rarest = int(np.argmin(counts))
        if counts[rarest] < self.per_class:
            raise DataError(
                f"{self.name}: there are {counts[rarest]} images of {self.classes[rarest]!r}, "
                f"fewer than the {self.per_class} labels of each class that were requested; "
                "request fewer labels or add images"
            )

    def batch(
        self, *, seed: int, step: int, size: int, rows: Rows = None, stream: str = ""
    ) -> dict[str, np.ndarray]:
        """Returns the batch of a step, a pure function of the arguments.

        Images are float32 [B, H, W, C] in [-1, 1]. The batch holds:

        - 'image' and 'label' (int32 [B]): labeled examples (see `labeled`). They are visited once
          in each epoch of their own.
        - 'unlabeled' and 'reference': images of the whole dataset, in two independent orders. Each
          order visits every image once an epoch.

        Args:
            seed: seed of the run.
            step: training step, 0 or more.
            size: batch size.
            rows: which examples of the batch to build (B = R); they equal the same examples of the
                full batch. None builds all of them (B = size).
            stream: name of the stream; each stream has independent orders of the same labeled
                examples.
        """
        at: Any = {"seed": seed, "step": step, "size": size, "rows": rows}
        # Streams and draws keep the spelling of their names, which decide their numbers.
        labeled = f"{stream}labelled "  # codespell:ignore labelled
        return {
            **self.labeled(seed).batch(**at, stream=labeled),
            "unlabeled": super().batch(**at, stream=stream)["image"],
            "reference": super().batch(**at, stream=f"{stream}reference ")["image"],
        }

    def labeled(self, seed: int) -> Dataset:
        """Returns the labeled examples of a run with this seed: `per_class` of each class.

        A larger `per_class` keeps the examples that a smaller one chooses.
        """
        return _labeled(self, seed)


@functools.lru_cache(maxsize=16)
def _labeled(dataset: PartlyLabeled, seed: int) -> Dataset:
    assert dataset.labels is not None
    draws = counter_rng.bits(seed, "labelled", np.arange(len(dataset)))  # codespell:ignore labelled
    by_class = (np.flatnonzero(dataset.labels == label) for label in range(len(dataset.classes)))
    chosen = np.concatenate(
        [rows[np.argsort(draws[rows], kind="stable")[: dataset.per_class]] for rows in by_class]
    )
    return Dataset(**_fields(dataset)).subset(chosen)


def partly_labeled(source: Source, per_class: int) -> PartlyLabeled:
    """Returns the data with the labels of only a few images of each class.

    Args:
        source: images with labels.
        per_class: number of images of each class whose label is shown, 1 or more.

    Raises:
        DataError: if the data have no labels, or a class has fewer than `per_class` images.
    """
    if not isinstance(source, Dataset):
        raise DataError(
            f"{source.name}: it has no labels; expected single images with class labels"
        )
    if source.several:
        raise DataError(
            f"{source.name}: its images have several labels each; expected one label an image, "
            "of which some are kept: give each image the label of one class"
        )
    return PartlyLabeled(**_fields(source), per_class=per_class)


def _fields(dataset: Dataset) -> dict[str, Any]:
    return {field.name: getattr(dataset, field.name) for field in dataclasses.fields(Dataset)}
