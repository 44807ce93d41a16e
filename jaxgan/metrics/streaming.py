"""How a metric sees more images than fit the memory: a statistic of each set gathered piece by
piece, and numbers computed from the statistics of two sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np

Sight: TypeAlias = Literal["features", "probabilities", "images"]

Piece: TypeAlias = Mapping[str, np.ndarray]
"""Some images of a set by sight: 'images' uint8 [N, H, W, C], 'features' [N, F], 'probabilities'
[N, K].
"""


class Stream(NamedTuple):
    """A statistic of a set of images.

    name:   names the statistic and every setting that changes it.
    sees:   what of a piece it is gathered from.
    init:   `init() -> state`, a NamedTuple of arrays: the statistic of no image.
    update: `update(state, rows) -> state`, with the rows of a further piece.
    finish: `finish(state) -> statistic`, once all rows have been seen; default: the state itself.
    """

    name: str
    sees: Sight
    init: Callable[[], Any]
    update: Callable[[Any, np.ndarray], Any]
    finish: Callable[[Any], Any] = lambda state: state


class Aim(NamedTuple):
    """What makes one generator better than another: the name of a number, and whether its lowest or
    its highest value is the best.
    """

    number: str
    best: Literal["lowest", "highest"]


class Metric(NamedTuple):
    """Numbers that compare two sets of images.

    stream:   the statistic of each set that they are computed from.
    compute:  `compute(generated, real) -> {name: number}` from its two statistics.
    settings: what must be said beside the numbers, by name.
    least:    the generated images without which there are no numbers.
    smallest: the side of the smallest images of which there are numbers, in pixels.
    aim:      which of the numbers says how good a generator is, if any.
    """

    stream: Stream
    compute: Callable[[Any, Any], dict[str, float]]
    settings: Mapping[str, Any]
    least: int = 2
    smallest: int = 1
    aim: Aim | None = None


class Rows(NamedTuple):
    """All rows of a set, [N, ...]; of none, [0]."""

    rows: np.ndarray


def rows(name: str, sees: Sight) -> Stream:
    """The stream that keeps every row: what neighbors and kernels are computed from."""
    return Stream(name, sees, no_rows, extended)


def no_rows() -> Rows:
    """The rows of an empty set."""
    return Rows(np.zeros(0, np.float32))


def extended(state: Rows, further: np.ndarray) -> Rows:
    """The rows with further ones behind them."""
    return Rows(np.concatenate([state.rows, further]) if len(state.rows) else further)


class Show(Protocol):
    """What tells a user how far a work of many parts has come (`progress.counted`)."""

    def __call__(
        self, items: Iterable[Any], total: int, what: str, *, size: Callable[[Any], int] = len
    ) -> Iterable[Any]:
        """The items; each counts by its size towards the total."""
        ...


def unseen(
    items: Iterable[Any], total: int, what: str, *, size: Callable[[Any], int] = len
) -> Iterable[Any]:
    """The items, without a word."""
    return items


FEATURES = rows("features", "features")
IMAGES = rows("images", "images")
PROBABILITIES = rows("probabilities", "probabilities")


def gather(streams: Iterable[Stream], pieces: Iterable[Piece]) -> dict[str, Any]:
    """The statistics of all pieces by the streams' names; streams of one name are gathered once."""
    by_name = {stream.name: stream for stream in streams}
    states = {name: stream.init() for name, stream in by_name.items()}
    for piece in pieces:
        for name, stream in by_name.items():
            states[name] = stream.update(states[name], piece[stream.sees])
    return {name: stream.finish(states[name]) for name, stream in by_name.items()}


def sights(streams: Iterable[Stream]) -> Sequence[Sight]:
    """What the streams see together."""
    return sorted({stream.sees for stream in streams})


def in_batches(
    see: Callable[[np.ndarray], Sequence[Any]], pixels: np.ndarray, *, size: int
) -> tuple[np.ndarray, ...]:
    """What `see` gives of the pixels [N, ...], `size` at a time, the last ones filled up with
    zeros: one compilation serves all.
    """
    filled = np.concatenate([pixels, np.zeros((-len(pixels) % size, *pixels.shape[1:]), np.uint8)])
    parts = [see(piece) for piece in np.split(filled, len(filled) // size)]
    return tuple(np.concatenate(part)[: len(pixels)] for part in zip(*parts, strict=True))


def matrix(values: np.ndarray, *, name: str, least: int = 1) -> np.ndarray:
    """The values as float64 [N, F]; ValueError, with `name`, where they are not such, are not
    finite, or are fewer than `least` rows.
    """
    wide = np.asarray(values, np.float64)
    if wide.ndim != 2 or 0 in wide.shape:
        raise ValueError(f"the {name} have shape {wide.shape}; expected [N, F], neither zero")
    if len(wide) < least:
        raise ValueError(f"there are {len(wide)} rows of {name}; expected {least} or more")
    if not np.isfinite(wide).all():
        raise ValueError(f"the {name} are not all finite; look at the images they are of")
    return wide


def alike(left: np.ndarray, right: np.ndarray, *, name: str) -> None:
    """ValueError, with `name`, where the rows of the two sets differ in shape."""
    if left.shape[1:] != right.shape[1:]:
        raise ValueError(
            f"the {name} of the two sets have shapes {left.shape[1:]} and {right.shape[1:]}; "
            "expected the same"
        )
