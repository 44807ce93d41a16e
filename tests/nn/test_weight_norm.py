"""Weight-normalized layers: values, and what the data-dependent initialization makes of them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.nn import weight_norm


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def fitted(layer, variables, x):
    """The layer's output on x in the pass that fits it to x, and its variables after it."""
    y, updated = layer.apply(variables, x, fit=True, mutable=[weight_norm.COLLECTION])
    return np.asarray(y), {**variables, **updated}


def test_a_direction_counts_by_its_angle_alone():
    x, directions = noise(5, 3), noise(3, 4, seed=1)
    unit = directions / np.linalg.norm(directions, axis=0)
    for length in (1.0, 20.0):
        found = weight_norm.project(x, length * directions)
        np.testing.assert_allclose(found, x @ unit, rtol=1e-5, atol=1e-6)


def test_the_gradient_of_a_direction_is_at_right_angles_to_it():
    x, directions = noise(6, 5), noise(5, 2, seed=1)
    gradient = jax.grad(lambda v: jnp.sum(jnp.sin(weight_norm.project(x, v))))(directions)
    along = np.sum(np.asarray(gradient) * directions, axis=0)
    assert np.abs(along).max() < 1e-5 < np.abs(gradient).max()


def test_a_layer_scales_and_shifts_each_projection():
    x, layer = noise(4, 3), weight_norm.WeightNormDense(2)
    params = layer.init(jax.random.key(0), x)["params"]
    plain = layer.apply({"params": params}, x)
    np.testing.assert_allclose(plain, weight_norm.project(x, params["directions"]), rtol=1e-6)
    moved = {**params, "gain": jnp.array([2.0, -1.0]), "bias": jnp.array([0.5, 3.0])}
    expected = np.asarray(plain) * [2.0, -1.0] + [0.5, 3.0]
    np.testing.assert_allclose(layer.apply({"params": moved}, x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("gain", [False, True])
def test_a_fitted_layer_begins_with_mean_0_and_variance_1_and_keeps_the_scale_of_its_first_data(
    gain,
):
    layer, x = weight_norm.FittedDense(6, gain=gain), 7 + 3 * noise(200, 5)
    variables = layer.init(jax.random.key(0), x)
    assert set(variables["params"]) == {"directions", "bias"} | ({"gain"} if gain else set())
    before = np.asarray(layer.apply(variables, x))
    y, variables = fitted(layer, variables, x)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(y.std(axis=0), 1, rtol=1e-4)
    assert np.abs(before.mean(axis=0)).max() > 1
    np.testing.assert_allclose(layer.apply(variables, x), y, rtol=1e-5, atol=1e-5)
    # Other data are measured by the first: nothing is normalized in training.
    other = np.asarray(layer.apply(variables, 2 * x))
    first = jax.tree.map(np.asarray, variables[weight_norm.COLLECTION])
    projected = np.asarray(weight_norm.project(2 * x, variables["params"]["directions"]))
    np.testing.assert_allclose(
        other, (projected - first["mean"]) * first["scale"], rtol=1e-4, atol=1e-4
    )


def test_a_single_example_has_no_variance_to_fit_to():
    layer, x = weight_norm.FittedDense(6), noise(1, 5)
    variables = layer.init(jax.random.key(0), x)
    with pytest.raises(ValueError, match="fitted to 1 example, whose features have no variance"):
        fitted(layer, variables, x)


def test_a_feature_that_is_the_same_for_all_examples_stays_finite():
    layer, x = weight_norm.FittedDense(2), np.zeros((4, 3), np.float32)
    y, variables = fitted(layer, layer.init(jax.random.key(0), x), x)
    assert np.array_equal(y, np.zeros((4, 2)))
    assert np.isfinite(variables[weight_norm.COLLECTION]["scale"]).all()


def test_a_layer_in_bfloat16_is_fitted_in_float32():
    layer, x = weight_norm.FittedDense(3), jnp.asarray(noise(64, 5), jnp.bfloat16)
    variables = layer.init(jax.random.key(0), x)
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), variables["params"])
    half = {**variables, "params": params}
    y, updated = layer.apply(half, x, fit=True, mutable=[weight_norm.COLLECTION])
    assert y.dtype == jnp.bfloat16
    projected = np.asarray(weight_norm.project(x, params["directions"]), np.float32)
    mean = updated[weight_norm.COLLECTION]["mean"]
    assert mean.dtype == jnp.float32
    np.testing.assert_allclose(mean, projected.mean(axis=0), rtol=1e-5, atol=1e-6)
