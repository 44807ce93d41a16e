"""The result of loading data: training data, held-out data, and notes for the user."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from jaxgan.data.dataset import Dataset
from jaxgan.data.domains import Domains
from jaxgan.data.errors import DataError


class Source(Protocol):
    """Examples of any kind that are drawn in batches: everything that a run uses of its data.

    Attributes:
        name: what the user asked for; used in messages.
        shape: the shape of one example of 'image', or of 'b' if there are two domains.
        classes: the names of the labels.
        inputs: the shape of each further input of an example, by its name.
        digest: a hash in hex, equal for equal data.
    """

    @property
    def name(self) -> str:
        """What the user asked for; used in messages."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example of 'image', or of 'b' if there are two domains."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the labels; () if there are none."""
        ...

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of each further input of an example, by its name."""
        ...

    @functools.cached_property
    def digest(self) -> str:
        """A hash in hex, equal for equal data."""
        ...

    def batch(self, *, seed: int, step: int, size: int) -> dict[str, Any]:
        """Returns the batch of a step by name, a pure function of the arguments.

        Args:
            seed: seed of the run.
            step: training step, 0 or more.
            size: batch size; every array is [size, ...].
        """
        ...


class Splits(NamedTuple):
    """The data of a run.

    Attributes:
        train: the training data.
        held_out: data for evaluation, disjoint from `train` and never trained on; `train` itself if
            nothing is held out.
        notes: sentences to show the user: what was converted, left out or chosen.
    """

    train: Source
    held_out: Source
    notes: tuple[str, ...] = ()


def joined(kind: type[Domains], a: Splits, b: Splits) -> Splits:
    """Returns the data of two domains, or of pairs, from the data of each domain.

    A note that holds for only one domain names it.

    Args:
        kind: `Domains` or `Pairs`.
        a: the data of the first domain.
        b: the data of the second domain.

    Raises:
        DataError: if `kind` is `Pairs` and one domain has more images than the other.
    """
    parts = ((a.train, b.train), (a.held_out, b.held_out))
    datasets = [[part for part in pair if isinstance(part, Dataset)] for pair in parts]
    of_one = set(a.notes) ^ set(b.notes)
    notes = [
        f"Domain {domain}: {note}" if note in of_one else note
        for domain, splits in (("a", a), ("b", b))
        for note in splits.notes
    ]
    train, held_out = (kind(*pair) for pair in datasets)
    return Splits(train, held_out, tuple(dict.fromkeys(notes)))


def require_batch(source: Source, size: int, *, batch_size: int | None = None) -> None:
    """Raises DataError if a domain has fewer images than one training step needs.

    Args:
        source: the training data.
        size: number of images that a step needs.
        batch_size: the `--batch-size` at which a step needs that many; None is `size`.

    Raises:
        DataError: if there are fewer than `size` images.
    """
    batch_size = batch_size or size
    wanted = f"one batch of {size}"
    if size != batch_size:
        wanted = f"the {size} that a step takes at --batch-size {batch_size}"
    parts = {"a": source.a, "b": source.b} if isinstance(source, Domains) else {"": source}
    for domain, part in parts.items():
        if isinstance(part, Dataset) and len(part) < size:
            images = f"images of {domain}" if domain else "images"
            enough = len(part) * batch_size // size
            raise DataError(
                f"{source.name}: there are {len(part)} {images}, fewer than {wanted}; add images"
                + (f" or give --batch-size {enough} or less" if enough else "")
            )
