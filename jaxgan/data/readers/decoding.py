"""Decodes a collection of images once into training and held-out data of one shape.

It goes block by block, to memory or, for sets that need most of it, to disk (see `image_stores`).
"""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from jaxgan.data import cropping, image_stores, memory, prepared, resizing, value_range
from jaxgan.data.dataset import Dataset
from jaxgan.data.errors import DataError
from jaxgan.data.readers import common_form, file_listing, image_file
from jaxgan.data.splits import Splits

_BLOCK = 64
_BLOCK_BYTES = 2**27
"""Bytes of decoded images that wait to be stored."""
_Result = TypeVar("_Result")


class Collection(NamedTuple):
    """Encoded images.

    Attributes:
        name: the name of the data, for messages.
        names: the name of each image [N], for messages.
        sources: the images [N], as files or bytes.
        labels: the label of each image [N], or None.
        classes: the name of each label; () if there are no labels.
        held_out: True [N] for the images to hold out.
    """

    name: str
    names: Sequence[str]
    sources: Sequence[image_file.Source]
    labels: np.ndarray | None
    classes: tuple[str, ...]
    held_out: np.ndarray


def decode_splits(collection: Collection, fit: resizing.Fit) -> Splits:
    """Returns the decoded collection, with notes on images that were converted or left out.

    Args:
        collection: the encoded images.
        fit: the shape to convert them to.

    Raises:
        DataError: if more than half of the images cannot be read, if the sizes differ and `fit` has
            neither a resolution nor a crop, if the images cannot have the requested channels, or if
            neither memory nor the disk suffices.
    """
    (splits,) = decode_together([collection], fit)
    return splits


def decode_together(collections: Sequence[Collection], fit: resizing.Fit) -> list[Splits]:
    """Returns collections whose images belong together, each decoded as by `decode_splits`.

    If an image cannot be read in one collection, its partners are left out of the others.

    Args:
        collections: collections of equal length; image i of one belongs to image i of the others.
        fit: the shape to convert the images to.

    Raises:
        DataError: for the reasons of `decode_splits`, or if images that belong together differ in
            their proportions or, without a resolution, in their size.
    """
    name = ""
    if fit.storing.always or prepared.root().is_dir():
        name = _key(collections, fit)
        found = prepared.find(name)
        if found is not None:
            return _splits(collections, found)
    return _splits(collections, _decoded(collections, fit, name))


def _decoded(
    collections: Sequence[Collection], fit: resizing.Fit, name: str
) -> image_stores.Contents:
    """Returns the decoded images, in memory or on disk; `name` is that of the set, if known."""
    damaged: dict[int, str] = {}
    headers = []
    for collection in collections:
        headers.append(_attempt(image_file.inspect, collection.sources))
        damaged.update(_failures(headers[-1], collection.names))
    first = collections[0]
    _require_mostly_good(first, damaged)
    good = [
        {row: header for row, header in enumerate(found) if row not in damaged} for found in headers
    ]
    _require_rows_alike(collections, good, fit)
    plans = [_plan(*each, fit) for each in zip(collections, good, strict=True)]
    needed, storing = sum(plan.bytes for plan in plans), fit.storing

    def fill(store: image_stores.Store, watch: image_stores.Watch) -> dict[str, Any]:
        parts = {"training": False}
        if first.held_out.any():
            parts["held_out"] = True
        ranges = {
            part: _decode_part(part, collections, plans, damaged, store, watch, held_out=held_out)
            for part, held_out in parts.items()
        }
        _require_mostly_good(first, damaged)
        left_out = _left_out(first, damaged)
        notes = [
            [
                *common_form.conversions(list(plan.good.values()), plan.target),
                *left_out,
            ]
            for plan in plans
        ]
        sides = {
            part: [plan.side(held_out=held_out) for plan in plans]
            for part, held_out in parts.items()
        }
        return image_stores.described(first.name, sides, notes, ranges["training"])

    if storing.always or not memory.is_enough(needed):
        return prepared.write(
            name or _key(collections, fit),
            needed,
            lambda store: fill(store, storing.watch),
            source=first.name,
            what=" and ".join(plan.what for plan in plans),
            storing=storing,
        )
    store = image_stores.InMemory()
    return image_stores.contents(store, fill(store, image_stores.unseen))


