"""Weight normalization (Salimans and Kingma 2016): dense layers with separate direction and gain.

The kernel is stored as one direction for each feature. Directions are normalized to length 1.
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
    """Projects inputs onto normalized directions.

    Args:
        x: Inputs [B, N].
        directions: Directions [N, F], of any length.

    Returns:
        Projections [B, F].

    References:
        Salimans and Kingma 2016, equation 2.
    """
    squares = jnp.sum(jnp.square(directions), axis=0, keepdims=True)
    # Scales the product, not the kernel: no normalized copy of the kernel is written to memory.
    return (x @ directions) * lax.rsqrt(squares + _EPSILON)


class WeightNormDense(linen.Module):
    """Dense layer with weight normalization: maps [B, N] to [B, features].

    Directions, gains (initially 1) and biases (initially 0) are learned.

    Attributes:
        features: Number of output features.
        kernel_init: Initializer of the directions.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from jaxgan.nn.weight_norm import WeightNormDense
        >>> layer = WeightNormDense(3)
        >>> variables = layer.init(jax.random.key(0), jnp.ones((2, 5)))
        >>> {name: value.shape for name, value in sorted(variables["params"].items())}
        {'bias': (3,), 'directions': (5, 3), 'gain': (3,)}

    References:
        Salimans and Kingma 2016, section 2.
    """

    features: int
    kernel_init: Callable[..., Array] = linen.initializers.normal(0.05)

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """Returns the outputs [B, features] for inputs `x` [B, N]."""
        directions = self.param("directions", self.kernel_init, (x.shape[-1], self.features))
        gain = self.param("gain", linen.initializers.ones_init(), (self.features,))
        bias = self.param("bias", linen.initializers.zeros_init(), (self.features,))
        return project(x, directions) * gain.reshape(1, -1) + bias.reshape(1, -1)


class FittedDense(linen.Module):
    """Weight-normalized dense layer with data-dependent initialization.

    After the fit, every feature has mean 0 and variance 1 over a batch of data. A pass with
    `fit=True` stores the mean and the inverse standard deviation of the projections in the
    collection 'weight_norm'. Every pass standardizes by the stored values, which are 0 and 1 before
    the first fit and are not trained. The bias is learned.

    Attributes:
        features: Number of output features.
        gain: Whether a factor of each standardized feature is learned too.
        kernel_init: Initializer of the directions.
        axis_name: Name of the batch's axis under shard_map or pmap, over which a fit takes
            its statistics. None under jit.

    References:
        Salimans and Kingma 2016, section 3.
    """

    features: int
    gain: bool = False
    kernel_init: Callable[..., Array] = linen.initializers.normal(0.1)
    axis_name: str | None = None

    @linen.compact
    def __call__(self, x: Array, *, fit: bool = False) -> Array:
        """Returns the outputs [B, features] for inputs `x` [B, N].

        Args:
            x: Inputs [B, N].
            fit: Whether to store the statistics of this batch. The collection 'weight_norm' must
                then be mutable.

        Raises:
            ValueError: `fit` is True and the batch has a single example.
        """
        directions = self.param("directions", self.kernel_init, (x.shape[-1], self.features))
        y = project(x, directions)
        mean = self.variable(COLLECTION, "mean", jnp.zeros, (self.features,))
        scale = self.variable(COLLECTION, "scale", jnp.ones, (self.features,))
        wide = y.astype(jnp.promote_types(y.dtype, mean.value.dtype))
        if fit:
            _require_several(len(x) * collectives.axis_size(self.axis_name))
            mean.value = collectives.batch_mean(wide, self.axis_name)
            squares = jnp.square(wide - mean.value.reshape(1, -1))
            scale.value = lax.rsqrt(collectives.batch_mean(squares, self.axis_name) + _EPSILON)
        y = ((wide - mean.value.reshape(1, -1)) * scale.value.reshape(1, -1)).astype(y.dtype)
        bias = self.param("bias", linen.initializers.zeros_init(), (self.features,))
        if self.gain:
            gain = self.param("gain", linen.initializers.ones_init(), (self.features,))
            y = y * gain.reshape(1, -1)
        return y + bias.reshape(1, -1)


def _require_several(count: int) -> None:
    if count < 2:
        raise ValueError(
            f"layers cannot be fitted to {count} example, whose features have no variance; fit "
            "them to 2 or more"
        )
