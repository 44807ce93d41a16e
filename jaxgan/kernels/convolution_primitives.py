"""The maps C, T and K (see `convolution_geometry`) as JAX primitives.

Each map is bilinear, and its derivatives are the other two maps. So every transformation works and
stays fast: reverse over reverse (R1, WGAN-GP), forward mode, vmap, scan and remat. (`custom_vjp`
would have no forward mode.) The lowering for 'cpu' takes the fast forms, all others take XLA's own.
The choice is made in the lowering, so a program that is exported for several platforms has the
right form for each. oneDNN (`convolution_onednn`) is taken where it is asked for, by the lowering
for 'cpu', unless the program is exported or XLA splits it over several devices: it can neither
serialize nor split such a call.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.extend import core as extend_core
from jax.interpreters import ad, batching, mlir

from jaxgan import collectives
from jaxgan.kernels import convolution_onednn
from jaxgan.kernels.convolution_cpu import fast_c, fast_k, fast_t
from jaxgan.kernels.convolution_geometry import Geometry, plain_c, plain_k, plain_t, said_precision

ASKED = jax.make_user_context("auto")
"""The implementation that convolutions traced in a block take if they are not told another, as a
context manager that is part of the keys of jit's caches."""

Forms = dict[str, Callable[..., Array]]


def _lowering(forms: Forms, auto: str):
    """Returns the lowering rule of a platform.

    Args:
        forms: The implementations of the map by name.
        auto: The platform's own: taken where none is asked for, and where oneDNN cannot be used.
    """

    def rule(context: mlir.LoweringRuleContext, a: Any, b: Any, *, geometry: Geometry) -> Any:
        devices = _devices(context)
        choice = geometry.implementation
        no_onednn = auto != "fast" or devices > 1 or _exported(context)
        if choice == "auto" or (choice == "onednn" and no_onednn):
            choice = auto
        lower = mlir.lower_fun(forms[choice], multiple_results=False)
        located = geometry._replace(devices=devices)
        # The block of `jax.default_matmul_precision` held where the convolution was traced. It has
        # ended when the program is lowered, so its precision is restored from the geometry.
        with jax.default_matmul_precision(geometry.precision or said_precision()):
            return lower(context, a, b, geometry=located)

    return rule


def _exported(context: mlir.LoweringRuleContext) -> bool:
    """Returns whether the program is made for jax.export, which refuses calls it does not know."""
    return context.module_context.lowering_parameters.for_export


def _devices(context: mlir.LoweringRuleContext) -> int:
    """Returns the number of devices that XLA splits the program over.

    It is 1 inside shard_map, whose body is the program of one shard.
    """
    spread = context.module_context.axis_context
    return spread.num_devices if isinstance(spread, mlir.ShardingContext) else 1


def _primitive(
    name: str,
    fast: Callable[..., Array],
    onednn: Callable[..., Array],
    plain: Callable[..., Array],
) -> Any:
    primitive = extend_core.Primitive(name)

    # Outside of a trace, every call goes through this one jitted function, whose cache keeps a
    # geometry from being compiled twice.
    @functools.partial(jax.jit, static_argnames=("geometry",))
    def run(a: Array, b: Array, *, geometry: Geometry) -> Array:
        return primitive.bind(a, b, geometry=geometry)

    def abstract(a: Any, b: Any, *, geometry: Geometry) -> Any:
        shapes = [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in (a, b)]
        result = jax.eval_shape(functools.partial(plain, geometry=geometry), *shapes)
        # `a.update` keeps the mesh axes over which a varies. `_align` has given them to b as well.
        return a.update(shape=result.shape, dtype=result.dtype, weak_type=False)

    primitive.def_impl(run)
    primitive.def_abstract_eval(abstract)
    forms = {"fast": fast, "onednn": onednn, "xla": plain}
    for platform, auto in ((None, "xla"), ("cpu", "fast")):
        mlir.register_lowering(primitive, _lowering(forms, auto), platform=platform)
    return primitive


