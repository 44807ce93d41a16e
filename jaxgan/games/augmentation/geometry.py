"""Flips, turns, shifts, scalings and rotations of images: matrices, and how to apply them.

A matrix [B, 3, 3] maps places of the output image to places of the input image. Places are (x, y,
1), in pixels from the center of the image, with x to the right and y down. A product of matrices is
one resampling, however many transformations it has. Beyond its edges an image is mirrored, without
repeating the edge.

References:
    Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", appendix B.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgan.types import Array

SYM6 = (
    0.015404109327027373,
    0.0034907120842174702,
    -0.11799011114819057,
    -0.048311742585633,
    0.4910559419267466,
    0.787641141030194,
    0.3379294217276218,
    -0.07263752278646252,
    -0.021060292512300564,
    0.04472490177066578,
    0.0017677118642428036,
    -0.007800708325034148,
)
"""Low-pass filter of the wavelet sym6, orthonormal at shifts by 2 (Daubechies 1992)."""

HALF_BAND = (-1 / 16, 0.0, 9 / 16, 1.0, 9 / 16, 0.0, -1 / 16)
"""Interpolation at the middle between pixels, exact for cubics (Deslauriers and Dubuc 1989)."""

# --- matrices -------------------------------------------------------------------------------------


def moving(x: Array, y: Array) -> Array:
    """Returns the matrices [B, 3, 3] that move images to the right and down.

    Args:
        x: Pixels to the right [B].
        y: Pixels down [B].
    """
    one, zero = jnp.ones_like(x), jnp.zeros_like(x)
    return _matrix([[one, zero, -x], [zero, one, -y], [zero, zero, one]])


def scaling(x: Array, y: Array) -> Array:
    """Returns the matrices [B, 3, 3] that enlarge images about their center.

    Args:
        x: Factor of the width [B]. -1 flips left and right.
        y: Factor of the height [B].
    """
    one, zero = jnp.ones_like(x), jnp.zeros_like(x)
    return _matrix([[1 / x, zero, zero], [zero, 1 / y, zero], [zero, zero, one]])


def turning(quarters: Array) -> Array:
    """Returns the matrices [B, 3, 3] that turn images clockwise by quarter turns, without rounding.

    Args:
        quarters: Number of quarter turns [B], from 0 to 3.
    """
    quarters = quarters.astype(jnp.int32)
    cosine = jnp.asarray([1.0, 0.0, -1.0, 0.0])[quarters]
    return _rotation(cosine, jnp.asarray([0.0, 1.0, 0.0, -1.0])[quarters])


def rotating(angles: Array) -> Array:
    """Returns the matrices [B, 3, 3] that rotate images clockwise about their center.

    Args:
        angles: Angles in radians [B].
    """
    return _rotation(jnp.cos(angles), jnp.sin(angles))


def _rotation(cosine: Array, sine: Array) -> Array:
    one, zero = jnp.ones_like(cosine), jnp.zeros_like(cosine)
    return _matrix([[cosine, sine, zero], [-sine, cosine, zero], [zero, zero, one]])


def _matrix(lines: Sequence[Sequence[Array]]) -> Array:
    return jnp.stack([jnp.stack(line, axis=-1) for line in lines], axis=-2)


def product(matrices: Sequence[Array]) -> Array:
    """Returns the matrix product [B, N, N] of several [B, N, N], in full precision.

    Args:
        matrices: The matrices. Of images, the transformation of the first is applied first.
    """
    return functools.reduce(
        functools.partial(jnp.matmul, precision=lax.Precision.HIGHEST), matrices
    )


# --- resampling -----------------------------------------------------------------------------------


def resampled(images: Array, matrices: Array) -> Array:
    """Returns transformed images: each pixel is interpolated where the matrix says.

    Each image is enlarged by 2 with the filter `HALF_BAND`, then sampled linearly. Flips, quarter
    turns of square images and shifts by whole pixels are exact: they copy pixels.

    The filter is a matrix product. The samples are gathered, so that the gradient with respect to
    the images is a scatter: GPUs add its terms in any order, unless XLA_FLAGS has
    --xla_gpu_deterministic_ops=true.

    Args:
        images: Images [B, H, W, C].
        matrices: Matrices [B, 3, 3].
    """
    height, width = images.shape[1:3]
    fine = of_lines(images, _interpolating(height), _interpolating(width))
    lines, columns = (np.arange(size, dtype=np.float32) for size in (height, width))
    x, y = _sources(matrices, lines - (height - 1) / 2, columns - (width - 1) / 2)
    x, y = x + (width - 1) / 2, y + (height - 1) / 2
    return _interpolated(fine, 2 * _mirrored(x, width), 2 * _mirrored(y, height))


def filtered(images: Array, matrices: Array) -> Array:
    """Returns transformed images without aliasing, at several times the cost of `resampled`.

    Each image is enlarged by 2 with the filter `SYM6`, sampled linearly at twice the resolution,
    and reduced by 2 with the same filter. The identity and shifts by whole pixels are exact, up to
    rounding.

    Args:
        images: Images [B, H, W, C].
        matrices: Matrices [B, 3, 3].

    References:
        Karras et al. 2020, appendix B. They pad each image before transforming it, with zeros
        beyond the padding; here every place outside is mirrored into the image. They transform
        about a point 0.3 pixels from the center, where the filter, which is not symmetric, puts it.
    """
    height, width = images.shape[1:3]
    fine = of_lines(images, _doubling(height), _doubling(width))
    lines, columns = (_places(size) for size in (height, width))
    x, y = _sources(matrices, lines - (height - 1) / 2, columns - (width - 1) / 2)
    x, y = (_indices(x + (width - 1) / 2, width), _indices(y + (height - 1) / 2, height))
    return of_lines(_interpolated(fine, x, y), _halving(height), _halving(width))


def of_lines(images: Array, vertical: Array | np.ndarray, horizontal: Array | np.ndarray) -> Array:
    """Applies weight matrices to the lines and to the columns of images.

    The products are computed in full precision: TF32, the default of recent GPUs, would change
    pixels that are only moved. Their gradients are fast on every device.

    Args:
        images: Images [B, H, W, C].
        vertical: Weights [h, H], or [B, h, H] for each image: output line i is the sum over j of
            `vertical[..., i, j]` times line j.
        horizontal: Weights [w, W] or [B, w, W] of the columns, in the same way.

    Returns:
        Images [B, h, w, C].
    """
    each = "b" if vertical.ndim == 3 else ""
    apply = functools.partial(jnp.einsum, precision=lax.Precision.HIGHEST)
    lines = apply(f"{each}ij,bjwc->biwc", jnp.asarray(vertical, images.dtype), images)
    return apply(f"{each}ij,bhjc->bhic", jnp.asarray(horizontal, images.dtype), lines)


def filtering(size: int, taps: Sequence[float], *, first: int) -> np.ndarray:
    """Returns the weights [size, size] of a filter on a line of pixels, mirrored beyond its ends.

    Args:
        size: Number of pixels.
        taps: The filter.
        first: Index of the output pixel to which pixel 0 contributes the filter's first tap.
    """
    return _weights(size, taps, starts=np.arange(size) - first)


def _weights(size: int, taps: Sequence[float], *, starts: np.ndarray, up: int = 1) -> np.ndarray:
    """Weights [len(starts), size]: output o sums taps[starts[o] - up * i] times pixel i."""
    weights = np.zeros((len(starts), size))
    period = max(1, 2 * size - 2)
    for line, start in enumerate(starts):
        for tap, value in enumerate(taps):
            pixel, rest = divmod(int(start) - tap, up)
            if not rest:
                inside = pixel % period
                weights[line, min(inside, period - inside) if size > 1 else 0] += value
    return weights


def _sources(matrices: Array, lines: np.ndarray, columns: np.ndarray) -> tuple[Array, Array]:
    """Input places x and y [B, h, w] of the output places of these lines and columns."""
    x, y = jnp.asarray(columns)[None, None, :], jnp.asarray(lines)[None, :, None]
    rows = matrices[:, :, :, None, None]
    return (
        rows[:, 0, 0] * x + rows[:, 0, 1] * y + rows[:, 0, 2],
        rows[:, 1, 0] * x + rows[:, 1, 1] * y + rows[:, 1, 2],
    )


def _mirrored(places: Array, size: int) -> Array:
    """Places within [0, size - 1] that are seen at these places, 0 being the first pixel."""
    period = max(1, 2 * size - 2)
    inside = jnp.mod(places, period)
    return jnp.minimum(inside, period - inside) if size > 1 else jnp.zeros_like(places)


def _interpolated(images: Array, x: Array, y: Array) -> Array:
    """Bilinear interpolations [B, h, w, C] at places x and y [B, h, w] within the images."""
    rows, height, width, channels = images.shape
    left = jnp.clip(jnp.floor(x), 0, max(0, width - 2))
    top = jnp.clip(jnp.floor(y), 0, max(0, height - 2))
    right, down = (x - left)[..., None], (y - top)[..., None]
    corner = (top * width + left).astype(jnp.int32).reshape(rows, -1, 1)
    flat = images.reshape(rows, height * width, channels)

    def neighbors(offset: int) -> Array:
        places = jnp.minimum(corner + offset, height * width - 1)
        found = jnp.take_along_axis(flat, places, axis=1, mode="promise_in_bounds")
        return found.reshape(*x.shape, channels)

    above = (1 - right) * neighbors(0) + right * neighbors(1)
    below = (1 - right) * neighbors(width) + right * neighbors(width + 1)
    return ((1 - down) * above + down * below).astype(images.dtype)


@functools.cache
def _interpolating(size: int) -> np.ndarray:
    """Weights [2 size - 1, size] that put a pixel between any two neighbors."""
    return _weights(size, HALF_BAND, starts=np.arange(2 * size - 1) + 3, up=2)


# Pixel n of the image that `SYM6` enlarges lies at (n - _CENTER) / 2.
_CENTER = sum(tap * value for tap, value in enumerate(SYM6)) / sum(SYM6)


def _places(size: int) -> np.ndarray:
    """Places of the fine pixels from which `_halving` computes the coarse ones."""
    return ((np.arange(2 * size + len(SYM6) - 2) - _CENTER) / 2).astype(np.float32)


def _indices(places: Array, size: int) -> Array:
    """Indices, with fractions, of the fine pixels at these places, mirrored if there is none."""
    index = 2 * places + _CENTER
    outside = (index < 0) | (index > 2 * size + len(SYM6) - 3)
    return jnp.where(outside, 2 * _mirrored(places, size) + _CENTER, index)


@functools.cache
def _doubling(size: int) -> np.ndarray:
    """Weights [2 size + 10, size] that double the resolution of a mirrored line."""
    starts = np.arange(2 * size + len(SYM6) - 2)
    return _weights(size, [np.sqrt(2) * value for value in SYM6], starts=starts, up=2)


@functools.cache
def _halving(size: int) -> np.ndarray:
    """Weights [size, 2 size + 10] that halve the resolution."""
    weights = np.zeros((size, 2 * size + len(SYM6) - 2))
    for line in range(size):
        weights[line, 2 * line : 2 * line + len(SYM6)] = np.asarray(SYM6) / np.sqrt(2)
    return weights