class _Plan(NamedTuple):
    """How the images of a collection are decoded.

    Attributes:
        target: the shape of images; of those that differ in size, that of the part that is cut out.
        good: the header of each image that has been read so far, by its row.
        varied: whether the images keep their sizes, which differ.
    """

    target: resizing.Target
    good: dict[int, image_file.Header]
    varied: bool

    @property
    def bytes(self) -> int:
        """The bytes of the decoded images."""
        pixels = len(self.good) * int(np.prod(self.target.resolution))
        if self.varied:
            pixels += sum(int(np.prod(self.size(row))) for row in self.good)
        return pixels * self.target.channels * np.dtype(self.target.dtype).itemsize

    @property
    def what(self) -> str:
        """The images in words."""
        shape = "different sizes" if self.varied else resizing.describe(self.target.shape)
        return f"{len(self.good)} images of {shape}"

    def size(self, row: int) -> tuple[int, int]:
        """Returns the size to decode an image to: its own, or one that covers the part to cut."""
        if not self.varied:
            return self.target.resolution
        (height, width), (tall, wide) = self.good[row].size, self.target.resolution
        scale = max(1.0, tall / height, wide / width)
        return max(tall, round(height * scale)), max(wide, round(width * scale))

    def side(self, *, held_out: bool) -> image_stores.Side:
        """Returns the description of the decoded images; of held-out ones only centers are kept."""
        return image_stores.Side(self.target.shape, self.target.dtype, self.varied and not held_out)


def _plan(collection: Collection, good: dict[int, image_file.Header], fit: resizing.Fit) -> _Plan:
    """Returns how to decode a collection; raises DataError if sizes differ but must not."""
    varied = False
    if fit.resolution is not None:
        size = fit.resolution
    elif fit.crop is not None and len({header.size for header in good.values()}) > 1:
        size, varied = fit.crop, True
    else:
        size = common_form.size(good, name=collection.name, names=collection.names)
    headers = list(good.values())
    channels = common_form.channels(good, fit, name=collection.name, names=collection.names)
    target = common_form.leveled(resizing.resolve(fit, size, channels), headers)
    target = target._replace(paged=common_form.are_pages(headers, fit.channels))
    wide = [row for row, header in good.items() if "wide" in header.traits]
    if wide and target.dtype == "uint8":
        raise DataError(
            f"{collection.name}: {collection.names[wide[0]]} holds floats outside of [-1, 1], and "
            "other images hold levels; save all of them as floats"
        )
    return _Plan(target, good, varied)


def _key(collections: Sequence[Collection], fit: resizing.Fit) -> str:
    """Returns the name of the prepared set of these collections."""
    settings = {
        "resolution": fit.resolution,
        "policy": fit.policy,
        "channels": fit.channels,
        "crop": None if fit.resolution else fit.crop,  # else it is cut out of what is stored
    }
    sources = [[_identified(source) for source in each.sources] for each in collections]
    return prepared.key(sources, collections[0].held_out, settings)


def _identified(source: image_file.Source) -> tuple[bytes | pathlib.Path | str, object]:
    """Returns an image's file, content or name, and what of it is used."""
    if isinstance(source, image_file.Half):
        return source.whole, source.right
    if isinstance(source, image_file.Record):
        return source.place, ""
    return source, ""


def _splits(collections: Sequence[Collection], found: image_stores.Contents) -> list[Splits]:
    """Returns the data of each collection, with their labels, of what was decoded."""
    stored = [] if found.place is None else [prepared.note(found.place)]
    splits = []
    for index, (collection, notes) in enumerate(zip(collections, found.notes, strict=True)):
        values = found.ranges[index]
        train = held_out = _dataset(collection, found.train, index, values)
        if found.held_out is not None:
            held_out = _dataset(collection, found.held_out, index, values)
        splits.append(Splits(train, held_out, (*notes, *stored)))
    return splits


