"""Reads one encoded image: its header, and its pixels in a given shape."""

from __future__ import annotations

import io
import pathlib
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from jaxgan.data import resizing
from jaxgan.data.errors import DataError, reason
from jaxgan.data.readers import color_profiles, file_listing


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
_WIDTH, _LENGTH, _PHOTOMETRIC = 256, 257, 262  # tags of TIFF
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class _Unread(Exception):
    """The reason, in a few words, why an image of a known format is not read."""


class Header(NamedTuple):
    """What is known of an image before it is decoded.

    Attributes:
        size: (H, W), after the EXIF orientation is applied.
        traits: the properties of the image, a subset of 'grayscale', 'palette', 'transparent',
            '16-bit', 'deep' (16 bits, all of which are read; of color images only the upper 8 bits
            are), 'float', 'signed' (floats below 0), 'CMYK', 'animated', 'pages' (several, of a
            TIFF), 'turned' (by its EXIF orientation), 'profile' (a color profile other than sRGB)
            and 'damaged profile'.
        peak: the highest level, of 65,535, in an image of 16 bits per channel, as far as its bits
            are read; 0 for other images.
    """

    size: tuple[int, int]
    traits: frozenset[str]
    peak: int = 0


def inspect(source: Source) -> Header:
    """Returns the header of a PNG, JPEG, WebP, BMP, GIF or TIFF.

    Raises:
        Exception: whatever PIL raises if the file is not such an image.
        DataError: if the source is half of an image of odd width, or if its numbers have no known
            range.
    """
    with _opened(source) as image:
        turn = _orientation(image)
        height, width = _stored_size(image)
        if turn >= 5:
            height, width = width, height
        several = getattr(image, "is_animated", False)
        sixteen = image.mode.startswith("I") or any(";16" in str(t.args) for t in image.tile)
        low, peak = _range(image, source, sixteen=sixteen)
        found = {
            "grayscale": image.mode in ("1", "L", "LA") or image.mode.startswith(("I", "F")),
            "palette": image.mode in ("P", "PA"),
            "transparent": _transparent(image),
            "16-bit": sixteen,
            "deep": image.mode.startswith("I"),
            "float": image.mode == "F",
            "signed": low < 0,
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
        return Header((height, width), traits, peak)


def decode(source: Source, target: resizing.Target) -> np.ndarray:
    """Returns the image, upright, as uint8 [H, W, C] in the shape of `target`.

    Colors are converted to sRGB. Transparent pixels are placed on white, unless the target has 4
    channels. 16 bits and floats become 8 bits. Only the first frame or page is used.

    Args:
        source: the encoded image.
        target: the shape to convert it to, with 1, 3 or 4 channels.

    Raises:
        Exception: whatever PIL raises if the image is damaged, or has more pixels than `LARGEST`.
    """
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
    if isinstance(error, _Unread | DataError):
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


def _range(image: ImageFile.ImageFile, source: Source, *, sixteen: bool) -> tuple[float, int]:
    """Returns the lowest and the highest level; the highest as in `Header`, the lowest of floats.

    Both are 0 for images of 8 bits. Raises DataError for numbers that would have to be clipped.
    """
    if image.mode.startswith(("I", "F")):
        numbers = np.asarray(image)
        low, high = numbers.min().item(), numbers.max().item()
        floats = image.mode == "F"
        least, most = (-1.0, 1.0) if floats else (0, 65535)
        if not (low >= least and high <= most):  # so that NaN is refused, too
            where = source.whole if isinstance(source, Half) else source
            named = where if isinstance(where, pathlib.Path) else "an image"
            expected = "floats in [0, 1] or [-1, 1]" if floats else "integers in [0, 65535]"
            raise DataError(
                f"{named} holds {'floats' if floats else 'integers'} in [{low:.6g}, {high:.6g}]; "
                f"expected {expected}: scale all images by one factor, or save them in 8 bits"
            )
        return (low, 0) if floats else (0, high)
    if sixteen:
        return 0, int(np.asarray(image.convert("RGB")).max()) * 257
    return 0, 0


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
                "a damaged TIFF, or of a kind that is not read, such as color in floats: save it "
                "as PNG"
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
