"""Decodes a collection of images once into training and held-out data of one shape."""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from jaxgan.data import bands, memory, resizing, value_range
from jaxgan.data.dataset import Dataset
from jaxgan.data.errors import DataError
from jaxgan.data.readers import file_listing, image_file
from jaxgan.data.splits import Splits

_BLOCK = 64
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
            no resolution, if the images cannot have the requested channels, or if there is not
            enough memory.
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
    damaged: dict[int, str] = {}
    headers = []
    for collection in collections:
        headers.append(_attempt(image_file.inspect, collection.sources))
        damaged.update(_failures(headers[-1], collection.names))
    _require_mostly_good(collections[0], damaged)
    good = [
        {row: header for row, header in enumerate(found) if row not in damaged} for found in headers
    ]
    _require_rows_alike(collections, good, fit)
    targets = [_target(*each, fit) for each in zip(collections, good, strict=True)]
    train = _decode_part(collections, targets, good, damaged, held_out=False)
    held_out = train
    if collections[0].held_out.any():
        held_out = _decode_part(collections, targets, good, damaged, held_out=True)
    _require_mostly_good(collections[0], damaged)
    left_out = _left_out(collections[0], damaged)
    return [
        Splits(
            train[index],
            held_out[index],
            (*conversions(list(good[index].values()), target), *left_out),
        )
        for index, target in enumerate(targets)
    ]


def _target(
    collection: Collection, good: dict[int, image_file.Header], fit: resizing.Fit
) -> resizing.Target:
    """Returns the shape to decode to; raises DataError if sizes differ or memory is short."""
    size = fit.resolution or _common_size(collection, good)
    headers = list(good.values())
    target = resizing.resolve(fit, size, _channels(collection, good, fit))
    target = leveled(target, headers)._replace(paged=are_pages(headers, fit.channels))
    wide = [row for row, header in good.items() if "wide" in header.traits]
    if wide and target.dtype == "uint8":
        raise DataError(
            f"{collection.name}: {collection.names[wide[0]]} holds floats outside of [-1, 1], and "
            "other images hold levels; save all of them as floats"
        )
    what = f"{len(good)} images of {resizing.describe(target.shape)}"
    needed = len(good) * int(np.prod(target.shape)) * np.dtype(target.dtype).itemsize
    memory.require(needed, name=collection.name, what=what)
    return target


def _decode_part(
    collections: Sequence[Collection],
    targets: Sequence[resizing.Target],
    good: Sequence[dict[int, image_file.Header]],
    damaged: dict[int, str],
    held_out: bool,
) -> list[Dataset]:
    """Returns the training or the held-out datasets; adds the images that fail to `damaged`."""
    first = collections[0]
    here = np.flatnonzero(first.held_out == held_out).tolist()
    rows = [row for row in here if row not in damaged]
    decoded = []
    for collection, target, headers in zip(collections, targets, good, strict=True):
        largest = max((int(np.prod(headers[row].size)) for row in rows), default=1)
        pixels, failed = _decode(collection, rows, target, workers=_workers(largest))
        decoded.append(pixels)
        damaged.update(failed)
    kept = [place for place, row in enumerate(rows) if row not in damaged]
    if not kept:
        raise DataError(
            f"{first.name}: no readable image is left to train on or to hold out "
            f"({_some_damaged(damaged)}); replace the damaged files or change --holdout"
        )
    return [
        _dataset(collection, rows, kept, pixels)
        for collection, pixels in zip(collections, decoded, strict=True)
    ]


def _decode(
    collection: Collection, rows: Sequence[int], target: resizing.Target, *, workers: int | None
) -> tuple[np.ndarray, dict[int, str]]:
    """Returns the pixels of the images at `rows`, and the damage of each image that fails."""
    pixels = np.empty((len(rows), *target.shape), target.dtype)

    def decode(place: int) -> None:
        pixels[place] = image_file.decode(collection.sources[rows[place]], target)

    names = [collection.names[row] for row in rows]
    failed = _failures(_attempt(decode, range(len(rows)), workers=workers), names)
    return pixels, {rows[place]: said for place, said in failed.items()}


def _dataset(
    collection: Collection, rows: Sequence[int], kept: Sequence[int], pixels: np.ndarray
) -> Dataset:
    labels = collection.labels
    if labels is not None:
        labels = labels[[rows[place] for place in kept]]
    chosen = pixels if len(kept) == len(rows) else pixels[kept]
    return Dataset(collection.name, chosen, labels, collection.classes)


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
