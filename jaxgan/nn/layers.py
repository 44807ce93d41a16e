"""Flax layers: convolutions that train fast on a CPU, and noise drawn per example."""

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
"""Initializer of weights N(0, 0.02), as in DCGAN (Radford et al. 2016, section 4)."""


uniform_weights = linen.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""PyTorch's initial weights of a layer, U(-b, b) with b = 1 / sqrt(fan-in).

Under spectral normalization the scale of a kernel changes no output, but how fast Adam turns it.
"""


def orthogonal(gain: float = 1.0) -> Callable[..., Array]:
    """Returns an initializer of orthogonal weights that is safe under `vmap`.

    An ensemble initializes its networks under `vmap`. The weights of its seeds are then drawn one
    after another. A batched factorization can deadlock on a CPU of one or two cores: each of two
    concurrent layers holds a thread of the pool that both need for their parts.

    Args:
        gain: Factor of the orthogonal matrix.

    Returns:
        The initializer `(key, shape, dtype) -> weights`.
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
    """Computes `lax.conv_general_dilated`, by this library's fast convolutions where they apply.

    The signature is the one that Flax's convolutions call. Convolutions of images and series
    without an explicit precision go through `jaxgan.kernels.convolution`. All others go to XLA.

    Args:
        lhs: Inputs [B, H, W, C] or [B, T, C], or of another number of dimensions.
        rhs: Kernel [kh, kw, C / groups, F], or [k, C / groups, F].
        window_strides: Strides, one per axis.
        padding: 'SAME', 'VALID' or explicit pairs, as in `lax.conv_general_dilated`.
        lhs_dilation: Dilation of the inputs. Values other than 1 are left to XLA.
        rhs_dilation: Dilation of the kernel.
        dimension_numbers: Layout. The fast convolutions assume that channels are last, as Flax.
        feature_group_count: Number of groups of channels.
        precision: Precision of XLA's convolution. Values other than None are left to XLA.
        implementation: 'auto', 'fast', 'xla' or 'onednn'; see `jaxgan.kernels.convolution.conv`.

    Returns:
        The outputs [B, H', W', F] or [B, T', F].
    """
    dilated = any(d != 1 for d in lhs_dilation or ())
    if lhs.ndim not in (3, 4) or dilated or precision is not None:
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
        strides=tuple(window_strides),
        padding=padding,
        dilation=rhs_dilation or 1,
        groups=feature_group_count,
        implementation=implementation,
    )


class Conv(linen.Conv):
    """Convolution: `linen.Conv` with the same parameters and outputs, but fast on a CPU.

    Maps [B, H, W, C] to [B, H', W', features], or series [B, T, C] to [B, T', features]. The kernel
    is [kh, kw, C / groups, features], or [k, C / groups, features]. The fields are those of
    `linen.Conv`.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from jaxgan import nn
        >>> layer = nn.Conv(8, (4, 4), strides=(2, 2))
        >>> images = jnp.ones((2, 16, 16, 3))
        >>> variables = layer.init(jax.random.key(0), images)
        >>> layer.apply(variables, images).shape
        (2, 8, 8, 8)
        >>> variables["params"]["kernel"].shape
        (4, 4, 3, 8)
    """

    conv_general_dilated: Any = conv_general_dilated


class ConvTranspose(linen.Module):
    """Transposed convolution: `linen.ConvTranspose`, with the same parameters, but fast on a CPU.

    Maps [B, H, W, C] to [B, H', W', features], with the outputs of `linen.ConvTranspose`. The
    kernel is [kh, kw, C, features] and is not flipped. This is the fractionally strided convolution
    of DCGAN. With a kernel of one axis it maps series [B, T, C] to [B, T', features].

    Attributes:
        features: Number of output channels.
        kernel_size: Height and width of the kernel, or its length (k,) for series.
        strides: Factor by which the size grows: one number, or one per axis.
        padding: 'SAME' (H' = H * stride), 'VALID' (H' = (H - 1) * stride + max(kernel, stride)), or
            pairs that pad the dilated input, as in `lax.conv_transpose`.
        use_bias: Whether a bias is added.
        dtype: Type of the computation. None promotes the types of input and parameters.
        param_dtype: Type of the parameters.
        kernel_init: Initializer of the kernel.
        bias_init: Initializer of the bias.
        implementation: 'auto', 'fast', 'xla' or 'onednn'; see `jaxgan.kernels.convolution`.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from jaxgan import nn
        >>> layer = nn.ConvTranspose(3, (4, 4), strides=2)
        >>> features = jnp.ones((2, 8, 8, 16))
        >>> variables = layer.init(jax.random.key(0), features)
        >>> layer.apply(variables, features).shape
        (2, 16, 16, 3)

    References:
        Radford et al. 2016, section 3.
    """

    features: int
    kernel_size: Sequence[int]
    strides: int | Sequence[int] = 1
    padding: convolution.Padding = "SAME"
    use_bias: bool = True
    dtype: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: Callable[..., Array] = linen.initializers.lecun_normal()
    bias_init: Callable[..., Array] = linen.initializers.zeros_init()
    implementation: str = "auto"

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """Returns the transposed convolution [B, H', W', features] of `x` [B, H, W, C].

        Raises:
            ValueError: The padding is a string other than 'SAME' and 'VALID', or the input has
                another number of axes than the kernel.
        """
        if x.ndim != len(self.kernel_size) + 2:
            raise ValueError(
                f"a kernel of {tuple(self.kernel_size)} does not fit an input of the shape "
                f"{x.shape}; expected images [B, H, W, C] and (kh, kw), or series [B, T, C] and "
                "(k,)"
            )
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
            **self._geometry(x.shape[1:-1]),
            implementation=self.implementation,
        )
        return y if bias is None else y + bias.reshape((1,) * (x.ndim - 1) + (-1,))

    def _geometry(self, size: Sequence[int]) -> dict[str, Any]:
        """Returns padding and output size of the convolution that this layer transposes."""
        strides = convolution.per_axis(self.strides, len(size))
        axes = list(zip(size, strides, self.kernel_size, strict=True))
        if self.padding == "SAME":
            return {"padding": "SAME"}
        if self.padding == "VALID":
            return {
                "padding": "VALID",
                "output": tuple((n - 1) * s + max(k, s) for n, s, k in axes),
            }
        if isinstance(self.padding, str):
            raise ValueError(f"the padding is {self.padding!r}; expected 'SAME', 'VALID' or pairs")
        pads = [convolution.pair(pad) for pad in convolution.per_axis(self.padding, len(size))]
        ends = list(zip(axes, pads, strict=True))
        return {
            "padding": [(k - 1 - low, k - 1 - high) for (_, _, k), (low, high) in ends],
            "output": tuple((n - 1) * s + low + high - k + 2 for (n, s, k), (low, high) in ends),
        }


