"""What a discriminator sees of a minibatch, by hand."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.nn import minibatch


def discriminated(x, **options):
    layer = minibatch.MinibatchDiscrimination(**options)
    variables = layer.init(jax.random.key(0), x[:1])
    return layer.apply(variables, x), variables["params"]["Dense_0"]["kernel"]


def test_nearness_is_the_papers_sum_over_the_others_of_the_group():
    x = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    found, kernel = discriminated(jnp.asarray(x), kernels=7, size=2, group=3)
    assert found.shape == (6, 4 + 7)
    np.testing.assert_array_equal(found[:, :4], x)
    matrices = (x @ np.asarray(kernel)).reshape(6, 7, 2)
    for i in range(6):
        others = [j for j in range(6) if j != i and j // 3 == i // 3]
        expected = sum(np.exp(-np.abs(matrices[i] - matrices[j]).sum(axis=1)) for j in others)
        np.testing.assert_allclose(found[i, 4:], expected, rtol=1e-5)


def test_copies_are_as_near_as_can_be_and_have_finite_gradients():
    x = jnp.ones((8, 4))
    found, _ = discriminated(x, kernels=3, group=4)
    np.testing.assert_allclose(found[:, 4:], 3.0, rtol=1e-6)
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(discriminated(x, kernels=3, group=4)[0])))(x)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("shape", [(3,), (2, 2, 3)])
def test_the_deviation_is_that_of_the_group_for_points_and_for_pixels(shape):
    x = np.random.default_rng(1).normal(size=(8, *shape)).astype(np.float32)
    found = minibatch.minibatch_stddev(jnp.asarray(x), group=4)
    assert found.shape == (8, *shape[:-1], 4)
    for half in (slice(0, 4), slice(4, 8)):
        expected = x[half].std(axis=0).mean()
        np.testing.assert_allclose(found[half][..., -1], expected, rtol=1e-5)


def test_rows_that_make_no_groups_are_refused():
    with pytest.raises(ValueError, match=r"6 examples .* groups of 4 for minibatch discrim"):
        discriminated(jnp.ones((6, 2)), group=4)
