"""Statistics of image sets that do not fit into memory, and the metrics computed from them.

A `Stream` gathers a statistic of each set batch by batch. A `Metric` computes numbers from the
statistics of two sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np
from jax.sharding import Mesh

from jaxgan import parallel

Sight: TypeAlias = Literal["features", "probabilities", "images"]

Piece: TypeAlias = Mapping[str, np.ndarray]
"""A batch of a set's images, by input.

'images' are uint8 [N, H, W, C], or float32 [N, ..., C] if they are not rounded to levels;
'features' are [N, F], 'probabilities' [N, K].
"""


class Stream(NamedTuple):
    """A statistic of a set of images, gathered batch by batch.

    Attributes:
        name: Names the statistic and every setting that changes it.
        sees: The input that the statistic is gathered from: features, probabilities or images.
        init: `init() -> state`: the statistic of an empty set, a NamedTuple of arrays.
        update: `update(state, rows) -> state`: adds the examples of a further batch.
        finish: `finish(state) -> statistic`, called after the last batch. Default: the state
            itself.
    """

    name: str
    sees: Sight
    init: Callable[[], Any]
    update: Callable[[Any, np.ndarray], Any]
    finish: Callable[[Any], Any] = lambda state: state


class Aim(NamedTuple):
    """The number that ranks generators, and its direction.

    Attributes:
        number: Name of the number.
        best: Whether its lowest or its highest value is the best.
    """

    number: str
    best: Literal["lowest", "highest"]


class Metric(NamedTuple):
    """Numbers that compare two sets of images.

    Attributes:
        stream: The statistic of each set that the numbers are computed from.
        compute: `compute(generated, real) -> {name: number}` from the two statistics.
        settings: Settings that must be reported with the numbers, by name.
        least: The smallest number of generated images that the metric is defined for.
        smallest: The smallest height and width of images that the metric is defined for, in pixels.
        aim: The number that ranks generators; None if none of them does.
        of_values: Whether it is defined for values of any range, and not for levels alone.
    """

    stream: Stream
    compute: Callable[[Any, Any], dict[str, float]]
    settings: Mapping[str, Any]
    least: int = 2
    smallest: int = 1
    aim: Aim | None = None
    of_values: bool = False


class Rows(NamedTuple):
    """All examples of a set.

    Attributes:
        rows: The examples, [N, ...]; [0] for an empty set.
    """

    rows: np.ndarray


def rows(name: str, sees: Sight) -> Stream:
    """Returns the stream that keeps every example, for metrics of neighbors and kernels.

    Args:
        name: Name of the stream.
        sees: The input that is kept: features, probabilities or images.
    """
    return Stream(name, sees, no_rows, extended)


def no_rows() -> Rows:
    """Returns the `Rows` of an empty set."""
    return Rows(np.zeros(0, np.float32))


def extended(state: Rows, further: np.ndarray) -> Rows:
    """Returns the examples of the state followed by further ones.

    Args:
        state: The examples so far.
        further: Further examples, [N, ...].
    """
    return Rows(np.concatenate([state.rows, further]) if len(state.rows) else further)


class Show(Protocol):
    """Reports the progress of work on many items to a user (`progress.counted`)."""

    def __call__(
        self, items: Iterable[Any], total: int, what: str, *, size: Callable[[Any], int] = len
    ) -> Iterable[Any]:
        """Returns the items unchanged and reports progress while they are consumed.

        Args:
            items: The items.
            total: The sum of the items' sizes.
            what: What is being done, for the progress bar.
            size: `size(item) -> int`: how much an item counts toward the total. Default: `len`.
        """
        ...


def unseen(
    items: Iterable[Any], total: int, what: str, *, size: Callable[[Any], int] = len
) -> Iterable[Any]:
    """Returns the items without reporting progress.

    Args:
        items: The items.
        total: Ignored.
        what: Ignored.
        size: Ignored.
    """
    return items


SHARED = 1000
"""Number of images in a batch of several devices, at most: those that an evaluation holds."""

FEATURES = rows("features", "features")
IMAGES = rows("images", "images")
PROBABILITIES = rows("probabilities", "probabilities")


def gather(streams: Iterable[Stream], pieces: Iterable[Piece]) -> dict[str, Any]:
    """Returns the statistics of all batches, by the streams' names.

    Args:
        streams: The streams. Streams of the same name are gathered once.
        pieces: The batches of the set, which hold every input that the streams see.
    """
    by_name = {stream.name: stream for stream in streams}
    states = {name: stream.init() for name, stream in by_name.items()}
    for piece in pieces:
        for name, stream in by_name.items():
            states[name] = stream.update(states[name], piece[stream.sees])
    return {name: stream.finish(states[name]) for name, stream in by_name.items()}


def sights(streams: Iterable[Stream]) -> Sequence[Sight]:
    """Returns the inputs that the streams see, each once, sorted."""
    return sorted({stream.sees for stream in streams})


def in_batches(
    see: Callable[[Any], Sequence[Any]],
    pixels: np.ndarray,
    *,
    size: int,
    mesh: Mesh | None = None,
) -> tuple[np.ndarray, ...]:
    """Returns the outputs of `see` on pixels, computed in batches of one size.

    The last batch is padded with zeros, so that one compilation serves all.

    Args:
        see: A function of pixels [B, ...] to several arrays [B, ...].
        pixels: Pixels, [N, ...].
        size: Batch size B. Several devices take up to so many each if there are more images, and
            no more than `SHARED` together, rounded up to what they divide.
        mesh: Devices to split the batches over; None for one.

    Returns:
        The outputs of `see`, each concatenated over the batches: [N, ...].
    """
    place: Callable[[np.ndarray], Any] = np.asarray
    if mesh is not None and mesh.size > 1:
        size = min(size * mesh.size, max(size, SHARED)) if len(pixels) > size else size
        size, place = -(-size // mesh.size) * mesh.size, partial(parallel.shard, mesh=mesh)
    rest = np.zeros((-len(pixels) % size, *pixels.shape[1:]), pixels.dtype)
    filled = np.concatenate([pixels, rest])
    parts = [see(place(piece)) for piece in np.split(filled, len(filled) // size)]
    return tuple(np.concatenate(part)[: len(pixels)] for part in zip(*parts, strict=True))


def matrix(values: np.ndarray, *, name: str, least: int = 1) -> np.ndarray:
    """Returns the values as float64 [N, F].

    Args:
        values: The values, one vector per example.
        name: What the values are, for error messages.
        least: The smallest number of examples allowed.

    Raises:
        ValueError: If the values are not a non-empty matrix, are not finite, or have fewer than
            `least` examples.
    """
    wide = np.asarray(values, np.float64)
    if wide.ndim != 2 or 0 in wide.shape:
        raise ValueError(f"the {name} have shape {wide.shape}; expected [N, F], neither zero")
    if len(wide) < least:
        raise ValueError(f"there are {len(wide)} rows of {name}; expected {least} or more")
    if not np.isfinite(wide).all():
        raise ValueError(f"the {name} are not all finite; check the images they were computed from")
    return wide


def alike(left: np.ndarray, right: np.ndarray, *, name: str) -> None:
    """Checks that the examples of two sets have the same shape.

    Args:
        left: Examples of one set, [N, ...].
        right: Examples of the other, [M, ...].
        name: What the examples are, for error messages.

    Raises:
        ValueError: If the shapes differ.
    """
    if left.shape[1:] != right.shape[1:]:
        raise ValueError(
            f"the {name} of the two sets have shapes {left.shape[1:]} and {right.shape[1:]}; "
            "expected the same"
        )
