"""Convolutions to compare: ours and XLA's own as functions of two arrays, and their derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from jax import lax

from jaxgan.kernels import convolution


class Case(NamedTuple):
    image: tuple[int, int]
    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: Any = "SAME"
    channels: int = 3
    features: int = 4
    groups: int = 1
    count: int = 2
    dilation: tuple[int, int] = (1, 1)


CASES = {
    "stride 1": Case((5, 6), (3, 3)),
    "stride 2": Case((8, 8), (4, 4), (2, 2)),
    "odd size": Case((7, 5), (5, 5), (2, 2)),
    "stride 3, rows never reached": Case((8, 9), (2, 3), (3, 3), "VALID", channels=11),
    "mixed strides, asymmetric padding": Case((6, 7), (3, 4), (1, 2), ((2, 0), (1, 3))),
    "kernel below the stride": Case((6, 6), (1, 1), (2, 2)),
    "kernel 7": Case((7, 7), (7, 7), (2, 2), ((3, 3), (3, 3)), channels=1, features=1),
    "cropped by negative padding": Case((8, 8), (3, 3), (2, 2), ((-1, 2), (0, -2))),
    "groups": Case((5, 5), (3, 3), (2, 2), channels=4, features=6, groups=2),
    "many groups": Case((5, 4), (3, 3), (2, 1), channels=34, features=17, groups=17),
    "depthwise": Case((5, 4), (3, 3), channels=3, features=3, groups=3),
    "depthwise, stride 2": Case((9, 8), (5, 3), (2, 2), channels=4, features=4, groups=4),
    "depthwise, odd pads": Case((6, 7), (3, 2), (3, 1), ((2, 0), (1, 3)), 2, 2, groups=2),
    "depthwise, below the stride": Case((6, 6), (1, 2), (2, 3), channels=3, features=3, groups=3),
    "depthwise, cropped": Case((8, 9), (3, 3), (2, 2), ((-1, 2), (0, -2)), 2, 2, groups=2),
    "depthwise, several outputs": Case((5, 6), (3, 3), (2, 1), channels=3, features=6, groups=3),
    "few channels to many": Case((8, 7), (3, 2), (2, 1), channels=3, features=16),
    "few channels, padding": Case((5, 5), (3, 3), (1, 1), ((2, 1), (0, 3)), 1, 17),
    "long contraction": Case((33, 32), (3, 3), (2, 2), channels=5, features=2, count=34),
    "fewer positions than channels": Case((4, 5), (4, 4), (2, 2), channels=14, features=13),
    "fewer positions, padding": Case((3, 3), (3, 2), (1, 2), ((2, 0), (0, 1)), 17, 16, count=1),
    "many channels to few": Case((6, 7), (5, 5), (1, 1), channels=64, features=3),
    "dilated": Case((7, 6), (3, 2), padding=((2, -1), (0, 3)), dilation=(2, 3)),
    "dilated, SAME": Case((5, 8), (1, 3), channels=4, features=4, groups=2, dilation=(1, 4)),
    "dilated, stride 2": Case((7, 6), (2, 3), (2, 2), dilation=(2, 2)),
}


@st.composite
def geometries(draw, groups=(1,), inputs=(1, 3, 11)) -> Case:
    """Any convolution that a GAN may hold, on images barely larger than the kernel reaches."""
    pairs = st.tuples
    kernel = draw(pairs(st.integers(1, 7), st.integers(1, 7)))
    end = pairs(st.integers(-1, 3), st.integers(-1, 3))
    padding = draw(st.sampled_from(["SAME", "VALID"]) | pairs(end, end))
    pads = ((0, 0), (0, 0)) if isinstance(padding, str) else padding
    reach = kernel if padding != "SAME" else (1, 1)
    least = [max(2, size - sum(pad)) for size, pad in zip(reach, pads, strict=True)]
    group = draw(st.sampled_from(groups))
    return Case(
        image=tuple(size + draw(st.integers(0, 5)) for size in least),
        kernel=kernel,
        strides=draw(pairs(st.integers(1, 3), st.integers(1, 3))),
        padding=padding,
        channels=draw(st.sampled_from(inputs)) * group,
        features=draw(st.sampled_from([1, 3, 17])) * group,
        groups=group,
        count=draw(st.integers(1, 3)),
    )


def operands(case: Case, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images and a kernel, N(0, 1) in float64."""
    draws = np.random.default_rng(seed)
    x = draws.normal(size=(case.count, *case.image, case.channels))
    w = draws.normal(size=(*case.kernel, case.channels // case.groups, case.features))
    return x, w


def ours(case: Case, implementation: str = "fast"):
    def conv(x, w):
        return convolution.conv(
            x,
            w,
            strides=case.strides,
            padding=case.padding,
            dilation=case.dilation,
            groups=case.groups,
            implementation=implementation,
        )

    return conv


def xla(case: Case):
    def conv(x, w):
        return lax.conv_general_dilated(
            x,
            w,
            case.strides,
            case.padding,
            rhs_dilation=case.dilation,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=case.groups,
        )

    return conv


def our_transpose(case: Case, implementation: str = "fast"):
    def conv_transpose(y, w):
        return convolution.conv_transpose(
            y,
            w[::-1, ::-1].swapaxes(2, 3),
            strides=case.strides,
            padding=case.padding,
            output=case.image,
            implementation=implementation,
        )

    return conv_transpose


def xla_transpose(case: Case):
    def conv_transpose(y, w):
        x = jax.ShapeDtypeStruct((y.shape[0], *case.image, w.shape[2]), y.dtype)
        return jax.linear_transpose(lambda x: xla(case)(x, w), x)(y)[0]

    return conv_transpose


def transposed_operands(case: Case, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """What the transposed convolution takes: an output of the convolution, and its kernel."""
    x, w = operands(case, seed)
    y = jax.eval_shape(xla(case), x, w)
    return np.random.default_rng(seed + 1).normal(size=y.shape), w


def gradient_for_the_kernel(convolve, case: Case):
    """The gradient of <y, convolve(x, w)> for w, as a function of x and y."""

    def gradient(x, y):
        shape = (*case.kernel, case.channels // case.groups, case.features)
        return jax.linear_transpose(lambda w: convolve(x, w), jnp.zeros(shape, x.dtype))(y)[0]

    return gradient


def our_kernel_gradient(case: Case, implementation: str = "fast"):
    return gradient_for_the_kernel(ours(case, implementation), case)


def xla_kernel_gradient(case: Case):
    return gradient_for_the_kernel(xla(case), case)


def kernel_gradient_operands(case: Case, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return operands(case, seed)[0], transposed_operands(case, seed)[0]


class Map(NamedTuple):
    """A bilinear map of a case: ours, XLA's own, and two arrays (by seed) for either."""

    ours: Callable[..., Any]
    xla: Callable[[Case], Any]
    operands: Callable[..., tuple[np.ndarray, np.ndarray]]


MAPS = {
    "convolution": Map(ours, xla, operands),
    "transposed": Map(our_transpose, xla_transpose, transposed_operands),
    "kernel gradient": Map(our_kernel_gradient, xla_kernel_gradient, kernel_gradient_operands),
}


def score(function):
    """A loss that is not linear in what the function returns, so that its second derivatives are
    not zero.
    """
    return lambda a, b: jnp.sum(function(a, b) ** 3) / 3


def first(function, a, b) -> dict[str, Any]:
    """The value, and the gradients for both operands."""
    return {
        "value": function(a, b),
        "gradients": jax.grad(score(function), (0, 1))(a, b),
    }


def second(function, a, b) -> dict[str, Any]:
    """Forward mode, forward over reverse, and the reverse over reverse of a gradient penalty."""
    directions = (jnp.sin(a), jnp.cos(b))

    def gradients(a, b):
        return jax.grad(score(function), (0, 1))(a, b)

    found, pullback = jax.vjp(gradients, a, b)
    return {
        "tangent": jax.jvp(function, (a, b), directions)[1],
        "tangent of the gradients": jax.jvp(gradients, (a, b), directions)[1],
        "gradients of the gradients' square": pullback(found),
    }


def every(function, a, b) -> dict[str, Any]:
    return {**first(function, a, b), **second(function, a, b)}


def in_scan(function):
    """The function of each example in turn."""
    return lambda a, b: lax.scan(lambda _, one: (None, function(one[None], b)[0]), None, a)[1]


def in_cond(function):
    """The function in the branch that is taken."""
    return lambda a, b: lax.cond(
        jnp.sum(a) < jnp.inf, function, lambda a, b: function(2 * a, b), a, b
    )


def both(derivatives, left, right, *arguments) -> tuple[Any, Any]:
    """The derivatives of two functions, in one compiled program."""

    @jax.jit
    def run(*arguments):
        return derivatives(left, *arguments), derivatives(right, *arguments)

    return run(*arguments)


def assert_close(actual, expected, tolerance: float) -> None:
    """Leaf by leaf, to the tolerance times the largest magnitude."""
    actual, expected = (jax.tree_util.tree_leaves_with_path(tree) for tree in (actual, expected))
    for (path, a), (_, b) in zip(actual, expected, strict=True):
        assert a.shape == b.shape
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        error, largest = np.max(np.abs(a - b)), np.max(np.abs(b))
        assert error <= tolerance * largest, f"{jax.tree_util.keystr(path)}: {error} of {largest}"


def same(function):
    return function


def assert_equals_xlas_own(
    name: str, case: Case, derivatives, *, wrap=same, implementation: str = "fast"
) -> None:
    """The map's derivatives, our function wrapped in a transformation.

    They are compared in float64, or in the float32 that oneDNN takes.
    """
    mine, theirs, make = MAPS[name]
    single = implementation == "onednn"
    with jax.enable_x64(not single):
        a, b = (jnp.asarray(v, jnp.float32) if single else v for v in make(case))
        pair = wrap(mine(case, implementation)), theirs(case)
        assert_close(*both(derivatives, *pair, a, b), 2e-5 if single else 1e-10)
