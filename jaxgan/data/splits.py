"""The result of loading data: training data, held-out data, and notes for the user."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from jaxgan.data.arrays import Arrays
from jaxgan.data.dataset import Dataset, Rows
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


def examples(
    source: Source, *, seed: int, step: int, size: int, rows: Rows = None
) -> Mapping[str, Any]:
    """Returns some examples of the batch of a step by name.

    Args:
        source: The data. If its `batch` takes no `rows`, as a source of the user's own need not,
            the whole batch is built.
        seed: seed of the run.
        step: training step, 0 or more.
        size: batch size.
        rows: which examples of the batch to return; None returns all of them.
    """
    if rows is None:
        return source.batch(seed=seed, step=step, size=size)
    if "rows" in inspect.signature(source.batch).parameters:
        taking: Any = source
        return taking.batch(seed=seed, step=step, size=size, rows=rows)
    whole = source.batch(seed=seed, step=step, size=size)
    return {name: array[rows] for name, array in whole.items()}


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


class Completed:
    """A source of the user's own with the entries that it leaves out: no classes, no inputs.

    Args:
        source: Has `shape`, `digest` and `batch(seed, step, size)`; other entries are its own.
        name: The name for messages, unless the source has one.
    """

    def __init__(self, source: Any, name: str) -> None:
        self.source = source
        self.name: str = getattr(source, "name", name)
        self.shape = tuple(source.shape)
        self.classes: tuple[str, ...] = tuple(getattr(source, "classes", ()))
        self.inputs: Mapping[str, tuple[int, ...]] = dict(getattr(source, "inputs", {}))

    @functools.cached_property
    def digest(self) -> str:
        """A hash in hex, or any other text, equal for equal data."""
        return str(self.source.digest)

    def __getattr__(self, name: str) -> Any:
        """Returns an entry of the source itself."""
        if name == "source":  # not there yet, in a copy
            raise AttributeError(name)
        return getattr(self.source, name)

    def batch(self, *, seed: int, step: int, size: int) -> dict[str, Any]:
        """Returns the batch of a step by name.

        Args:
            seed: seed of the run.
            step: training step, 0 or more.
            size: batch size; every array is [size, ...].
        """
        return dict(self.source.batch(seed=seed, step=step, size=size))


_ENTRIES = ("name", "shape", "classes", "inputs", "digest", "batch")


def completed(splits: Any, *, name: str) -> Splits:
    """Returns the data that an experiment made itself, each source with all entries.

    Args:
        splits: What the experiment returned: `Splits`, or training and held-out data, which have at
            least `shape`, `digest` and `batch(seed, step, size)`.
        name: The name of the experiment, for messages.

    Raises:
        DataError: If it is something else, or an entry is missing.
    """
    if isinstance(splits, tuple) and len(splits) == 2:
        splits = Splits(*splits)
    if not isinstance(splits, Splits):
        raise DataError(
            f"data(config) of {name} returned {type(splits).__name__}; expected "
            "jaxgan.data.Splits(train, held_out) or the pair of both"
        )

    def whole(source: Any) -> Source:
        missing = [entry for entry in ("shape", "digest", "batch") if not hasattr(source, entry)]
        if missing:
            raise DataError(
                f"the data of {name}, a {type(source).__name__}, have no {missing[0]}; expected "
                "shape, digest and batch(seed, step, size)"
            )
        if all(hasattr(source, entry) for entry in _ENTRIES):
            return source
        return Completed(source, name)

    return splits._replace(train=whole(splits.train), held_out=whole(splits.held_out))


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
        if isinstance(part, Dataset | Arrays) and len(part) < size:
            images = f"images of {domain}" if domain else "images"
            enough = len(part) * batch_size // size
            raise DataError(
                f"{source.name}: there are {len(part)} {images}, fewer than {wanted}; add images"
                + (f" or give --batch-size {enough} or less" if enough else "")
            )
