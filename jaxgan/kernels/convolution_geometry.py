"""A strided convolution and its two gradients, as XLA defines them.

With images x, a kernel w and outputs y, C(x, w) is the convolution, T(y, w) its gradient for the
input (the transposed convolution) and K(x, y) its gradient for the kernel. All arrays are NHWC,
kernels HWIO; a turned kernel has its taps in reverse and its channels swapped, as layers of
transposed convolutions keep theirs.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
from jax import Array, lax

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]

NHWC = ("NHWC", "HWIO", "NHWC")


class Geometry(NamedTuple):
    """What C, T and K of one convolution share: static and hashable."""

    image: Pair
    kernel: Pair
    strides: Pair
    padding: Pads
    groups: int
    implementation: str
    turned: bool = False
    precision: str | None = None  # of products, as JAX was told where the convolution was traced
    devices: int = 1  # that the batch may be split over; known only where XLA compiles

    @property
    def output(self) -> tuple[int, int]:
        """Height and width of C's output."""
        height, width = (
            (size + sum(pad) - taps) // stride + 1
            for size, pad, taps, stride in zip(
                self.image, self.padding, self.kernel, self.strides, strict=True
            )
        )
        return height, width


def said_precision() -> str | None:
    """What `jax.default_matmul_precision`, or JAX's configuration, says here of products."""
    return jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]


def turn(w: Array) -> Array:
    """The turned kernel, or of a turned one the kernel."""
    return w[::-1, ::-1].swapaxes(2, 3)


def plain_c(x: Array, w: Array, *, geometry: Geometry) -> Array:
    return lax.conv_general_dilated(
        x,
        turn(w) if geometry.turned else w,
        geometry.strides,
        geometry.padding,
        dimension_numbers=NHWC,
        feature_group_count=geometry.groups,
    )


def plain_t(y: Array, w: Array, *, geometry: Geometry) -> Array:
    channels = w.shape[3 if geometry.turned else 2] * geometry.groups
    x = jax.ShapeDtypeStruct((y.shape[0], *geometry.image, channels), y.dtype)
    return jax.linear_transpose(lambda x: plain_c(x, w, geometry=geometry), x)(y)[0]


def plain_k(x: Array, y: Array, *, geometry: Geometry) -> Array:
    w = jax.ShapeDtypeStruct(kernel_shape(x, y, geometry), x.dtype)
    return jax.linear_transpose(lambda w: plain_c(x, w, geometry=geometry), w)(y)[0]


def kernel_shape(x: Array, y: Array, geometry: Geometry) -> tuple[int, int, int, int]:
    """Of the kernel that takes x to y."""
    channels = (x.shape[3] // geometry.groups, y.shape[3])
    inputs, outputs = channels[::-1] if geometry.turned else channels
    return (*geometry.kernel, inputs, outputs)
