"""Forms of a convolution and its two gradients that XLA runs fast on a CPU.

`convolution_geometry` defines the three maps: C (the convolution), T (its input gradient) and K
(its kernel gradient). The forms compute the same sums in another order. XLA is slow on a CPU in
four cases (times of 2 cores with jax 0.10.2):

- T of a strided convolution. XLA inserts zeros between the outputs and multiplies by them, at
  stride 2 four times the work. One stride-1 convolution to stride * stride * C channels and a
  depth-to-space need no zeros (`_t_by_blocks`): 52 to 61 ms become 17 to 23 ms.
- K of a transposed convolution. XLA falls back to a naive loop: 1758 ms for 64x8x8, 256 to 128
  channels, kernel 4, stride 2. As a dense stride-1 convolution it takes 32 ms. R1 and WGAN-GP need
  it even for ordinary convolutions, in the second derivative.
- K with a long contraction (batch * height * width of the output of 8192 or more). Split over the
  batch into pieces of about 1024, 57 ms become 19.5 ms.
- Any K that autodiff makes inside `lax.scan`, `lax.cond` or `lax.while_loop`. XLA rewrites
  convolutions to its fast form only outside of control flow; inside they are 15 to 60 times slower
  (10350 ms instead of 185). A convolution that is written in the fast form (NHWC images, HWIO
  kernel) is as fast inside as outside. So all forms here write it explicitly, with the
  transpositions around it.

Tried and slower: C by space-to-depth (68 ms against 20), im2col for many channels, one product per
tap for many channels, and strips of rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from jaxgan.kernels import convolution_dilated, convolution_matmul, depthwise
from jaxgan.kernels.convolution_geometry import NHWC, Geometry, plain_c, turn

# The contraction of a kernel gradient is over batch * height * width of the outputs. If it is long,
# the operands do not fit the cache, and XLA reaches a quarter of the speed of a matrix product (60
# to 80 GFLOP/s of 270). Pieces of about 1024 are the fastest. Below 4096, splitting gains nothing.
# Every piece is a convolution of its own in the program, so their number is limited.
_SPLIT_FROM = 8192
_PIECE = 1024
_MOST_PIECES = 16

# Up to this number of groups, each is written out. More go through a loop, which compiles only one.
_MOST_GROUPS = 16

# A convolution to few channels (an RGB image) has few columns per tap. One matrix product to all
# taps has kernel height * width times as many. T from 64 channels to 64 RGB images of 64 px (4x4
# kernel, stride 2) takes 1.9 ms this way, and 6.2 ms in PyTorch. C from 16 channels to 16 RGB
# images of 64 px (3x3 kernel) takes 1 ms instead of 4 to 7, and its K 3 ms instead of 30 to 40.
_FEW_CHANNELS = 4

# C to few channels by products writes the results of all taps, and adds them: of 7x7 taps, that
# takes 1.4 to 4 times as long as XLA's convolution.
_FEW_TAPS = 25


def fast_c(x: Array, w: Array, *, geometry: Geometry) -> Array:
    """Computes C(x, w), in most cases by XLA's own convolution, which is fast.

    The exceptions are groups, kernels that are large compared with the images
    (`convolution_matmul`), and dense convolutions to few channels.

    Args:
        x: Images [B, H, W, C].
        w: Kernel, HWIO, turned if the geometry says so.
        geometry: Shapes and options of the convolution.
    """
    if geometry.dilation != (1, 1):
        return convolution_dilated.c(fast_c, x, w, geometry=geometry)
    if depthwise.fits(x.shape[3], geometry):
        return depthwise.c(x, w, geometry=geometry)
    if geometry.groups > 1:
        return by_group(fast_c, x, w, geometry)
    if convolution_matmul.pay(x.shape[0], w.shape[2:], geometry):
        return convolution_matmul.c(x, w, geometry=geometry)
    if geometry.turned:
        return fast_c(x, turn(w), geometry=geometry._replace(turned=False))
    # At stride 1, C is the T of the turned kernel, so T's form for few channels can be used.
    dense = geometry.strides == (1, 1)
    if dense and w.shape[3] <= _FEW_CHANNELS and math.prod(geometry.kernel) <= _FEW_TAPS:
        return _t_by_taps(x, turn(w), geometry=_turned(geometry))
    return plain_c(x, w, geometry=geometry)


def fast_t(y: Array, w: Array, *, geometry: Geometry) -> Array:
    """Computes T(y, w) by the fastest of the forms below.

    Args:
        y: Outputs [B, H', W', F].
        w: Kernel, HWIO, turned if the geometry says so.
        geometry: Shapes and options of the convolution.
    """
    if geometry.dilation != (1, 1):
        return convolution_dilated.t(fast_t, y, w, geometry=geometry)
    if depthwise.fits(w.shape[2] * geometry.groups, geometry):
        return depthwise.t(y, w, geometry=geometry)
    if geometry.groups > 1:
        return by_group(fast_t, y, w, geometry)
    if convolution_matmul.pay(y.shape[0], w.shape[2:], geometry):
        return convolution_matmul.t(y, w, geometry=geometry)
    if geometry.turned:
        return fast_t(y, turn(w), geometry=geometry._replace(turned=False))
    if w.shape[2] <= _FEW_CHANNELS and w.shape[3] >= 16:
        return _t_by_taps(y, w, geometry=geometry)
    if geometry.strides == (1, 1):
        return _stride_one(y, turn(w), _turned(geometry).padding)
    return _t_by_blocks(y, w, geometry=geometry)


def by_group(form: Callable[..., Array], a: Array, b: Array, geometry: Geometry) -> Array:
    """Applies the form to each group alone; the last axis of all three arrays holds the groups."""
    # The forms know no groups, so every group is a convolution of its own.
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
    """Returns the geometry of the stride-1 convolution that maps outputs to images."""
    (top, bottom), (left, right) = geometry.padding
    high, wide = (taps - 1 for taps in geometry.kernel)
    return geometry._replace(
        image=geometry.output, padding=((high - top, high - bottom), (wide - left, wide - right))
    )


def _t_by_blocks(y: Array, w: Array, *, geometry: Geometry) -> Array:
    """Computes T by one stride-1 convolution to (strides x channels), depth-to-space and a crop.

    XLA's own T multiplies by the zeros that it inserts between outputs. This form has none.
    """
    # Output position m adds its taps to the block of `strides` pixels at m and to the next `reach`
    # - 1 blocks. So block n is a stride-1 convolution over the outputs n - reach + 1 ... n, by the
    # blocks of the kernel in reverse order. The stride * stride pixels of a block are channels.
    w = _by_block(w, geometry)[::-1, ::-1].transpose(0, 1, 5, 2, 3, 4)
    reach_h, reach_w, features = w.shape[:3]
    w = w.reshape(reach_h, reach_w, features, -1)
    z = _stride_one(y, w, ((reach_h - 1, reach_h - 1), (reach_w - 1, reach_w - 1)))
    return _depth_to_space(z, geometry)


def _t_by_taps(y: Array, w: Array, *, geometry: Geometry) -> Array:
    """Computes T to images of few channels: one product to all taps, which are then added."""
    w = _by_block(w, geometry)
    reach_h, reach_w = w.shape[:2]
    # z holds, per output position, the contribution to every pixel of every block that it reaches.
    # Below they are shifted and added, which XLA fuses into one loop.
    z = jnp.einsum("nhwf,pf->nhwp", y, w.reshape(-1, w.shape[-1]))
    z = z.reshape(*y.shape[:3], reach_h, reach_w, -1)
    total = jnp.zeros((), y.dtype)
    for row in range(reach_h):
        for column in range(reach_w):
            margins = ((row, reach_h - 1 - row), (column, reach_w - 1 - column))
            total = total + jnp.pad(z[:, :, :, row, column], ((0, 0), *margins, (0, 0)))
    return _depth_to_space(total, geometry)


def _by_block(w: Array, geometry: Geometry) -> Array:
    """Returns the kernel as [h, w, stride, stride, C, F], padded with zeros to whole blocks.

    The first two axes are the block of pixels that a tap meets, the next two the pixel in the
    block.
    """
    (taps_h, taps_w), (stride_h, stride_w) = geometry.kernel, geometry.strides
    reach_h, reach_w = -(-taps_h // stride_h), -(-taps_w // stride_w)
    extra_h, extra_w = reach_h * stride_h - taps_h, reach_w * stride_w - taps_w
    w = jnp.pad(w, ((0, extra_h), (0, extra_w), (0, 0), (0, 0)))
    w = w.reshape(reach_h, stride_h, reach_w, stride_w, *w.shape[2:])
    return w.transpose(0, 2, 1, 3, 4, 5)


def _depth_to_space(z: Array, geometry: Geometry) -> Array:
    """Returns the blocks [B, h, w, strides x C] laid out as an image, and cropped."""
    stride_h, stride_w = geometry.strides
    count, blocks_h, blocks_w, depth = z.shape
    channels = depth // (stride_h * stride_w)
    z = z.reshape(count, blocks_h, blocks_w, stride_h, stride_w, channels)
    z = z.transpose(0, 1, 3, 2, 4, 5)
    z = z.reshape(count, blocks_h * stride_h, blocks_w * stride_w, channels)
    return _window(z, geometry)


def _window(z: Array, geometry: Geometry) -> Array:
    """Returns the part of the padded image that is the image itself.

    Rows and columns that no output reached are zero.
    """
    config = [(0, 0, 0)]
    # Negative numbers crop: what lies in the padding is cut off, what is missing is filled up.
    for size, (before, _), have in zip(geometry.image, geometry.padding, z.shape[1:3], strict=True):
        config.append((-before, before + size - have, 0))
    return lax.pad(z, jnp.zeros((), z.dtype), [*config, (0, 0, 0)])


def fast_k(x: Array, y: Array, *, geometry: Geometry) -> Array:
    """Computes K(x, y) as an explicit convolution over the batch, in pieces that fit the cache.

    Unlike the convolution that autodiff makes, it is as fast inside control flow as outside.

    Args:
        x: Images [B, H, W, C].
        y: Outputs (or their gradients) [B, H', W', F].
        geometry: Shapes and options of the convolution.
    """
    if geometry.dilation != (1, 1):
        return convolution_dilated.k(fast_k, x, y, geometry=geometry)
    if depthwise.fits(x.shape[3], geometry):
        return depthwise.k(x, y, geometry=geometry)
    if geometry.groups > 1:
        return by_group(fast_k, x, y, geometry)
    if convolution_matmul.pay(x.shape[0], (x.shape[3], y.shape[3]), geometry):
        return convolution_matmul.k(x, y, geometry=geometry)
    if geometry.turned:
        return turn(fast_k(x, y, geometry=geometry._replace(turned=False)))
    if x.shape[3] <= _FEW_CHANNELS and y.shape[3] >= 16:
        return _k_by_taps(x, y, geometry=geometry)
    # At stride 1, images and outputs can change places: it gives the gradient of the turned kernel.
    if y.shape[3] <= _FEW_CHANNELS and geometry.strides == (1, 1):
        return turn(_k_by_taps(y, x, geometry=_turned(geometry)))
    count = x.shape[0]
    pieces = _pieces(count, y.shape[1] * y.shape[2], geometry.devices)
    if pieces == 1:
        return _k_of_piece(x, y, geometry=geometry).astype(x.dtype)
    # Piece i holds the examples i, i + pieces, ... If the batch is split over devices, every piece
    # has examples of every shard, and no example has to move to another device.
    x = x.reshape(count // pieces, pieces, *x.shape[1:])
    y = y.reshape(count // pieces, pieces, *y.shape[1:])
    total = _k_of_piece(x[:, 0], y[:, 0], geometry=geometry)
    for index in range(1, pieces):
        total = total + _k_of_piece(x[:, index], y[:, index], geometry=geometry)
    return total.astype(x.dtype)


def _pieces(count: int, pixels: int, devices: int) -> int:
    """Returns the number of pieces of a batch; each has equally many examples per device."""
    rows = count // devices if count % devices == 0 else count
    # `rows` examples lie on one device. The number of pieces is a power of two that divides them.
    if rows * pixels < _SPLIT_FROM:
        return 1
    pieces = math.gcd(rows, 1 << round(math.log2(rows * pixels / _PIECE)))
    return min(pieces, _MOST_PIECES)


def _k_of_piece(x: Array, y: Array, *, geometry: Geometry) -> Array:
    """Computes K of one piece in float32 or wider, as rounding errors of pieces would add up."""
    # The same sum as a forward convolution. The batch takes the place of the input channels, over
    # which a convolution contracts. The channels of x are its batch, and y its kernel, dilated by
    # the strides. Both are transposed to NHWC and HWIO first, which is fast everywhere. If the
    # strides leave a remainder of the image, the result has more taps than the kernel.
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
    """Computes K for images of few channels: all shifted inputs, and one matrix product."""
    (taps_h, taps_w), (stride_h, stride_w) = geometry.kernel, geometry.strides
    height, width = y.shape[1:3]
    channels, count = x.shape[3], x.shape[0]
    # Channels first: each shifted image is then one contiguous block of the product's left operand,
    # whose rows are the (tap, channel) pairs and whose columns are the positions of the batch.
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
