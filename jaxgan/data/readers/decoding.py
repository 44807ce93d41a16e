"""Decodes a collection of images once into training and held-out data of one shape.

It goes block by block, to memory or, for sets that need most of it, to disk (see `prepared`).
"""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from jaxgan.data import bands, cropping, memory, prepared, resizing, value_range
from jaxgan.data.dataset import Dataset
from jaxgan.data.errors import DataError
from jaxgan.data.readers import file_listing, image_file
from jaxgan.data.splits import Splits

_BLOCK = 64
_BLOCK_BYTES = 2**27
"""Bytes of decoded images that wait to be stored."""
_DARK = 127  # data below this level use less than half of the range
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


def _decoded(collections: Sequence[Collection], fit: resizing.Fit, name: str) -> prepared.Contents:
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

    def fill(store: prepared.Store, watch: prepared.Watch) -> dict[str, Any]:
        parts = {"training": False}
        if first.held_out.any():
            parts["held_out"] = True
        ranges = {
            part: _decode_part(part, collections, plans, damaged, store, watch, held_out=held_out)
            for part, held_out in parts.items()
        }
        _require_mostly_good(first, damaged)
        left_out = _left_out(first, damaged)
        notes = [[*conversions(list(plan.good.values()), plan.target), *left_out] for plan in plans]
        sides = {
            part: [plan.side(held_out=held_out) for plan in plans]
            for part, held_out in parts.items()
        }
        return prepared.described(first.name, sides, notes, ranges["training"])

    if storing.always or not memory.is_enough(needed):
        return prepared.write(
            name or _key(collections, fit),
            needed,
            lambda store: fill(store, storing.watch),
            source=first.name,
            what=" and ".join(plan.what for plan in plans),
            storing=storing,
        )
    store = prepared.InMemory()
    return prepared.contents(store, fill(store, prepared.unseen))


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

    def side(self, *, held_out: bool) -> prepared.Side:
        """Returns the description of the decoded images; of held-out ones only centers are kept."""
        return prepared.Side(self.target.shape, self.target.dtype, self.varied and not held_out)


def _plan(collection: Collection, good: dict[int, image_file.Header], fit: resizing.Fit) -> _Plan:
    """Returns how to decode a collection; raises DataError if sizes differ but must not."""
    varied = False
    if fit.resolution is not None:
        size = fit.resolution
    elif fit.crop is not None and len({header.size for header in good.values()}) > 1:
        size, varied = fit.crop, True
    else:
        size = _common_size(collection, good)
    headers = list(good.values())
    target = resizing.resolve(fit, size, _channels(collection, good, fit))
    target = leveled(target, headers)._replace(paged=are_pages(headers, fit.channels))
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


def _splits(collections: Sequence[Collection], found: prepared.Contents) -> list[Splits]:
    """Returns the data of each collection, with their labels, of what was decoded."""
    stored = []
    if found.place is not None:
        size = memory.size(prepared.size_of(found.place))
        stored = [f"The images are read from disk: {size}, prepared in {found.place}."]
    splits = []
    for index, (collection, notes) in enumerate(zip(collections, found.notes, strict=True)):
        values = found.ranges[index]
        train = held_out = _dataset(collection, found.train, index, values)
        if found.held_out is not None:
            held_out = _dataset(collection, found.held_out, index, values)
        splits.append(Splits(train, held_out, (*notes, *stored)))
    return splits


def _dataset(
    collection: Collection, part: prepared.Part, index: int, values: value_range.ValueRange
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
    store: prepared.Store,
    watch: prepared.Watch,
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
        store: prepared.Store,
        held_out: bool,
    ) -> None:
        channels, self._size = plan.target.channels, plan.target.resolution
        self._dtype, self._ends = plan.target.dtype, (np.inf, -np.inf)
        self._store, self._name, self._varied = store, f"{part}-{index}-sizes", plan.varied
        count = len(rows) * int(np.prod(self._size))
        name = prepared.sheet_name(part, index)
        self._images = store.sheet(name, count, channels, self._dtype)
        self._whole, self._sizes = None, []
        if plan.varied and not held_out:
            count = sum(int(np.prod(plan.size(row))) for row in rows)
            name = prepared.sheet_name(part, index, whole=True)
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


