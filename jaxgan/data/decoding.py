"""A collection of encoded images, decoded once into a training and a held-out set of one shape."""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from jaxgan.data import fitting, images, listing, memory
from jaxgan.data.dataset import Dataset
from jaxgan.data.errors import DataError
from jaxgan.data.splits import Splits

_BLOCK = 64
_Result = TypeVar("_Result")


class Collection(NamedTuple):
    """Encoded images: `sources` [N], files or bytes, and the name of each for messages.

    held_out: True [N] for those to hold out.
    """

    name: str
    names: Sequence[str]
    sources: Sequence[images.Source]
    labels: np.ndarray | None
    classes: tuple[str, ...]
    held_out: np.ndarray


def decode_splits(collection: Collection, fit: fitting.Fit) -> Splits:
    """The collection decoded to one shape; the notes tell what was converted or could not be read.

    Raises DataError where more than half cannot be read, the sizes differ and `fit` names no
    resolution, the channels asked for are not 1, 3 or 4, or memory does not suffice.
    """
    headers = _attempt(images.inspect, collection.sources)
    damaged = _failures(headers)
    _require_mostly_good(collection, damaged)
    good = {row: has for row, has in enumerate(headers) if isinstance(has, images.Header)}
    size = fit.resolution or _common_size(collection, good)
    target = fitting.resolve(fit, size, _channels(collection.name, good, fit))
    what = f"{len(good)} images of {fitting.describe(target.shape)}"
    memory.require(len(good) * int(np.prod(target.shape)), name=collection.name, what=what)

    def part(held_out: bool) -> Dataset:
        rows = [row for row in good if collection.held_out[row] == held_out]
        return _decode_part(collection, rows, target, damaged)

    train, held_out = part(False), part(True)
    _require_mostly_good(collection, damaged)
    return Splits(train, held_out, (*_conversions(good, target), *_left_out(collection, damaged)))


def _decode_part(
    collection: Collection, rows: list[int], target: fitting.Target, damaged: dict[int, str]
) -> Dataset:
    """The dataset of these rows; those that turn out to be damaged are added to `damaged`."""
    pixels = np.empty((len(rows), *target.shape), np.uint8)

    def decode(place: int) -> None:
        pixels[place] = images.decode(collection.sources[rows[place]], target)

    failed = _failures(_attempt(decode, range(len(rows))))
    damaged.update({rows[place]: reason for place, reason in failed.items()})
    kept = [place for place in range(len(rows)) if place not in failed]
    if not kept:
        raise DataError(
            f"{collection.name}: no image that can be read is left to train on or to hold out "
            f"({_some_damaged(collection, damaged)}); replace the damaged files or change --holdout"
        )
    labels = collection.labels
    if labels is not None:
        labels = labels[[rows[place] for place in kept]]
    return Dataset(collection.name, pixels[kept] if failed else pixels, labels, collection.classes)


def _attempt(function: Callable[..., _Result], arguments: Sequence) -> list[_Result | Exception]:
    """What the function gives for each argument, or the exception it raised, in threads."""

    def block(start: int) -> list[_Result | Exception]:
        return [one(argument) for argument in arguments[start : start + _BLOCK]]

    def one(argument) -> _Result | Exception:
        try:
            return function(argument)
        # Damage makes PIL's decoders raise what they stumble on: OSError, SyntaxError, ...
        except Exception as error:
            return error

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        blocks = pool.map(block, range(0, len(arguments), _BLOCK))
        return [result for results in blocks for result in results]


def _failures(results: Sequence) -> dict[int, str]:
    return {
        row: images.damage(result)
        for row, result in enumerate(results)
        if isinstance(result, Exception)
    }


def _require_mostly_good(collection: Collection, damaged: dict[int, str]) -> None:
    if 2 * len(damaged) > len(collection.sources):
        raise DataError(
            f"{collection.name}: {len(damaged)} of {len(collection.sources)} images cannot be read "
            f"({_some_damaged(collection, damaged)}); replace the damaged files"
        )


def _left_out(collection: Collection, damaged: dict[int, str]) -> list[str]:
    if not damaged:
        return []
    return [
        f"Left out {len(damaged)} of {len(collection.sources)} images that cannot be read: "
        f"{_some_damaged(collection, damaged)}."
    ]


def _some_damaged(collection: Collection, damaged: dict[int, str]) -> str:
    return listing.some([f"{collection.names[row]} ({damaged[row]})" for row in sorted(damaged)])


def _channels(name: str, good: dict[int, images.Header], fit: fitting.Fit) -> int:
    if fit.channels is None:
        return 1 if all("greyscale" in header.traits for header in good.values()) else 3
    if fit.channels not in (1, 3, 4):
        raise DataError(
            f"{name}: channels is {fit.channels}; "
            "image files give 1 (greyscale), 3 (colour) or 4 (transparent)"
        )
    return fit.channels


def _common_size(collection: Collection, good: dict[int, images.Header]) -> tuple[int, int]:
    """The one size (H, W) of all images. Raises DataError, naming two, where they differ."""
    (first, header), *others = good.items()
    for row, other in others:
        if other.size != header.size:
            raise DataError(
                f"{collection.name}: the images differ in size, height x width: "
                f"{collection.names[first]} is {fitting.describe(header.size)} and "
                f"{collection.names[row]} is {fitting.describe(other.size)}; "
                "give --resolution, such as 64 or 64x96"
            )
    return header.size


def _conversions(good: dict[int, images.Header], target: fitting.Target) -> list[str]:
    """A note on each conversion that some images went through."""
    height, width, channels = target.shape
    colour, transparent = channels > 1, channels == 4
    done = {
        "in greyscale: converted to colour": lambda has: colour and "greyscale" in has.traits,
        "in colour: converted to greyscale": lambda has: (
            not colour and "greyscale" not in has.traits
        ),
        "with a palette: its colours were looked up": lambda has: "palette" in has.traits,
        "in CMYK: converted to RGB": lambda has: colour and "CMYK" in has.traits,
        "of 16 bits a channel: rounded to 8": lambda has: "16-bit" in has.traits,
        "with transparency (RGBA): placed on white, --channels 4 keeps it": (
            lambda has: not transparent and "transparent" in has.traits
        ),
        "without transparency: made opaque": (
            lambda has: transparent and "transparent" not in has.traits
        ),
        "animated: the first frame is taken": lambda has: "animated" in has.traits,
        "turned upright, as their EXIF orientation says": lambda has: "turned" in has.traits,
        f"smaller than {height}x{width}: enlarged": (
            lambda has: has.size[0] < height or has.size[1] < width
        ),
    }
    counts = {what: sum(map(test, good.values())) for what, test in done.items()}
    return [f"{count} of {len(good)} images are {what}." for what, count in counts.items() if count]
