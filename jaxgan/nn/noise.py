"""Noise inside a network: StyleGAN's noise inputs."""

from __future__ import annotations

import flax.linen as linen

from jaxgan import random
from jaxgan.random import Keys
from jaxgan.types import Array


class NoiseInjection(linen.Module):
    """Adds one image of N(0, 1) noise to all channels, times a learned strength that starts at 0.

    Each example's noise is drawn by its own key. Without keys the layer is the identity.

    References:
        Karras et al. 2019, "A Style-Based Generator Architecture", section 2.
    """

    @linen.compact
    def __call__(self, x: Array, keys: Keys | None) -> Array:
        """Returns `x` `[B, H, W, C]` with noise."""
        strength = self.param("strength", linen.initializers.zeros_init(), ())
        if keys is None:
            return x
        own = random.fold(keys, "/".join(self.path))
        return x + strength * random.normal(own, (*x.shape[1:3], 1)).astype(x.dtype)
