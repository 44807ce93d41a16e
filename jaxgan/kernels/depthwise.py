"""A depthwise convolution and its two gradients, where every group is one channel.

On a CPU, XLA's own depthwise convolutions are 30 to 500 times slower than these forms: shifted
images times one weight per channel, added up in one fused loop. The gradients are written out,
because autodiff of the shifted images is slow: an EfficientNet-Lite0 and its gradient for the
images (16 images of 96 px) take 296 ms by autodiff and 115 ms by these forms.
`convolution_geometry` defines the maps C, T and K.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array, lax

from jaxgan.kernels.convolution_geometry import Geometry, Pads, kernel_shape


def fits(inputs: int, geometry: Geometry) -> bool:
    """Returns whether the convolution is depthwise: each group is one of the `inputs` channels.

    Args:
        inputs: Number of channels of the images.
        geometry: Shapes and options of the convolution.
    """
    return geometry.groups > 1 and inputs == geometry.groups


def c(x: Array, w: Array, *, geometry: Geometry) -> Array:
    """Computes C(x, w).

    Args:
        x: Images [B, H, W, C].
        w: Kernel [kh, kw, 1, F].
        geometry: Shapes and options of the convolution.
    """
    seen = _seen(_repeated(x, w.shape[3]), geometry)
    total = jnp.zeros((), seen[0].dtype)
    for tap, weight in zip(seen, _weights(w), strict=True):
        total = total + tap * weight
    return total.astype(x.dtype)


def t(y: Array, w: Array, *, geometry: Geometry) -> Array:
    """Computes T(y, w) by one stride-1 convolution with the turned kernel per phase of the strides.

    A phase is the set of image positions with the same remainder modulo the strides. Only some of
    the taps reach it, and no multiplication by inserted zeros is needed. The phases are interleaved
    at the end.

    Args:
        y: Outputs [B, H', W', F].
        w: Kernel [kh, kw, 1, F].
        geometry: Shapes and options of the convolution.
    """
    # The padded image is cut into blocks of `strides` positions. These are the blocks that hold
    # positions of the image itself.
    axes = list(zip(geometry.image, geometry.strides, geometry.padding, strict=True))
    blocks = [
        range(before // stride, (before + size - 1) // stride + 1)
        for size, stride, (before, _) in axes
    ]
    phases = _phases(y, w, blocks, geometry)
    # The phases are interleaved: [B, blocks, row in block, blocks, column in block, F].
    x = jnp.stack([jnp.stack(row, axis=3) for row in phases], axis=2)
    rows, columns = (len(b) * stride for b, (_, stride, _) in zip(blocks, axes, strict=True))
    x = x.reshape(y.shape[0], rows, columns, -1)
    top, left = (before % stride for _, stride, (before, _) in axes)
    height, width = geometry.image
    x = x[:, top : top + height, left : left + width]
    # Each channel was repeated once per output of its group (`_repeated`), so these are summed.
    return x.reshape(*x.shape[:3], geometry.groups, -1).sum(axis=-1).astype(y.dtype)


def k(x: Array, y: Array, *, geometry: Geometry) -> Array:
    """Computes K(x, y), summed over each image first and over the batch last.

    One sum over both is many times slower.

    Args:
        x: Images [B, H, W, C].
        y: Outputs [B, H', W', F].
        geometry: Shapes and options of the convolution.
    """
    # One reduction of all taps together, so that one loop reads y once.
    products = [tap * y for tap in _seen(_repeated(x, y.shape[3]), geometry)]
    zeros = [jnp.zeros((), products[0].dtype)] * len(products)
    per_image = lax.reduce(products, zeros, _added, (1, 2))
    w = jnp.stack(per_image).sum(axis=1)
    return w.reshape(kernel_shape(x, y, geometry)).astype(x.dtype)


def _added(left: list[Array], right: list[Array]) -> list[Array]:
    return [a + b for a, b in zip(left, right, strict=True)]


def _weights(w: Array) -> Array:
    """Returns one weight per channel for each tap, [taps, 1, 1, 1, F], in float32 or wider.

    The results of the taps are added up, so rounding errors would add up too.
    """
    return w.reshape(-1, 1, 1, 1, w.shape[3]).astype(_wide(w))


def _wide(values: Array) -> jnp.dtype:
    return jnp.promote_types(values.dtype, jnp.float32)


def _repeated(x: Array, features: int) -> Array:
    """Returns x with each channel repeated once per output of its group."""
    return x if features == x.shape[3] else jnp.repeat(x, features // x.shape[3], axis=3)


def _padded(x: Array, pads: Pads) -> Array:
    """Returns the padded array in memory, in float32 or wider."""
    config = [(0, 0, 0), *((before, after, 0) for before, after in pads), (0, 0, 0)]
    wide = x.astype(_wide(x))
    # Without the barrier, XLA fuses the padding into the loop, and every tap pads again.
    return lax.optimization_barrier(lax.pad(wide, jnp.zeros((), wide.dtype), config))


def _seen(x: Array, geometry: Geometry) -> list[Array]:
    """Returns the pixels that each tap meets, [B, H', W', C] each."""
    padded, (height, width) = _padded(x, geometry.padding), geometry.output
    (taps_h, taps_w), (stride_h, stride_w) = geometry.kernel, geometry.strides
    return [
        _strided(padded, (row, column), (height, width), (stride_h, stride_w))
        for row in range(taps_h)
        for column in range(taps_w)
    ]


def _strided(
    x: Array, first: tuple[int, int], size: tuple[int, int], strides: tuple[int, int]
) -> Array:
    rows, columns = (
        start + (have - 1) * stride + 1
        for start, have, stride in zip(first, size, strides, strict=True)
    )
    return lax.slice(x, (0, *first, 0), (x.shape[0], rows, columns, x.shape[3]), (1, *strides, 1))


def _phases(y: Array, w: Array, blocks: list[range], geometry: Geometry) -> list[list[Array]]:
    """Returns the image at each phase, [B, blocks, blocks, F] per row and column of a block."""
    (taps_h, taps_w), (stride_h, stride_w) = geometry.kernel, geometry.strides
    weights = _weights(w)
    # Tap `a` adds output `m` to block `m + a // stride`, at row `a % stride` of the block. So only
    # every stride-th tap reaches a phase.
    reach_h, reach_w = (taps_h - 1) // stride_h, (taps_w - 1) // stride_w
    pads = (
        (reach_h - blocks[0].start, blocks[0].stop - y.shape[1]),
        (reach_w - blocks[1].start, blocks[1].stop - y.shape[2]),
    )
    padded, size = _padded(y, pads), (len(blocks[0]), len(blocks[1]))

    def phase(row: int, column: int) -> Array:
        total = jnp.zeros((y.shape[0], *size, y.shape[3]), padded.dtype)
        for a in range(row, taps_h, stride_h):
            for b in range(column, taps_w, stride_w):
                first = (reach_h - a // stride_h, reach_w - b // stride_w)
                seen = _strided(padded, first, size, (1, 1))
                total = total + seen * weights[a * taps_w + b]
        return total

    return [[phase(row, column) for column in range(stride_w)] for row in range(stride_h)]
