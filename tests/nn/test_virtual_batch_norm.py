"""Virtual batch normalization against the statistics that each example makes with the reference."""

from __future__ import annotations

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import nn, random, state
from jaxgan.nn import virtual_batch_norm
from tests import toy_players

SIZE = 5


class Network(linen.Module):
    """Latents to features through one normalization, with noise."""

    @linen.compact
    def __call__(self, x, *, keys=None, train=False):
        x = linen.Dense(3)(x)
        x = virtual_batch_norm.VirtualBatchNorm(SIZE)(x)
        return nn.GaussianNoise(0.1)(x, keys)


def player_of(shape=(2,), **options):
    module = virtual_batch_norm.Reference(Network(), SIZE, **options)
    return state.init_player(jax.random.key(0), module, optax.sgd(0.1), jnp.zeros((1, *shape)))


@pytest.mark.parametrize("shape", [(4,), (3, 5, 4)])
def test_every_row_is_normalized_by_the_batch_that_it_makes_with_the_reference(shape):
    rows = np.random.default_rng(0).normal(3.0, 2.0, size=(SIZE + 6, *shape)).astype(np.float32)
    layer = virtual_batch_norm.VirtualBatchNorm(SIZE, epsilon=0.0)
    params = {"params": {"scale": jnp.full(4, 2.0), "bias": jnp.full(4, -1.0)}}
    found = layer.apply(params, jnp.asarray(rows))
    axes = tuple(range(len(shape)))
    for index in range(SIZE, SIZE + 6):
        joint = np.concatenate([rows[:SIZE], rows[index : index + 1]]).astype(np.float64)
        normal = (rows[index] - joint.mean(axis=axes)) / joint.std(axis=axes)
        np.testing.assert_allclose(found[index], 2 * normal - 1, rtol=1e-4, atol=1e-4)
    of_reference = (np.asarray(found[:SIZE]) + 1) / 2
    np.testing.assert_allclose(of_reference.mean(axis=axes), 0, atol=1e-4)
    np.testing.assert_allclose(of_reference.std(axis=axes), 1, rtol=1e-4)


def test_no_example_depends_on_another_and_training_is_use():
    player = player_of()
    inputs = jnp.asarray(np.random.default_rng(1).normal(size=(4, 2)), jnp.float32)
    together = player(inputs, train=True)
    assert together.shape == (4, 3)
    for index in range(4):
        alone = player(inputs[index : index + 1], train=False)
        np.testing.assert_allclose(alone[0], together[index], rtol=1e-5, atol=1e-6)


def test_the_reference_is_drawn_once_kept_and_its_noise_always_the_same():
    player = player_of()
    inputs = jnp.ones((2, 2))
    keys = random.row_keys(jax.random.key(5), 2)
    first, moved = player.mutate(inputs, keys=keys, train=True)
    np.testing.assert_array_equal(player(inputs, keys=keys, train=True), first)
    before, after = (p.variables["reference"]["inputs"] for p in (player, moved))
    assert before.shape == (SIZE, 2)
    assert np.std(before) > 0.3
    np.testing.assert_array_equal(before, after)


def test_a_discriminator_is_given_real_images_for_its_reference_and_for_its_averages():
    whole = toy_players.state_of({"discriminator": player_of()}, ema=("discriminator",))
    images = jnp.asarray(np.random.default_rng(2).normal(size=(SIZE, 2)), jnp.float32)
    given = virtual_batch_norm.with_reference(whole, "discriminator", images)
    for held in (given["discriminator"].variables, given.ema["discriminator"]):
        np.testing.assert_array_equal(held["reference"]["inputs"], images)
    old, new = (s["discriminator"](jnp.ones((2, 2)), train=True) for s in (whole, given))
    assert np.abs(old - new).max() > 1e-3


def test_references_that_do_not_fit_are_refused():
    whole = toy_players.state_of({"a": player_of(), "b": toy_players.scale(1.0)})
    with pytest.raises(ValueError, match=r"'a' has shape \(5, 2\); got \(4, 2\)"):
        virtual_batch_norm.with_reference(whole, "a", jnp.zeros((4, 2)))
    with pytest.raises(ValueError, match="'b' has no reference batch"):
        virtual_batch_norm.with_reference(whole, "b", jnp.zeros((5, 2)))
