"""Equalized layers, doubling and halving, the minibatch's deviation: values and equalities."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import nn
from jaxgan.nn import equalized, minibatch, resampling


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# --- the equalized learning rate ------------------------------------------------------------------


def test_kernels_are_standard_normal_and_outputs_have_the_gain_squared_as_variance():
    x = noise(64, 8, 8, 32)
    layer = equalized.EqualizedConv(48, gain=1.5)
    params = layer.init(jax.random.key(0), x)["params"]
    kernel, bias = np.asarray(params["kernel"]), np.asarray(params["bias"])
    assert kernel.shape == (3, 3, 32, 48)
    assert abs(kernel.mean()) < 0.03
    assert abs(kernel.std() - 1) < 0.02
    assert not bias.any()
    inner = np.asarray(layer.apply({"params": params}, x))[:, 1:-1, 1:-1]
    assert inner.var() == pytest.approx(1.5**2, rel=0.1)


def test_a_convolution_is_linens_with_the_scaled_kernel():
    x, kernel, bias = noise(2, 5, 6, 3), noise(3, 3, 3, 4, seed=1), noise(4, seed=2)
    ours = equalized.EqualizedConv(4).apply({"params": {"kernel": kernel, "bias": bias}}, x)
    scaled = kernel * math.sqrt(2) / math.sqrt(3 * 3 * 3)
    theirs = nn.Conv(4, (3, 3)).apply({"params": {"kernel": scaled, "bias": bias}}, x)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_a_dense_layer_scales_its_kernel_and_not_its_bias():
    x, kernel, bias = noise(2, 3, 8), noise(8, 4, seed=1), noise(4, seed=2)
    layer = equalized.EqualizedDense(4, gain=1.0)
    ours = layer.apply({"params": {"kernel": kernel, "bias": bias}}, x)
    np.testing.assert_allclose(ours, x @ kernel / math.sqrt(8) + bias, rtol=1e-5, atol=1e-5)


def test_a_normalized_optimizer_step_moves_every_layer_by_the_same_share():
    """The gradient's sign as the step, as Adam's first: kernels of any fan-in move alike."""
    shares = []
    for features in (4, 64):
        x = noise(16, features)
        layer = equalized.EqualizedDense(8)
        params = layer.init(jax.random.key(0), x)["params"]
        moved = {**params, "kernel": params["kernel"] - 0.01 * np.sign(params["kernel"])}
        before, after = (layer.apply({"params": p}, x) for p in (params, moved))
        shares.append(float(jnp.std(after - before) / jnp.std(before)))
    assert shares[0] == pytest.approx(shares[1], rel=0.15)


@pytest.mark.parametrize("scale", [0.1, 1.0, 1e3])
def test_the_pixel_norm_has_unit_mean_square_over_channels(scale):
    y = equalized.pixel_norm(scale * noise(3, 4, 4, 16))
    np.testing.assert_allclose(np.mean(np.square(y), axis=-1), 1.0, rtol=2e-4)
    assert np.isfinite(jax.grad(lambda x: jnp.sum(equalized.pixel_norm(x)))(np.zeros((2, 4)))).all()


# --- doubling and halving -------------------------------------------------------------------------


def test_doubling_repeats_and_halving_takes_means():
    x = np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1)
    expected = [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]
    np.testing.assert_array_equal(resampling.double(x)[0, :, :, 0], expected)
    np.testing.assert_array_equal(resampling.halve(x), [[[[1.5]]]])


@pytest.mark.parametrize("times", [0, 1, 2])
def test_halving_undoes_doubling(times):
    x = noise(2, 3, 5, 2)
    there = resampling.double(x, times)
    assert there.shape == (2, 3 << times, 5 << times, 2)
    np.testing.assert_allclose(resampling.halve(there, times), x, rtol=1e-6)


@pytest.mark.parametrize("size", [(4, 4), (6, 2), (1, 3)])
def test_a_doubling_convolution_is_the_convolution_of_the_doubled(size):
    x, w = noise(2, *size, 3), noise(3, 3, 3, 5, seed=1)
    expected = nn.conv(resampling.double(x), w)
    np.testing.assert_allclose(resampling.conv_double(x, w), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [(4, 4), (6, 2), (2, 8)])
def test_a_halving_convolution_is_half_the_convolution(size):
    x, w = noise(2, *size, 3), noise(3, 3, 3, 5, seed=1)
    expected = resampling.halve(nn.conv(x, w))
    np.testing.assert_allclose(resampling.conv_halve(x, w), expected, rtol=1e-5, atol=1e-5)


def test_what_does_not_halve_is_refused():
    with pytest.raises(ValueError, match="6x5 do not halve 1 times"):
        resampling.halve(noise(1, 6, 5, 1))
    with pytest.raises(ValueError, match="6x5 do not halve"):
        resampling.conv_halve(noise(1, 6, 5, 1), noise(3, 3, 1, 1))
    with pytest.raises(ValueError, match="the kernel is 5x5; expected 3x3"):
        resampling.conv_double(noise(1, 4, 4, 1), noise(5, 5, 1, 1))


# --- the minibatch's standard deviation -----------------------------------------------------------


def test_the_deviation_of_a_group_by_hand():
    x = np.zeros((4, 1, 1, 2), np.float32)
    x[0, 0, 0], x[1, 0, 0] = [1, 10], [3, 10]  # deviations 1 and 0: their mean is 1/2
    x[2, 0, 0], x[3, 0, 0] = [0, -4], [0, 4]  # 0 and 4: their mean is 2
    y = np.asarray(minibatch.minibatch_stddev(x, group=2))
    np.testing.assert_array_equal(y[..., :2], x)
    np.testing.assert_allclose(y[:, 0, 0, 2], [0.5, 0.5, 2, 2], rtol=1e-3)


def test_groups_are_runs_of_rows_that_do_not_see_one_another():
    x = noise(8, 3, 3, 4)
    y = np.asarray(minibatch.minibatch_stddev(x, group=4))
    alone = [minibatch.minibatch_stddev(part, group=4) for part in (x[:4], x[4:])]
    np.testing.assert_allclose(y, np.concatenate(alone), rtol=1e-6)
    assert np.ptp(y[:4, ..., 4]) == 0
    assert y[0, 0, 0, 4] != y[4, 0, 0, 4]


def test_equal_examples_have_no_deviation_and_a_finite_gradient():
    x = np.ones((4, 2, 2, 3), np.float32)
    assert np.max(minibatch.minibatch_stddev(x, group=4)[..., 3]) <= 1.1e-4
    slope = jax.grad(lambda x: jnp.sum(minibatch.minibatch_stddev(x, group=4)))(x)
    assert np.isfinite(slope).all()


def test_rows_that_no_groups_hold_are_refused_but_one_row_initializes():
    with pytest.raises(ValueError, match=r"6 examples on a device .* groups of 4"):
        minibatch.minibatch_stddev(noise(6, 2, 2, 1), group=4)
    layer = minibatch.MinibatchStddev(4)
    assert layer.init_with_output(jax.random.key(0), noise(1, 2, 2, 3))[0].shape == (1, 2, 2, 4)
    with pytest.raises(ValueError, match="1 examples on a device"):
        layer.apply({}, noise(1, 2, 2, 3))
