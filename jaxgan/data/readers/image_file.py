"""Reads one encoded image: its header, and its pixels in a given shape."""

from __future__ import annotations

import io
import pathlib
from typing import NamedTuple, TypeAlias

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from jaxgan.data import resizing
from jaxgan.data.errors import DataError, reason
from jaxgan.data.readers import color_profiles


class Half(NamedTuple):
    """One half of an image that shows a pair side by side.

    Attributes:
        whole: the file of the whole image.
        right: whether this is the right half.
    """

    whole: pathlib.Path
    right: bool


Source: TypeAlias = "pathlib.Path | bytes | Half"

LARGEST = 2**26
"""Maximum number of pixels of a decoded image: a file of half a megabyte may claim any number."""

_BAND = 2**22
"""Number of pixels converted at a time: a copy of a whole large image would take as much memory."""
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Header(NamedTuple):
    """What is known of an image before it is decoded.

    Attributes:
        size: (H, W), after the EXIF orientation is applied.
        traits: the properties of the image, a subset of 'grayscale', 'palette', 'transparent',
            '16-bit', 'deep' (16 bits, all of which are read; of color images only the upper 8 bits
            are), 'CMYK', 'animated', 'turned' (by its EXIF orientation), 'profile' (a color profile
            other than sRGB) and 'damaged profile'.
        peak: the highest level, of 65,535, in an image of 16 bits per channel, as far as its bits
            are read; 0 for other images.
    """

    size: tuple[int, int]
    traits: frozenset[str]
    peak: int = 0


def inspect(source: Source) -> Header:
    """Returns the header of a PNG, JPEG, WebP, BMP or GIF.

    Raises:
        Exception: whatever PIL raises if the file is not such an image.
        DataError: if the source is half of an image of odd width.
    """
    with _opened(source) as image:
        turn = _orientation(image)
        height, width = (image.width, image.height) if turn >= 5 else (image.height, image.width)
        found = {
            "grayscale": image.mode in ("1", "L", "LA") or image.mode.startswith("I"),
            "palette": image.mode in ("P", "PA"),
            "transparent": _transparent(image),
            "16-bit": image.mode.startswith("I")
            or any(";16" in str(tile.args) for tile in image.tile),
            "deep": image.mode.startswith("I"),
            "CMYK": image.mode == "CMYK",
            # An MPO is a JPEG followed by others, such as a camera's preview.
            "animated": image.format != "MPO" and getattr(image, "is_animated", False),
            "turned": turn != 1,
        }
        found[color_profiles.trait(image) or ""] = True
        if isinstance(source, Half):
            width = _half(width, source.whole)
        peak = _peak(image) if found["16-bit"] else 0
        traits = frozenset(trait for trait, has in found.items() if has and trait)
        return Header((height, width), traits, peak)


def decode(source: Source, target: resizing.Target) -> np.ndarray:
    """Returns the image, upright, as uint8 [H, W, C] in the shape of `target`.

    Colors are converted to sRGB. Transparent pixels are placed on white, unless the target has 4
    channels. 16 bits become 8. Only the first frame of an animation is used.

    Args:
        source: the encoded image.
        target: the shape to convert it to, with 1, 3 or 4 channels.

    Raises:
        Exception: whatever PIL raises if the image is damaged, or has more pixels than `LARGEST`.
    """
    with _opened(source) as image:
        turn = _orientation(image)
        # A JPEG that is far too large is decoded at a fraction of its size, twice the target's.
        side = 2 * max(target.resolution) * (1 + isinstance(source, Half))
        image.draft(None, (side, side))
        _require_bounded(image)
        converted = _converted(image, _MODES[target.channels], target.deepest)
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


def _peak(image: ImageFile.ImageFile) -> int:
    """Returns the highest level of an image of 16 bits per channel (see `Header`)."""
    if image.mode.startswith("I"):
        return int(np.asarray(image).max())
    return int(np.asarray(image.convert("RGB")).max()) * 257


def _require_bounded(image: ImageFile.ImageFile) -> None:
    if image.width * image.height > LARGEST:
        raise Image.DecompressionBombError


def _opened(source: Source) -> ImageFile.ImageFile:
    if isinstance(source, Half):
        return _opened(source.whole)
    if isinstance(source, pathlib.Path) and source.stat().st_size == 0:
        raise OSError(0, "empty file")
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    image = Image.open(file, formats=_FORMATS)
    try:
        # PIL holds a progressive JPEG in full size, however small it is decoded.
        if image.format not in ("JPEG", "MPO") or image.info.get("progressive"):
            _require_bounded(image)
    except Image.DecompressionBombError:
        image.close()
        raise
    return image


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


def _converted(image: Image.Image, mode: str, deepest: int) -> Image.Image:
    """Returns the pixels in 8 bits as 'L', 'RGB' or 'RGBA'; converts band by band."""
    step = max(1, _BAND // image.width)
    if step >= image.height:
        return _band(image, mode, deepest)
    image.load()
    whole = Image.new(mode, image.size)
    for top in range(0, image.height, step):
        rows = image.crop((0, top, image.width, min(top + step, image.height)))
        whole.paste(_band(rows, mode, deepest), (0, top))
    return whole


def _band(image: Image.Image, mode: str, deepest: int) -> Image.Image:
    """Converts one band of pixels for `_converted`."""
    if image.mode.startswith("I"):
        levels = np.clip(np.asarray(image, np.float64), 0.0, deepest)
        gray = Image.fromarray(np.rint(levels * 255.0 / deepest).astype(np.uint8))
        gray.info = image.info
        return color_profiles.in_srgb(gray).convert(mode)
    transparent = _transparent(image)
    image = color_profiles.in_srgb(image)
    if mode == "RGBA" or not transparent:
        return image.convert(mode)
    foreground = image.convert("RGBA")
    background = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(background, foreground).convert("RGB").convert(mode)
