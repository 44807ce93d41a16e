"""Reads one encoded image: its header, and its pixels in a given shape."""

from __future__ import annotations

import io
import pathlib
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from jaxgan.data import resizing
from jaxgan.data.errors import DataError, reason
from jaxgan.data.readers import color_profiles, file_listing, tiff


class Half(NamedTuple):
    """One half of an image that shows a pair side by side.

    Attributes:
        whole: the file of the whole image.
        right: whether this is the right half.
    """

    whole: pathlib.Path
    right: bool


class Record(NamedTuple):
    """An encoded image of a set that is read example by example.

    Attributes:
        place: names the image, and what it may change with.
        read: returns the encoded image; it is called in several threads.
    """

    place: str
    read: Callable[[], bytes]


Source: TypeAlias = "pathlib.Path | bytes | Half | Record"

LARGEST = 2**26
"""Maximum number of pixels of a decoded image: a file of half a megabyte may claim any number."""

_BAND = 2**22
"""Number of pixels converted at a time: a copy of a whole large image would take as much memory."""
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_ORIENTATION = 0x0112
_WIDTH, _LENGTH, _PHOTOMETRIC, _EXTRA = 256, 257, 262, 338  # tags of TIFF
_GRAY_WITH_ALPHA = "LA;16B"  # a PNG of 16 bits, which PIL reads as colors of 8
_OTHER_BYTE = {";16B": ";16L", ";16L": ";16B"}
_OTHER_BYTE[";16N"] = ";16B" if sys.byteorder == "little" else ";16L"
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


_TURNED = {
    2: lambda values: values[:, ::-1],
    3: lambda values: values[::-1, ::-1],
    4: lambda values: values[::-1],
    5: lambda values: values.swapaxes(0, 1),
    6: lambda values: np.rot90(values, -1),
    7: lambda values: values[::-1, ::-1].swapaxes(0, 1),
    8: lambda values: np.rot90(values),
}
"""The changes of `_UPRIGHT`, of arrays [H, W, C]."""


class _Unread(Exception):
    """The reason, in a few words, why an image of a known format is not read."""


class Header(NamedTuple):
    """What is known of an image before it is decoded.

    Attributes:
        size: (H, W), after the EXIF orientation is applied.
        traits: the properties of the image, a subset of 'grayscale', 'palette', 'transparent',
            '16-bit', 'deep' (16 bits in gray), 'float', 'signed' (floats below 0), 'wide' (floats
            outside of [-1, 1]), 'CMYK', 'animated', 'pages' (several, of a TIFF), 'turned' (by its
            EXIF orientation), 'profile' (a color profile other than sRGB) and 'damaged profile'.
        peak: the highest level, of 65,535, in an image of 16 bits per channel (of color images by
            the upper 8 bits); 0 for other images.
        dtype: the type of its values: 'uint8', 'uint16' or 'float32'.
        bands: number of channels of a TIFF that is read as bands (see `tiff`); 0 for other images.
        pages: number of pages of a TIFF in gray; 1 for other images.
    """

    size: tuple[int, int]
    traits: frozenset[str]
    peak: int = 0
    dtype: str = "uint8"
    bands: int = 0
    pages: int = 1


def inspect(source: Source) -> Header:
    """Returns the header of a PNG, JPEG, WebP, BMP, GIF or TIFF.

    Raises:
        Exception: whatever PIL raises if the file is not such an image.
        DataError: if the source is half of an image of odd width, or if its numbers have no known
            range.
    """
    content = _of_bands(source)
    if content is not None:
        return _inspected_bands(content, source)
    with _opened(source) as image:
        turn = _orientation(image)
        height, width = _stored_size(image)
        if turn >= 5:
            height, width = width, height
        several = getattr(image, "is_animated", False)
        sixteen = image.mode.startswith("I") or any(";16" in str(t.args) for t in image.tile)
        # Before PIL loads the image, and forgets its tiles.
        dtype, gray = _dtype(image, sixteen), _gray_with_alpha(image) is not None
        low, high, peak = _range(image, source, sixteen=sixteen)
        found = {
            "grayscale": gray
            or image.mode in ("1", "L", "LA")
            or image.mode.startswith(("I", "F")),
            "palette": image.mode in ("P", "PA"),
            "transparent": _transparent(image),
            "16-bit": sixteen,
            "deep": image.mode.startswith("I"),
            "float": image.mode == "F",
            "signed": low < 0,
            "wide": image.mode == "F" and max(-low, high) > 1,
            "CMYK": image.mode == "CMYK",
            # An MPO is a JPEG followed by others, such as a camera's preview.
            "animated": several and image.format not in ("MPO", "TIFF"),
            "pages": several and image.format == "TIFF",
            "turned": turn != 1,
        }
        found[color_profiles.trait(image) or ""] = True
        if isinstance(source, Half):
            width = _half(width, source.whole)
        traits = frozenset(trait for trait, has in found.items() if has and trait)
        pages = getattr(image, "n_frames", 1) if found["pages"] and found["grayscale"] else 1
        return Header((height, width), traits, peak, dtype, pages=pages)


