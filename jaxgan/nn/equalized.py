"""Equalized learning rate and pixel normalization (Karras et al. 2018, sections 4.1 and 4.2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import flax.linen as linen
import jax.numpy as jnp
from jax import lax

from jaxgan.kernels import convolution
from jaxgan.types import Array

EPSILON = 1e-8

HE = math.sqrt(2.0)
"""Gain of He et al. 2015, for layers that a (leaky) ReLU follows."""


def pixel_norm(x: Array) -> Array:
    """Divides features [..., C] by the root of their mean square over the channels.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan.nn.equalized import pixel_norm
        >>> pixel_norm(jnp.array([[3.0, -3.0], [0.5, 0.5]])).round(3).tolist()
        [[1.0, -1.0], [1.0, 1.0]]

    References:
        Karras et al. 2018, section 4.2.
    """
    return x * lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + EPSILON)


def scaled(kernel: Array, gain: float) -> Array:
    """Returns the kernel times gain / sqrt(fan-in).

    Weights are stored with variance 1 and scaled at run time. An optimizer that normalizes its
    updates, such as Adam, then changes the weights of every layer at the same relative speed.

    Args:
        kernel: Kernel [..., in, out].
        gain: Factor that depends on the nonlinearity, such as `HE`.

    References:
        Karras et al. 2018, section 4.1.
    """
    return kernel * (gain / math.sqrt(math.prod(kernel.shape[:-1])))


def convolve(x: Array, w: Array) -> Array:
    """Computes the convolution with 'SAME' padding and stride 1.

    Args:
        x: Images [B, H, W, C].
        w: Kernel [kh, kw, C, F].

    Returns:
        Features [B, H, W, F].
    """
    return convolution.conv(x, w)


class EqualizedConv(linen.Module):
    """Convolution with equalized learning rate: kernel N(0, 1), scaled by gain / sqrt(fan-in).

    Maps [B, H, W, C] to [B, H', W', features]. The bias is initialized with 0.

    Attributes:
        features: Number of output channels.
        kernel_size: Height and width of the kernel.
        gain: Factor of the scale.
        operation: `(x, kernel) -> outputs`, applied with the scaled kernel [kh, kw, C, features].

    References:
        Karras et al. 2018, section 4.1.
    """

    features: int
    kernel_size: Sequence[int] = (3, 3)
    gain: float = HE
    operation: Callable[[Array, Array], Array] = convolve

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """Returns the outputs [B, H', W', features] for inputs `x` [B, H, W, C]."""
        shape = (*self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", linen.initializers.normal(1.0), shape)
        bias = self.param("bias", linen.initializers.zeros_init(), (self.features,))
        return self.operation(x, scaled(kernel, self.gain)) + bias.reshape(1, 1, 1, -1)


class EqualizedDense(linen.Module):
    """Dense layer with equalized learning rate: weights N(0, 1), scaled by gain / sqrt(in).

    Maps [..., in] to [..., features]. The bias is initialized with 0.

    Attributes:
        features: Number of output features.
        gain: Factor of the scale.

    References:
        Karras et al. 2018, section 4.1.
    """

    features: int
    gain: float = HE

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """Returns the outputs [..., features] for inputs `x` [..., in]."""
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", linen.initializers.normal(1.0), shape)
        bias = self.param("bias", linen.initializers.zeros_init(), (self.features,))
        y = x @ scaled(kernel, self.gain)
        return y + bias.reshape(*[1] * (y.ndim - 1), -1)
