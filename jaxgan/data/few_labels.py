"""Data of which only a few labels are seen in training."""

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
    """A dataset whose batches show the labels of `per_class` images of each class, and no others.

    Raises DataError where there are no labels, or fewer images of a class.
    """

    per_class: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.labels is None:
            raise DataError(
                f"{self.name}: it has no labels, of which some of each class are needed"
            )
        if self.per_class < 1:
            raise DataError(
                f"{self.name}: {self.per_class} labels of each class were asked for; "
                "expected 1 or more"
            )
        counts = np.bincount(self.labels, minlength=len(self.classes))
        rarest = int(np.argmin(counts))
        if counts[rarest] < self.per_class:
            raise DataError(
                f"{self.name}: there are {counts[rarest]} images of {self.classes[rarest]!r}, "
                f"fewer than the {self.per_class} labels of each class that were asked for"
            )

    def batch(
        self, *, seed: int, step: int, size: int, rows: Rows = None, stream: str = ""
    ) -> dict[str, np.ndarray]:
        """The batch of step `step`, images float32 [B, H, W, C] in [-1, 1], a pure function of the
        arguments.

        'image' and 'label' (int32 [B]): of the examples with labels (`labeled`), which are visited
        over and over, once an epoch of their own.
        'unlabeled', 'reference': images of the whole set, in two orders independent of each other,
        each of which visits every image once an epoch.

        `rows` builds only those rows of the batch (B = R); they equal the same rows of the full
        batch. Every `stream` has independent orders, of the same examples with labels.
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
        """The examples whose labels a run with this seed sees: `per_class` of each class.

        With more of them, those that were chosen stay.
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
    """The data with the labels of `per_class` images of each class alone.

    Raises DataError where the data have no labels, or fewer images of a class.
    """
    if not isinstance(source, Dataset):
        raise DataError(
            f"{source.name}: it has no labels; this needs single images of some classes"
        )
    return PartlyLabeled(**_fields(source), per_class=per_class)


def _fields(dataset: Dataset) -> dict[str, Any]:
    return {field.name: getattr(dataset, field.name) for field in dataclasses.fields(Dataset)}
