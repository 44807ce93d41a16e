"""Layers that take a class, by hand."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import nn


def test_every_class_has_its_gain_and_bias_after_common_statistics():
    x = np.random.default_rng(0).normal(3.0, 2.0, (4, 2, 3)).astype(np.float32)
    label = jnp.array([1, 0, 1, 2])
    layer = nn.ConditionalBatchNorm(3)
    variables = layer.init(jax.random.key(0), x, label)
    whole = (x - x.mean((0, 1))) / np.sqrt(x.var((0, 1)) + 1e-5)
    fresh: Any
    fresh, _ = layer.apply(variables, x, label, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(fresh, whole, atol=1e-5)
    scale, bias = np.arange(9.0).reshape(3, 3), 10 * np.arange(9.0).reshape(3, 3)
    variables = {**variables, "params": {"scale": scale, "bias": bias}}
    found: Any
    found, updated = layer.apply(variables, x, label, train=True, mutable=["batch_stats"])
    expected = whole * scale[label][:, None] + bias[label][:, None]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
    # In inference by the running averages: a tenth of this batch, nine tenths of N(0, 1).
    again: Any = layer.apply({**variables, **updated}, x, label)
    running = (x - 0.1 * x.mean((0, 1))) / np.sqrt(0.9 + 0.1 * x.var((0, 1)) + 1e-5)
    expected = running * scale[label][:, None] + bias[label][:, None]
    np.testing.assert_allclose(again, expected, rtol=1e-4, atol=1e-3)


def test_a_projection_is_a_linear_logit_and_the_product_with_the_class():
    x, label = jnp.array([[1.0, 2.0], [3.0, -1.0]]), jnp.array([2, 0])
    params = {
        "Dense_0": {"kernel": jnp.array([[1.0], [10.0]]), "bias": jnp.array([0.5])},
        "Dense_1": {"kernel": jnp.array([[1.0, 0.0], [7.0, 7.0], [2.0, 3.0]])},
    }
    # 1 + 20 + 0.5 + <(2, 3), (1, 2)>, and 3 - 10 + 0.5 + <(1, 0), (3, -1)>.
    found: Any = nn.ProjectionHead(3).apply({"params": params}, x, label)
    np.testing.assert_allclose(found, [29.5, -3.5])


def test_a_spectrally_normalized_head_does_not_follow_the_scale_of_its_kernels():
    x, label = jnp.array([[1.0, 2.0]]), jnp.array([0])
    head = nn.ProjectionHead(3, spectral=True)
    variables = head.init(jax.random.key(0), x, label)
    double = {**variables, "params": jax.tree.map(lambda leaf: 2 * leaf, variables["params"])}
    found: list[Any] = [head.apply(each, x, label) for each in (double, variables)]
    np.testing.assert_allclose(*found, rtol=1e-5)
