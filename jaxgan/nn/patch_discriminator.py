"""The discriminator of patches (Isola et al. 2017): a verdict on every patch of an image, none on
the whole.
"""

from __future__ import annotations

import flax.linen as linen
import jax.numpy as jnp

from jaxgan.nn import layers, normalization
from jaxgan.random import Keys
from jaxgan.types import Array

STAGES = {1: 0, 16: 1, 34: 2, 70: 3, 142: 4, 286: 5}
"""Stride-2 convolutions before the last two layers, by the side of the patch in pixels."""

_MOST_WIDENING = 8


class PatchDiscriminator(linen.Module):
    """Images [B, H, W, C], and conditions that are images beside them, to logits [B, H', W', 1],
    each of one patch of `patch` x `patch` pixels.

    Convolutions of 4x4, stride 2 and then 1, LeakyReLU 0.2, normalized but the first and the last.
    `width` channels double with every stage, up to eight times. Patches of one pixel are judged by
    1x1 convolutions. The norm is 'batch' (Pix2Pix), 'instance' (CycleGAN) or 'none'.
    """

    patch: int = 70
    width: int = 64
    norm: str = "batch"
    axis_name: str | None = None

    @linen.compact
    def __call__(
        self, images: Array, *conditions: Array, keys: Keys | None = None, train: bool = False
    ) -> Array:
        x = jnp.concatenate([*conditions, images], axis=-1)
        strides = [*[2] * STAGES[self.patch], 1]
        if self.patch == 1:
            x = layers.leaky_relu(self._convolve(x, self.width, 1, use_bias=True))
        for index, stride in enumerate(strides):
            doublings = index + (self.patch == 1)
            features = self.width * min(1 << doublings, _MOST_WIDENING)
            norm = self.norm if doublings else "none"
            x = self._convolve(x, features, stride, use_bias=norm == "none")
            x = normalization.normalize(norm, train=train, axis_name=self.axis_name)(x)
            x = layers.leaky_relu(x)
        return self._convolve(x, 1, 1, use_bias=True)

    def _convolve(self, x: Array, features: int, stride: int, *, use_bias: bool) -> Array:
        taps, pad = (1, 0) if self.patch == 1 else (4, 1)
        return layers.Conv(
            features,
            (taps, taps),
            strides=(stride, stride),
            padding=pad,
            use_bias=use_bias,
            kernel_init=layers.normal_weights,
        )(x)


def verdicts(patch: int, size: tuple[int, int]) -> tuple[int, int]:
    """How many patches of that side an image of (height, width) has, by rows and columns.

    Raises ValueError on a patch that no discriminator has, and on images too small for it, with
    the largest patch that fits.
    """
    if patch not in STAGES:
        raise ValueError(
            f"the discriminator's patches are {patch} pixels; "
            f"expected one of {', '.join(map(str, STAGES))}"
        )
    found = _verdicts(patch, size)
    if min(found) < 1:
        fitting = max(other for other in STAGES if min(_verdicts(other, size)) > 0)
        raise ValueError(
            f"images of {size[0]}x{size[1]} pixels are too small for a discriminator of patches "
            f"of {patch} pixels; the largest that fits is {fitting}"
        )
    return found


def _verdicts(patch: int, size: tuple[int, int]) -> tuple[int, int]:
    if patch == 1:
        return size
    # Each stage halves, rounding down (4 taps, 1 pixel of padding); the last two layers take one.
    height, width = ((side >> STAGES[patch]) - 2 for side in size)
    return height, width