def _dataset(
    collection: Collection, part: image_stores.Part, index: int, values: value_range.ValueRange
) -> Dataset:
    labels = None if collection.labels is None else collection.labels[part.rows]
    return Dataset(
        collection.name,
        part.images[index],
        labels,
        collection.classes,
        uncut=part.uncut[index],
        values=values,
    )


def _decode_part(
    part: str,
    collections: Sequence[Collection],
    plans: Sequence[_Plan],
    damaged: dict[int, str],
    store: image_stores.Store,
    watch: image_stores.Watch,
    *,
    held_out: bool,
) -> list[value_range.ValueRange]:
    """Decodes the training or the held-out images; adds those that fail to `damaged`.

    Returns the range of the values of each collection.
    """
    first = collections[0]
    here = np.flatnonzero(first.held_out == held_out).tolist()
    rows = [row for row in here if row not in damaged]
    sheets = [_Sheets(part, *each, rows, store, held_out) for each in enumerate(plans)]
    kept: list[int] = []
    largest = max((int(np.prod(plan.good[row].size)) for plan in plans for row in rows), default=1)
    for block in watch(
        _blocks(rows, plans), len(rows), f"preparing {part.replace('_', '-')} images"
    ):
        decoded = []
        for collection, plan in zip(collections, plans, strict=True):
            images, failed = _decode(collection, block, plan, workers=_workers(largest))
            decoded.append(images)
            damaged.update(failed)
        whole = [place for place, row in enumerate(block) if row not in damaged]
        for images, sheet in zip(decoded, sheets, strict=True):
            sheet.extend([images[place] for place in whole])
        kept += [block[place] for place in whole]
    if not kept:
        raise DataError(
            f"{first.name}: no readable image is left to train on or to hold out "
            f"({_some_damaged(damaged)}); replace the damaged files or change --holdout"
        )
    store.keep(f"{part}-rows", np.array(kept, np.int64))
    return [sheet.close(name=first.name) for sheet in sheets]


class _Sheets:
    """Where the images of a collection are stored; with whole images that are cut later.

    It keeps the ends of their values, as those of a set on disk take long to find.
    """

    def __init__(
        self,
        part: str,
        index: int,
        plan: _Plan,
        rows: Sequence[int],
        store: image_stores.Store,
        held_out: bool,
    ) -> None:
        channels, self._size = plan.target.channels, plan.target.resolution
        self._dtype, self._ends = plan.target.dtype, (np.inf, -np.inf)
        self._store, self._name, self._varied = store, f"{part}-{index}-sizes", plan.varied
        count = len(rows) * int(np.prod(self._size))
        name = image_stores.sheet_name(part, index)
        self._images = store.sheet(name, count, channels, self._dtype)
        self._whole, self._sizes = None, []
        if plan.varied and not held_out:
            count = sum(int(np.prod(plan.size(row))) for row in rows)
            name = image_stores.sheet_name(part, index, whole=True)
            self._whole = store.sheet(name, count, channels, self._dtype)

    def extend(self, images: Iterable[np.ndarray]) -> None:
        """Adds images [h, w, C]."""
        for image in images:
            low, high = self._ends
            self._ends = min(low, float(image.min())), max(high, float(image.max()))
            if self._whole is not None:
                self._whole.append(image)
                self._sizes.append(image.shape[:2])
            self._images.append(cropping.center(image, self._size) if self._varied else image)

    def close(self, *, name: str) -> value_range.ValueRange:
        """Stores the sizes of the whole images and returns the range of their values."""
        if self._whole is not None:
            self._store.keep(self._name, np.array(self._sizes, np.int64))
        return value_range.spanning(*self._ends, self._dtype, name=name)


