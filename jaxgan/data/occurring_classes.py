"""Removes classes that have no training images."""

from __future__ import annotations

import dataclasses

import numpy as np

from jaxgan.data.dataset import Dataset
from jaxgan.data.errors import DataError
from jaxgan.data.readers import file_listing
from jaxgan.data.splits import Splits


def occurring(splits: Splits) -> Splits:
    """Returns the data without the classes that have no training image, and notes on them.

    The other classes are renumbered in the training and the held-out data. The data are returned
    unchanged if every class has a training image, or there are no labels.

    Raises:
        DataError: if no held-out image belongs to a class that has training images.
    """
    train, held_out = splits.train, splits.held_out
    if not isinstance(train, Dataset) or train.labels is None:
        return splits
    seen = np.bincount(train.labels, minlength=len(train.classes)) > 0
    if seen.all():
        return splits
    unseen = [label for label, here in zip(train.classes, seen, strict=True) if not here]
    notes = [
        f"Left out {len(unseen)} classes without a training image: {file_listing.some(unseen)}."
    ]
    if isinstance(held_out, Dataset) and held_out.labels is not None:
        known = np.flatnonzero(seen[held_out.labels])
        if not len(known):
            raise DataError(
                f"{train.name}: no held-out image belongs to a class that has training images; "
                "hold out other images (--holdout) or add training images"
            )
        if len(known) < len(held_out):
            others = len(held_out) - len(known)
            notes.append(f"Left out {others} held-out images of classes without training images.")
        held_out = _renumbered(held_out.subset(known), seen)
    return Splits(_renumbered(train, seen), held_out, (*splits.notes, *notes))


def _renumbered(dataset: Dataset, seen: np.ndarray) -> Dataset:
    """Returns the dataset with only the classes seen [K], which include all of its labels."""
    assert dataset.labels is not None
    numbers = np.cumsum(seen, dtype=np.int32) - 1
    classes = tuple(np.compress(seen, np.array(dataset.classes, object)).tolist())
    return dataclasses.replace(dataset, labels=numbers[dataset.labels], classes=classes)