def _channels(collection: Collection, good: dict[int, image_file.Header], fit: resizing.Fit) -> int:
    """Returns the channels to decode to; raises DataError if the images cannot have as many."""
    headers = list(good.values())
    if any(header.bands for header in headers):
        return _common_bands(collection, good, fit)
    if fit.channels is None:
        return 1 if all("grayscale" in header.traits for header in headers) else 3
    if fit.channels not in bands.PICTURES and not are_pages(headers, fit.channels):
        raise DataError(
            f"{collection.name}: channels is {fit.channels}; expected 1 (grayscale), 3 (color) or "
            "4 (transparent) for image files, or the number of bands or gray pages of TIFFs"
        )
    return fit.channels


def _common_bands(
    collection: Collection, good: dict[int, image_file.Header], fit: resizing.Fit
) -> int:
    """Returns the number of bands of all images; raises DataError, naming two, if they differ."""
    (first, header), *others = good.items()
    for row, other in others:
        if other.bands != header.bands:
            counts = [has.bands or "other" for has in (header, other)]
            raise DataError(
                f"{collection.name}: the images differ in their bands: {collection.names[first]} "
                f"has {counts[0]} and {collection.names[row]} has {counts[1]}; save all with the "
                "same"
            )
    if fit.channels not in (None, header.bands):
        raise DataError(
            f"{collection.name}: the images have {header.bands} bands, but {fit.channels} channels "
            "were requested; leave --channels out, or choose bands when you save them"
        )
    return header.bands


def are_pages(headers: Sequence[image_file.Header], channels: int | None) -> bool:
    """Returns whether the pages of TIFFs in gray are the channels that were requested.

    Args:
        headers: the headers of all images.
        channels: number of channels, or None if none are requested.
    """
    several = channels is not None and channels > 1
    return several and all(header.pages == channels for header in headers)


def _common_size(collection: Collection, good: dict[int, image_file.Header]) -> tuple[int, int]:
    """Returns the size (H, W) of all images; raises DataError, naming two, if they differ."""
    (first, header), *others = good.items()
    for row, other in others:
        if other.size != header.size:
            raise DataError(
                f"{collection.name}: the images differ in size, height x width: "
                f"{collection.names[first]} is {resizing.describe(header.size)} and "
                f"{collection.names[row]} is {resizing.describe(other.size)}; "
                "give --resolution, such as 64 or 64x96"
            )
    return header.size


def deepest(headers: Sequence[image_file.Header]) -> int:
    """Returns the highest level that the 16-bit grayscale images can have.

    It is that of the fewest bits, 8 or more, that hold every level in the images: 4,095 for 12
    bits. 65,535 if there are no such images.
    """
    peak = max((header.peak for header in headers if _deep(header)), default=0)
    return 2 ** max(8, peak.bit_length()) - 1 if peak else 65535


def leveled(target: resizing.Target, headers: Sequence[image_file.Header]) -> resizing.Target:
    """Returns the target with the type of values and the range of levels that all images share.

    Images keep values of more than 8 bits if all of them have the same type.

    Args:
        target: the shape to convert the images to.
        headers: the headers of all images.
    """
    signed = any("signed" in header.traits for header in headers)
    types = {header.dtype for header in headers}
    if any(header.bands for header in headers):  # of which no type is converted to 8 bits
        dtype = max(types, key=value_range.STORED.index)
    else:
        dtype = types.pop() if len(types) == 1 else "uint8"
    return target._replace(deepest=deepest(headers), signed=signed, dtype=dtype)


