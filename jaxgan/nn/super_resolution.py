"""Networks that enlarge images: SRResNet, and one that costs a fraction of it."""

from __future__ import annotations

import functools
import math

import flax.linen as linen
import jax
import numpy as np

from jaxgan import nn
from jaxgan.nn import normalization, resampling
from jaxgan.random import Keys
from jaxgan.types import Array

_scaled = functools.partial(
    linen.initializers.variance_scaling, mode="fan_in", distribution="truncated_normal"
)


class SRResNet(linen.Module):
    """Images [B, H, W, C] to images [B, factor H, factor W, C], of any size, not clipped.

    Residual blocks with batch normalization and PReLU, then a pixel shuffle for every doubling
    (Ledig et al. 2017, figure 4). `factor` is a power of two.
    """

    factor: int
    blocks: int = 16
    width: int = 64
    axis_name: str | None = None

    @linen.compact
    def __call__(self, images: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        first = _prelu()(nn.Conv(self.width, (9, 9))(images))
        x = first
        for _ in range(self.blocks):
            x = x + self._normalized(_prelu()(self._normalized(x, train)), train)
        x = first + self._normalized(x, train)
        for _ in range(self.factor.bit_length() - 1):
            x = resampling.depth_to_space(nn.Conv(4 * self.width, (3, 3))(x), 2)
            x = _prelu()(x)
        return nn.Conv(images.shape[-1], (9, 9))(x)

    def _normalized(self, x: Array, train: bool) -> Array:
        x = nn.Conv(self.width, (3, 3), use_bias=False)(x)
        return normalization.normalize("batch", train=train, axis_name=self.axis_name)(x)


class EfficientResNet(linen.Module):
    """Images [B, H, W, C] to images [B, factor H, factor W, C], of any size, not clipped: a
    correction of the bicubic enlargement, computed at the low resolution alone.

    Residual blocks without normalization (Lim et al. 2017), and one layer whose channels become
    the pixels (Shi et al. 2016). It starts near the bicubic enlargement. The blocks see how each
    pixel differs from the mean of the 5x5 around it: of an image's shades, which are most of its
    variation, the missing details know nothing.
    """

    factor: int
    blocks: int = 8
    width: int = 64

    @linen.compact
    def __call__(self, images: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        # Times 4: the differences of photographs are of a deviation of about 1/4.
        first = nn.Conv(self.width, (3, 3))(4.0 * (images - means_around(images)))
        x = first
        for _ in range(self.blocks):
            inner = jax.nn.relu(nn.Conv(self.width, (3, 3))(x))
            x = x + nn.Conv(self.width, (3, 3), kernel_init=_scaled(1 / 3))(inner)
        x = first + nn.Conv(self.width, (3, 3))(x)
        pixels = self.factor**2 * images.shape[-1]
        detail = nn.Conv(pixels, (3, 3), kernel_init=_scaled(1e-4))(x)
        return resampling.bicubic(images, self.factor) + resampling.depth_to_space(
            detail, self.factor
        )


def means_around(images: Array) -> Array:
    """The mean of those pixels of the 5x5 around each that are in the image.

    Their number is known beforehand: left to `linen.avg_pool`, XLA finds it out at compilation, for
    photos in seconds.
    """
    rows, columns = (_share_inside(size) for size in images.shape[1:3])
    share = np.outer(rows, columns)[None, :, :, None].astype(images.dtype)
    return linen.avg_pool(images, (5, 5), padding="SAME") / share


def _share_inside(size: int) -> np.ndarray:
    """For each of `size` pixels in a row, how much of the five around it is in the row."""
    at = np.arange(size)
    return (1 + np.minimum(at, 2) + np.minimum(at[::-1], 2)) / 5


def _prelu() -> linen.PReLU:
    return linen.PReLU(negative_slope_init=0.25)


def network_of(
    architecture: str, *, factor: int, blocks: int, width: int, axis_name: str | None
) -> linen.Module:
    """The network of that name, 'resnet' (the paper's) or 'efficient'; ValueError on another, or
    on a factor that it does not reach.
    """
    if architecture == "efficient":
        if factor < 2:
            raise ValueError(f"images are to become {factor} times larger; expected 2 or more")
        return EfficientResNet(factor, blocks, width)
    if architecture != "resnet":
        raise ValueError(f"the architecture is {architecture!r}; expected 'resnet' or 'efficient'")
    if factor < 2 or factor & (factor - 1):
        raise ValueError(
            f"images are to become {factor} times larger; this network doubles: "
            "use 2, 4 or 8, or the architecture 'efficient'"
        )
    return SRResNet(factor, blocks, width, axis_name)


def reach(architecture: str, *, factor: int, blocks: int) -> int:
    """How many pixels of the small image, at most, lie between a pixel of the large one and what it
    depends on; for `tiling.enlarged`.
    """
    if architecture == "efficient":
        return 2 * blocks + 5
    doublings = sum(0.5**index for index in range(factor.bit_length() - 1))
    return math.ceil(4 + 2 * blocks + 1 + doublings + 4 / factor)
