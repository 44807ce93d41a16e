"""What a source gives: data to train on, data held out, and what the user should know of it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from jaxgan.data.dataset import Dataset
from jaxgan.data.domains import Domains
from jaxgan.data.errors import DataError


class Source(Protocol):
    """Examples of any kind, drawn in batches: what a run needs of them, and all it asks.

    name:    what the user asked for, for messages.
    shape:   of what is to be drawn: of 'image', or of 'b' where there are two domains.
    classes: the names of the labels.
    inputs:  by role, the shapes of what else an example holds.
    digest:  equal for equal data.
    """

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]: ...
    @functools.cached_property
    def digest(self) -> str: ...

    def batch(self, *, seed: int, step: int, size: int) -> dict[str, Any]:
        """The batch of a step by role, each [size, ...]: a pure function of the arguments."""
        ...


class Splits(NamedTuple):
    """The data of a run.

    train:    what is trained on.
    held_out: never trained on, for evaluation; disjoint from `train`.
    notes:    sentences to show the user: what was converted, left out or chosen for them.
    """

    train: Source
    held_out: Source
    notes: tuple[str, ...] = ()


def joined(kind: type[Domains], a: Splits, b: Splits) -> Splits:
    """The data of two domains, or pairs of them, from the data of each.

    A note on one domain says so. Raises DataError where the kind's images do not fit together.
    """
    parts = ((a.train, b.train), (a.held_out, b.held_out))
    datasets = [[part for part in pair if isinstance(part, Dataset)] for pair in parts]
    of_one = set(a.notes) ^ set(b.notes)
    notes = [
        f"Of {domain}: {note}" if note in of_one else note
        for domain, splits in (("a", a), ("b", b))
        for note in splits.notes
    ]
    train, held_out = (kind(*pair) for pair in datasets)
    return Splits(train, held_out, tuple(dict.fromkeys(notes)))


def require_batch(source: Source, size: int, *, batch_size: int | None = None) -> None:
    """Raises DataError where there are fewer images, of any domain, than the `size` that a step
    takes; `batch_size` is the `--batch-size` at which it takes so many (default: `size` itself).
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