def unsuited(
    header: image_file.Header, channels: int, values: value_range.ValueRange
) -> str | None:
    """Returns why an image is no input of a trained model, as a clause, or None if it is one.

    A model of 8 bits takes images of more bits, scaled by the range of their levels. Any other
    takes values of its own type, which it does not scale.

    Args:
        header: the header of the image.
        channels: number of channels of the model's images.
        values: their range.
    """
    if header.bands and header.bands != channels:
        return f"has {header.bands} bands, and the model takes images of {channels} channels"
    if channels not in bands.PICTURES and channels not in (header.bands, header.pages):
        return f"is no TIFF of {channels} bands or gray pages, as the model takes them"
    levels = header.dtype == "uint8" or not header.bands
    fits = values.dtype == header.dtype or (
        levels and "wide" not in header.traits
        if values.dtype == "uint8"
        else (values.dtype, header.dtype) == ("float32", "uint16")
    )
    if fits:
        return None
    return (
        f"holds values of {header.dtype}, and the model takes {values.dtype} in "
        f"[{values.low:g}, {values.high:g}]: save it in these"
    )


def _deep(header: image_file.Header) -> bool:
    return "deep" in header.traits


def conversions(headers: Sequence[image_file.Header], target: resizing.Target) -> list[str]:
    """Returns a note for each conversion that some of the images undergo.

    Args:
        headers: the headers of the images.
        target: the shape that they are converted to.
    """
    height, width, channels = target.shape
    bits = target.deepest.bit_length()
    in_part = bits < 16  # grayscale images that use fewer than 16 bits
    kept = target.dtype != "uint8"  # then ranging says what the values are

    def is_cut(has: image_file.Header) -> bool:
        return not kept and "16-bit" in has.traits and not (in_part and _deep(has))

    reached = max((has.peak // 257 for has in headers if is_cut(has)), default=255)
    dark = reached < _DARK
    color, transparent = channels > 1, channels == 4
    done = {
        "are grayscale: converted to color": lambda has: (
            color and "grayscale" in has.traits and not target.paged
        ),
        "are in color: converted to grayscale": lambda has: (
            not color and "grayscale" not in has.traits
        ),
        "have a palette: converted to its colors": lambda has: "palette" in has.traits,
        "are in CMYK: converted to RGB": lambda has: color and "CMYK" in has.traits,
        "have 16 bits per channel: rounded to 8": lambda has: not dark and is_cut(has),
        f"have 16 bits per channel but use {bits} of them: level {target.deepest} becomes white": (
            lambda has: not kept and in_part and _deep(has)
        ),
        f"have 16 bits per channel and reach only level {reached} of 255; warning: they are dark, "
        "so save them again in 8 bits, scaled to the full range": lambda has: dark and is_cut(has),
        f"hold floats: read as [{-1 if target.signed else 0}, 1] and rounded to 256 levels": (
            lambda has: not kept and "float" in has.traits
        ),
        "have a color profile other than sRGB: converted to sRGB": (
            lambda has: not kept and "profile" in has.traits
        ),
        "have a color profile that is not used: their values are kept unchanged": (
            lambda has: kept and "profile" in has.traits
        ),
        "have a color profile that cannot be used: their values are kept unchanged": (
            lambda has: "damaged profile" in has.traits
        ),
        "have transparency (RGBA): placed on white (--channels 4 keeps it)": (
            lambda has: not transparent and "transparent" in has.traits
        ),
        "have no transparency: made opaque": (
            lambda has: (
                transparent and "transparent" not in has.traits and not (has.bands or target.paged)
            )
        ),
        "are animated: only the first frame is used": lambda has: "animated" in has.traits,
        "have several pages: only the first is used": lambda has: (
            "pages" in has.traits and not target.paged
        ),
        "have several pages: read as channels": lambda has: target.paged,
        "were turned upright according to their EXIF orientation": lambda has: (
            "turned" in has.traits
        ),
        f"are smaller than {height}x{width}: enlarged": (
            lambda has: has.size[0] < height or has.size[1] < width
        ),
    }
    counts = {what: sum(map(test, headers)) for what, test in done.items()}
    total = len(headers)
    return [f"{count} of {total} images {what}." for what, count in counts.items() if count]