class Maxout(linen.Module):
    """Maxout: the maximum of several affine maps for each feature.

    Maps [B, F] to [B, features]. The affine maps are one dense layer of `features * pieces` units.

    Attributes:
        features: Number of output features.
        pieces: Number of affine maps for each feature.
        kernel_init: Initializer of the kernels.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from jaxgan import nn
        >>> layer = nn.Maxout(features=2, pieces=3)
        >>> variables = layer.init(jax.random.key(0), jnp.ones((4, 5)))
        >>> layer.apply(variables, jnp.ones((4, 5))).shape
        (4, 2)
        >>> variables["params"]["Dense_0"]["kernel"].shape
        (5, 6)

    References:
        Goodfellow et al. 2013, Maxout networks.
    """

    features: int
    pieces: int
    kernel_init: Callable[..., Array] = linen.initializers.lecun_normal()

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """Returns the maxima [B, features] for inputs `x` [B, F]."""
        x = linen.Dense(self.features * self.pieces, kernel_init=self.kernel_init)(x)
        return jnp.max(x.reshape(*x.shape[:-1], self.features, self.pieces), axis=-1)


class Dropout(linen.Module):
    """Dropout with one key for each example.

    Zeroes entries with probability `rate` and scales the others by 1 / (1 - rate). `linen.Dropout`
    draws one mask for the batch it gets, so its result depends on how the batch is split over
    devices. The mask of this layer depends on each example's own key only. Without keys the layer
    is the identity.

    Attributes:
        rate: Probability that an entry is zeroed, in [0, 1).

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from jaxgan import nn, random
        >>> layer, x = nn.Dropout(0.5), jnp.ones((4, 1000))
        >>> keys = random.row_keys(jax.random.key(0), 4)
        >>> dropped = layer.apply({}, x, keys)
        >>> sorted(set(dropped.ravel().tolist()))
        [0.0, 2.0]
        >>> bool((layer.apply({}, x, None) == x).all())
        True
        >>> fewer = random.row_keys(jax.random.key(0), 2)
        >>> bool((layer.apply({}, x[:2], fewer) == dropped[:2]).all())
        True
    """

    rate: float

    @linen.compact
    def __call__(self, x: Array, keys: Keys | None) -> Array:
        """Returns `x` with dropped entries, or `x` itself without keys.

        Args:
            x: Inputs [B, ...].
            keys: One key per example, or None to drop nothing.
        """
        if keys is None or self.rate == 0.0:
            return x
        keep = random.bernoulli(_own_keys(self, keys), x.shape[1:], probability=1.0 - self.rate)
        return jnp.where(keep, x / (1.0 - self.rate), 0.0)


class GaussianNoise(linen.Module):
    """Adds Gaussian noise N(0, std^2), drawn by each example's own key.

    Without keys the layer is the identity.

    Attributes:
        std: Standard deviation of the noise, in units of the input.
    """

    std: float

    @linen.compact
    def __call__(self, x: Array, keys: Keys | None) -> Array:
        """Returns `x` plus noise, or `x` itself without keys.

        Args:
            x: Inputs [B, ...].
            keys: One key per example, or None to add no noise.
        """
        if keys is None or self.std == 0.0:
            return x
        return x + self.std * random.normal(_own_keys(self, keys), x.shape[1:]).astype(x.dtype)


def _own_keys(module: linen.Module, keys: Keys) -> Keys:
    """Returns keys of this layer alone: the layer's path in the network names the draw."""
    return random.fold(keys, "/".join(module.path))


def leaky_relu(x: Array, slope: float = 0.2) -> Array:
    """Computes max(x, slope * x).

    Args:
        x: Inputs of any shape.
        slope: Slope for negative inputs, 0.2 in DCGAN (Radford et al. 2016).
    """
    return jax.nn.leaky_relu(x, slope)
