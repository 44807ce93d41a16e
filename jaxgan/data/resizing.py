"""Converts images of any size and channel count to one shape."""

from __future__ import annotations

import numbers
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from jaxgan import color
from jaxgan.data import memory
from jaxgan.data.errors import DataError
from jaxgan.data.prepared import Storing

if TYPE_CHECKING:
    from PIL import Image

Resolution: TypeAlias = "int | str | Sequence[int]"

POLICIES = ("crop", "pad", "stretch")
_CONVERTIBLE = {1, 3, 4}


class Fit(NamedTuple):
    """The requested shape of images, which may leave the size or the channels open.

    Attributes:
        resolution: (H, W), or None to keep the size of the images.
        policy: how to reach the resolution. 'crop' scales until the image covers it and cuts out
            the center. 'pad' scales until the image fits into it and fills the rest with black
            (transparent, with 4 channels). 'stretch' scales height and width independently.
        channels: 1, 3 or 4, or as many as the images have; None to keep the channels of the images.
        crop: the size (h, w) of the random parts that are cut out of the images afterwards, or None
            for whole images. With it, image files that keep their size may differ in it.
        storing: where decoded images are stored (see `image_stores.Storing`).
    """

    resolution: tuple[int, int] | None = None
    policy: str = "crop"
    channels: int | None = None
    crop: tuple[int, int] | None = None
    storing: Storing = Storing()


class Target(NamedTuple):
    """The shape that images are converted to: a `Fit` with nothing left open.

    Attributes:
        resolution: (H, W).
        policy: 'crop', 'pad' or 'stretch' (see `Fit`).
        channels: number of channels.
        deepest: the level of 16-bit grayscale images that becomes white (255). It is less than
            65,535 for images of 12 bits, for example, that are stored in 16.
        signed: whether images of floating-point numbers lie in [-1, 1] and not in [0, 1].
        dtype: the type of the values, 'uint8', 'uint16' or 'float32'. Images of more than 8 bits
            keep their values unless it is 'uint8'.
        paged: whether the pages of a TIFF are the channels.
    """

    resolution: tuple[int, int]
    policy: str
    channels: int
    deepest: int = 65535
    signed: bool = False
    dtype: str = "uint8"
    paged: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape (H, W, C) of an image."""
        return (*self.resolution, self.channels)


def make_fit(
    resolution: Resolution | None = None,
    policy: str = "crop",
    channels: int | None = None,
    *,
    load: Resolution | None = None,
    crop: Resolution | None = None,
    storing: Storing | None = None,
) -> Fit:
    """Returns a `Fit` after checking its values.

    Args:
        resolution: 64, '64x96' or (64, 96), height first; None keeps the size.
        policy: 'crop', 'pad' or 'stretch' (see `Fit`).
        channels: number of channels; None keeps the channels of the images.
        load: the size before the random crop; None keeps that of the images.
        crop: the size of the random crop, which is that of the result; None for no crop.
        storing: where decoded images are stored; None chooses by the free memory.

    Raises:
        DataError: if the resolution, the policy or the channel count is invalid, or they contradict
            each other.
    """
    if policy not in POLICIES:
        raise DataError(f"resize is {policy!r}; expected one of {', '.join(POLICIES)}")
    if channels is not None and channels < 1:
        raise DataError(
            f"channels is {channels}; expected 1 (grayscale), 3 (color) or 4 (transparent), or as "
            "many as the images have"
        )
    size = None if resolution is None else parse_resolution(resolution)
    part = None if crop is None else parse_resolution(crop, what="crop")
    before = None if load is None else parse_resolution(load, what="load")
    _require_room(size, part, before)
    return Fit(size if part is None else before, policy, channels, part, storing or Storing())


def _require_room(
    size: tuple[int, int] | None, crop: tuple[int, int] | None, load: tuple[int, int] | None
) -> None:
    """Raises DataError if the sizes contradict each other."""
    if crop is None and load is not None:
        raise DataError(
            f"load is {describe(load)}, the size before a random crop, but there is no crop; give "
            "--crop, too, or the size as --resolution"
        )
    if crop is not None and size is not None and crop != size:
        raise DataError(
            f"the resolution is {describe(size)} and the crop {describe(crop)}, but images have "
            "the size of their crop: leave --resolution out, or give it that size; --load is the "
            "size before the crop"
        )
    if crop and load and (load[0] < crop[0] or load[1] < crop[1]):
        raise DataError(
            f"the crop is {describe(crop)} and the images are loaded at {describe(load)}; expected "
            "a crop that is not larger: give another --crop or --load"
        )


def parse_resolution(resolution: Resolution, *, what: str = "resolution") -> tuple[int, int]:
    """Returns (H, W) from 64, '64', '64x96' or (64, 96), height first.

    Args:
        resolution: the size.
        what: what has this size, for the message.

    Raises:
        DataError: if the resolution is anything else.
    """
    if isinstance(resolution, str):
        matched = re.fullmatch(r"\s*(\d+)\s*(?:[xX]\s*(\d+)\s*)?", resolution)
        sides = [int(side) for side in matched.groups() if side] if matched else []
    else:
        sides = list(resolution) if isinstance(resolution, Sequence) else [resolution]
    whole = all(isinstance(side, numbers.Integral) and side >= 1 for side in sides)
    if len(sides) not in (1, 2) or not whole:
        raise DataError(
            f"the {what} is {resolution!r}; "
            "expected one side, like 64, or height x width, like 64x96"
        )
    return int(sides[0]), int(sides[-1])


def resolve(fit: Fit, size: tuple[int, int], channels: int) -> Target:
    """Returns the target shape for images of a given size.

    Args:
        fit: the requested shape.
        size: the size (H, W) of the images; used if `fit` has no resolution.
        channels: the channels of the images; used if `fit` has none.
    """
    return Target(fit.resolution or size, fit.policy, fit.channels or channels)


def fit_image(image: Image.Image, target: Target) -> Image.Image:
    """Returns the image at the target's resolution (Lanczos), with its channels unchanged.

    Args:
        image: an image of any size.
        target: the shape to reach; its channels are not used.
    """
    height, width = target.resolution
    if image.size == (width, height):
        return image
    if target.policy == "stretch":
        return _resized(image, width, height)
    if target.policy == "crop":
        scale = max(width / image.width, height / image.height)
        left = max((image.width - width / scale) / 2, 0.0)
        top = max((image.height - height / scale) / 2, 0.0)
        return _resized(image, width, height, (left, top, image.width - left, image.height - top))
    scale = min(width / image.width, height / image.height)
    inner = _resized(image, max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return _padded(inner, width, height)


def fit_array(images: np.ndarray, fit: Fit, *, name: str) -> np.ndarray:
    """Returns images [N, H, W, C] converted to the shape of `fit`, in their own type.

    Args:
        images: uint8, uint16 or float32 [N, H, W, C].
        fit: the requested shape.
        name: the name of the data, for messages.

    Raises:
        DataError: if the images cannot be converted to the requested channels, or there is not
            enough memory.
    """
    height, width, channels = images.shape[1:]
    target = resolve(fit, (height, width), channels)
    if target.channels != channels and not {target.channels, channels} <= _CONVERTIBLE:
        raise DataError(
            f"{name}: the images have {channels} channels, but {target.channels} were requested; "
            f"leave --channels out, or convert the images to {target.channels} channels first"
        )
    if target.shape != (height, width, channels):
        needed = len(images) * int(np.prod(target.shape)) * images.itemsize
        what = f"{len(images)} images of {describe(target.shape)}"
        memory.require(needed, name=name, what=what)
    if target.resolution != (height, width):
        images = np.stack([_fit_one(image, target) for image in images])
    return convert_channels(images, target.channels)


def stretched(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns images scaled to a size, height and width independently (Lanczos).

    Args:
        images: uint8, uint16 or float32 [N, H, W, C].
        size: the new size (H, W).
    """
    target = Target(size, "stretch", images.shape[-1])
    return np.stack([_fit_one(image, target) for image in images])


