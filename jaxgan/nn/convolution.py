"""Convolutions that are fast on a CPU in every derivative, and XLA's own everywhere else.

A strided convolution C(x, w), its gradient for the input T(y, w) (the transposed convolution) and
its gradient for the kernel K(x, y) are three bilinear maps, and every derivative of each is made of
the other two. They are declared as three JAX primitives, so all transformations follow: reverse
over reverse (R1, WGAN-GP), forward mode, vmap, scan, remat.

On a CPU, XLA runs some of them (the gradients of strided and transposed convolutions, and any
kernel gradient inside control flow) far from the machine's speed; the lowering for 'cpu' writes the
same sums as convolutions that XLA does run fast. Other platforms get XLA's own. The choice falls
where XLA compiles, so a program exported for several platforms holds the right one for each. This
is the only file of the library that touches `jax.extend` and `jax.interpreters`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend import core as extend_core
from jax.interpreters import ad, batching, mlir

from jaxgan import parallel
from jaxgan.types import Array

Padding = str | int | Sequence[int | tuple[int, int]]
Pair = tuple[int, int]
Pads = tuple[Pair, Pair]

IMPLEMENTATIONS = ("auto", "fast", "xla")

# Below these sizes splitting the contraction of a kernel gradient gains nothing; a piece of about
# 1024 is best.
_SPLIT_FROM = 8192
_PIECE = 1024
_MOST_PIECES = 16


class Geometry(NamedTuple):
    """What C, T and K of one convolution share: static and hashable."""

    image: Pair
    kernel: Pair
    strides: Pair
    padding: Pads
    groups: int
    implementation: str
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


# --- XLA's own: the definition of the three maps --------------------------------------------------

_NHWC = ("NHWC", "HWIO", "NHWC")


def _stride_one(x: Array, w: Array, padding: Any, **options: Any) -> Array:
    return lax.conv_general_dilated(x, w, (1, 1), padding, dimension_numbers=_NHWC, **options)


def _plain_c(x: Array, w: Array, *, geometry: Geometry) -> Array:
    return lax.conv_general_dilated(
        x,
        w,
        geometry.strides,
        geometry.padding,
        dimension_numbers=_NHWC,
        feature_group_count=geometry.groups,
    )


def _plain_t(y: Array, w: Array, *, geometry: Geometry) -> Array:
    channels = w.shape[2] * geometry.groups
    x = jax.ShapeDtypeStruct((y.shape[0], *geometry.image, channels), y.dtype)
    return jax.linear_transpose(lambda x: _plain_c(x, w, geometry=geometry), x)(y)[0]


def _plain_k(x: Array, y: Array, *, geometry: Geometry) -> Array:
    shape = (*geometry.kernel, x.shape[3] // geometry.groups, y.shape[3])
    w = jax.ShapeDtypeStruct(shape, x.dtype)
    return jax.linear_transpose(lambda w: _plain_c(x, w, geometry=geometry), w)(y)[0]


# --- the same sums in forms that XLA runs fast on a CPU -------------------------------------------


def _fast_t(y: Array, w: Array, *, geometry: Geometry) -> Array:
    """One stride-1 convolution to (strides x channels), depth to space, crop: no multiplication by
    inserted zeros.
    """
    if geometry.groups > 1:
        return _plain_t(y, w, geometry=geometry)
    (taps_h, taps_w), (stride_h, stride_w) = geometry.kernel, geometry.strides
    channels, features = w.shape[2], w.shape[3]
    reach_h, reach_w = -(-taps_h // stride_h), -(-taps_w // stride_w)
    extra_h, extra_w = reach_h * stride_h - taps_h, reach_w * stride_w - taps_w
    w = jnp.pad(w, ((0, extra_h), (0, extra_w), (0, 0), (0, 0)))
    w = w.reshape(reach_h, stride_h, reach_w, stride_w, channels, features)[::-1, :, ::-1]
    w = w.transpose(0, 2, 5, 1, 3, 4)
    w = w.reshape(reach_h, reach_w, features, stride_h * stride_w * channels)
    z = _stride_one(y, w, ((reach_h - 1, reach_h - 1), (reach_w - 1, reach_w - 1)))
    count, blocks_h, blocks_w, _ = z.shape
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


def _fast_k(x: Array, y: Array, *, geometry: Geometry) -> Array:
    """An explicit convolution over the batch, which is as fast inside control flow as outside, in
    pieces that fit the cache.
    """
    if geometry.groups > 1:
        return _plain_k(x, y, geometry=geometry)
    if x.shape[3] <= 4 and y.shape[3] >= 16:
        return _k_by_taps(x, y, geometry=geometry)
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
    """For images of few channels: the shifted inputs side by side, and one matrix product."""
    (taps_h, taps_w), (stride_h, stride_w) = geometry.kernel, geometry.strides
    height, width = y.shape[1:3]
    config = [(0, 0, 0), *((b, a, 0) for b, a in geometry.padding), (0, 0, 0)]
    padded = lax.pad(x, jnp.zeros((), x.dtype), config)
    shifted = [
        lax.slice(
            padded,
            (0, row, column, 0),
            (
                x.shape[0],
                row + (height - 1) * stride_h + 1,
                column + (width - 1) * stride_w + 1,
                x.shape[3],
            ),
            (1, stride_h, stride_w, 1),
        )
        for row in range(taps_h)
        for column in range(taps_w)
    ]
    patches = jnp.concatenate(shifted, axis=3)
    w = jnp.einsum("nhwp,nhwf->pf", patches, y)
    return w.reshape(taps_h, taps_w, x.shape[3], y.shape[3])


# --- the primitives -------------------------------------------------------------------------------


def _lowering(fast: Callable[..., Array], plain: Callable[..., Array], platform_default: str):
    def rule(context: mlir.LoweringRuleContext, a: Any, b: Any, *, geometry: Geometry) -> Any:
        wanted = geometry.implementation
        choice = platform_default if wanted == "auto" else wanted
        lower = mlir.lower_fun(fast if choice == "fast" else plain, multiple_results=False)
        return lower(context, a, b, geometry=geometry._replace(devices=_devices(context)))

    return rule


def _devices(context: mlir.LoweringRuleContext) -> int:
    """The devices that XLA spreads the program over; 1 inside shard_map, which shows one shard."""
    spread = context.module_context.axis_context
    return spread.num_devices if isinstance(spread, mlir.ShardingContext) else 1


def _primitive(name: str, fast: Callable[..., Array], plain: Callable[..., Array]) -> Any:
    primitive = extend_core.Primitive(name)

    @functools.partial(jax.jit, static_argnames=("geometry",))
    def run(a: Array, b: Array, *, geometry: Geometry) -> Array:
        return primitive.bind(a, b, geometry=geometry)

    def abstract(a: Any, b: Any, *, geometry: Geometry) -> Any:
        shapes = [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in (a, b)]
        result = jax.eval_shape(functools.partial(plain, geometry=geometry), *shapes)
        # An update of `a` keeps its manual axes, which `_align` made those of `b` too.
        return a.update(shape=result.shape, dtype=result.dtype, weak_type=False)

    primitive.def_impl(run)
    primitive.def_abstract_eval(abstract)
    for platform, default in ((None, "xla"), ("cpu", "fast")):
        mlir.register_lowering(primitive, _lowering(fast, plain, default), platform=platform)
    return primitive


_C = _primitive("jaxgan_conv", _plain_c, _plain_c)
_T = _primitive("jaxgan_conv_input_gradient", _fast_t, _plain_t)
_K = _primitive("jaxgan_conv_kernel_gradient", _fast_k, _plain_k)


def _bind(primitive: Any, a: Array, b: Array, geometry: Geometry) -> Array:
    a, b = _align(a, b)
    return primitive.bind(a, b, geometry=geometry)


def _align(a: Array, b: Array) -> tuple[Array, Array]:
    """Both operands marked as varying over the same mesh axes, as shard_map's typing asks of one
    operation.
    """
    axes = parallel.varying_axes(a) | parallel.varying_axes(b)
    for axis in axes:
        a, b = parallel.vary((a, b), axis)
    return a, b


ad.defbilinear(
    _C,
    lambda g, x, w, *, geometry: _bind(_T, g, w, geometry),
    lambda g, x, w, *, geometry: _bind(_K, x, g, geometry),
)
ad.defbilinear(
    _T,
    lambda g, y, w, *, geometry: _bind(_C, g, w, geometry),
    lambda g, y, w, *, geometry: _bind(_K, g, y, geometry),
)
ad.defbilinear(
    _K,
    lambda g, x, y, *, geometry: _bind(_T, y, g, geometry),
    lambda g, x, y, *, geometry: _bind(_C, x, g, geometry),
)


# --- vmap -----------------------------------------------------------------------------------------

# A batched operand is folded into an axis that the maps already have, so derivatives stay fast.
# For each map: where a batch of its first or second operand goes, as (operand's axis, result's
# axis).
_FOLDS = {
    _C: ((0, 0), (3, 3)),
    _T: ((0, 0), (2, 3)),
    _K: ((3, 2), (3, 3)),
}


def _batched(primitive: Any) -> Callable[..., Any]:
    def rule(operands: Sequence[Array], dims: Sequence[Any], *, geometry: Geometry) -> Any:
        mapped = [i for i in (0, 1) if dims[i] is not None]
        moved = [
            jnp.moveaxis(v, d, 0) if d is not None else v
            for v, d in zip(operands, dims, strict=True)
        ]
        into_batch = _FOLDS[primitive][mapped[0]][0] == 0
        if len(mapped) == 1 and (geometry.groups == 1 or into_batch):
            return _folded(primitive, moved, mapped[0], geometry), 0
        size = moved[mapped[0]].shape[0]
        full = [
            v if i in mapped else jnp.broadcast_to(v, (size, *v.shape)) for i, v in enumerate(moved)
        ]
        return lax.map(lambda pair: _bind(primitive, pair[0], pair[1], geometry), tuple(full)), 0

    return rule


def _folded(primitive: Any, operands: list[Array], which: int, geometry: Geometry) -> Array:
    source, target = _FOLDS[primitive][which]
    batched = jnp.moveaxis(operands[which], 0, source)
    size = batched.shape[source]
    shape = batched.shape
    folded = batched.reshape(*shape[:source], size * shape[source + 1], *shape[source + 2 :])
    pair = [folded if i == which else v for i, v in enumerate(operands)]
    result = _bind(primitive, pair[0], pair[1], geometry)
    shape = result.shape
    result = result.reshape(*shape[:target], size, shape[target] // size, *shape[target + 1 :])
    return jnp.moveaxis(result, target, 0)


for _each in (_C, _T, _K):
    batching.primitive_batchers[_each] = _batched(_each)


# --- the functions models use ---------------------------------------------------------------------


def conv(
    x: Array,
    w: Array,
    *,
    strides: int | tuple[int, int] = 1,
    padding: Padding = "SAME",
    groups: int = 1,
    implementation: str = "auto",
) -> Array:
    """Images x [B, H, W, C] convolved with a kernel w [kh, kw, C / groups, F]: [B, H', W', F].

    `padding` is 'SAME', 'VALID' or explicit, as in `lax.conv_general_dilated`. `implementation` is
    'auto' (by platform), 'fast' or 'xla'. Equal to `lax.conv_general_dilated` in values and in all
    derivatives. Raises ValueError on another implementation, where the channels do not fit, or
    where the kernel is larger than the padded images.
    """
    strides = pair(strides)
    taps = pair(w.shape[:2])
    if x.shape[3] != w.shape[2] * groups:
        raise ValueError(
            f"images of {x.shape[3]} channels do not fit a kernel of {w.shape[2]} x {groups} groups"
        )
    geometry = Geometry(
        image=pair(x.shape[1:3]),
        kernel=taps,
        strides=strides,
        padding=_explicit(padding, x.shape[1:3], taps, strides),
        groups=groups,
        implementation=_known(implementation),
    )
    if min(geometry.output) < 1:
        raise ValueError(
            f"a kernel of {taps} does not fit into images of {geometry.image} "
            f"padded by {geometry.padding}"
        )
    return _bind(_C, x, w, geometry)


def conv_transpose(
    y: Array,
    w: Array,
    *,
    strides: int | tuple[int, int] = 2,
    padding: Padding = "SAME",
    output: tuple[int, int] | None = None,
    implementation: str = "auto",
) -> Array:
    """The transposed convolution of y [B, H, W, F] by w [kh, kw, C, F], [B, H', W', C]: the input
    gradient of `conv`.

    'SAME' gives H' = H * stride, 'VALID' H' = (H - 1) * stride + kernel, explicit padding crops the
    latter; `output` fixes (H', W') where a size among those that `conv` maps to H is wanted. This
    is the fractionally strided convolution of Radford et al. 2016. Raises ValueError where `conv`
    would not map that output to y's size, or where the channels do not fit.
    """
    strides, taps = pair(strides), pair(w.shape[:2])
    if y.shape[3] != w.shape[3]:
        raise ValueError(
            f"an input of {y.shape[3]} channels does not fit a kernel to {w.shape[3]} channels"
        )
    sizes = list(zip(y.shape[1:3], strides, taps, strict=True))
    if output is not None:
        image = pair(output)
    elif padding == "SAME":
        image = pair([size * stride for size, stride, _ in sizes])
    else:
        pads = _explicit(padding, (0, 0), taps, strides)
        image = pair(
            [
                (size - 1) * stride + k - sum(pad)
                for (size, stride, k), pad in zip(sizes, pads, strict=True)
            ]
        )
    geometry = Geometry(
        image=image,
        kernel=taps,
        strides=strides,
        padding=_explicit(padding, image, taps, strides),
        groups=1,
        implementation=_known(implementation),
    )
    if min(image) < 1:
        raise ValueError(f"padding by {geometry.padding} leaves nothing: an output of {image}")
    if geometry.output != tuple(y.shape[1:3]):
        raise ValueError(
            f"a transposed convolution to {image} starts from {geometry.output}, "
            f"not from {y.shape[1:3]}"
        )
    return _bind(_T, y, w, geometry)


def _explicit(
    padding: Padding, image: Sequence[int], taps: Sequence[int], strides: Sequence[int]
) -> Pads:
    if isinstance(padding, str):
        low, high = lax.padtype_to_pads(image, taps, strides, padding)
        return pair(low), pair(high)
    return explicit_padding(padding)


def explicit_padding(padding: int | Sequence[int | tuple[int, int]]) -> Pads:
    """((top, bottom), (left, right)) from a number, a pair of numbers, or pairs."""
    if isinstance(padding, int):
        padding = (padding, padding)
    low, high = padding
    return pair(low), pair(high)


def pair(value: int | Sequence[int]) -> Pair:
    """(height, width) from one number for both, or from two."""
    if isinstance(value, int):
        return value, value
    first, second = value
    return first, second


def _known(implementation: str) -> str:
    if implementation not in IMPLEMENTATIONS:
        raise ValueError(
            f"the implementation is {implementation!r}; "
            f"expected one of {', '.join(IMPLEMENTATIONS)}"
        )
    return implementation
