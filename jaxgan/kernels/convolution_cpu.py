"""A convolution and its two gradients (see `geometry`) in forms that XLA runs fast on a CPU: the
same sums in another order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from jaxgan.kernels import convolution_matmul, depthwise
from jaxgan.kernels.convolution_geometry import NHWC, Geometry, plain_c, turn

# Below these sizes splitting the contraction of a kernel gradient gains nothing; a piece of about
# 1024 is best.
_SPLIT_FROM = 8192
_PIECE = 1024
_MOST_PIECES = 16

# Groups that are written out; more of them go through a loop, which compiles once.
_MOST_GROUPS = 16

_FEW_CHANNELS = 4
_MANY_CHANNELS = 64


def fast_c(x: Array, w: Array, *, geometry: Geometry) -> Array:
    """XLA's own, which is fast but to few channels, for kernels that few positions meet, and
    by groups.
    """
    if depthwise.fits(x.shape[3], geometry):
        return depthwise.c(x, w, geometry=geometry)
    if geometry.groups > 1:
        return _by_group(fast_c, x, w, geometry)
    if convolution_matmul.pay(x.shape[0], w.shape[2:], geometry):
        return convolution_matmul.c(x, w, geometry=geometry)
    if geometry.turned:
        return fast_c(x, turn(w), geometry=geometry._replace(turned=False))
    dense = geometry.strides == (1, 1)
    if dense and w.shape[3] <= _FEW_CHANNELS and w.shape[2] >= _MANY_CHANNELS:
        return _t_by_taps(x, turn(w), geometry=_turned(geometry))
    return plain_c(x, w, geometry=geometry)


def fast_t(y: Array, w: Array, *, geometry: Geometry) -> Array:
    """The fastest of the forms below."""
    if depthwise.fits(w.shape[2] * geometry.groups, geometry):
        return depthwise.t(y, w, geometry=geometry)
    if geometry.groups > 1:
        return _by_group(fast_t, y, w, geometry)
    if convolution_matmul.pay(y.shape[0], w.shape[2:], geometry):
        return convolution_matmul.t(y, w, geometry=geometry)
    if geometry.turned:
        return fast_t(y, turn(w), geometry=geometry._replace(turned=False))
    if w.shape[2] <= _FEW_CHANNELS and w.shape[3] >= 16:
        return _t_by_taps(y, w, geometry=geometry)
    if geometry.strides == (1, 1):
        return _stride_one(y, turn(w), _turned(geometry).padding)
    return _t_by_blocks(y, w, geometry=geometry)


def _by_group(form: Callable[..., Array], a: Array, b: Array, geometry: Geometry) -> Array:
    """The form of each group by itself: the last axis of all three arrays holds the groups."""
    groups, one = geometry.groups, geometry._replace(groups=1)
    pairs = [jnp.split(v, groups, axis=3) for v in (a, b)]
    if groups <= _MOST_GROUPS:
        found = [form(*pair, geometry=one) for pair in zip(*pairs, strict=True)]
    else:
        stacked = tuple(jnp.stack(parts) for parts in pairs)
        found = list(lax.map(lambda pair: form(*pair, geometry=one), stacked))
    return jnp.concatenate(found, axis=3)


def _stride_one(x: Array, w: Array, padding: Any, **options: Any) -> Array:
    return lax.conv_general_dilated(x, w, (1, 1), padding, dimension_numbers=NHWC, **options)


def _turned(geometry: Geometry) -> Geometry:
    """The stride-1 convolution from outputs to images, by the turned kernel."""
    (top, bottom), (left, right) = geometry.padding
    high, wide = (taps - 1 for taps in geometry.kernel)
    return geometry._replace(
        image=geometry.output, padding=((high - top, high - bottom), (wide - left, wide - right))
    )


def _t_by_blocks(y: Array, w: Array, *, geometry: Geometry) -> Array:
    """One stride-1 convolution to (strides x channels), depth to space, crop: no multiplication by
    inserted zeros.
    """
    w = _by_block(w, geometry)[::-1, ::-1].transpose(0, 1, 5, 2, 3, 4)
    reach_h, reach_w, features = w.shape[:3]
    w = w.reshape(reach_h, reach_w, features, -1)
    z = _stride_one(y, w, ((reach_h - 1, reach_h - 1), (reach_w - 1, reach_w - 1)))
    return _depth_to_space(z, geometry)


def _t_by_taps(y: Array, w: Array, *, geometry: Geometry) -> Array:
    """To images of few channels: one matrix product to all taps, added up where they fall."""
    w = _by_block(w, geometry)
    reach_h, reach_w = w.shape[:2]
    z = jnp.einsum("nhwf,pf->nhwp", y, w.reshape(-1, w.shape[-1]))
    z = z.reshape(*y.shape[:3], reach_h, reach_w, -1)
    total = jnp.zeros((), y.dtype)
    for row in range(reach_h):
        for column in range(reach_w):
            margins = ((row, reach_h - 1 - row), (column, reach_w - 1 - column))
            total = total + jnp.pad(z[:, :, :, row, column], ((0, 0), *margins, (0, 0)))
    return _depth_to_space(total, geometry)


def _by_block(w: Array, geometry: Geometry) -> Array:
    """The kernel [h, w, stride, stride, C, F]: which block of pixels a tap meets, and where in
    it; filled up with zeros to whole blocks.
    """
    (taps_h, taps_w), (stride_h, stride_w) = geometry.kernel, geometry.strides
    reach_h, reach_w = -(-taps_h // stride_h), -(-taps_w // stride_w)
    extra_h, extra_w = reach_h * stride_h - taps_h, reach_w * stride_w - taps_w
    w = jnp.pad(w, ((0, extra_h), (0, extra_w), (0, 0), (0, 0)))
    w = w.reshape(reach_h, stride_h, reach_w, stride_w, *w.shape[2:])
    return w.transpose(0, 2, 1, 3, 4, 5)


def _depth_to_space(z: Array, geometry: Geometry) -> Array:
    """Blocks [B, h, w, strides x C] put side by side, cut to the image."""
    stride_h, stride_w = geometry.strides
    count, blocks_h, blocks_w, depth = z.shape
    channels = depth // (stride_h * stride_w)
    z = z.reshape(count, blocks_h, blocks_w, stride_h, stride_w, channels)
    z = z.transpose(0, 1, 3, 2, 4, 5)
    z = z.reshape(count, blocks_h * stride_h, blocks_w * stride_w, channels)
    return _window(z, geometry)


def _window(z: Array, geometry: Geometry) -> Array:
    """The rows and columns of the padded image that belong to the image itself; those no output
    reached are zero.
    """
    config = [(0, 0, 0)]
    for size, (before, _), have in zip(geometry.image, geometry.padding, z.shape[1:3], strict=True):
        config.append((-before, before + size - have, 0))
    return lax.pad(z, jnp.zeros((), z.dtype), [*config, (0, 0, 0)])


def fast_k(x: Array, y: Array, *, geometry: Geometry) -> Array:
    """An explicit convolution over the batch, which is as fast inside control flow as outside, in
    pieces that fit the cache.
    """
    if depthwise.fits(x.shape[3], geometry):
        return depthwise.k(x, y, geometry=geometry)
    if geometry.groups > 1:
        return _by_group(fast_k, x, y, geometry)
    if convolution_matmul.pay(x.shape[0], (x.shape[3], y.shape[3]), geometry):
        return convolution_matmul.k(x, y, geometry=geometry)
    if geometry.turned:
        return turn(fast_k(x, y, geometry=geometry._replace(turned=False)))
    if x.shape[3] <= _FEW_CHANNELS and y.shape[3] >= 16:
        return _k_by_taps(x, y, geometry=geometry)
    dense = geometry.strides == (1, 1)
    if dense and y.shape[3] <= _FEW_CHANNELS and x.shape[3] >= _MANY_CHANNELS:
        return turn(_k_by_taps(y, x, geometry=_turned(geometry)))
    count = x.shape[0]
    pieces = _pieces(count, y.shape[1] * y.shape[2], geometry.devices)
    if pieces == 1:
        return _k_of_piece(x, y, geometry=geometry).astype(x.dtype)
    # Pieces by stride, not by block: each holds rows of every shard of a batch that is split over
    # devices.
    x = x.reshape(count // pieces, pieces, *x.shape[1:])
    y = y.reshape(count // pieces, pieces, *y.shape[1:])
    total = _k_of_piece(x[:, 0], y[:, 0], geometry=geometry)
    for index in range(1, pieces):
        total = total + _k_of_piece(x[:, index], y[:, index], geometry=geometry)
    return total.astype(x.dtype)


def _pieces(count: int, pixels: int, devices: int) -> int:
    """How many pieces to split a batch of `count` into, each with equally many rows of every
    device.
    """
    rows = count // devices if count % devices == 0 else count
    if rows * pixels < _SPLIT_FROM:
        return 1
    pieces = math.gcd(rows, 1 << round(math.log2(rows * pixels / _PIECE)))
    return min(pieces, _MOST_PIECES)


def _k_of_piece(x: Array, y: Array, *, geometry: Geometry) -> Array:
    """The kernel gradient of a piece, in float32 at least: rounding each piece would add up."""
    taps_h, taps_w = geometry.kernel
    z = _stride_one(
        x.transpose(3, 1, 2, 0),
        y.transpose(1, 2, 0, 3),
        geometry.padding,
        rhs_dilation=geometry.strides,
        preferred_element_type=jnp.promote_types(x.dtype, jnp.float32),
    )
    return z[:, :taps_h, :taps_w].transpose(1, 2, 0, 3)


def _k_by_taps(x: Array, y: Array, *, geometry: Geometry) -> Array:
    """For images of few channels: all shifted inputs, each in one piece, and one matrix product."""
    (taps_h, taps_w), (stride_h, stride_w) = geometry.kernel, geometry.strides
    height, width = y.shape[1:3]
    channels, count = x.shape[3], x.shape[0]
    config = [(0, 0, 0), (0, 0, 0), *((before, after, 0) for before, after in geometry.padding)]
    planes = lax.pad(x.transpose(3, 0, 1, 2), jnp.zeros((), x.dtype), config)
    shifted = [
        lax.slice(
            planes,
            (0, 0, row, column),
            (
                channels,
                count,
                row + (height - 1) * stride_h + 1,
                column + (width - 1) * stride_w + 1,
            ),
            (1, 1, stride_h, stride_w),
        )
        for row in range(taps_h)
        for column in range(taps_w)
    ]
    w = jnp.einsum("tcnhw,nhwf->tcf", jnp.stack(shifted), y)
    return w.reshape(taps_h, taps_w, channels, y.shape[3])