C = _primitive("jaxgan_conv", fast_c, convolution_onednn.c, plain_c)
T = _primitive("jaxgan_conv_input_gradient", fast_t, convolution_onednn.t, plain_t)
K = _primitive("jaxgan_conv_kernel_gradient", fast_k, convolution_onednn.k, plain_k)


def bind(primitive: Any, a: Array, b: Array, geometry: Geometry) -> Array:
    """Returns the result of the primitive.

    Args:
        primitive: `C`, `T` or `K`.
        a: First operand: x of C and K, y of T.
        b: Second operand: w of C and T, y of K.
        geometry: Shapes and options of the convolution.
    """
    a, b = _align(a, b)
    return primitive.bind(a, b, geometry=geometry)


def _align(a: Array, b: Array) -> tuple[Array, Array]:
    """Returns both operands marked as varying over the same mesh axes, as shard_map requires."""
    axes = collectives.varying_axes(a) | collectives.varying_axes(b)
    for axis in axes:
        a, b = collectives.vary((a, b), axis)
    return a, b


ad.defbilinear(
    C,
    lambda g, x, w, *, geometry: bind(T, g, w, geometry),
    lambda g, x, w, *, geometry: bind(K, x, g, geometry),
)
ad.defbilinear(
    T,
    lambda g, y, w, *, geometry: bind(C, g, w, geometry),
    lambda g, y, w, *, geometry: bind(K, g, y, geometry),
)
ad.defbilinear(
    K,
    lambda g, x, y, *, geometry: bind(T, y, g, geometry),
    lambda g, x, y, *, geometry: bind(C, x, g, geometry),
)


# --- vmap -----------------------------------------------------------------------------------------

# The axis of vmap is folded into an axis that the map already has, and the primitive is bound
# again, so that derivatives of a vmap are fast too. A batch of images joins the batch. A batch of
# kernels joins the input or output channels, which are swapped in a turned kernel.


def _folds(primitive: Any, geometry: Geometry) -> tuple[tuple[int, int], tuple[int, int]]:
    """Returns where a batch of either operand is folded, as (operand's axis, result's axis)."""
    inputs, outputs = (3, 2) if geometry.turned else (2, 3)
    return {
        C: ((0, 0), (outputs, 3)),
        T: ((0, 0), (inputs, 3)),
        K: ((3, inputs), (3, outputs)),
    }[primitive]


def _batched(primitive: Any) -> Callable[..., Any]:
    def rule(operands: Sequence[Array], dims: Sequence[Any], *, geometry: Geometry) -> Any:
        mapped = [i for i in (0, 1) if dims[i] is not None]
        moved = [
            jnp.moveaxis(v, d, 0) if d is not None else v
            for v, d in zip(operands, dims, strict=True)
        ]
        into_batch = _folds(primitive, geometry)[mapped[0]][0] == 0
        if len(mapped) == 1 and (geometry.groups == 1 or into_batch):
            return _folded(primitive, moved, mapped[0], geometry), 0
        # Two batched operands, or a batch of grouped kernels, cannot be folded: they go through a
        # loop, in which the primitives are as fast as outside.
        size = moved[mapped[0]].shape[0]
        full = [
            v if i in mapped else jnp.broadcast_to(v, (size, *v.shape)) for i, v in enumerate(moved)
        ]
        return lax.map(lambda pair: bind(primitive, pair[0], pair[1], geometry), tuple(full)), 0

    return rule


def _folded(primitive: Any, operands: list[Array], which: int, geometry: Geometry) -> Array:
    source, target = _folds(primitive, geometry)[which]
    batched = jnp.moveaxis(operands[which], 0, source)
    size = batched.shape[source]
    shape = batched.shape
    folded = batched.reshape(*shape[:source], size * shape[source + 1], *shape[source + 2 :])
    pair = [folded if i == which else v for i, v in enumerate(operands)]
    result = bind(primitive, pair[0], pair[1], geometry)
    shape = result.shape
    result = result.reshape(*shape[:target], size, shape[target] // size, *shape[target + 1 :])
    return jnp.moveaxis(result, target, 0)


for _each in (C, T, K):
    batching.primitive_batchers[_each] = _batched(_each)
