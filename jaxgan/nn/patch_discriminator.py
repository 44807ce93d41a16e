"""PatchGAN discriminator (Isola et al. 2017): one logit for every patch of an image."""

from __future__ import annotations

import flax.linen as linen
import jax.numpy as jnp

from jaxgan.nn import layers, normalization
from jaxgan.random import Keys
from jaxgan.types import Array

STAGES = {1: 0, 16: 1, 34: 2, 70: 3, 142: 4, 286: 5}
"""Number of stride-2 convolutions before the last two layers, by the patch size in pixels."""

_MOST_WIDENING = 8


class PatchDiscriminator(linen.Module):
    """Maps images to logits [B, H', W', 1], each of one patch of `patch` x `patch` pixels.

    The layers are 4x4 convolutions, of stride 2 and then 1, with LeakyReLU 0.2. All but the first
    and the last are normalized. The number of channels doubles with every stage, up to eight times
    `width`. With `patch=1`, all convolutions are 1x1.

    Attributes:
        patch: Patch size (receptive field) in pixels, one of `STAGES`.
        width: Channels of the first layer.
        norm: 'batch' (Pix2Pix), 'instance' (CycleGAN) or 'none'.
        axis_name: Name of the batch's axis under shard_map or pmap, over which batch statistics are
            taken. None under jit.

    References:
        Isola et al. 2017, sections 3.2.2 and 6.1.2.
    """

    patch: int = 70
    width: int = 64
    norm: str = "batch"
    axis_name: str | None = None

    @linen.compact
    def __call__(
        self, images: Array, *conditions: Array, keys: Keys | None = None, train: bool = False
    ) -> Array:
        """Returns the logits [B, H', W', 1] of the patches.

        Args:
            images: Images [B, H, W, C].
            *conditions: Images [B, H, W, C'], joined with `images` on the channel axis.
            keys: Unused; every network takes it.
            train: Normalizes by the batch's statistics if True, by the running averages if False.
        """
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
    """Returns the number of patches of an image: rows and columns of logits.

    Args:
        patch: Patch size in pixels.
        size: Height and width of the image.

    Raises:
        ValueError: `patch` is not one of `STAGES`, or the image is too small for it. The error
            names the largest patch size that fits.
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
    # Each stage halves, rounding down (kernel 4, padding 1). The last two layers lose a pixel each.
    height, width = ((side >> STAGES[patch]) - 2 for side in size)
    return height, width
