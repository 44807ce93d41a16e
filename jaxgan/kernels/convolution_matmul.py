"""A convolution and its two gradients as matrix products that read the kernel as it lies in memory.

If the outputs have fewer positions than channels, as at the bottom of a U-Net, most of the memory
traffic is the kernel. The other forms would first copy it into another order. Here the images are
copied instead: the pixels that each tap meets are gathered (im2col), which is cheap for so few
positions. `convolution_geometry` defines the maps C, T and K.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array, export, lax

from jaxgan.kernels.convolution_geometry import Geometry, kernel_shape


def pay(count: int, channels: Sequence[int], geometry: Geometry) -> bool:
    """Returns whether these forms pay off: the outputs have fewer positions than channels.

    Args:
        count: Number of images. In an exported program it is a variable, and they never pay off.
        channels: Channels of the images and of the outputs.
        geometry: Shapes and options of the convolution.
    """
    if geometry.groups > 1 or export.is_symbolic_dim(count):
        return False
    return count * math.prod(geometry.output) < min(channels)


def c(x: Array, w: Array, *, geometry: Geometry) -> Array:
    """Computes C(x, w).

    Args:
        x: Images [B, H, W, C].
        w: Kernel, HWIO, turned if the geometry says so.
        geometry: Shapes and options of the convolution.
    """
    seen = _patches(x, geometry)
    if geometry.turned:
        # The taps of the patches are reversed instead of those of the kernel, which is larger. Its
        # channels are swapped by the subscripts.
        w = w.reshape(len(seen), *w.shape[2:])
        y = jnp.sum(_product("tmc,tfc->tmf", seen[::-1], w), axis=0)
    else:
        y = _product("tmc,tcf->mf", seen, w.reshape(len(seen), *w.shape[2:]))
    return y.astype(x.dtype).reshape(x.shape[0], *geometry.output, -1)


def t(y: Array, w: Array, *, geometry: Geometry) -> Array:
    """Computes T(y, w).

    Args:
        y: Outputs [B, H', W', F].
        w: Kernel, HWIO, turned if the geometry says so.
        geometry: Shapes and options of the convolution.
    """
    taps = math.prod(geometry.kernel)
    rows, w = y.reshape(-1, y.shape[-1]), w.reshape(taps, *w.shape[2:])
    if geometry.turned:
        # One product per tap. One product of all taps would have to transpose the kernel first.
        z = _product("tmf,tfc->tmc", jnp.broadcast_to(rows, (taps, *rows.shape)), w)[::-1]
    else:
        z = _product("mf,tcf->mtc", rows, w).transpose(1, 0, 2)
    return _added_up(z.reshape(taps, *y.shape[:3], -1), geometry).astype(y.dtype)


def k(x: Array, y: Array, *, geometry: Geometry) -> Array:
    """Computes K(x, y).

    Args:
        x: Images [B, H, W, C].
        y: Outputs [B, H', W', F].
        geometry: Shapes and options of the convolution.
    """
    seen, rows = _patches(x, geometry), y.reshape(-1, y.shape[-1])
    if geometry.turned:
        rows = jnp.broadcast_to(rows.T, (len(seen), *rows.T.shape))
        w = _product("tfm,tmc->tfc", rows, seen[::-1])
    else:
        w = _product("tmc,mf->tcf", seen, rows)
    return w.astype(x.dtype).reshape(kernel_shape(x, y, geometry))


def _product(subscripts: str, left: Array, right: Array) -> Array:
    """Returns the product in float32 or wider, because the results of the taps are added up."""
    wide = jnp.promote_types(left.dtype, jnp.float32)
    return jnp.einsum(subscripts, left, right, preferred_element_type=wide)


def _patches(x: Array, geometry: Geometry) -> Array:
    """Returns the pixels that each tap meets at each output position, [taps, positions, C]."""
    count, channels = x.shape[0], x.shape[3]
    # One strided slice of the padded images per tap (im2col).
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
    """Returns the results of the taps, [taps, B, h, w, C], added at their places in the image."""
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
            # `lax.pad` places the results `stride` apart, with `first` pixels before them. Negative
            # numbers crop what falls into the padding.
            last = first + (have - 1) * stride + 1
            config.append((first - before, size + before - last, stride - 1))
        total = total + lax.pad(made, jnp.zeros((), z.dtype), [*config, (0, 0, 0)])
    return total
