"""Winograd's algorithms are exact, and round little at the points chosen."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxgan.nn import winograd


def direct(x, w, padding):
    return lax.conv_general_dilated(
        x, w, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def taps_of(w):
    return {(i, j): w[i, j] for i in range(w.shape[0]) for j in range(w.shape[1])}


def worst(ours, expected) -> float:
    """The largest difference by the largest magnitude."""
    ours, expected = np.asarray(ours, np.float64), np.asarray(expected)
    return float(np.abs(ours - expected).max() / np.abs(expected).max())


def problem(taps: int, size: tuple[int, int], channels: int, seed: int = 0):
    """Images, a kernel and outputs, N(0, 1) in float64, and a padding."""
    draws = np.random.default_rng(seed)
    padding = ((taps - 1, 0), (1, taps - 2))
    output = [s + sum(p) - taps + 1 for s, p in zip(size, padding, strict=True)]
    return (
        draws.normal(size=(2, *size, channels)),
        draws.normal(size=(taps, taps, channels, 5)),
        draws.normal(size=(2, *output, 5)),
        padding,
    )


@pytest.mark.parametrize("tile, taps", [(2, 2), (2, 3), (3, 2), (4, 3)])
def test_an_algorithm_multiplies_by_any_points(tile, taps):
    form = winograd.algorithm(tile, taps, (0, 1, -1, 2, -2)[: tile + taps - 2])
    draws = np.random.default_rng(0)
    kernel, image = draws.normal(size=taps), draws.normal(size=form.window)
    found = form.output.T @ ((form.kernel @ kernel) * (form.image @ image))
    expected = np.correlate(image, kernel, mode="valid")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_an_algorithm_wants_as_many_points_as_products_but_one():
    with pytest.raises(ValueError, match=r"F\(2, 3\) takes 3 points, not 2"):
        winograd.algorithm(2, 3, (0, 1))


@pytest.mark.parametrize("taps", winograd.ALGORITHMS)
@pytest.mark.parametrize("size", [(4, 4), (5, 9), (8, 3)])
@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-5), (np.float64, 1e-13)])
def test_values_and_kernel_gradient_equal_the_convolutions(taps, size, dtype, tolerance):
    x, w, y, padding = problem(taps, size, channels=7)
    with jax.enable_x64(True):
        value, pullback = jax.vjp(lambda w: direct(jnp.asarray(x), w, padding), jnp.asarray(w))
        (gradient,) = pullback(jnp.asarray(y))
        expected = np.asarray(value), np.asarray(gradient)
        ours, our_gradient = jax.jit(partial(both, padding=padding))(
            *(jnp.asarray(v, dtype) for v in (x, w, y))
        )
    assert ours.dtype == dtype
    assert worst(ours, expected[0]) < tolerance
    assert worst(our_gradient, expected[1]) < tolerance


def both(x, w, y, *, padding):
    """The convolution and its kernel gradient."""
    value = winograd.correlate(x, taps_of(w), padding=padding, output=y.shape[1:3])
    taps = w.shape[0]
    grid = winograd.kernel_gradient(x, y, taps=taps, padding=padding)
    rows = [jnp.stack([grid[i, j] for j in range(taps)]) for i in range(taps)]
    return value, jnp.stack(rows)


@pytest.mark.parametrize("taps", winograd.ALGORITHMS)
def test_float32_rounds_within_1e_5_over_long_sums(taps):
    x, w, y, padding = problem(taps, (16, 16), channels=512)
    with jax.enable_x64(True):
        exact = direct(jnp.asarray(x), jnp.asarray(w), padding)
        ours, _ = both(*(jnp.asarray(v, jnp.float32) for v in (x, w, y)), padding=padding)
        assert worst(ours, exact) < 1e-5
