"""The convolutions equal XLA's own, in values and in every derivative, under every transformation."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax
from jaxgan.nn import convolution

# What is tested is the program, not the compiler's optimiser, and so it compiles ten times faster.
QUICKLY = {"xla_backend_optimization_level": 0}


class Case(NamedTuple):
    image: tuple[int, int]
    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: Any = "SAME"
    channels: int = 3
    features: int = 4
    groups: int = 1
    count: int = 2


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
    "depthwise": Case((5, 4), (3, 3), channels=3, features=3, groups=3),
    "few channels to many": Case((8, 7), (3, 2), (2, 2), channels=3, features=16),
    "few channels, padding": Case((5, 5), (3, 3), (1, 1), ((2, 1), (0, 3)), 1, 17),
    "long contraction": Case((33, 32), (3, 3), (2, 2), channels=5, features=2, count=32),
}


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
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=case.groups,
        )

    return conv


def our_transpose(case: Case, implementation: str = "fast"):
    def conv_transpose(y, w):
        return convolution.conv_transpose(
            y,
            w,
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
    x, w = operands(case)
    y = jax.eval_shape(xla(case), x, w)
    return np.random.default_rng(seed + 1).normal(size=y.shape), w


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


def both(derivatives, left, right, *arguments) -> tuple[Any, Any]:
    """The derivatives of two functions, in one compiled program."""
    run = jax.jit(
        lambda *arguments: (derivatives(left, *arguments), derivatives(right, *arguments)),
        compiler_options=QUICKLY,
    )
    return run(*arguments)


def assert_close(actual, expected, tolerance: float) -> None:
    """Leaf by leaf, to the tolerance times the largest magnitude."""
    actual, expected = (jax.tree_util.tree_leaves_with_path(tree) for tree in (actual, expected))
    for (path, a), (_, b) in zip(actual, expected, strict=True):
        assert a.shape == b.shape
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        error, largest = np.max(np.abs(a - b)), np.max(np.abs(b))
        assert error <= tolerance * largest, f"{jax.tree_util.keystr(path)}: {error} of {largest}"


@pytest.mark.parametrize("name", CASES)
def test_a_convolution_equals_xlas_own_in_every_derivative(name):
    case = CASES[name]
    with jax.enable_x64(True):
        assert_close(*both(every, ours(case), xla(case), *operands(case)), 1e-10)


@pytest.mark.parametrize(
    "name", [name for name, case in CASES.items() if case.groups == 1]
)
def test_a_transposed_convolution_equals_xlas_own_in_every_derivative(name):
    case = CASES[name]
    with jax.enable_x64(True):
        pair = our_transpose(case), xla_transpose(case)
        assert_close(*both(every, *pair, *transposed_operands(case)), 1e-10)


@st.composite
def geometries(draw, groups=(1,)) -> Case:
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
        channels=draw(st.sampled_from([1, 3, 11])) * group,
        features=draw(st.sampled_from([1, 3, 17])) * group,
        groups=group,
        count=draw(st.integers(1, 3)),
    )


@settings(max_examples=25)
@given(geometries(groups=(1, 1, 2)))
def test_any_convolution_equals_xlas_own(case):
    with jax.enable_x64(True):
        assert_close(*both(first, ours(case), xla(case), *operands(case)), 1e-10)


@settings(max_examples=15)
@given(geometries())
def test_any_transposed_convolution_equals_xlas_own(case):
    with jax.enable_x64(True):
        pair = our_transpose(case), xla_transpose(case)
        assert_close(*both(first, *pair, *transposed_operands(case)), 1e-10)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["stride 2", "few channels to many", "long contraction"])
def test_lower_precision_stays_close_to_the_exact_result(name, dtype):
    case = CASES[name]
    a, b = (jnp.asarray(v, dtype) for v in operands(case))
    actual = jax.jit(lambda a, b: every(ours(case), a, b), compiler_options=QUICKLY)(a, b)
    assert {leaf.dtype for leaf in jax.tree.leaves(actual)} == {jnp.dtype(dtype)}
    with jax.enable_x64(True):
        exact = jax.jit(lambda a, b: every(xla(case), a, b), compiler_options=QUICKLY)(
            *(np.asarray(v, np.float64) for v in (a, b))
        )
    assert_close(actual, exact, {"float32": 1e-5, "bfloat16": 1e-2}[dtype])
