"""Super-resolution networks: SRResNet, and one that costs a fraction of it."""

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
    """SRResNet: maps images [B, H, W, C] of any size to [B, factor H, factor W, C], not clipped.

    Residual blocks with batch normalization and PReLU are followed by a pixel shuffle for every
    doubling.

    Attributes:
        factor: Upsampling factor, a power of two.
        blocks: Number of residual blocks.
        width: Channels of the hidden layers.
        axis_name: Name of the batch's axis under shard_map or pmap, over which batch statistics are
            taken. None under jit.

    References:
        Ledig et al. 2017, figure 4.
    """

    factor: int
    blocks: int = 16
    width: int = 64
    axis_name: str | None = None

    @linen.compact
    def __call__(self, images: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        """Returns the upsampled images [B, factor H, factor W, C].

        Args:
            images: Images [B, H, W, C] in [-1, 1].
            keys: Unused; every network takes it.
            train: Normalizes by the batch's statistics if True, by the running averages if False.
        """
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
    """Adds a learned correction to bicubic upsampling. All layers work at the low resolution.

    Maps images [B, H, W, C] of any size to [B, factor H, factor W, C], not clipped. The network has
    residual blocks without normalization (Lim et al. 2017). One last layer's channels become the
    pixels (Shi et al. 2016). Its small initial weights make the network start near bicubic
    upsampling. The input of the blocks is the difference of each pixel from the mean of its 5x5
    neighborhood. The local mean accounts for most of the variation and says nothing about the
    missing details.

    Attributes:
        factor: Upsampling factor, 2 or more.
        blocks: Number of residual blocks.
        width: Channels of the hidden layers.

    References:
        Lim et al. 2017 (EDSR), section 3.1.
        Shi et al. 2016, section 3.
    """

    factor: int
    blocks: int = 8
    width: int = 64

    @linen.compact
    def __call__(self, images: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        """Returns the upsampled images [B, factor H, factor W, C].

        Args:
            images: Images [B, H, W, C] in [-1, 1].
            keys: Unused; every network takes it.
            train: Unused; every network takes it.
        """
        # In photographs these differences have a standard deviation of about 1/4.
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
    """Returns the mean of each pixel's 5x5 neighborhood, over the pixels inside the image.

    The number of pixels is computed with NumPy. `linen.avg_pool` would leave it to XLA's constant
    folding, which takes seconds for photos.
    """
    rows, columns = (_share_inside(size) for size in images.shape[1:3])
    share = np.outer(rows, columns)[None, :, :, None].astype(images.dtype)
    return linen.avg_pool(images, (5, 5), padding="SAME") / share


def _share_inside(size: int) -> np.ndarray:
    """Returns the fraction inside the line of the 5 pixels around each of its `size` pixels."""
    at = np.arange(size)
    return (1 + np.minimum(at, 2) + np.minimum(at[::-1], 2)) / 5


def _prelu() -> linen.PReLU:
    return linen.PReLU(negative_slope_init=0.25)


def network_of(
    architecture: str, *, factor: int, blocks: int, width: int, axis_name: str | None
) -> linen.Module:
    """Returns the super-resolution network of that name.

    Args:
        architecture: 'resnet' (`SRResNet`, the paper's) or 'efficient' (`EfficientResNet`).
        factor: Upsampling factor: 2 or more, and a power of two for 'resnet'.
        blocks: Number of residual blocks.
        width: Channels of the hidden layers.
        axis_name: Name of the batch's axis under shard_map or pmap, over which batch statistics are
            taken. None under jit.

    Raises:
        ValueError: The architecture is unknown, or has no network for the factor.
    """
    if architecture == "efficient":
        if factor < 2:
            raise ValueError(f"the upsampling factor is {factor}; expected 2 or more")
        return EfficientResNet(factor, blocks, width)
    if architecture != "resnet":
        raise ValueError(f"the architecture is {architecture!r}; expected 'resnet' or 'efficient'")
    if factor < 2 or factor & (factor - 1):
        raise ValueError(
            f"the upsampling factor is {factor}; expected a power of two for 'resnet': "
            "use 2, 4 or 8, or the architecture 'efficient'"
        )
    return SRResNet(factor, blocks, width, axis_name)


def reach(architecture: str, *, factor: int, blocks: int) -> int:
    """Returns the radius of the receptive field, in pixels of the small image.

    `jaxgan.tools.tiling.enlarged` uses it as the margin of its tiles.

    Args:
        architecture: 'resnet' or 'efficient'.
        factor: Upsampling factor.
        blocks: Number of residual blocks.
    """
    if architecture == "efficient":
        return 2 * blocks + 5
    doublings = sum(0.5**index for index in range(factor.bit_length() - 1))
    return math.ceil(4 + 2 * blocks + 1 + doublings + 4 / factor)
