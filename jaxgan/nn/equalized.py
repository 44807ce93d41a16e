"""The equalized learning rate and the pixel norm of Karras et al. 2018, sections 4.1 and 4.2."""

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
"""The gain of He et al. 2015, for what a (leaky) ReLU follows."""


def pixel_norm(x: Array) -> Array:
    """Features [..., C] divided by the root of their mean square over the channels."""
    return x * lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + EPSILON)


def scaled(kernel: Array, gain: float) -> Array:
    """The kernel [..., in, out] times gain / sqrt(fan-in).

    Weights kept at N(0, 1) and scaled at run time move, under an optimizer that normalizes its
    steps, at one relative speed in every layer.
    """
    return kernel * (gain / math.sqrt(math.prod(kernel.shape[:-1])))


def convolve(x: Array, w: Array) -> Array:
    """The convolution with 'SAME' padding and stride 1."""
    return convolution.conv(x, w)


class EqualizedConv(linen.Module):
    """A convolution with kernels N(0, 1) scaled by gain / sqrt(fan-in), and biases from zero.

    `operation(x, kernel)` is what is done with the scaled kernel [kh, kw, C, features].
    """

    features: int
    kernel_size: Sequence[int] = (3, 3)
    gain: float = HE
    operation: Callable[[Array, Array], Array] = convolve

    @linen.compact
    def __call__(self, x: Array) -> Array:
        shape = (*self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", linen.initializers.normal(1.0), shape)
        bias = self.param("bias", linen.initializers.zeros_init(), (self.features,))
        return self.operation(x, scaled(kernel, self.gain)) + bias.reshape(1, 1, 1, -1)


class EqualizedDense(linen.Module):
    """An affine map [..., in] to [..., features], its weights N(0, 1) scaled by gain / sqrt(in)."""

    features: int
    gain: float = HE

    @linen.compact
    def __call__(self, x: Array) -> Array:
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", linen.initializers.normal(1.0), shape)
        bias = self.param("bias", linen.initializers.zeros_init(), (self.features,))
        y = x @ scaled(kernel, self.gain)
        return y + bias.reshape(*[1] * (y.ndim - 1), -1)
