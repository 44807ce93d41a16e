"""Classes that training shows: what is never seen cannot be learned."""

from __future__ import annotations

import dataclasses

import numpy as np

from jaxgan.data.dataset import Dataset
from jaxgan.data.errors import DataError
from jaxgan.data.readers import file_listing
from jaxgan.data.splits import Splits


def occurring(splits: Splits) -> Splits:
    """The data without the classes that have no training image, the others numbered anew on both
    sides, and notes on what was left out; as they are where every class has one, or there are none.

    Raises DataError where no held-out image is of a class that is trained on.
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
                f"{train.name}: no held-out image is of a class that has training images; "
                "hold out others (--holdout), or add images to train on"
            )
        if len(known) < len(held_out):
            others = len(held_out) - len(known)
            notes.append(f"Left out {others} held-out images of classes that are not trained on.")
        held_out = _renumbered(held_out.subset(known), seen)
    return Splits(_renumbered(train, seen), held_out, (*splits.notes, *notes))


def _renumbered(dataset: Dataset, seen: np.ndarray) -> Dataset:
    """The dataset, all of whose labels are seen [K], with the classes that are."""
    assert dataset.labels is not None
    numbers = np.cumsum(seen, dtype=np.int32) - 1
    classes = tuple(np.compress(seen, np.array(dataset.classes, object)).tolist())
    return dataclasses.replace(dataset, labels=numbers[dataset.labels], classes=classes)
