"""Linen layers: convolutions that train fast on a CPU, and noise that is drawn per example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jax import lax

from jaxgan import random
from jaxgan.kernels import convolution
from jaxgan.random import Keys
from jaxgan.types import Array

normal_weights = linen.initializers.normal(0.02)
"""The initializer of weights N(0, 0.02), those of DCGAN (Radford et al. 2016, section 4) and of the
networks after it.
"""


def orthogonal(gain: float = 1.0) -> Callable[..., Array]:
    """The initializer of orthogonal weights; those of a population are drawn one after another.

    Factorised as a batch, two layers at once would wait for each other for ever where the CPU has
    no more than two cores: each holds a thread of the pool on which its parts are to run.
    """
    draw = linen.initializers.orthogonal(gain)

    def weights(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
        alone = jax.custom_batching.sequential_vmap(lambda key: draw(key, shape, dtype))
        return alone(key)

    return weights


def conv_general_dilated(
    lhs: Array,
    rhs: Array,
    window_strides: Sequence[int],
    padding: Any,
    *,
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    precision: Any = None,
    implementation: str = "auto",
) -> Array:
    """`lax.conv_general_dilated` as linen's layers call it; through `jaxgan.kernels.convolution`
    where that covers the case.
    """
    dilated = any(d != 1 for d in (*(lhs_dilation or ()), *(rhs_dilation or ())))
    if lhs.ndim != 4 or dilated or precision is not None:
        return lax.conv_general_dilated(
            lhs,
            rhs,
            window_strides,
            padding,
            lhs_dilation=lhs_dilation,
            rhs_dilation=rhs_dilation,
            dimension_numbers=dimension_numbers,
            feature_group_count=feature_group_count,
            precision=precision,
        )
    return convolution.conv(
        lhs,
        rhs,
        strides=tuple(window_strides),  # type: ignore[arg-type]
        padding=padding,
        groups=feature_group_count,
        implementation=implementation,
    )


class Conv(linen.Conv):
    """`linen.Conv` with the same parameters and outputs, through `jaxgan.kernels.convolution`."""

    conv_general_dilated: Any = conv_general_dilated


class ConvTranspose(linen.Module):
    """`linen.ConvTranspose` with the same parameters and outputs (kernel [kh, kw, in, out], not
    flipped), made fast.

    `padding` is 'SAME' (H * stride out), 'VALID', or pairs applied to the dilated input, as in
    `lax.conv_transpose`.
    """

    features: int
    kernel_size: tuple[int, int]
    strides: int | tuple[int, int] = 1
    padding: convolution.Padding = "SAME"
    use_bias: bool = True
    dtype: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: Callable[..., Array] = linen.initializers.lecun_normal()
    bias_init: Callable[..., Array] = linen.initializers.zeros_init()
    implementation: str = "auto"

    @linen.compact
    def __call__(self, x: Array) -> Array:
        shape = (*self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias = None
        if self.use_bias:
            bias = self.param("bias", self.bias_init, (self.features,), self.param_dtype)
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = convolution.conv_transpose(
            x,
            kernel,
            strides=self.strides,
            **self._geometry(x.shape[1:3]),
            implementation=self.implementation,
        )
        return y if bias is None else y + bias.reshape(1, 1, 1, -1)

    def _geometry(self, size: Sequence[int]) -> dict[str, Any]:
        """Padding and output size of the convolution whose input gradient this layer is."""
        axes = list(zip(size, convolution.pair(self.strides), self.kernel_size, strict=True))
        if self.padding == "SAME":
            return {"padding": "SAME"}
        if self.padding == "VALID":
            return {
                "padding": "VALID",
                "output": tuple((n - 1) * s + max(k, s) for n, s, k in axes),
            }
        if isinstance(self.padding, str):
            raise ValueError(f"the padding is {self.padding!r}; expected 'SAME', 'VALID' or pairs")
        pads = convolution.explicit_padding(self.padding)
        ends = list(zip(axes, pads, strict=True))
        return {
            "padding": [(k - 1 - low, k - 1 - high) for (_, _, k), (low, high) in ends],
            "output": tuple((n - 1) * s + low + high - k + 2 for (n, s, k), (low, high) in ends),
        }


class Maxout(linen.Module):
    """The largest of `pieces` affine maps, per feature: [B, F] to [B, features] (Goodfellow et al.
    2013).
    """

    features: int
    pieces: int
    kernel_init: Callable[..., Array] = linen.initializers.lecun_normal()

    @linen.compact
    def __call__(self, x: Array) -> Array:
        x = linen.Dense(self.features * self.pieces, kernel_init=self.kernel_init)(x)
        return jnp.max(x.reshape(*x.shape[:-1], self.features, self.pieces), axis=-1)


class Dropout(linen.Module):
    """Zeroes entries with probability `rate` and scales the rest by 1 / (1 - rate), by each
    example's own key.

    linen's Dropout draws one mask for the batch it sees, so its result depends on how the batch is
    split; this one's does not. Without keys it is the identity.
    """

    rate: float

    @linen.compact
    def __call__(self, x: Array, keys: Keys | None) -> Array:
        if keys is None or self.rate == 0.0:
            return x
        keep = random.bernoulli(_own_keys(self, keys), x.shape[1:], probability=1.0 - self.rate)
        return jnp.where(keep, x / (1.0 - self.rate), 0.0)


class GaussianNoise(linen.Module):
    """Adds N(0, std^2) noise by each example's own key; without keys it is the identity."""

    std: float

    @linen.compact
    def __call__(self, x: Array, keys: Keys | None) -> Array:
        if keys is None or self.std == 0.0:
            return x
        return x + self.std * random.normal(_own_keys(self, keys), x.shape[1:]).astype(x.dtype)


def _own_keys(module: linen.Module, keys: Keys) -> Keys:
    """Keys of this layer alone: its path in the network is the name of the draw."""
    return random.fold(keys, "/".join(module.path))


def leaky_relu(x: Array, slope: float = 0.2) -> Array:
    """max(x, slope * x), with the slope 0.2 of Radford et al. 2016."""
    return jax.nn.leaky_relu(x, slope)
