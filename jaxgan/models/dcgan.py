"""DCGAN: deep convolutional GAN (Radford et al. 2016).

Both sides of an image must halve at least twice. Images need not be square.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgan import nn, random
from jaxgan.games import two_player
from jaxgan.games.training import Training
from jaxgan.nn import layers, normalization
from jaxgan.random import Keys
from jaxgan.types import GAN, Array

_SMALLEST_BASE, _LARGEST_BASE = 4, 15

NORMS = ("batch", "layer", "none", "spectral")


def stages(size: tuple[int, int]) -> int:
    """Returns the number of stride-2 layers between an image and the base.

    The base is the smallest feature map. Its shorter side has 4 to 15 pixels. An image of 28 pixels
    halves twice (to 7), one of 32 three times (to 4), one of 64 four times.

    Args:
        size: Height and width of the image.

    Raises:
        ValueError: The size does not halve twice on both sides. The error names the nearest sizes
            that do.
    """
    count = _halvings(size)
    if count is None:
        nearest = " or ".join("x".join(map(str, s)) for s in _nearest(size))
        raise ValueError(
            f"the network cannot make images of {size[0]}x{size[1]}: both sides must halve at "
            f"least twice, to {_SMALLEST_BASE} to {_LARGEST_BASE} pixels on the shorter; "
            f"the nearest sizes are {nearest}"
        )
    return count


def _halvings(size: tuple[int, int]) -> int | None:
    shorter, common, count = min(size), math.gcd(*size), 0
    while common % 2 == 0 and shorter // 2 >= _SMALLEST_BASE:
        shorter, common, count = shorter // 2, common // 2, count + 1
    return count if count >= 2 and shorter <= _LARGEST_BASE else None


def _nearest(size: tuple[int, int]) -> list[tuple[int, int]]:
    """Returns the nearest valid size with no side longer, and the nearest with no side shorter."""

    def distance(other: tuple[int, int]) -> tuple[int, int]:
        """Returns the distance in pixels, then the change of proportions to break ties."""
        return (
            abs(other[0] - size[0]) + abs(other[1] - size[1]),
            abs(other[0] * size[1] - other[1] * size[0]),
        )

    # Sizes that halve to a base of 4 to 15 pixels lie at least this close together.
    reach = min(size) // 4 + 4 * _SMALLEST_BASE
    below = [range(side // 4 * 4, max(side - reach, 0), -4) for side in size]
    above = [range(-(-side // 4) * 4, side + reach + 1, 4) for side in size]
    found = []
    for rows, columns in (below, above):
        made = [(h, w) for h in rows for w in columns if _halvings((h, w)) is not None]
        found += sorted(made, key=distance)[:1]
    return found


class Generator(linen.Module):
    """Maps latents [B, Z] to images [B, H, W, C] in [-1, 1].

    A linear projection to the base is followed by one stride-2 transposed convolution for every
    doubling. All layers have batch normalization and ReLU, except the output, which has tanh.

    Attributes:
        shape: Height, width and channels of an image.
        width: Channels before the last layer. They double toward the base. The paper has 128.
        kernel: Kernel size of the convolutions. The paper has 5.
        axis_name: Name of the batch's axis under shard_map or pmap, over which batch statistics are
            taken. None under jit.

    References:
        Radford et al. 2016, section 3 and figure 1.
    """

    shape: tuple[int, int, int]
    width: int = 64
    kernel: int = 4
    axis_name: str | None = None

    @linen.compact
    def __call__(self, latents: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        """Returns generated images [B, H, W, C] in [-1, 1].

        Args:
            latents: Latents [B, Z].
            keys: Unused; every network takes it.
            train: Normalizes by the batch's statistics if True, by the running averages if False.
        """
        height, width, channels = self.shape
        count = stages((height, width))
        base = (height >> count, width >> count, self.width << (count - 1))
        x = linen.Dense(math.prod(base), use_bias=False, kernel_init=layers.normal_weights)(latents)
        x = jax.nn.relu(normalization.batch_norm(train, self.axis_name)(x.reshape(-1, *base)))
        for features in [self.width << i for i in reversed(range(count - 1))]:
            x = self._double(x, features, use_bias=False)
            x = jax.nn.relu(normalization.batch_norm(train, self.axis_name)(x))
        return jnp.tanh(self._double(x, channels, use_bias=True))

    def _double(self, x: Array, features: int, *, use_bias: bool) -> Array:
        taps = (self.kernel, self.kernel)
        return nn.ConvTranspose(
            features, taps, strides=(2, 2), use_bias=use_bias, kernel_init=layers.normal_weights
        )(x)


class Discriminator(linen.Module):
    """Maps images [B, H, W, C] to logits [B].

    Stride-2 convolutions with LeakyReLU 0.2 lead to the base, and one dense layer to the logit.
    There are no hidden dense layers. All convolutions but the first are normalized.

    Attributes:
        width: Channels of the first layer. They double with every layer.
        kernel: Kernel size of the convolutions.
        axis_name: Name of the batch's axis under shard_map or pmap, over which batch
            statistics are taken. None under jit.
        norm: 'batch' (Radford et al. 2016). 'layer', over each example's pixels and channels, or
            'none': a gradient penalty needs one of them (Gulrajani et al. 2017, section 4).
            'spectral': spectral normalization of all kernels, including the first and the last
            (Miyato et al. 2018).

    Raises:
        ValueError: The norm is unknown.

    References:
        Radford et al. 2016, section 3.
    """

    width: int = 64
    kernel: int = 4
    axis_name: str | None = None
    norm: str = "batch"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.norm not in NORMS:
            raise ValueError(
                f"the discriminator's norm is {self.norm!r}; expected one of {', '.join(NORMS)}"
            )

    @linen.compact
    def __call__(self, images: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        """Returns logits [B].

        Args:
            images: Images [B, H, W, C] in [-1, 1].
            keys: Unused; every network takes it.
            train: Whether batch normalization uses the batch's statistics, and whether spectral
                normalization keeps its new singular vectors.
        """
        x = images
        height, width = images.shape[1:3]
        for index in range(stages((height, width))):
            conv = nn.Conv(
                self.width << index,
                (self.kernel, self.kernel),
                strides=(2, 2),
                use_bias=index == 0 or self.norm in ("none", "spectral"),
                kernel_init=layers.normal_weights,
            )
            x = self._bounded(conv, x, train)
            if index > 0:
                x = self._normalized(x, train)
            x = layers.leaky_relu(x)
        dense = linen.Dense(1, kernel_init=layers.normal_weights)
        return self._bounded(dense, x.reshape(x.shape[0], -1), train)[:, 0]

    def _bounded(self, layer: linen.Module, x: Array, train: bool) -> Array:
        if self.norm == "spectral":
            return nn.SpectralNorm(layer)(x, train=train)
        return layer(x)  # type: ignore[operator]

    def _normalized(self, x: Array, train: bool) -> Array:
        if self.norm == "batch":
            return normalization.batch_norm(train, self.axis_name)(x)
        if self.norm == "layer":
            return linen.LayerNorm(epsilon=1e-5, reduction_axes=(1, 2, 3), feature_axes=-1)(x)
        return x


def build(
    *,
    shape: tuple[int, int, int],
    training: Training,
    latent_size: int = 100,
    prior: str = "normal",
    width: int = 64,
    kernel: int = 4,
    discriminator_norm: str = "batch",
    **game: Any,
) -> GAN:
    """Builds a DCGAN for images of one shape.

    Args:
        shape: Height, width and channels of the images. The size must halve at least twice
            (`stages`).
        training: How the players are trained.
        latent_size: Size of the latents.
        prior: Prior of the latents: 'normal', 'uniform' (the paper's) or 'unit_uniform'.
        width: Channels of the layers next to the image, in both networks.
        kernel: Kernel size of the convolutions.
        discriminator_norm: 'batch', 'layer', 'none' or 'spectral'; see `Discriminator`.
        **game: Further arguments of `two_player.build`: `loss` (required), `penalty` and others.

    Returns:
        The model. `sample(state, keys)` draws images [B, H, W, C] in [-1, 1].

    Raises:
        ValueError: The size does not halve twice, or the prior or the norm is unknown.

    References:
        Radford et al. 2016, sections 3 and 4.
    """
    stages(shape[:2])
    return two_player.build(
        Generator(shape, width, kernel, training.axis_name),
        Discriminator(width, kernel, training.axis_name, discriminator_norm),
        shape=shape,
        latents=partial(random.latents, size=latent_size, prior=random.known_prior(prior)),
        training=training,
        **game,
    )
