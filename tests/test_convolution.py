"""The convolutions equal XLA's own, in every derivative and under every transformation."""

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
    x, w = operands(case, seed)
    y = jax.eval_shape(xla(case), x, w)
    return np.random.default_rng(seed + 1).normal(size=y.shape), w


def kernel_gradient(convolve, case: Case):
    """The gradient of <y, convolve(x, w)> for w, as a function of x and y."""

    def gradient(x, y):
        shape = (*case.kernel, case.channels // case.groups, case.features)
        return jax.linear_transpose(lambda w: convolve(x, w), jnp.zeros(shape, x.dtype))(y)[0]

    return gradient


def kernel_gradient_operands(case: Case, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return operands(case, seed)[0], transposed_operands(case, seed)[0]


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
        lambda *arguments: (derivatives(left, *arguments), derivatives(right, *arguments))
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
    "name",
    [
        "odd size",
        "stride 3, rows never reached",
        "mixed strides, asymmetric padding",
        "kernel below the stride",
        "cropped by negative padding",
        "few channels to many",
        "long contraction",
    ],
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


def assert_convolution_is_xlas_own(case: Case) -> None:
    with jax.enable_x64(True):
        assert_close(*both(first, ours(case), xla(case), *operands(case)), 1e-10)


def assert_transposed_convolution_is_xlas_own(case: Case) -> None:
    with jax.enable_x64(True):
        pair = our_transpose(case), xla_transpose(case)
        assert_close(*both(first, *pair, *transposed_operands(case)), 1e-10)


@settings(max_examples=16)
@given(geometries(groups=(1, 1, 2)))
def test_any_convolution_equals_xlas_own(case):
    assert_convolution_is_xlas_own(case)


@settings(max_examples=10)
@given(geometries())
def test_any_transposed_convolution_equals_xlas_own(case):
    assert_transposed_convolution_is_xlas_own(case)


@pytest.mark.slow
@settings(max_examples=100)
@given(geometries(groups=(1, 2, 3)), geometries())
def test_a_hundred_of_either_equal_xlas_own(case, transposed):
    assert_convolution_is_xlas_own(case)
    assert_transposed_convolution_is_xlas_own(transposed)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 1e-2)])
@pytest.mark.parametrize("name", ["few channels to many", "long contraction"])
def test_lower_precisions_equal_xlas_own(name, dtype, tolerance):
    case = CASES[name]
    a, b = (jnp.asarray(v, dtype) for v in operands(case))
    actual, expected = both(every, ours(case), xla(case), a, b)
    assert {leaf.dtype for leaf in jax.tree.leaves(actual)} == {jnp.dtype(dtype)}
    assert_close(actual, expected, tolerance)


def test_pieces_of_a_kernel_gradient_are_not_rounded_one_by_one():
    case = CASES["long contraction"]
    maps = [kernel_gradient(f, case) for f in (ours(case), xla(case))]
    # Terms of one sign: their rounding does not cancel.
    x, y = (jnp.asarray(abs(v), jnp.bfloat16) for v in kernel_gradient_operands(case))
    actual = jax.jit(maps[0])(x, y)
    with jax.enable_x64(True):
        exact = jax.jit(maps[1])(*(np.asarray(v, np.float64) for v in (x, y)))
    half_a_digit = float(jnp.finfo(jnp.bfloat16).eps) / 2
    assert_close(actual, exact, half_a_digit)


MAPS = {
    "convolution": (ours, xla, operands),
    "transposed": (our_transpose, xla_transpose, transposed_operands),
    "kernel gradient": (
        lambda case: kernel_gradient(ours(case), case),
        lambda case: kernel_gradient(xla(case), case),
        kernel_gradient_operands,
    ),
}
SMALL = CASES["odd size"]._replace(kernel=(3, 2))


@pytest.mark.parametrize("mapped", [(1, None), (None, 1), (1, 1)], ids=["first", "second", "both"])
@pytest.mark.parametrize(
    ("name", "case"),
    [
        *((name, SMALL) for name in MAPS),
        ("convolution", CASES["groups"]),
        ("kernel gradient", CASES["groups"]),
    ],
)
def test_vmap_equals_xlas_own_for_either_operand(name, case, mapped):
    mine, theirs, make = MAPS[name]
    pairs = [make(case, seed) for seed in range(3)]
    a, b = (
        np.stack(values, axis=1) if axis == 1 else values[0]
        for values, axis in zip(zip(*pairs, strict=True), mapped, strict=True)
    )
    with jax.enable_x64(True):
        over = [jax.vmap(function(case), in_axes=mapped) for function in (mine, theirs)]
        assert_close(*both(first, *over, a, b), 1e-10)


def in_scan(function):
    """The function of each example in turn."""
    return lambda a, b: lax.scan(lambda _, one: (None, function(one[None], b)[0]), None, a)[1]


def in_cond(function):
    return lambda a, b: lax.cond(
        jnp.sum(a) < jnp.inf, function, lambda a, b: function(2 * a, b), a, b
    )


@pytest.mark.parametrize("wrap", [in_scan, in_cond, jax.checkpoint])
@pytest.mark.parametrize("name", ["convolution", "transposed"])
def test_control_flow_and_remat_leave_every_derivative_as_it_is(name, wrap):
    mine, theirs, make = MAPS[name]
    with jax.enable_x64(True):
        assert_close(*both(every, wrap(mine(SMALL)), theirs(SMALL), *make(SMALL)), 1e-10)


@pytest.mark.parametrize("name", MAPS)
def test_outside_jit_the_results_are_the_same(name):
    mine, _, make = MAPS[name]
    a, b = (jnp.asarray(v, jnp.float32) for v in make(SMALL))
    assert_close(
        first(mine(SMALL), a, b), jax.jit(lambda a, b: first(mine(SMALL), a, b))(a, b), 1e-6
    )


@pytest.mark.parametrize("name", MAPS)
def test_either_implementation_can_be_forced_and_both_agree(name):
    forced = {
        "convolution": lambda how: ours(SMALL, how),
        "transposed": lambda how: our_transpose(SMALL, how),
        "kernel gradient": lambda how: kernel_gradient(ours(SMALL, how), SMALL),
    }[name]
    a, b = MAPS[name][2](SMALL)
    with jax.enable_x64(True):
        expected = forced("auto")
        for how in ("fast", "xla"):
            assert_close(*both(first, forced(how), expected, a, b), 1e-10)
