"""A frozen network gives its output, and no parameters."""

from __future__ import annotations

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import nn
from jaxgan.nn import frozen


class Whole(linen.Module):
    random: bool = True

    @linen.compact
    def __call__(self, x):
        return linen.Dense(1)(nn.Frozen(linen.Dense(4), self.random, name="fixed")(x))


def test_its_variables_are_a_collection_and_not_parameters():
    x = jax.random.normal(jax.random.key(0), (3, 2))
    variables = Whole().init(jax.random.key(1), x)
    assert set(variables["params"]) == {"Dense_0"}
    fixed = variables[frozen.COLLECTION]["fixed"][frozen.ENTRY]
    hidden = linen.Dense(4).apply(fixed, x)
    expected = linen.Dense(1).apply({"params": variables["params"]["Dense_0"]}, hidden)
    np.testing.assert_allclose(Whole().apply(variables, x), expected, rtol=1e-6)


def test_no_call_changes_them():
    x = jnp.ones((3, 2))
    variables = Whole().init(jax.random.key(1), x)
    _, updated = Whole().apply(variables, x, mutable=[frozen.COLLECTION])
    for a, b in zip(jax.tree.leaves(updated), jax.tree.leaves(variables["frozen"]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_those_that_are_to_be_replaced_are_zeros_of_the_same_shapes():
    x = jnp.ones((3, 2))
    drawn, zeros = (Whole(random).init(jax.random.key(1), x)["frozen"] for random in (True, False))
    assert jax.tree.map(jnp.shape, drawn) == jax.tree.map(jnp.shape, zeros)
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(zeros))


def test_it_computes_in_the_type_that_it_is_given():
    x = jnp.ones((3, 2))
    network = nn.Frozen(linen.Dense(4))
    variables = network.init(jax.random.key(1), x)
    assert network.apply(variables, x.astype(jnp.bfloat16)).dtype == jnp.bfloat16