def decode(source: Source, target: resizing.Target) -> np.ndarray:
    """Returns the image, upright, as [H, W, C] in the shape and the type of `target`.

    Transparent pixels are placed on white, unless the target has 4 channels. Only the first frame
    or page is used, unless the pages are the channels. In 8 bits, colors are converted to sRGB, and
    16 bits and floats become 8 bits. Other values are kept as they are stored.

    Args:
        source: the encoded image.
        target: the shape to convert it to.

    Raises:
        Exception: whatever PIL raises if the image is damaged, or has more pixels than `LARGEST`.
    """
    content = _of_bands(source)
    if content is not None:
        return _fitted(_banded(content, source), source, target)
    if target.dtype != "uint8" or target.paged:
        return _fitted(_values(source, target), source, target)
    with _opened(source) as image:
        # PIL turns a TIFF itself when it is loaded.
        turn = 1 if image.format == "TIFF" else _orientation(image)
        # A JPEG that is far too large is decoded at a fraction of its size, twice the target's.
        side = 2 * max(target.resolution) * (1 + isinstance(source, Half))
        image.draft(None, (side, side))
        _require_bounded(image)
        converted = _converted(image, target)
    if turn in _UPRIGHT:
        converted = converted.transpose(_UPRIGHT[turn])
    if isinstance(source, Half):
        half = converted.width // 2
        left = converted.width - half if source.right else 0
        converted = converted.crop((left, 0, left + half, converted.height))
    pixels = np.asarray(resizing.fit_image(converted, target))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def damage(error: Exception) -> str:
    """Returns in a few words why an image could not be read."""
    if isinstance(error, _Unread | DataError | tiff.Unread):
        return str(error)
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {LARGEST // 10**6} million pixels"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if isinstance(error, EOFError) or "truncated" in str(error).lower():
        return "truncated"
    return f"damaged: {reason(error)}"


def _half(width: int, path: pathlib.Path) -> int:
    if width % 2:
        raise DataError(
            f"{path} is {width} pixels wide; expected an even width, for two images side by side: "
            "crop it"
        )
    return width // 2


def _range(
    image: ImageFile.ImageFile, source: Source, *, sixteen: bool
) -> tuple[float, float, int]:
    """Returns the lowest and the highest float, and the highest level as in `Header`.

    All are 0 for images of 8 bits. Raises DataError for numbers that cannot be kept.
    """
    if image.mode == "F":
        numbers = np.asarray(image)
        _require_finite(numbers, source)
        return numbers.min().item(), numbers.max().item(), 0
    if image.mode.startswith("I"):
        numbers = np.asarray(image)
        low, high = numbers.min().item(), numbers.max().item()
        if low < 0 or high > 65535:
            raise DataError(
                f"{_named(source)} holds integers in [{low:.6g}, {high:.6g}]; expected integers in "
                "[0, 65535]: scale all images by one factor, or save them as floats"
            )
        return 0, 0, high
    if sixteen:
        return 0, 0, int(np.asarray(image.convert("RGB")).max()) * 257
    return 0, 0, 0


def _require_finite(numbers: np.ndarray, source: Source) -> None:
    """Raises DataError, naming the image, if a number is NaN or infinite."""
    if not np.isfinite(numbers).all():
        low, high = numbers.min().item(), numbers.max().item()
        raise DataError(
            f"{_named(source)} holds floats in [{low:.6g}, {high:.6g}]; expected finite numbers: "
            "replace those that are missing"
        )


def _named(source: Source) -> str:
    where = source.whole if isinstance(source, Half) else source
    return str(where) if isinstance(where, pathlib.Path) else "an image"


def _require_bounded(image: ImageFile.ImageFile) -> None:
    if image.width * image.height > LARGEST:
        raise Image.DecompressionBombError


def _opened(source: Source) -> ImageFile.ImageFile:
    if isinstance(source, Half):
        return _opened(source.whole)
    if isinstance(source, Record):
        return _opened(source.read())
    if isinstance(source, pathlib.Path) and source.stat().st_size == 0:
        raise OSError(0, "empty file")
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        image = Image.open(file, formats=_FORMATS)
    except UnidentifiedImageError as error:
        if _start(source) in file_listing.TIFF:
            raise _Unread(
                "a damaged TIFF, or of a kind that is not read: save it as PNG"
            ) from error
        raise
    if image.format == "TIFF":
        # PIL maps a named file, in the wrong shape if it is stored turned (Pillow 11 to 13).
        image.filename = ""
        photometric = image.tag_v2.get(_PHOTOMETRIC)  # type: ignore[attr-defined]
        if image.mode.startswith(("I", "F")) and photometric == 0:
            image.close()
            raise _Unread("a TIFF of more than 8 bits in which 0 is white: save it as PNG")
    try:
        # PIL holds a progressive JPEG in full size, however small it is decoded.
        if image.format not in ("JPEG", "MPO") or image.info.get("progressive"):
            _require_bounded(image)
    except Image.DecompressionBombError:
        image.close()
        raise
    return image


def _start(source: pathlib.Path | bytes) -> bytes:
    """Returns the first four bytes of an encoded image."""
    if isinstance(source, bytes):
        return source[:4]
    with source.open("rb") as file:
        return file.read(4)


def _stored_size(image: ImageFile.ImageFile) -> tuple[int, int]:
    """Returns (H, W) as stored; PIL exchanges the two of a TIFF that is stored turned."""
    if image.format == "TIFF":
        return image.tag_v2[_LENGTH], image.tag_v2[_WIDTH]  # type: ignore[attr-defined]
    return image.height, image.width


def _transparent(image: Image.Image) -> bool:
    return image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info


def _orientation(image: ImageFile.ImageFile) -> int:
    # PIL decodes a whole PNG to find an EXIF block after the pixels, which no tool writes.
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # malformed EXIF raises anything; treat it as absent
        return 1
    return orientation if orientation in _UPRIGHT else 1


def _converted(image: Image.Image, target: resizing.Target) -> Image.Image:
    """Returns the pixels in 8 bits as 'L', 'RGB' or 'RGBA'; converts band by band."""
    mode = _MODES[target.channels]
    image.load()
    step = max(1, _BAND // image.width)
    if step >= image.height:
        return _band(image, mode, target)
    whole = Image.new(mode, image.size)
    for top in range(0, image.height, step):
        rows = image.crop((0, top, image.width, min(top + step, image.height)))
        whole.paste(_band(rows, mode, target), (0, top))
    return whole


def _band(image: Image.Image, mode: str, target: resizing.Target) -> Image.Image:
    """Converts one band of pixels for `_converted`."""
    if image.mode.startswith(("I", "F")):
        low, high = (0.0, target.deepest) if image.mode != "F" else (-float(target.signed), 1.0)
        levels = np.clip(np.asarray(image, np.float64), low, high)
        shades = np.rint((levels - low) * (255.0 / (high - low)))
        gray = Image.fromarray(shades.astype(np.uint8))
        gray.info = image.info
        return color_profiles.in_srgb(gray).convert(mode)
    transparent = _transparent(image)
    image = color_profiles.in_srgb(image)
    if mode == "RGBA" or not transparent:
        return image.convert(mode)
    foreground = image.convert("RGBA")
    background = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(background, foreground).convert("RGB").convert(mode)


# --- values of more than 8 bits, and bands --------------------------------------------------------


def _dtype(image: ImageFile.ImageFile, sixteen: bool) -> str:
    """Returns the type that the values of an image are kept in."""
    if image.mode == "F":
        return "float32"
    if image.mode.startswith("I"):
        return "uint16"
    if not sixteen or "transparency" in image.info:
        return "uint8"
    whole = _low_bytes(image) is not None or _gray_with_alpha(image) is not None
    return "uint16" if whole else "uint8"


def _gray_with_alpha(image: ImageFile.ImageFile) -> list | None:
    """Returns the tiles that read a PNG of gray and opacity in 16 bits, as four bytes a pixel.

    None for another image.
    """
    if not image.tile or any(tile.args != _GRAY_WITH_ALPHA for tile in image.tile):
        return None
    return [tile._replace(args="RGBA") for tile in image.tile]


def _low_bytes(image: ImageFile.ImageFile) -> list | None:
    """Returns the tiles that read the lower byte of each value of a color image of 16 bits.

    PIL keeps only the upper byte, but knows both byte orders: in the other order that byte is the
    lower one. None if PIL knows no other order of these values.
    """
    tiles = []
    for tile in image.tile:
        modes: list[Any] = [tile.args] if isinstance(tile.args, str) else list(tile.args or ())
        raw = next((mode for mode in modes if isinstance(mode, str) and ";16" in mode), None)
        if raw is None or raw[-4:] not in _OTHER_BYTE or raw[:-4] not in ("RGB", "RGBA"):
            return None
        modes[modes.index(raw)] = raw[:-4] + _OTHER_BYTE[raw[-4:]]
        args = modes[0] if isinstance(tile.args, str) else tuple(modes)
        tiles.append(tile._replace(args=args))
    return tiles


def _values(source: Source, target: resizing.Target) -> np.ndarray:
    """Returns the values of an image, upright, [H, W, C] with the channels that it has."""
    with _opened(source) as image:
        turn = 1 if image.format == "TIFF" else _orientation(image)
        _require_bounded(image)
        if target.paged:
            pages = []
            for number in range(target.channels):
                image.seek(number)
                pages.append(np.asarray(image))
            values = np.stack(pages, axis=2)
        elif image.mode.startswith(("I", "F")):
            values = np.asarray(image)[..., None]
        elif (tiles := _gray_with_alpha(image)) is not None:
            image.tile = tiles  # type: ignore[assignment]
            values = np.asarray(image).view(">u2")[..., [0, 0, 0, 1]]
        else:
            tiles = _low_bytes(image)
            values = np.asarray(image).astype(np.uint16) << 8
            with _opened(source) as again:
                again.tile = tiles  # type: ignore[assignment]
                values |= np.asarray(again)
    return _TURNED.get(turn, lambda values: values)(values).astype(target.dtype)


def _fitted(values: np.ndarray, source: Source, target: resizing.Target) -> np.ndarray:
    """Returns the values of an image, or of half of it, in the shape and the type of the target."""
    if isinstance(source, Half):
        half = values.shape[1] // 2
        left = values.shape[1] - half if source.right else 0
        values = values[:, left : left + half]
    fit = resizing.Fit(target.resolution, target.policy, target.channels)
    values = np.ascontiguousarray(values.astype(target.dtype))
    return resizing.fit_array(values[None], fit, name=_named(source))[0]


def _of_bands(source: Source) -> bytes | None:
    """Returns the content of a TIFF that is read as bands, or None for another image.

    These are the TIFFs of which PIL would leave bands or signs out, or that it does not know.
    """
    if isinstance(source, Record):  # no record holds a TIFF
        return None
    whole = source.whole if isinstance(source, Half) else source
    try:
        # A pipe has no size, and opening one waits forever.
        empty = isinstance(whole, pathlib.Path) and whole.stat().st_size == 0
        if empty or _start(whole) not in file_listing.TIFF:
            return None
        content = whole if isinstance(whole, bytes) else whole.read_bytes()
        page = tiff.layout(content)
    except Exception:  # damaged, or of a kind that only PIL reads: PIL says so
        return None
    extra = page.tags.get(_EXTRA, ())
    if page.shape[2] > 4 or 0 in extra or page.dtype.str[1:] == "i2":
        return content
    try:
        Image.open(io.BytesIO(content), formats=("TIFF",)).close()
    except UnidentifiedImageError:
        return content
    return None


def _inspected_bands(content: bytes, source: Source) -> Header:
    page = tiff.layout(content)
    height, width, samples = page.shape
    turned = page.orientation in _UPRIGHT
    if page.orientation in (5, 6, 7, 8):
        height, width = width, height
    if isinstance(source, Half):
        width = _half(width, source.whole)
    found = {"grayscale": samples == 1, "turned": turned}
    traits = frozenset(trait for trait, has in found.items() if has)
    return Header((height, width), traits, dtype=page.kept, bands=samples)


def _banded(content: bytes, source: Source) -> np.ndarray:
    """Returns the values of a TIFF of bands, upright, [H, W, C]."""
    page = tiff.layout(content)
    if page.shape[0] * page.shape[1] > LARGEST:
        raise Image.DecompressionBombError
    values = tiff.read(content)
    if values.dtype.kind == "f":
        _require_finite(values, source)
    return _TURNED.get(page.orientation, lambda values: values)(values)
