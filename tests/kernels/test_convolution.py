"""The convolutions equal XLA's own, in every derivative and under every transformation."""

from __future__ import annotations

from functools import partial

import convolutions
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from jax import lax

from jaxgan.kernels import convolution

CASES = convolutions.CASES
SMALL = CASES["odd size"]._replace(kernel=(3, 2))

every_map = pytest.mark.parametrize("name", convolutions.MAPS)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_convolution_equals_xlas_own_in_every_derivative(case):
    convolutions.assert_equals_xlas_own("convolution", case, convolutions.every)


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
    convolutions.assert_equals_xlas_own("transposed", CASES[name], convolutions.every)


@pytest.mark.parametrize(
    ("strides", "padding", "dilation", "groups"),
    [(2, "SAME", 1, 1), (1, [(4, 0)], 2, 2)],
)
def test_a_convolution_of_series_equals_xlas_own_in_every_derivative(
    strides, padding, dilation, groups
):
    def xla(x, w):
        return lax.conv_general_dilated(
            x,
            w,
            (strides,),
            padding,
            rhs_dilation=(dilation,),
            dimension_numbers=("NWC", "WIO", "NWC"),
            feature_group_count=groups,
        )

    options = {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}
    ours = partial(convolution.conv, implementation="fast", **options)
    draws = np.random.default_rng(0)
    x, w = draws.normal(size=(2, 13, 4)), draws.normal(size=(3, 4 // groups, 6))
    with jax.enable_x64(True):
        convolutions.assert_close(*convolutions.both(convolutions.every, ours, xla, x, w), 1e-10)


@pytest.mark.parametrize("padding", ["SAME", "VALID", [(1, 2)]])
def test_a_transposed_convolution_of_series_is_that_of_one_row(padding):
    draws = np.random.default_rng(0)
    y, w = draws.normal(size=(2, 5, 3)), draws.normal(size=(4, 3, 2))
    rows = padding if isinstance(padding, str) else [(0, 0), *padding]
    series = convolution.conv_transpose(y, w, strides=2, padding=padding)
    of_rows = convolution.conv_transpose(y[:, None], w[None], strides=(1, 2), padding=rows)
    np.testing.assert_array_equal(series, of_rows[:, 0])


def test_options_of_another_number_of_axes_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 2\) has 2 entries; expected 1, one for each axis"):
        convolution.conv(jnp.zeros((1, 8, 3)), jnp.zeros((3, 3, 4)), strides=(2, 2))


@settings(max_examples=16)
@given(convolutions.geometries(groups=(1, 1, 2)))
def test_any_convolution_equals_xlas_own(case):
    convolutions.assert_equals_xlas_own("convolution", case, convolutions.first)


@settings(max_examples=6)
@given(convolutions.geometries(groups=(2, 3, 5), inputs=(1,)))
def test_any_depthwise_convolution_equals_xlas_own_in_every_derivative(case):
    convolutions.assert_equals_xlas_own("convolution", case, convolutions.every)


@settings(max_examples=10)
@given(convolutions.geometries())
def test_any_transposed_convolution_equals_xlas_own(case):
    convolutions.assert_equals_xlas_own("transposed", case, convolutions.first)


@pytest.mark.slow
@settings(max_examples=100)
@given(
    convolutions.geometries(groups=(1, 2, 3)),
    convolutions.geometries(groups=(2, 3), inputs=(1,)),
    convolutions.geometries(),
)
def test_a_hundred_of_each_equal_xlas_own(case, depthwise, transposed):
    convolutions.assert_equals_xlas_own("convolution", depthwise, convolutions.first)
    convolutions.assert_equals_xlas_own("convolution", case, convolutions.first)
    convolutions.assert_equals_xlas_own("transposed", transposed, convolutions.first)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 1e-2)])
@pytest.mark.parametrize("name", ["few channels to many", "long contraction", "depthwise"])
def test_lower_precisions_equal_xlas_own(name, dtype, tolerance):
    mine, theirs, make = convolutions.MAPS["convolution"]
    a, b = (jnp.asarray(v, dtype) for v in make(CASES[name]))
    pair = mine(CASES[name]), theirs(CASES[name])
    actual, expected = convolutions.both(convolutions.every, *pair, a, b)
    assert {leaf.dtype for leaf in jax.tree.leaves(actual)} == {jnp.dtype(dtype)}
    convolutions.assert_close(actual, expected, tolerance)


def test_pieces_of_a_kernel_gradient_are_not_rounded_one_by_one():
    case = CASES["long contraction"]._replace(count=64)
    mine, theirs, make = convolutions.MAPS["kernel gradient"]
    # Terms of one sign: their rounding does not cancel.
    x, y = (jnp.asarray(abs(v), jnp.bfloat16) for v in make(case))
    actual = jax.jit(mine(case))(x, y)
    with jax.enable_x64(True):
        exact = jax.jit(theirs(case))(*(np.asarray(v, np.float64) for v in (x, y)))
    half_a_digit = float(jnp.finfo(jnp.bfloat16).eps) / 2
    convolutions.assert_close(actual, exact, half_a_digit)


@pytest.mark.parametrize("mapped", [(1, None), (None, 1), (1, 1)], ids=["first", "second", "both"])
@pytest.mark.parametrize(
    ("name", "case"),
    [
        *((name, SMALL) for name in convolutions.MAPS),
        ("convolution", CASES["groups"]),
        ("kernel gradient", CASES["groups"]),
        ("convolution", CASES["depthwise"]),
        ("kernel gradient", CASES["depthwise"]),
    ],
)
def test_vmap_equals_xlas_own_for_either_operand(name, case, mapped):
    mine, theirs, make = convolutions.MAPS[name]
    pairs = [make(case, seed) for seed in range(3)]
    a, b = (
        np.stack(values, axis=1) if axis == 1 else values[0]
        for values, axis in zip(zip(*pairs, strict=True), mapped, strict=True)
    )
    with jax.enable_x64(True):
        over = [jax.vmap(function(case), in_axes=mapped) for function in (mine, theirs)]
        actual, expected = convolutions.both(convolutions.first, *over, a, b)
        convolutions.assert_close(actual, expected, 1e-10)


@pytest.mark.parametrize("wrap", [convolutions.in_scan, convolutions.in_cond, jax.checkpoint])
def test_control_flow_and_remat_leave_every_derivative_as_it_is(wrap):
    convolutions.assert_equals_xlas_own("transposed", SMALL, convolutions.every, wrap=wrap)


@every_map
def test_outside_jit_the_results_are_the_same(name):
    mine, _, make = convolutions.MAPS[name]
    a, b = (jnp.asarray(v, jnp.float32) for v in make(SMALL))

    def run(a, b):
        return convolutions.first(mine(SMALL), a, b)

    convolutions.assert_close(run(a, b), jax.jit(run)(a, b), 1e-6)


@pytest.mark.parametrize("implementation", ["auto", "xla"])
@every_map
def test_either_implementation_can_be_forced_and_both_agree(name, implementation):
    mine, _, make = convolutions.MAPS[name]
    pair = mine(SMALL, "fast"), mine(SMALL, implementation)
    with jax.enable_x64(True):
        convolutions.assert_close(
            *convolutions.both(convolutions.first, *pair, *make(SMALL)), 1e-10
        )
