"""Removes classes that have no training images."""

from __future__ import annotations

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
    if not isinstance(train, Dataset) or not train.classes:
        return splits
    seen = train.class_counts() > 0
    if seen.all():
        return splits
    unseen = [label for label, here in zip(train.classes, seen, strict=True) if not here]
    notes = [
        f"Left out {len(unseen)} classes without a training image: {file_listing.some(unseen)}."
    ]
    kept = train.of_classes(seen)
    assert kept is not None
    if isinstance(held_out, Dataset) and held_out.classes:
        known = held_out.of_classes(seen)
        if known is None:
            raise DataError(
                f"{train.name}: no held-out image belongs to a class that has training images; "
                "hold out other images (--holdout) or add training images"
            )
        if len(known) < len(held_out):
            others = len(held_out) - len(known)
            notes.append(f"Left out {others} held-out images of classes without training images.")
        held_out = known
    return Splits(kept, held_out, (*splits.notes, *notes))