def _blocks(rows: Sequence[int], plans: Sequence[_Plan]) -> Iterable[Sequence[int]]:
    """Yields the rows in blocks whose decoded images take little memory."""
    if not rows:
        return
    largest = max(int(np.prod(plan.size(row))) for plan in plans for row in rows)
    values = max(plan.target.channels * np.dtype(plan.target.dtype).itemsize for plan in plans)
    bytes_each = largest * values * len(plans)
    step = max(1, min(_BLOCK_BYTES // bytes_each, 16 * _BLOCK))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def _decode(
    collection: Collection, rows: Sequence[int], plan: _Plan, *, workers: int | None
) -> tuple[list[np.ndarray], dict[int, str]]:
    """Returns the images at `rows`, [h, w, C] each, and the damage of each image that fails."""

    def decode(row: int) -> np.ndarray:
        target = plan.target._replace(resolution=plan.size(row))
        return image_file.decode(collection.sources[row], target)

    results = _attempt(decode, rows, workers=workers)
    failed = _failures(results, [collection.names[row] for row in rows])
    images = [np.empty(0) if isinstance(result, Exception) else result for result in results]
    return images, {rows[place]: said for place, said in failed.items()}


def _workers(largest: int) -> int:
    """Returns how many images of at most `largest` pixels may be decoded in parallel.

    Each may take two copies of four channels of 8 bits, or of one of more.
    """
    cores, free = os.cpu_count() or 1, memory.available()
    if free is None:
        return cores
    return min(cores, max(1, free // (2 * 8 * min(largest, image_file.LARGEST))))


def _attempt(
    function: Callable[..., _Result], arguments: Sequence, *, workers: int | None = None
) -> list[_Result | Exception]:
    """Returns each argument's result, or the exception that the function raised; in threads."""

    def block(start: int) -> list[_Result | Exception]:
        return [one(argument) for argument in arguments[start : start + _BLOCK]]

    def one(argument) -> _Result | Exception:
        try:
            return function(argument)
        except DataError:  # not damage, and already a sentence for the user
            raise
        # Damaged files make PIL's decoders raise many types: OSError, SyntaxError, ...
        except Exception as error:
            return error

    with concurrent.futures.ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        blocks = pool.map(block, range(0, len(arguments), _BLOCK))
        return [result for results in blocks for result in results]


def _failures(results: Sequence, names: Sequence[str]) -> dict[int, str]:
    """Returns, for each failed index, the name of the image and the damage."""
    return {
        place: f"{names[place]} ({image_file.damage(result)})"
        for place, result in enumerate(results)
        if isinstance(result, Exception)
    }


def _require_rows_alike(
    collections: Sequence[Collection],
    good: Sequence[dict[int, image_file.Header]],
    fit: resizing.Fit,
) -> None:
    """Raises DataError if images that belong together would not be aligned."""
    first, *others = collections
    for other, headers in zip(others, good[1:], strict=True):
        for row, header in headers.items():
            (height, width), (other_height, other_width) = good[0][row].size, header.size
            same = good[0][row].size == header.size
            if not same and (
                fit.resolution is None or height * other_width != width * other_height
            ):
                raise DataError(
                    f"{first.name}: {first.names[row]} is {height}x{width} and "
                    f"{other.names[row]} is {other_height}x{other_width}, height x width; "
                    "resize the images of a pair to one size"
                )


def _require_mostly_good(collection: Collection, damaged: dict[int, str]) -> None:
    if 2 * len(damaged) > len(collection.sources):
        raise DataError(
            f"{collection.name}: {len(damaged)} of {len(collection.sources)} images cannot be read "
            f"({_some_damaged(damaged)}); replace the damaged files"
        )


def _left_out(collection: Collection, damaged: dict[int, str]) -> list[str]:
    if not damaged:
        return []
    return [
        f"Left out {len(damaged)} of {len(collection.sources)} images that cannot be read: "
        f"{_some_damaged(damaged)}."
    ]


def _some_damaged(damaged: dict[int, str]) -> str:
    return file_listing.some([damaged[row] for row in sorted(damaged)])
