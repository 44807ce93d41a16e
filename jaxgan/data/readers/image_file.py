"""One encoded image: what its header says, and its pixels in a given shape."""

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
    """One half of an image that shows two side by side."""

    whole: pathlib.Path
    right: bool


Source: TypeAlias = "pathlib.Path | bytes | Half"

LARGEST = 2**26
"""Pixels of an image that are decoded at most: a file of half a megabyte may claim any number."""

_BAND = 2**22
"""Pixels that are converted at a time: every copy of a whole large image would take its memory."""
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

    size:   (H, W), upright.
    traits: those of 'grayscale', 'palette', 'transparent', '16-bit', 'deep' (of 16 bits, all of
            which are read: in color the upper 8 are), 'CMYK', 'animated', 'turned' (by its EXIF
            orientation), 'profile' (of other colors than sRGB's) and 'damaged profile' that it has.
    peak:   of 16 bits a channel, the highest level in it, of 65,535; of those that are read.
    """

    size: tuple[int, int]
    traits: frozenset[str]
    peak: int = 0


def inspect(source: Source) -> Header:
    """The header of a PNG, JPEG, WebP, BMP or GIF. Raises what PIL raises where there is none, and
    DataError where there is no half as it cannot be cut in two.
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
            # MPO is a JPEG with further ones behind it, such as a camera's preview.
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
    """The image, upright, as uint8 [H, W, C] in the shape of `target`; C is 1, 3 or 4.

    Colors are brought to sRGB, what is transparent is placed on white unless 4 channels keep it, 16
    bits become 8, and of an animation the first frame is taken. Raises what PIL raises where the
    image is damaged, or larger than `LARGEST`.
    """
    with _opened(source) as image:
        turn = _orientation(image)
        # A JPEG many times too large is decoded at a fraction of its size, twice what is needed.
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
    """In a few words, what kept an image from being read."""
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
            f"{path} is {width} pixels wide, which two images of one size side by side cannot be; "
            "cut it to an even width"
        )
    return width // 2


def _peak(image: ImageFile.ImageFile) -> int:
    """The highest level of an image of 16 bits a channel (see `Header`)."""
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
        # A progressive JPEG is held whole, however small it is decoded.
        if image.format not in ("JPEG", "MPO") or image.info.get("progressive"):
            _require_bounded(image)
    except Image.DecompressionBombError:
        image.close()
        raise
    return image


def _transparent(image: Image.Image) -> bool:
    return image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info


def _orientation(image: ImageFile.ImageFile) -> int:
    # PIL decodes a whole PNG in search of an EXIF block behind the pixels, which nobody writes.
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # malformed EXIF raises anything, and the image is as good as one without
        return 1
    return orientation if orientation in _UPRIGHT else 1


def _converted(image: Image.Image, mode: str, deepest: int) -> Image.Image:
    """The pixels in 8 bits as 'L', 'RGB' or 'RGBA', a band of rows after the other."""
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
    """The pixels as `_converted` gives them."""
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
