"""Weight normalization (Salimans and Kingma 2016): dense layers whose kernel is kept as directions,
one of length 1 for each feature, with a gain apart from them.
"""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as linen
import jax.numpy as jnp
from jax import lax

from jaxgan import collectives
from jaxgan.types import Array

COLLECTION = "weight_norm"

_EPSILON = 1e-8


def project(x: Array, directions: Array) -> Array:
    """x [B, N] along each direction [N, F], whatever its length: [B, F] (their equation 2)."""
    squares = jnp.sum(jnp.square(directions), axis=0, keepdims=True)
    # Scaling the product leaves no normalized copy of the kernel to be written.
    return (x @ directions) * lax.rsqrt(squares + _EPSILON)


class WeightNormDense(linen.Module):
    """An affine map [B, N] to [B, features] by normalized directions, gains from 1 and biases from
    0, all of them learned.
    """

    features: int
    kernel_init: Callable[..., Array] = linen.initializers.normal(0.05)

    @linen.compact
    def __call__(self, x: Array) -> Array:
        directions = self.param("directions", self.kernel_init, (x.shape[-1], self.features))
        gain = self.param("gain", linen.initializers.ones_init(), (self.features,))
        bias = self.param("bias", linen.initializers.zeros_init(), (self.features,))
        return project(x, directions) * gain.reshape(1, -1) + bias.reshape(1, -1)


class FittedDense(linen.Module):
    """`WeightNormDense` with the data-dependent initialization of their section 3: every feature
    begins with mean 0 and variance 1 over a batch of data.

    A pass with `fit` keeps the mean and the inverse deviation of the projections over its batch
    (the whole one, under `axis_name`) in a collection; every pass standardizes by those that are
    kept, 0 and 1 before the first fit, and they are not trained. The bias is learned, and, with
    `gain`, a factor of the standardized feature. Raises ValueError on a fit to a single example.
    """

    features: int
    gain: bool = False
    kernel_init: Callable[..., Array] = linen.initializers.normal(0.1)
    axis_name: str | None = None

    @linen.compact
    def __call__(self, x: Array, *, fit: bool = False) -> Array:
        directions = self.param("directions", self.kernel_init, (x.shape[-1], self.features))
        y = project(x, directions)
        mean = self.variable(COLLECTION, "mean", jnp.zeros, (self.features,))
        scale = self.variable(COLLECTION, "scale", jnp.ones, (self.features,))
        if fit:
            _require_several(len(x) * collectives.axis_size(self.axis_name))
            mean.value = collectives.batch_mean(y, self.axis_name)
            squares = jnp.square(y - mean.value.reshape(1, -1))
            scale.value = lax.rsqrt(collectives.batch_mean(squares, self.axis_name) + _EPSILON)
        y = (y - mean.value.reshape(1, -1)) * scale.value.reshape(1, -1)
        bias = self.param("bias", linen.initializers.zeros_init(), (self.features,))
        if self.gain:
            gain = self.param("gain", linen.initializers.ones_init(), (self.features,))
            y = y * gain.reshape(1, -1)
        return y + bias.reshape(1, -1)


def _require_several(count: int) -> None:
    if count < 2:
        raise ValueError(
            f"layers were to be fitted to {count} example, whose features have no variance; fit "
            "them to 2 or more"
        )