def convert_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """Returns images [..., C] converted to another number of channels, in their own type.

    Transparent pixels are placed on white, the highest integer of the type or 1 of floats. A new
    alpha channel is opaque.

    Args:
        images: uint8, uint16 or float32 [..., C], where C is 1 (grayscale), 3 (color) or 4 (with
            transparency).
        channels: 1, 3 or 4.
    """
    if images.shape[-1] == channels:
        return images
    white = white_of(images.dtype)
    rounded = np.asarray if images.dtype.kind == "f" else np.rint
    if images.shape[-1] == 4:
        opacity = images[..., 3:] / white
        on_white = images[..., :3] * opacity + white * (1.0 - opacity)
        images = rounded(on_white).astype(images.dtype)
    if channels == 1:
        # The weights that PIL uses.
        return rounded(images @ np.array(color.LUMA)).astype(images.dtype)[..., None]
    if images.shape[-1] == 1:
        images = np.repeat(images, 3, axis=-1)
    if channels == 3:
        return images
    return np.concatenate([images, np.full_like(images[..., :1], white)], axis=-1)


def white_of(dtype: np.dtype) -> float:
    """Returns the value of white and of opaque pixels: the highest integer of a type, 1 of floats.

    Args:
        dtype: the type of the values.
    """
    return 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)


def describe(size: tuple[int, ...]) -> str:
    """Returns a size as text for messages; 64x96 is height x width."""
    return "x".join(map(str, size))


def _fit_one(image: np.ndarray, target: Target) -> np.ndarray:
    """Returns one image [H, W, C] at the target's resolution, with any number of channels."""
    from PIL import Image

    if image.dtype != np.uint8:
        return _fit_values(image, target)
    channels = image.shape[2]
    if channels in (3, 4):
        return np.asarray(fit_image(Image.fromarray(image), target))
    planes = [np.ascontiguousarray(plane) for plane in np.moveaxis(image, 2, 0)]
    return np.stack(
        [np.asarray(fit_image(Image.fromarray(plane), target)) for plane in planes], axis=2
    )


def _fit_values(image: np.ndarray, target: Target) -> np.ndarray:
    """Returns one image [H, W, C] of more than 8 bits at the target's resolution.

    No value lies outside of those of the image: Lanczos overshoots at edges, and would widen the
    range of the data. What 'pad' fills is 0, or the least value of floats.
    """
    from PIL import Image

    least, most = image.min(), image.max()
    fill = least if image.dtype.kind == "f" else image.dtype.type(0)
    planes = [Image.fromarray(plane) for plane in np.moveaxis(image - fill, 2, 0).astype("f4")]
    fitted = np.stack([np.asarray(fit_image(plane, target)) for plane in planes], axis=2)
    if image.dtype.kind != "f":
        fitted = np.rint(fitted)
    low = fill if target.policy == "pad" else least
    return np.clip(fitted + fill, low, most).astype(image.dtype)


def _resized(
    image: Image.Image,
    width: int,
    height: int,
    box: tuple[float, float, float, float] | None = None,
) -> Image.Image:
    from PIL import Image

    return image.resize((width, height), Image.Resampling.LANCZOS, box=box)


def _padded(image: Image.Image, width: int, height: int) -> Image.Image:
    from PIL import Image

    canvas = Image.new(image.mode, (width, height))
    canvas.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
    return canvas
