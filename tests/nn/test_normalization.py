"""Normalization: by its definition, in values and in gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.nn import normalization


def defined(x: np.ndarray, epsilon: float = 1e-5) -> np.ndarray:
    """Instance norm of one image after another, one channel after another."""
    y = np.empty_like(x)
    for row, channel in np.ndindex(x.shape[0], x.shape[3]):
        pixels = x[row, :, :, channel]
        y[row, :, :, channel] = (pixels - pixels.mean()) / np.sqrt(pixels.var() + epsilon)
    return y


def images(*shape: int, mean: float = 0.0) -> np.ndarray:
    return np.random.default_rng(0).normal(mean, 1.0, shape)


def test_instance_norm_is_its_definition():
    x = images(3, 5, 4, 2, mean=2.0).astype(np.float32)
    np.testing.assert_allclose(normalization.instance_norm(x), defined(x), atol=2e-6)


def test_a_large_mean_does_not_cancel():
    x = images(2, 8, 8, 2, mean=3000.0)
    found = normalization.instance_norm(x.astype(np.float32))
    np.testing.assert_allclose(found, defined(x), atol=2e-3)


def test_its_gradient_is_that_of_the_definition():
    x, weights, change = (
        np.random.default_rng(seed).normal(size=(2, 4, 3, 2)) for seed in range(3)
    )

    def loss(x):
        return jnp.sum(weights * normalization.instance_norm(x))

    slope = jnp.sum(jax.grad(loss)(x.astype(np.float32)) * change)
    reach = 1e-5
    sides = [np.sum(weights * defined(x + sign * reach * change)) for sign in (1, -1)]
    assert float(slope) == pytest.approx((sides[0] - sides[1]) / (2 * reach), rel=1e-4)
    with jax.enable_x64(True):
        double = jax.grad(loss)(jnp.asarray(x))
    np.testing.assert_allclose(jax.grad(loss)(x.astype(np.float32)), double, atol=1e-5)


def test_a_constant_channel_becomes_zero_and_has_a_gradient():
    x = jnp.full((2, 4, 4, 3), 7.0)
    np.testing.assert_array_equal(normalization.instance_norm(x), 0.0)
    gradient = jax.grad(lambda x: jnp.sum(normalization.instance_norm(x) ** 2))(x)
    assert np.all(np.isfinite(gradient))


def test_images_do_not_depend_on_each_other():
    x = images(3, 4, 4, 2).astype(np.float32)
    whole = normalization.instance_norm(x)
    for row in range(3):
        alone = normalization.instance_norm(x[row : row + 1])
        np.testing.assert_allclose(alone[0], whole[row], atol=1e-6)


def test_none_is_the_identity():
    x = images(2, 3, 3, 1)
    assert normalization.normalize("none", train=True)(x) is x


def test_an_unknown_norm_is_refused():
    with pytest.raises(ValueError, match="is 'layer'; expected one of batch, instance, none"):
        normalization.known("layer")
