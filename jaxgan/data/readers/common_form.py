"""The form that images of a collection are decoded to, as their headers allow, and notes on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from jaxgan.data import bands, resizing, value_range
from jaxgan.data.errors import DataError
from jaxgan.data.readers import image_file

_DARK = 127  # data below this level use less than half of the range

Headers: TypeAlias = Mapping[int, image_file.Header]
"""The headers of images, by their rows."""


def channels(good: Headers, fit: resizing.Fit, *, name: str, names: Sequence[str]) -> int:
    """Returns the channels to decode to.

    Args:
        good: the header of each image, by its row.
        fit: the requested shape.
        name: the name of the data, for messages.
        names: the name of each image [N], for messages.

    Raises:
        DataError: if the images cannot have as many as were requested.
    """
    headers = list(good.values())
    if any(header.bands for header in headers):
        return _common_bands(good, fit, name=name, names=names)
    if fit.channels is None:
        return 1 if all("grayscale" in header.traits for header in headers) else 3
    if fit.channels not in bands.PICTURES and not are_pages(headers, fit.channels):
        raise DataError(
            f"{name}: channels is {fit.channels}; expected 1 (grayscale), 3 (color) or "
            "4 (transparent) for image files, or the number of bands or gray pages of TIFFs"
        )
    return fit.channels


def _common_bands(good: Headers, fit: resizing.Fit, *, name: str, names: Sequence[str]) -> int:
    """Returns the number of bands of all images; raises DataError, naming two, if they differ."""
    (first, header), *others = good.items()
    for row, other in others:
        if other.bands != header.bands:
            counts = [has.bands or "other" for has in (header, other)]
            raise DataError(
                f"{name}: the images differ in their bands: {names[first]} "
                f"has {counts[0]} and {names[row]} has {counts[1]}; save all with the "
                "same"
            )
    if fit.channels not in (None, header.bands):
        raise DataError(
            f"{name}: the images have {header.bands} bands, but {fit.channels} channels "
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


def size(good: Headers, *, name: str, names: Sequence[str]) -> tuple[int, int]:
    """Returns the size (H, W) of all images.

    Args:
        good: the header of each image, by its row.
        name: the name of the data, for messages.
        names: the name of each image [N], for messages.

    Raises:
        DataError: if they differ; it names two.
    """
    (first, header), *others = good.items()
    for row, other in others:
        if other.size != header.size:
            raise DataError(
                f"{name}: the images differ in size, height x width: "
                f"{names[first]} is {resizing.describe(header.size)} and "
                f"{names[row]} is {resizing.describe(other.size)}; "
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
