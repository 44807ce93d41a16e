"""Pixels in the colors that their profile says (ICC), brought to sRGB: what networks and screens
take numbers for.
"""

from __future__ import annotations

import functools
import io
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

_MODES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
_UNSEEN = 2
"""Levels by which numbers may differ from those in sRGB and count as the same: writers round."""


class _Profile(NamedTuple):
    """A profile as it is used: the mode of pixels that it is for, and what brings them to sRGB;
    None where they are in it already.
    """

    mode: str
    transform: ImageCms.ImageCmsTransform | None


def trait(image: Image.Image) -> str | None:
    """'profile' where the image's numbers mean other colors than in sRGB, 'damaged profile' where
    nobody can tell since its profile cannot be used, None where they are as they seem.
    """
    profile = _of(image)
    if not _embedded(image):
        return None
    if profile is None:
        return "damaged profile"
    return None if profile.transform is None else "profile"


def in_srgb(image: Image.Image) -> Image.Image:
    """The image as 'RGB', or 'RGBA' where it is transparent, in the colors of sRGB; as it is where
    it has no other profile, or none that can be used.
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
    """The image's profile; None where it has none, or one that is not for such pixels."""
    embedded = _embedded(image)
    profile = None if embedded is None else _read(embedded)
    if profile is None or profile.mode == "RGB":
        return profile if image.mode != "CMYK" else None
    gray = image.mode in ("1", "L", "LA") or image.mode.startswith("I")
    return profile if image.mode == profile.mode or (gray and profile.mode == "L") else None


@functools.lru_cache(maxsize=64)
def _read(embedded: bytes) -> _Profile | None:
    """The profile; None where it cannot be used."""
    try:
        profile = ImageCms.getOpenProfile(io.BytesIO(embedded))
        mode = _MODES[embedded[16:20]]  # the color space, by the format's header
        transform = ImageCms.buildTransform(
            profile,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            # Without the cache, threads may share it.
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION
            | ImageCms.Flags.HIGHRESPRECALC
            | ImageCms.Flags.NOCACHE,
        )
        return _Profile(mode, None if _changes_nothing(transform, mode) else transform)
    except (ImageCms.PyCMSError, OSError, KeyError, TypeError, ValueError):
        return None


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether colors all over the cube (grays, for 'L') stay what they are."""
    if mode == "CMYK":
        return False
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    colors = grid if mode == "RGB" else levels[None]
    changed = np.asarray(transform.apply(Image.fromarray(colors)), int)
    same = colors if mode == "RGB" else colors[..., None]
    return bool(np.abs(changed - same).max() <= _UNSEEN)
