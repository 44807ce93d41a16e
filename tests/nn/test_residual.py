"""Residual blocks: by hand where the kernels are simple, and in their shapes and parameters."""

from __future__ import annotations

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import nn

X = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype(np.float32)


def only_center(params):
    """Kernels that multiply each pixel by the identity, and no biases."""

    def kernel(leaf):
        if leaf.ndim == 1:
            return jnp.zeros_like(leaf)
        middle = leaf.shape[0] // 2
        return jnp.zeros_like(leaf).at[middle, middle].set(jnp.eye(*leaf.shape[2:]))

    return jax.tree.map(kernel, params)


def by_hand(resample, first):
    relu = X if first else np.maximum(X, 0)
    sums = np.maximum(relu, 0) + X
    if resample == "up":
        return sums.repeat(2, axis=1).repeat(2, axis=2)
    if resample == "down":
        return sums.reshape(2, 2, 2, 2, 2, 3).mean(axis=(2, 4))
    return sums


@pytest.mark.parametrize(("resample", "first"), [("none", False), ("up", False), ("down", True)])
def test_with_the_identity_as_kernels_a_block_adds_the_positive_part(resample, first):
    block = nn.ResidualBlock(3, resample, first=first)
    params = only_center(block.init(jax.random.key(0), X)["params"])
    assert set(params) == {"Conv_0", "Conv_1", *(["Conv_2"] if resample != "none" else [])}
    found: Any = block.apply({"params": params}, X)
    np.testing.assert_allclose(found, by_hand(resample, first), atol=1e-6)


def test_each_normalization_is_a_layer_of_the_block():
    def normalize(x):
        return linen.LayerNorm()(x)

    block = nn.ResidualBlock(5, "up", spectral=True)
    shapes = jax.eval_shape(lambda key: block.init(key, X, normalize=normalize), jax.random.key(0))
    norms = [name for name in shapes["params"] if name.startswith("LayerNorm")]
    assert len(norms) == 2
    assert len(shapes["spectral_norm"]) == 3
    output = jax.eval_shape(lambda v: block.apply(v, X, normalize=normalize), shapes)
    assert output.shape == (2, 8, 8, 5)


def test_an_unknown_resampling_is_refused():
    with pytest.raises(ValueError, match="resample is 'left'; expected 'up', 'down' or 'none'"):
        nn.ResidualBlock(3, "left").init(jax.random.key(0), X)  # type: ignore[arg-type]
