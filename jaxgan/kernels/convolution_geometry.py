"""A strided convolution and its two gradients, as XLA defines them.

With images x, a kernel w and outputs y, C(x, w) is the convolution, T(y, w) its gradient with
respect to the input (the transposed convolution), and K(x, y) its gradient with respect to the
kernel. All arrays are NHWC, kernels HWIO. A turned kernel has its taps reversed and its channels
swapped, as layers of transposed convolutions store theirs.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
from jax import Array, lax

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]

NHWC = ("NHWC", "HWIO", "NHWC")

BFLOAT16 = "bfloat16"
"""JAX's name of the precision whose products are of numbers rounded to bfloat16."""


class Geometry(NamedTuple):
    """The static, hashable description of one convolution, common to its C, T and K.

    Attributes:
        image: Height and width of the images.
        kernel: Height and width of the kernel.
        strides: Vertical and horizontal stride.
        padding: ((top, bottom), (left, right)); negative numbers crop.
        groups: Number of groups of channels.
        implementation: 'auto' (by platform), 'fast', 'xla' or 'onednn'.
        turned: Whether the kernel is turned.
        dilation: Vertical and horizontal distance of the kernel's taps.
        precision: Precision of products, as set by `jax.default_matmul_precision` where the
            convolution was traced, or None.
        devices: Number of devices that the batch may be split over. It is known only in the
            lowering.
    """

    image: Pair
    kernel: Pair
    strides: Pair
    padding: Pads
    groups: int
    implementation: str
    turned: bool = False
    dilation: Pair = (1, 1)
    precision: str | None = None  # of products, as JAX was told where the convolution was traced
    devices: int = 1  # that the batch may be split over; known only where XLA compiles

    @property
    def output(self) -> tuple[int, int]:
        """Height and width of C's output."""
        height, width = (
            (size + sum(pad) - reach) // stride + 1
            for size, pad, reach, stride in zip(
                self.image, self.padding, self.reach, self.strides, strict=True
            )
        )
        return height, width

    @property
    def reach(self) -> tuple[int, int]:
        """Height and width of the positions from the first to the last tap of the kernel."""
        height, width = (
            (taps - 1) * apart + 1 for taps, apart in zip(self.kernel, self.dilation, strict=True)
        )
        return height, width


def said_precision() -> str | None:
    """Returns the precision of products that JAX's configuration sets here, or None.

    It is set by `jax.default_matmul_precision` or by the flag of this name.
    """
    return jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]


def turn(w: Array) -> Array:
    """Returns the turned kernel; turning twice restores the kernel."""
    return w[::-1, ::-1].swapaxes(2, 3)


def plain_c(x: Array, w: Array, *, geometry: Geometry) -> Array:
    """Computes C(x, w) by XLA's own convolution.

    Args:
        x: Images [B, H, W, C].
        w: Kernel, HWIO, turned if the geometry says so.
        geometry: Shapes and options of the convolution.
    """
    return lax.conv_general_dilated(
        x,
        turn(w) if geometry.turned else w,
        geometry.strides,
        geometry.padding,
        rhs_dilation=geometry.dilation,
        dimension_numbers=NHWC,
        feature_group_count=geometry.groups,
    )


def plain_t(y: Array, w: Array, *, geometry: Geometry) -> Array:
    """Computes T(y, w) as the transpose of XLA's own convolution.

    Args:
        y: Outputs [B, H', W', F].
        w: Kernel, HWIO, turned if the geometry says so.
        geometry: Shapes and options of the convolution.
    """
    channels = w.shape[3 if geometry.turned else 2] * geometry.groups
    x = jax.ShapeDtypeStruct((y.shape[0], *geometry.image, channels), y.dtype)
    return jax.linear_transpose(lambda x: plain_c(x, w, geometry=geometry), x)(y)[0]


def plain_k(x: Array, y: Array, *, geometry: Geometry) -> Array:
    """Computes K(x, y) as the transpose of XLA's own convolution.

    Args:
        x: Images [B, H, W, C].
        y: Outputs [B, H', W', F].
        geometry: Shapes and options of the convolution.
    """
    w = jax.ShapeDtypeStruct(kernel_shape(x, y, geometry), x.dtype)
    return jax.linear_transpose(lambda w: plain_c(x, w, geometry=geometry), w)(y)[0]


def kernel_shape(x: Array, y: Array, geometry: Geometry) -> tuple[int, int, int, int]:
    """Returns the shape of the kernel that maps x to y.

    Args:
        x: Images [B, H, W, C].
        y: Outputs [B, H', W', F].
        geometry: Shapes and options of the convolution.
    """
    channels = (x.shape[3] // geometry.groups, y.shape[3])
    inputs, outputs = channels[::-1] if geometry.turned else channels
    return (*geometry.kernel, inputs, outputs)
