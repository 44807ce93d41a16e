"""Converts images with an embedded color profile (ICC) to sRGB, as networks and screens expect."""

from __future__ import annotations

import functools
import io
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

_MODES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
_UNSEEN = 2
"""A profile that changes no value by more than this many levels counts as sRGB: writers round."""


class _Profile(NamedTuple):
    """A usable profile.

    Attributes:
        mode: the mode of the pixels that the profile describes.
        transform: the transform to sRGB, or None if the profile is sRGB already.
    """

    mode: str
    transform: ImageCms.ImageCmsTransform | None


def trait(image: Image.Image) -> str | None:
    """Returns how the image's profile matters, or None if its values are sRGB.

    Returns:
        'profile' if the values are not sRGB, 'damaged profile' if the profile cannot be used, so
        that the colors are unknown, and None otherwise.
    """
    profile = _of(image)
    if not _embedded(image):
        return None
    if profile is None:
        return "damaged profile"
    return None if profile.transform is None else "profile"


def in_srgb(image: Image.Image) -> Image.Image:
    """Returns the image converted to sRGB, as 'RGB', or as 'RGBA' if it has transparency.

    An image without a usable profile, or with sRGB's, is returned unchanged.
    """
    profile = _of(image)
    if profile is None or profile.transform is None:
        return image
    transparent = image.has_transparency_data
    whole = image.convert("RGBA") if transparent and image.mode != "LA" else image
    opacity = whole.getchannel("A") if transparent else None
    converted = profile.transform.apply(whole.convert(profile.mode))
    if opacity is not None:
        converted.putalpha(opacity)
    return converted


def _embedded(image: Image.Image) -> bytes | None:
    return image.info.get("icc_profile") or None


def _of(image: Image.Image) -> _Profile | None:
    """Returns the image's profile, or None if it has none or one for other pixels."""
    embedded = _embedded(image)
    profile = None if embedded is None else _read(embedded)
    if profile is None or profile.mode == "RGB":
        return profile if image.mode != "CMYK" else None
    gray = image.mode in ("1", "L", "LA") or image.mode.startswith(("I", "F"))
    return profile if image.mode == profile.mode or (gray and profile.mode == "L") else None


@functools.lru_cache(maxsize=64)
def _read(embedded: bytes) -> _Profile | None:
    """Returns the profile, or None if it cannot be used."""
    try:
        profile = ImageCms.getOpenProfile(io.BytesIO(embedded))
        mode = _MODES[embedded[16:20]]  # the color space in the header
        transform = ImageCms.buildTransform(
            profile,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            # Threads may share the transform only without its cache.
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION
            | ImageCms.Flags.HIGHRESPRECALC
            | ImageCms.Flags.NOCACHE,
        )
        return _Profile(mode, None if _changes_nothing(transform, mode) else transform)
    except (ImageCms.PyCMSError, OSError, KeyError, TypeError, ValueError):
        return None


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether the transform leaves colors all over the cube (grays, for 'L') unchanged."""
    if mode == "CMYK":
        return False
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    colors = grid if mode == "RGB" else levels[None]
    changed = np.asarray(transform.apply(Image.fromarray(colors)), int)
    same = colors if mode == "RGB" else colors[..., None]
    return bool(np.abs(changed - same).max() <= _UNSEEN)
