"""Randomness is a function of (seed, step, example) and of the name of the draw."""

from __future__ import annotations

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import random

MANY = 100_000


@pytest.fixture(scope="module")
def keys() -> random.Keys:
    return random.row_keys(jax.random.key(3), 8)


def bits(keys: random.Keys) -> np.ndarray:
    """What a draw by the keys sees."""
    return np.asarray(random.draw(keys, lambda key: jax.random.bits(key, (4,))))


def test_a_row_does_not_depend_on_how_many_there_are(keys):
    np.testing.assert_array_equal(bits(random.row_keys(jax.random.key(3), 3)), bits(keys)[:3])
    later = random.row_keys(jax.random.key(3), 2, start=5)
    np.testing.assert_array_equal(bits(later), bits(keys)[5:7])
    assert len(keys) == 8


def test_an_example_of_a_step_is_its_row_wherever_it_lies():
    rng = jax.random.key(0)
    whole = bits(random.example_keys(rng, 7, jnp.arange(8)))
    shard = bits(random.example_keys(rng, 7, jnp.arange(4, 8)))
    np.testing.assert_array_equal(shard, whole[4:])
    assert len(np.unique(whole, axis=0)) == 8


def test_several_keys_of_an_example_differ_and_depend_on_its_own_key_alone(keys):
    all_bits = bits(random.several(keys, 3))
    assert len(all_bits) == 3 * len(keys) == len(np.unique(all_bits, axis=0))
    assert not np.isin(all_bits, bits(keys)).all(axis=1).any()
    second = random.Keys(keys.base[1:2], keys.path)
    np.testing.assert_array_equal(bits(random.several(second, 3)), all_bits[3:6])
    named = random.several(random.fold(keys, "other"), 3)
    assert not np.isin(bits(named), all_bits).all(axis=1).any()


def test_steps_and_seeds_draw_differently():
    rows = jnp.arange(4)
    draws = [
        bits(random.example_keys(jax.random.key(seed), step, rows))
        for seed, step in [(0, 0), (0, 1), (1, 0)]
    ]
    assert len(np.unique(np.concatenate(draws), axis=0)) == 12


def test_the_same_name_gives_the_same_draw_and_another_name_another(keys):
    names = ["latent", "label", "interpolation", 0, 1]
    draws = [bits(random.fold(keys, name)) for name in names]
    for name, draw in zip(names, draws, strict=True):
        np.testing.assert_array_equal(draw, bits(random.fold(keys, name)))
    # None shares its bits with another, nor with the keys that it was folded from.
    assert len(np.unique(np.concatenate([*draws, bits(keys)]), axis=0)) == 8 * (len(names) + 1)


def test_the_order_of_names_matters(keys):
    one, other = random.fold(random.fold(keys, "a"), "b"), random.fold(random.fold(keys, "b"), "a")
    assert not np.any(np.all(bits(one) == bits(other), axis=1))


def test_naming_costs_nothing_at_run_time(keys):
    def named(keys):
        return random.fold(random.fold(keys, "a"), "b")

    assert jax.make_jaxpr(named)(keys).eqns == []


def test_draws_of_different_names_and_rows_are_uncorrelated():
    keys = random.row_keys(jax.random.key(0), 2)
    draws = [random.normal(random.fold(keys, name), (MANY,)) for name in ("a", "b")]
    correlations = np.corrcoef(np.concatenate(draws))
    assert np.max(np.abs(correlations - np.eye(4))) < 5 / np.sqrt(MANY)


def test_normal_and_uniform_draws_have_their_moments(keys):
    normal = np.asarray(random.normal(keys, (MANY // 8,)), np.float64)
    assert abs(normal.mean()) < 5 / np.sqrt(MANY)
    assert abs(normal.var() - 1) < 5 * np.sqrt(2 / MANY)
    uniform = np.asarray(random.uniform(keys, (MANY // 8,), low=-1.0, high=3.0), np.float64)
    assert uniform.min() >= -1.0
    assert uniform.max() < 3.0
    assert abs(uniform.mean() - 1.0) < 5 * np.sqrt(16 / 12 / MANY)
    assert abs(uniform.var() - 16 / 12) < 0.02


def test_bernoulli_draws_are_true_as_often_as_asked(keys):
    draws = np.asarray(random.bernoulli(keys, (MANY // 8,), probability=0.3))
    assert abs(draws.mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / draws.size)


def test_labels_are_uniform_over_the_classes():
    drawn = np.asarray(random.labels(random.row_keys(jax.random.key(0), 5000), 5))
    counts = np.bincount(drawn, minlength=5)
    assert counts.size == 5
    assert np.max(np.abs(counts - 1000)) < 5 * np.sqrt(5000 * 0.2 * 0.8)


@pytest.mark.parametrize(("prior", "variance"), [("normal", 1.0), ("uniform", 1 / 3)])
def test_latents_come_from_the_stated_prior(keys, prior, variance):
    drawn = np.asarray(random.latents(keys, MANY // 8, prior=prior), np.float64)
    assert drawn.shape == (8, MANY // 8)
    assert abs(drawn.mean()) < 5 / np.sqrt(MANY)
    assert drawn.var() == pytest.approx(variance, rel=0.02)
    assert (np.max(np.abs(drawn)) <= 1.0) == (prior == "uniform")


def test_an_unknown_prior_is_refused_with_the_known_ones(keys):
    with pytest.raises(ValueError, match="the prior is 'cauchy'; expected one of normal, uniform"):
        random.latents(keys, 3, prior="cauchy")


ONE_NUMBER_A_ROW = """
import jax, jax.numpy as jnp
from jaxgan import random

def draw(rng, step):
    return random.uniform(random.example_keys(rng, step, jnp.arange(24)), ())

jax.jit(draw).lower(jax.random.key(0), jnp.int32(3)).compile()
"""


def test_a_number_a_row_compiles_as_users_compile_it():
    """Under full optimization, which the suite does without; jaxlib 0.12 once did not come back."""
    surroundings = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    command = [sys.executable, "-c", ONE_NUMBER_A_ROW]
    subprocess.run(command, env=surroundings, check=True, timeout=300)


def test_unit_uniform_latents_have_variance_1():
    keys = random.row_keys(jax.random.key(0), 4000)
    drawn = np.asarray(random.latents(keys, 5, prior="unit_uniform"))
    assert np.abs(drawn).max() <= np.sqrt(3)
    assert drawn.var() == pytest.approx(1, abs=0.03)
    narrow = np.asarray(random.latents(keys, 5, prior="uniform"))
    np.testing.assert_allclose(drawn, np.sqrt(3) * narrow, rtol=1e-6)
