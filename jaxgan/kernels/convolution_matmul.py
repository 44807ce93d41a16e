"""A convolution and its two gradients (see `geometry`) as matrix products with the kernel where it
lies in memory.

Where the outputs have fewer positions than channels, as at the bottom of a U-Net, the kernel is
most of what there is to read, and the other forms would first copy it into another order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array, lax

from jaxgan.kernels.convolution_geometry import Geometry, kernel_shape


def pay(count: int, channels: Sequence[int], geometry: Geometry) -> bool:
    """Whether `count` images are few enough for these forms; `channels` are those of images and
    outputs.
    """
    return geometry.groups == 1 and count * math.prod(geometry.output) < min(channels)


def c(x: Array, w: Array, *, geometry: Geometry) -> Array:
    seen = _patches(x, geometry)
    if geometry.turned:
        w = w.reshape(len(seen), *w.shape[2:])
        y = jnp.sum(_product("tmc,tfc->tmf", seen[::-1], w), axis=0)
    else:
        y = _product("tmc,tcf->mf", seen, w.reshape(len(seen), *w.shape[2:]))
    return y.astype(x.dtype).reshape(x.shape[0], *geometry.output, -1)


def t(y: Array, w: Array, *, geometry: Geometry) -> Array:
    taps = math.prod(geometry.kernel)
    rows, w = y.reshape(-1, y.shape[-1]), w.reshape(taps, *w.shape[2:])
    if geometry.turned:
        # One product a tap: a product for all would have to copy the kernel first.
        z = _product("tmf,tfc->tmc", jnp.broadcast_to(rows, (taps, *rows.shape)), w)[::-1]
    else:
        z = _product("mf,tcf->mtc", rows, w).transpose(1, 0, 2)
    return _added_up(z.reshape(taps, *y.shape[:3], -1), geometry).astype(y.dtype)


def k(x: Array, y: Array, *, geometry: Geometry) -> Array:
    seen, rows = _patches(x, geometry), y.reshape(-1, y.shape[-1])
    if geometry.turned:
        rows = jnp.broadcast_to(rows.T, (len(seen), *rows.T.shape))
        w = _product("tfm,tmc->tfc", rows, seen[::-1])
    else:
        w = _product("tmc,mf->tcf", seen, rows)
    return w.astype(x.dtype).reshape(kernel_shape(x, y, geometry))


def _product(subscripts: str, left: Array, right: Array) -> Array:
    """In float32 at least: what the taps make is added up."""
    wide = jnp.promote_types(left.dtype, jnp.float32)
    return jnp.einsum(subscripts, left, right, preferred_element_type=wide)


def _patches(x: Array, geometry: Geometry) -> Array:
    """What each tap sees at each position, [taps, positions, C]."""
    count, channels = x.shape[0], x.shape[3]
    config = [(0, 0, 0), *((before, after, 0) for before, after in geometry.padding), (0, 0, 0)]
    padded = lax.pad(x, jnp.zeros((), x.dtype), config)
    rows, columns = (
        (size - 1) * stride + 1
        for size, stride in zip(geometry.output, geometry.strides, strict=True)
    )
    seen = [
        lax.slice(
            padded,
            (0, row, column, 0),
            (count, row + rows, column + columns, channels),
            (1, *geometry.strides, 1),
        )
        for row in range(geometry.kernel[0])
        for column in range(geometry.kernel[1])
    ]
    return jnp.stack(seen).reshape(len(seen), -1, channels)


def _added_up(z: Array, geometry: Geometry) -> Array:
    """What each tap makes at each position, [taps, B, h, w, C], added up where it falls."""
    total = jnp.zeros((), z.dtype)
    for tap, made in enumerate(z):
        config = [(0, 0, 0)]
        for first, size, stride, have, (before, _) in zip(
            divmod(tap, geometry.kernel[1]),
            geometry.image,
            geometry.strides,
            geometry.output,
            geometry.padding,
            strict=True,
        ):
            last = first + (have - 1) * stride + 1
            config.append((first - before, size + before - last, stride - 1))
        total = total + lax.pad(made, jnp.zeros((), z.dtype), [*config, (0, 0, 0)])
    return total
