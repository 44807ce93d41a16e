"""One encoded image: what its header says, and its pixels in a given shape."""

from __future__ import annotations

import io
import pathlib
from typing import NamedTuple, TypeAlias

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from jaxgan.data import resizing
from jaxgan.data.errors import DataError, reason


class Half(NamedTuple):
    """One half of an image that shows two side by side."""

    whole: pathlib.Path
    right: bool


Source: TypeAlias = "pathlib.Path | bytes | Half"

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
    traits: those of 'grayscale', 'palette', 'transparent', '16-bit', 'CMYK', 'animated' and
            'turned' (by its EXIF orientation) that it has.
    """

    size: tuple[int, int]
    traits: frozenset[str]


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
            "CMYK": image.mode == "CMYK",
            # MPO is a JPEG with further ones behind it, such as a camera's preview.
            "animated": image.format != "MPO" and getattr(image, "is_animated", False),
            "turned": turn != 1,
        }
        if isinstance(source, Half):
            width = _half(width, source.whole)
        return Header((height, width), frozenset(trait for trait, has in found.items() if has))


def decode(source: Source, target: resizing.Target) -> np.ndarray:
    """The image, upright, as uint8 [H, W, C] in the shape of `target`; C is 1, 3 or 4.

    What is transparent is placed on white unless 4 channels keep it, 16 bits become 8, and of an
    animation the first frame is taken. Raises what PIL raises where the image is damaged.
    """
    with _opened(source) as image:
        turn = _orientation(image)
        # A JPEG many times too large is decoded at a fraction of its size, twice what is needed.
        side = 2 * max(target.resolution) * (1 + isinstance(source, Half))
        image.draft(None, (side, side))
        converted = _converted(image, _MODES[target.channels])
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
        return f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6} million pixels"
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


def _opened(source: Source) -> ImageFile.ImageFile:
    if isinstance(source, Half):
        return _opened(source.whole)
    if isinstance(source, bytes):
        return Image.open(io.BytesIO(source), formats=_FORMATS)
    if source.stat().st_size == 0:
        raise OSError(0, "empty file")
    return Image.open(source, formats=_FORMATS)


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


def _converted(image: Image.Image, mode: str) -> Image.Image:
    """The pixels in 8 bits as 'L', 'RGB' or 'RGBA'."""
    if image.mode.startswith("I"):
        levels = np.clip(np.asarray(image, np.float64), 0.0, 65535.0)
        return Image.fromarray(np.rint(levels / 257.0).astype(np.uint8)).convert(mode)
    if mode == "RGBA" or not _transparent(image):
        return image.convert(mode)
    foreground = image.convert("RGBA")
    background = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(background, foreground).convert("RGB").convert(mode)
