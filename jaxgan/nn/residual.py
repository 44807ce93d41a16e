"""Residual blocks of generators and discriminators, with and without a change of resolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import flax.linen as linen
import jax

from jaxgan.nn import resampling
from jaxgan.nn.layers import Conv
from jaxgan.nn.spectral_norm import SpectralNorm
from jaxgan.types import Array

_RESAMPLE: dict[str, Callable[[Array], Array]] = {
    "none": lambda x: x,
    "up": resampling.double,
    "down": resampling.halve,
}


def unnormalized(x: Array) -> Array:
    """Returns the features as they are."""
    return x


class ResidualBlock(linen.Module):
    """Two 3x3 convolutions, each after a normalization and a ReLU, added to a shortcut.

    Maps [B, H, W, C] to [B, H', W', features]. The shortcut is a 1x1 convolution, or the input
    itself if neither its channels nor its resolution change.

    Attributes:
        features: Number of output channels.
        resample: 'up' doubles the resolution before the first convolution (nearest neighbor),
            'down' halves it after the second one (mean of 2x2 pixels), 'none' keeps it.
        spectral: Whether the convolutions are spectrally normalized, as in a discriminator.
        first: Whether this is the first block of a discriminator, which sees images: it has no
            first normalization and ReLU.
        kernel_init: Initializer of the kernels.

    References:
        He et al. 2016, Identity mappings in deep residual networks (the order of the layers).
        Miyato et al. 2018, Spectral normalization for GANs, appendix B.4, figures 9 and 10.
    """

    features: int
    resample: Literal["up", "down", "none"] = "none"
    spectral: bool = False
    first: bool = False
    kernel_init: Any = linen.initializers.xavier_uniform()

    @linen.compact
    def __call__(
        self,
        x: Array,
        *,
        normalize: Callable[[Array], Array] = unnormalized,
        train: bool = False,
    ) -> Array:
        """Returns the features [B, H', W', features].

        Args:
            x: Features [B, H, W, C].
            normalize: Called inside the block for each of its normalizations; makes its own layer,
                as `lambda x: ConditionalBatchNorm(10)(x, label, train=train)` does.
            train: Whether spectral normalization keeps its new singular vectors.

        Raises:
            ValueError: If `resample` is unknown.
        """
        if self.resample not in _RESAMPLE:
            raise ValueError(f"resample is {self.resample!r}; expected 'up', 'down' or 'none'")
        change = _RESAMPLE[self.resample]
        up = self.resample == "up"
        y = x if self.first else jax.nn.relu(normalize(x))
        y = self._conv(change(y) if up else y, 3, train)
        y = self._conv(jax.nn.relu(normalize(y)), 3, train)
        # A 1x1 convolution and the resampling can change places; the lower resolution is cheaper.
        shortcut = x if up else change(x)
        if self.resample != "none" or x.shape[-1] != self.features:
            shortcut = self._conv(shortcut, 1, train)
        return (y if up else change(y)) + (change(shortcut) if up else shortcut)

    def _conv(self, x: Array, size: int, train: bool) -> Array:
        conv = Conv(self.features, (size, size), kernel_init=self.kernel_init)
        return SpectralNorm(conv)(x, train=train) if self.spectral else conv(x)
