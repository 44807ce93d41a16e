"""Gates against values computed by hand."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import nn
from jaxgan.nn import gating


def test_a_gated_linear_unit_is_half_of_its_values_where_the_gates_are_zero():
    x = jnp.array([[1.0, -3.0, 0.0, 0.0], [2.0, 4.0, np.log(3.0), -np.log(3.0)]])
    np.testing.assert_allclose(nn.glu(x), [[0.5, -1.5], [1.5, 1.0]], rtol=1e-6)


def test_a_gated_linear_unit_refuses_channels_that_do_not_halve():
    with pytest.raises(ValueError, match="halves the channels; 3 are odd"):
        nn.glu(jnp.zeros((1, 3)))


def test_excitation_by_a_zero_kernel_halves_the_large_map():
    small, large = jnp.ones((2, 8, 8, 3)), jax.random.normal(jax.random.key(0), (2, 16, 16, 5))
    layer = nn.SkipLayerExcitation()
    variables = layer.init(jax.random.key(1), small, large)
    kernel = variables["params"]["Dense_1"]["kernel"]
    params = {**variables["params"], "Dense_1": {"kernel": jnp.zeros_like(kernel)}}
    found = layer.apply({**variables, "params": params}, small, large)
    np.testing.assert_allclose(found, large / 2, rtol=1e-6)


def test_excitation_scales_whole_channels_by_what_the_small_map_shows():
    small = jax.random.normal(jax.random.key(2), (2, 4, 4, 3))
    large = jnp.ones((2, 8, 8, 5))
    layer = nn.SkipLayerExcitation()
    gates = layer.apply(layer.init(jax.random.key(1), small, large), small, large)
    assert np.all((gates > 0) & (gates < 1))
    np.testing.assert_array_equal(gates, jnp.broadcast_to(gates[:, :1, :1], gates.shape))
    assert not np.allclose(gates[0], gates[1])


def test_adaptive_means_are_those_of_nearly_equal_windows():
    line = jnp.arange(7.0).reshape(1, 7, 1, 1) * jnp.ones((1, 7, 8, 1))
    found = gating.adaptive_mean(line, 4)
    # Windows 0-1, 1-3, 3-5 and 5-6 of the seven rows.
    np.testing.assert_allclose(found[0, :, 0, 0], [0.5, 2.0, 4.0, 5.5], rtol=1e-6)
    assert found.shape == (1, 4, 4, 1)
