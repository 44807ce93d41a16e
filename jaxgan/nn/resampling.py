"""Padding by reflection, up- and downsampling: pixel shuffle, bicubic, nearest, box, [1,3,3,1]."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import flax.linen as linen
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgan.kernels import bicubic as lines
from jaxgan.kernels import convolution
from jaxgan.types import Array

REACH = 16
"""Radius around each pixel, in pixels of the small image, on which `consistent` depends.

It holds to single precision.
"""

_MANY_CHANNELS = 32  # from which products of lines pay on a CPU (`_each`)


def reflected(x: Array, pads: Sequence[tuple[int, int]]) -> Array:
    """Pads by reflection at the edge, as `jnp.pad` with `mode="reflect"`, with a cheaper gradient.

    Each axis is one concatenation of the array with its flipped ends. Its gradient is three
    loops for an image on a CPU; that of `jnp.pad`, which adds one end after another, is four.

    Args:
        x: Images [B, H, W, C], series [B, T, C], or any array with channels last.
        pads: Entries to add before and after, for each axis before the channels: pairs for H and W,
            or for T.

    Returns:
        The array, longer by the pads.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan.nn.resampling import reflected
        >>> reflected(jnp.arange(4).reshape(1, 4, 1), [(2, 1)])[0, :, 0].tolist()
        [2, 1, 0, 1, 2, 3, 2]
    """
    for axis, (low, high) in enumerate(pads, start=x.ndim - 1 - len(pads)):
        size = x.shape[axis]
        if max(low, high) >= size:  # the reflection is itself reflected
            widths = [(low, high) if i == axis else (0, 0) for i in range(x.ndim)]
            x = jnp.pad(x, widths, mode="reflect")
            continue
        before = lax.slice_in_dim(x, 1, low + 1, axis=axis)
        after = lax.slice_in_dim(x, size - 1 - high, size - 1, axis=axis)
        x = lax.concatenate([lax.rev(before, [axis]), x, lax.rev(after, [axis])], axis)
    return x


def depth_to_space(x: Array, factor: int) -> Array:
    """Pixel shuffle: moves channels into space.

    Channel (i * factor + j) * C + c becomes channel c of the pixel in row i and column j of its
    block, as in TensorFlow. PyTorch numbers the channels c * factor^2 + i * factor + j.

    Args:
        x: Features [B, H, W, factor^2 C].
        factor: Upsampling factor.

    Returns:
        Images [B, factor H, factor W, C].

    Raises:
        ValueError: The number of channels is not a multiple of factor^2.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan.nn.resampling import depth_to_space
        >>> depth_to_space(jnp.arange(4.0).reshape(1, 1, 1, 4), 2)[0, :, :, 0].tolist()
        [[0.0, 1.0], [2.0, 3.0]]

    References:
        Shi et al. 2016, section 3.
    """
    count, height, width, channels = x.shape
    if channels % factor**2:
        raise ValueError(
            f"{channels} channels cannot become blocks of {factor}x{factor} pixels; "
            f"use a multiple of {factor**2}"
        )
    x = x.reshape(count, height, width, factor, factor, channels // factor**2)
    return x.swapaxes(2, 3).reshape(count, height * factor, width * factor, -1)


def bicubic(x: Array, factor: int) -> Array:
    """Upsamples images by cubic convolution with a = -1/2, mirrored beyond the edges.

    Args:
        x: Images [B, H, W, C].
        factor: Upsampling factor.

    Returns:
        Images [B, factor H, factor W, C].

    References:
        Keys 1981, Cubic convolution interpolation.
    """
    _, height, width, _ = x.shape
    rows = lines.weights(height, height * factor)
    return separable(x, rows, lines.weights(width, width * factor))


def reduced(x: Array, factor: int) -> Array:
    """Downsamples images by cubic convolution with antialiasing (`jaxgan.kernels.bicubic`).

    Args:
        x: Images [B, H, W, C].
        factor: Downsampling factor. Must divide H and W.

    Returns:
        Images [B, H / factor, W / factor, C].

    Raises:
        ValueError: `factor` does not divide the size.
    """
    height, width = _divided(x, factor)
    return separable(x, lines.weights(x.shape[1], height), lines.weights(x.shape[2], width))


def consistent(x: Array, small: Array) -> Array:
    """Projects images onto those whose `reduced` version is `small`.

    The result is the orthogonal projection x + P (small - reduced(x)), P being the pseudo-inverse
    of the downsampling. Of all images consistent with `small` it is the nearest to `x`. It is never
    farther from the original of `small` than `x` is. Only the information that `small` lacks is
    left to the network.

    Args:
        x: Images [B, H, W, C].
        small: Images [B, h, w, C]. H and W are the same multiple of h and w.

    Returns:
        Images [B, H, W, C].

    Raises:
        ValueError: The size of `x` is not a multiple of that of `small`.

    References:
        Bahat and Michaeli 2020, equation 2, for this kernel.
    """
    factor = x.shape[1] // small.shape[1]
    if x.shape[1:3] != (small.shape[1] * factor, small.shape[2] * factor):
        raise ValueError(
            f"images of {x.shape[1:3]} are no multiple of images of {small.shape[1:3]}"
        )
    rows, columns = (lines.inverse(x.shape[axis], small.shape[axis]) for axis in (1, 2))
    return x + separable(small - reduced(x, factor), rows, columns)


def separable(x: Array, rows: Array | np.ndarray, columns: Array | np.ndarray) -> Array:
    """Applies a matrix to the rows of images and another one to their columns, at full precision.

    Args:
        x: Images [B, H, W, C].
        rows: Matrix [h, H].
        columns: Matrix [w, W].

    Returns:
        Images [B, h, w, C].
    """
    down, across = jnp.asarray(rows, x.dtype), jnp.asarray(columns, x.dtype)
    if x.shape[3] < _MANY_CHANNELS:
        tall = jnp.einsum("hH,bHwc->bhwc", down, x, precision=lax.Precision.HIGHEST)
        return jnp.einsum("wW,bhWc->bhwc", across, tall, precision=lax.Precision.HIGHEST)
    count, height, width, channels = x.shape
    wide = _each(across, x.reshape(count * height, width, channels))
    tall = _each(down, wide.reshape(count, height, -1))
    return tall.reshape(count, tall.shape[1], -1, channels)


def _each(matrix: Array, x: Array) -> Array:
    """Applies a matrix [m, M] to each of x [N, M, K]: a batch of products.

    With many columns K, it takes half of the time of one product on a CPU, for which XLA transposes
    x and the result.
    """
    matrices = jnp.broadcast_to(matrix, (x.shape[0], *matrix.shape))
    return jnp.einsum("nmM,nMk->nmk", matrices, x, precision=lax.Precision.HIGHEST)


def _divided(x: Array, factor: int) -> tuple[int, int]:
    _, height, width, _ = x.shape
    if factor < 1 or height % factor or width % factor:
        raise ValueError(f"images of {height}x{width} pixels cannot become {factor} times smaller")
    return height // factor, width // factor


def double(x: Array, times: int = 1) -> Array:
    """Upsamples images by repeating pixels (nearest neighbor).

    Args:
        x: Images [B, H, W, C].
        times: Number of doublings.

    Returns:
        Images [B, H * 2^times, W * 2^times, C].

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan.nn.resampling import double, halve
        >>> x = jnp.array([1.0, 2.0]).reshape(1, 1, 2, 1)
        >>> double(x)[0, :, :, 0].tolist()
        [[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]
        >>> bool((halve(double(x)) == x).all())
        True
    """
    side = 2**times
    batch, height, width, channels = x.shape
    square = (batch, height, side, width, side, channels)
    x = jnp.broadcast_to(x[:, :, None, :, None, :], square)
    return x.reshape(batch, height * side, width * side, channels)


def halve(x: Array, times: int = 1) -> Array:
    """Downsamples images by averaging squares of 2^times pixels (box filter).

    Args:
        x: Images [B, H, W, C].
        times: Number of halvings.

    Returns:
        Images [B, H / 2^times, W / 2^times, C].

    Raises:
        ValueError: H or W is not a multiple of 2^times.
    """
    side = 2**times
    batch, height, width, channels = x.shape
    if height % side or width % side:
        raise ValueError(f"images of {height}x{width} do not halve {times} times")
    square = (batch, height // side, side, width // side, side, channels)
    return jnp.mean(x.reshape(square), axis=(2, 4))


def smooth_double(x: Array) -> Array:
    """Upsamples images 2 times by the filter [1, 3, 3, 1], with zeros beyond the edges.

    Along each axis y[2i] = (x[i-1] + 3 x[i]) / 4 and y[2i+1] = (3 x[i] + x[i+1]) / 4. It is 4 times
    the adjoint of `smooth_halve`. Written as shifted sums, it has exact derivatives of every order.

    Args:
        x: Images [B, H, W, C].

    Returns:
        Images [B, 2 H, 2 W, C].

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan.nn.resampling import smooth_double
        >>> smooth_double(jnp.ones((1, 2, 2, 1)))[0, 1, :, 0].tolist()
        [0.75, 1.0, 1.0, 0.75]

    References:
        Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN" (its code).
    """
    for axis in (1, 2):
        near = 0.75 * x
        low, high = near + 0.25 * _shifted(x, 1, axis), near + 0.25 * _shifted(x, -1, axis)
        shape = (*x.shape[:axis], 2 * x.shape[axis], *x.shape[axis + 1 :])
        x = jnp.stack([low, high], axis=axis + 1).reshape(shape)
    return x


def smooth_halve(x: Array) -> Array:
    """Downsamples images 2 times by the filter [1, 3, 3, 1], with zeros beyond the edges.

    Along each axis y[i] = (x[2i-1] + 3 x[2i] + 3 x[2i+1] + x[2i+2]) / 8.

    Args:
        x: Images [B, H, W, C].

    Returns:
        Images [B, H / 2, W / 2, C].

    Raises:
        ValueError: H or W is odd.

    References:
        Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN" (its code).
    """
    if x.shape[1] % 2 or x.shape[2] % 2:
        raise ValueError(f"images of {x.shape[1]}x{x.shape[2]} do not halve")
    for axis in (1, 2):
        pairs = x.reshape(*x.shape[:axis], x.shape[axis] // 2, 2, *x.shape[axis + 1 :])
        even, odd = (jnp.take(pairs, i, axis=axis + 1) for i in (0, 1))
        x = (3 * (even + odd) + _shifted(odd, 1, axis) + _shifted(even, -1, axis)) / 8
    return x


def _shifted(x: Array, by: int, axis: int) -> Array:
    """Returns the images moved by one pixel along the axis, forward or back; a zero enters."""
    pads = [(0, 0, 0)] * x.ndim
    pads[axis] = (by, -by, 0)
    return lax.pad(x, jnp.zeros((), x.dtype), pads)


def double_aligned(x: Array) -> Array:
    """Enlarges images 2 times by bilinear interpolation with aligned corners.

    The corner pixels keep their places and values, as with PyTorch's `align_corners=True`.

    Args:
        x: Images `[B, H, W, C]`.

    Returns:
        Images `[B, 2 H, 2 W, C]`.
    """
    _, height, width, _ = x.shape
    return separable(x, _aligned(height, 2 * height), _aligned(width, 2 * width))


def _aligned(before: int, after: int) -> np.ndarray:
    places = np.linspace(0, before - 1, after)
    return np.maximum(0.0, 1.0 - np.abs(places[:, None] - np.arange(before)))


def conv_double(x: Array, w: Array) -> Array:
    """Computes `convolution.conv(double(x), w)` with 'SAME' padding, at 4/9 of the multiplications.

    The repeated pixels meet the sum of their taps. This is one transposed convolution with kernel 4
    and stride 2.

    Args:
        x: Features [B, H, W, C].
        w: Kernel [3, 3, C, F].

    Returns:
        Features [B, 2 H, 2 W, F].

    Raises:
        ValueError: The kernel is not 3x3.
    """
    return convolution.conv_transpose(x, _spread(w), strides=2, padding=1)


def conv_halve(x: Array, w: Array) -> Array:
    """Computes `halve(convolution.conv(x, w))` with 'SAME' padding, at 4/9 of the multiplications.

    This is one convolution with kernel 4 and stride 2.

    Args:
        x: Features [B, H, W, C].
        w: Kernel [3, 3, C, F].

    Returns:
        Features [B, H / 2, W / 2, F].

    Raises:
        ValueError: The kernel is not 3x3, or H or W is odd.
    """
    if x.shape[1] % 2 or x.shape[2] % 2:
        raise ValueError(f"images of {x.shape[1]}x{x.shape[2]} do not halve")
    return convolution.conv(x, _spread(w) / 4, strides=2, padding=1)


def _spread(w: Array) -> Array:
    """Returns the sum [4, 4, ...] over the four positions of a 3x3 kernel in a 4x4 window."""
    if w.shape[:2] != (3, 3):
        raise ValueError(f"the kernel is {w.shape[0]}x{w.shape[1]}; expected 3x3")
    for axis in (0, 1):
        first, last = (lax.slice_in_dim(w, at, at + 1, axis=axis) for at in (0, 2))
        between = lax.slice_in_dim(w, 0, 2, axis=axis) + lax.slice_in_dim(w, 1, 3, axis=axis)
        w = lax.concatenate([first, between, last], axis)
    return w


class DoublingConv(linen.Module):
    """A 3x3 convolution without bias of the image enlarged 2 times by nearest neighbors.

    Both are computed as one (`conv_double`).

    Attributes:
        features: Number of output channels.
        kernel_init: Initializer of the kernel `[3, 3, C, features]`.
    """

    features: int
    kernel_init: Callable[..., Array] = linen.initializers.lecun_normal()

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """Returns features `[B, 2 H, 2 W, features]` of `x` `[B, H, W, C]`."""
        kernel = self.param("kernel", self.kernel_init, (3, 3, x.shape[-1], self.features))
        return conv_double(x, kernel)
