"""Brings images of any size and channel count to one shape."""

from __future__ import annotations

import numbers
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from jaxgan import color
from jaxgan.data import memory
from jaxgan.data.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

Resolution: TypeAlias = "int | str | Sequence[int]"

POLICIES = ("crop", "pad", "stretch")
_CONVERTIBLE = {1, 3, 4}


class Fit(NamedTuple):
    """The shape that images are brought to; None leaves the size or the channels as they are.

    policy: 'crop' scales until the image covers the resolution and cuts its center, 'pad' scales
            until it fits and fills up with black (transparent, in 4 channels), 'stretch' scales
            each side by itself.
    """

    resolution: tuple[int, int] | None = None
    policy: str = "crop"
    channels: int | None = None


class Target(NamedTuple):
    """The shape that a `Fit` comes to for given images: nothing is left open.

    deepest: the level that becomes the brightest of 8 bits, of images in gray of 16 bits: 12 bits
             are often kept in 16.
    """

    resolution: tuple[int, int]
    policy: str
    channels: int
    deepest: int = 65535

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return (*self.resolution, self.channels)


def make_fit(
    resolution: Resolution | None = None, policy: str = "crop", channels: int | None = None
) -> Fit:
    """A checked `Fit`. Raises DataError on a bad resolution, policy or channel count."""
    if policy not in POLICIES:
        raise DataError(f"resize is {policy!r}; expected one of {', '.join(POLICIES)}")
    if channels is not None and channels < 1:
        raise DataError(
            f"channels is {channels}; expected 1 (grayscale), 3 (color) or 4 (transparent)"
        )
    size = None if resolution is None else parse_resolution(resolution)
    return Fit(size, policy, channels)


def parse_resolution(resolution: Resolution) -> tuple[int, int]:
    """(H, W) from 64, '64', '64x96' or (64, 96), height first. Raises DataError on all else."""
    if isinstance(resolution, str):
        matched = re.fullmatch(r"\s*(\d+)\s*(?:[xX]\s*(\d+)\s*)?", resolution)
        sides = [int(side) for side in matched.groups() if side] if matched else []
    else:
        sides = list(resolution) if isinstance(resolution, Sequence) else [resolution]
    whole = all(isinstance(side, numbers.Integral) and side >= 1 for side in sides)
    if len(sides) not in (1, 2) or not whole:
        raise DataError(
            f"the resolution is {resolution!r}; "
            "expected one side, like 64, or height x width, like 64x96"
        )
    return int(sides[0]), int(sides[-1])


def resolve(fit: Fit, size: tuple[int, int], channels: int) -> Target:
    """The target of `fit` for images of this size (H, W) and these channels."""
    return Target(fit.resolution or size, fit.policy, fit.channels or channels)


def fit_image(image: Image.Image, target: Target) -> Image.Image:
    """The image, in its own channels, at the target's resolution by its policy (Lanczos)."""
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
    """Images uint8 [N, H, W, C] in the shape of `fit`.

    Raises DataError, with `name`, on channels that cannot be had from these.
    """
    height, width, channels = images.shape[1:]
    target = resolve(fit, (height, width), channels)
    if target.channels != channels and not {target.channels, channels} <= _CONVERTIBLE:
        raise DataError(
            f"{name}: the images have {channels} channels and {target.channels} were asked for; "
            f"leave --channels out, or convert the images to {target.channels} channels first"
        )
    if target.shape != (height, width, channels):
        needed, what = len(images) * int(np.prod(target.shape)), describe(target.shape)
        memory.require(needed, name=name, what=f"{len(images)} images of {what}")
    if target.resolution != (height, width):
        images = np.stack([_fit_one(image, target) for image in images])
    return convert_channels(images, target.channels)


def stretched(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Images uint8 [N, H, W, C] scaled to `size` (H, W), each side by itself (Lanczos)."""
    target = Target(size, "stretch", images.shape[-1])
    return np.stack([_fit_one(image, target) for image in images])


def convert_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """Images uint8 [..., C] as [..., channels], each 1 (gray), 3 (color) or 4 (with opacity).

    What is transparent is placed on white; what gains an opacity is opaque.
    """
    if images.shape[-1] == channels:
        return images
    if images.shape[-1] == 4:
        opacity = images[..., 3:] / 255.0
        images = np.rint(images[..., :3] * opacity + 255.0 * (1.0 - opacity)).astype(np.uint8)
    if channels == 1:
        # as PIL converts
        return np.rint(images @ np.array(color.LUMA)).astype(np.uint8)[..., None]
    if images.shape[-1] == 1:
        images = np.repeat(images, 3, axis=-1)
    if channels == 3:
        return images
    return np.concatenate([images, np.full_like(images[..., :1], 255)], axis=-1)


def describe(size: tuple[int, ...]) -> str:
    """A size for messages: 64x96 is height x width."""
    return "x".join(map(str, size))


def _fit_one(image: np.ndarray, target: Target) -> np.ndarray:
    """One image uint8 [H, W, C], of any channel count, at the target's resolution."""
    from PIL import Image

    channels = image.shape[2]
    if channels in (3, 4):
        return np.asarray(fit_image(Image.fromarray(image), target))
    planes = [np.ascontiguousarray(plane) for plane in np.moveaxis(image, 2, 0)]
    return np.stack(
        [np.asarray(fit_image(Image.fromarray(plane), target)) for plane in planes], axis=2
    )


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
