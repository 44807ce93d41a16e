"""What a source gives: data to train on, data held out, and what the user should know of it."""

from __future__ import annotations

from typing import NamedTuple

from jaxgan.data.dataset import Dataset
from jaxgan.data.errors import DataError
from jaxgan.data.mixtures import Mixture


class Splits(NamedTuple):
    """The data of a run.

    train:    what is trained on.
    held_out: never trained on, for evaluation; disjoint from `train`.
    notes:    sentences to show the user: what was converted, left out or chosen for them.
    """

    train: Dataset | Mixture
    held_out: Dataset | Mixture
    notes: tuple[str, ...] = ()


def require_batch(source: Dataset | Mixture, size: int) -> None:
    """Raises DataError where there are fewer images than one batch of `size`."""
    if isinstance(source, Dataset) and len(source) < size:
        raise DataError(
            f"{source.name}: there are {len(source)} images, fewer than one batch of {size}; "
            f"add images or give --batch-size {len(source)} or less"
        )
