"""The three maps by oneDNN, which jaxlib carries for x86 processors.

A convolution of oneDNN (`onednn_call`) reaches 1.1 to 10 times the speed of the forms in
`convolution_cpu`. oneDNN is called for forward convolutions only, so T and K are written as such:

- T is one convolution for each phase of the strides (the image positions with the same remainder).
- K is one convolution in three dimensions. The batch takes the place of the input channels, and
  height, width and channels that of the space, so its matrix products have as many rows as the
  images have channels. Of 1 to 3 images, the columns that the taps meet are gathered first.

Under `jax.default_matmul_precision("bfloat16")`, the operands are rounded to bfloat16 where the
processor multiplies them twice as fast (AVX512-BF16 or AMX), and the products are added up in
float32, as TPUs do by default: 6.1 instead of 12.3 ms for 16 images of 48 px, 64 channels and a 3x3
kernel.

`convolution_geometry` defines the maps. What the call does not know, or does slower, goes to
`convolution_cpu`: types other than float32 and fast bfloat16, matrix products for small outputs,
images of few channels, kernels below the stride, several outputs for each channel, and of depthwise
convolutions K and the strided T.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jaxgan.kernels import (
    convolution_dilated,
    convolution_matmul,
    depthwise,
    onednn_call,
    processor,
)
from jaxgan.kernels.convolution_cpu import by_group, fast_c, fast_k, fast_t
from jaxgan.kernels.convolution_geometry import BFLOAT16, Geometry, Pads, turn

# Images of up to this number of channels are faster by one matrix product to all taps.
_FEW_CHANNELS = 4

# K of this many images is one convolution; oneDNN has no fast code for fewer input channels.
_ENOUGH_IMAGES = 4
_ENOUGH_COLUMNS = 8

# K of many large images is the sum over pieces of the batch, which fit the cache (12.6 instead of
# 15.3 ms for 64 images of 32 px and 64 channels).
_MANY_IMAGES = 64
_LARGE = 1 << 22  # entries of the images
_PIECES = 4


def c(x: Array, w: Array, *, geometry: Geometry) -> Array:
    """Computes C(x, w).

    Args:
        x: Images [B, H, W, C].
        w: Kernel, HWIO, turned if the geometry says so.
        geometry: Shapes and options of the convolution.
    """
    if not _known(x, w):
        return fast_c(x, w, geometry=geometry)
    if geometry.dilation != (1, 1):
        return convolution_dilated.c(c, x, w, geometry=geometry)
    outputs = w.shape[2 if geometry.turned else 3]
    if not _fits(x.shape[0], x.shape[3], outputs, geometry) or outputs <= _FEW_CHANNELS:
        return fast_c(x, w, geometry=geometry)
    dtype = x.dtype
    x, w = _rounded(x, w, x.shape[3], geometry)
    # The taps of a turned kernel are reversed. Its channels are swapped by naming their axes.
    return onednn_call.convolved(
        x,
        w[::-1, ::-1] if geometry.turned else w,
        dtype=dtype,
        space=geometry.output,
        axes=onednn_call.TURNED if geometry.turned else onednn_call.HWIO,
        pads=geometry.padding,
        strides=geometry.strides,
        groups=geometry.groups,
    )


def t(y: Array, w: Array, *, geometry: Geometry) -> Array:
    """Computes T(y, w).

    Args:
        y: Outputs [B, H', W', F].
        w: Kernel, HWIO, turned if the geometry says so.
        geometry: Shapes and options of the convolution.
    """
    if not _known(y, w):
        return fast_t(y, w, geometry=geometry)
    if geometry.dilation != (1, 1):
        return convolution_dilated.t(t, y, w, geometry=geometry)
    inputs = w.shape[3 if geometry.turned else 2] * geometry.groups
    # Of a depthwise convolution, the phases take twice as long as the shifted outputs, which one
    # loop adds (2.6 against 1.2 ms for 16 images of 48 px and 96 channels).
    if depthwise.fits(inputs, geometry) and geometry.strides != (1, 1):
        return fast_t(y, w, geometry=geometry)
    rows, columns = _phases(0, geometry), _phases(1, geometry)
    many = min(inputs, y.shape[3]) > _FEW_CHANNELS
    fits = many and _fits(y.shape[0], inputs, y.shape[3], geometry)
    if not fits or rows is None or columns is None:
        return fast_t(y, w, geometry=geometry)
    axes = onednn_call.HWIO if geometry.turned else onednn_call.TURNED
    if geometry.groups > 1:
        w, axes = _swapped(w, geometry.groups), onednn_call.HWIO
    dtype = y.dtype
    y, w = _rounded(y, w, inputs, geometry)

    def phase(row: _Phase, column: _Phase) -> Array:
        return onednn_call.convolved(
            y,
            w[row.taps, column.taps],
            dtype=dtype,
            space=_blocks(geometry),
            axes=axes,
            pads=(row.pads, column.pads),
            groups=geometry.groups,
        )

    return _interleaved([[phase(a, b) for b in columns] for a in rows], geometry)


def k(x: Array, y: Array, *, geometry: Geometry) -> Array:
    """Computes K(x, y).

    Args:
        x: Images [B, H, W, C].
        y: Outputs (or their gradients) [B, H', W', F].
        geometry: Shapes and options of the convolution.
    """
    inputs, outputs = x.shape[3], y.shape[3]
    if not _known(x, y) or depthwise.fits(inputs, geometry):
        return fast_k(x, y, geometry=geometry)
    if geometry.dilation != (1, 1):
        return convolution_dilated.k(k, x, y, geometry=geometry)
    if geometry.groups > 1:
        return by_group(k, x, y, geometry)
    few = x.shape[0] < _ENOUGH_IMAGES
    pays = not few or geometry.output[1] * x.shape[0] >= _ENOUGH_COLUMNS
    if not pays or not _fits(x.shape[0], inputs, outputs, geometry):
        return fast_k(x, y, geometry=geometry)
    if min(inputs, outputs) <= _FEW_CHANNELS:
        return fast_k(x, y, geometry=geometry)
    dtype = x.dtype
    x, y = _rounded(x, y, inputs, geometry)
    w = (_k_of_few(x, y, geometry) if few else _k_of_many(x, y, geometry)).astype(dtype)
    return turn(w) if geometry.turned else w


def _known(a: Array, b: Array) -> bool:
    """Returns whether oneDNN takes arrays of these types, and there is something to compute."""
    known = (jnp.float32, jnp.bfloat16) if processor.multiplies_bfloat16() else (jnp.float32,)
    return a.dtype == b.dtype and a.dtype in known and min(*a.shape, *b.shape) > 0


def _rounded(a: Array, b: Array, inputs: int, geometry: Geometry) -> tuple[Array, Array]:
    """Returns both operands as they are multiplied: in bfloat16, if that is asked for and pays.

    Depthwise convolutions wait for the memory, not for products.
    """
    asked = geometry.precision == BFLOAT16 and not depthwise.fits(inputs, geometry)
    if not asked or not processor.multiplies_bfloat16():
        return a, b
    return a.astype(jnp.bfloat16), b.astype(jnp.bfloat16)


def _fits(count: int, inputs: int, outputs: int, geometry: Geometry) -> bool:
    """Returns whether the call is the fastest form for this number of images and channels."""
    if geometry.groups > 1:
        return inputs != geometry.groups or outputs == inputs
    return not convolution_matmul.pay(count, (inputs, outputs), geometry)


# --- T --------------------------------------------------------------------------------------------


class _Phase(NamedTuple):
    """The taps that reach the image positions of one phase, along one axis.

    Attributes:
        taps: Them, in the order in which a convolution over the outputs meets them.
        pads: Padding of the outputs, before and after.
    """

    taps: slice
    pads: tuple[int, int]


def _phases(axis: int, geometry: Geometry) -> list[_Phase] | None:
    """Returns the phases of an axis, or None if no output reaches one of them."""
    size, taps = geometry.image[axis], geometry.kernel[axis]
    stride, outputs = geometry.strides[axis], geometry.output[axis]
    before, blocks = geometry.padding[axis][0], _blocks(geometry)[axis]
    if taps < stride or size < stride:
        return None
    found = []
    for remainder in range(stride):
        # Tap `first + j * stride` adds output `m + shift - j` to image position `m` of the phase.
        shift, first = divmod(remainder + before, stride)
        count = len(range(first, taps, stride))
        last = first + (count - 1) * stride
        low = count - 1 - shift
        high = blocks - 1 - low + count - outputs
        if outputs + min(low, 0) + min(high, 0) < 1:
            return None
        backwards = slice(last, None, -stride)
        kept = slice(taps - 1 - last, None, stride) if geometry.turned else backwards
        found.append(_Phase(kept, (low, high)))
    return found


def _blocks(geometry: Geometry) -> tuple[int, int]:
    """Returns the height and width of the first phase of the image."""
    pairs = zip(geometry.image, geometry.strides, strict=True)
    high, wide = (-(-size // stride) for size, stride in pairs)
    return high, wide


def _interleaved(phases: list[list[Array]], geometry: Geometry) -> Array:
    """Returns the image whose phases [B, h, w, C] these are, by row and column."""
    rows = [jnp.stack(columns, axis=3) for columns in phases]
    x = jnp.stack(rows, axis=2)  # [B, blocks, row in block, blocks, column in block, C]
    space = zip(_blocks(geometry), geometry.strides, strict=True)
    high, wide = (size * stride for size, stride in space)
    height, width = geometry.image
    return x.reshape(x.shape[0], high, wide, -1)[:, :height, :width]


def _swapped(w: Array, groups: int) -> Array:
    """Returns the kernel [kh, kw, C / groups, F] of groups as [kh, kw, F / groups, C]."""
    taps, (inputs, outputs) = w.shape[:2], w.shape[2:]
    w = w.reshape(*taps, inputs, groups, outputs // groups)
    return w.transpose(0, 1, 4, 3, 2).reshape(*taps, outputs // groups, inputs * groups)


# --- K --------------------------------------------------------------------------------------------


def _k_of_many(x: Array, y: Array, geometry: Geometry) -> Array:
    """Computes K as one convolution in three dimensions, or as a sum of them over the batch."""
    count = x.shape[0]
    pieces = _PIECES if count >= _MANY_IMAGES and x.size >= _LARGE else 1
    pieces = pieces if count % pieces == 0 else 1

    def of_piece(x: Array, y: Array) -> Array:
        w = onednn_call.convolved(
            x.transpose(1, 2, 3, 0)[None],
            y[..., None],
            dtype=jnp.float32,  # of a sum over the batch, and then over the pieces
            space=(*geometry.kernel, x.shape[3]),
            axes=(3, 0, 1, 2, 4),
            pads=(*_k_pads(geometry), (0, 0)),
            dilation=(*geometry.strides, 1),
        )
        return w[0]

    pairs = zip(jnp.split(x, pieces), jnp.split(y, pieces), strict=True)
    first, *others = (of_piece(*pair) for pair in pairs)
    return sum(others, start=first)


def _k_of_few(x: Array, y: Array, geometry: Geometry) -> Array:
    """Computes K of few images: the columns that each tap meets take the place of the batch."""
    (taps, _), (rows_apart, apart) = geometry.kernel, geometry.strides
    (count, height, _, channels), (high, wide) = x.shape, geometry.output
    rows, columns = _k_pads(geometry)
    zero = jnp.zeros((), x.dtype)
    x = lax.pad(x, zero, [(0, 0, 0), (0, 0, 0), (*columns, 0), (0, 0, 0)])
    reach = (wide - 1) * apart + 1
    met = [
        lax.slice(x, (0, 0, tap, 0), (count, height, tap + reach, channels), (1, 1, apart, 1))
        for tap in range(geometry.kernel[1])
    ]
    seen = jnp.stack(met).transpose(0, 2, 4, 1, 3)  # [tap, H, C, B, W']
    outputs = y.transpose(0, 2, 1, 3).reshape(count * wide, high, 1, y.shape[3])
    w = onednn_call.convolved(
        seen.reshape(len(met), height, channels, count * wide),
        outputs,
        dtype=jnp.float32,
        space=(taps, channels),
        axes=(3, 0, 1, 2),
        pads=(rows, (0, 0)),
        dilation=(rows_apart, 1),
    )
    return w.transpose(1, 0, 2, 3)


def _k_pads(geometry: Geometry) -> Pads:
    """Returns the padding with which the outputs reach exactly as many positions as taps.

    Negative numbers cut off what the strides leave over.
    """
    rows, columns = (
        (before, taps + (have - 1) * stride - size - before)
        for taps, have, stride, size, (before, _) in zip(
            geometry.kernel,
            geometry.output,
            geometry.strides,
            geometry.image,
            geometry.padding,
            strict=True,
        )
    )
    return rows, columns
