"""Noise inputs: none at strength 0, none without keys, one image for all channels."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import nn, random


def test_noise_counts_once_its_strength_has_left_zero_and_only_with_keys():
    x, keys = jnp.ones((2, 4, 4, 3)), random.row_keys(jax.random.key(0), 2)
    layer = nn.NoiseInjection()
    variables = layer.init(jax.random.key(1), x, keys)
    np.testing.assert_array_equal(layer.apply(variables, x, keys), x)
    strong = {"params": {"strength": jnp.float32(2.0)}}
    np.testing.assert_array_equal(layer.apply(strong, x, None), x)
    noise = (layer.apply(strong, x, keys) - x) / 2
    np.testing.assert_allclose(noise, jnp.broadcast_to(noise[..., :1], x.shape), atol=1e-6)
    assert float(jnp.std(noise[0])) > 0.3
    assert not np.allclose(noise[0], noise[1])
