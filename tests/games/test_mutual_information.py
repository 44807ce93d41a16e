"""Codes: their prior, their place in a latent, and the bound on what images tell of them."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from jaxgan import random
from jaxgan.games import mutual_information
from jaxgan.games.mutual_information import Codes, Posterior

CODES = Codes(categories=(3, 2), continuous=2)


def keys(count: int, seed: int = 0) -> random.Keys:
    return random.row_keys(jax.random.key(seed), count)


def posterior(rows: int, seed: int = 0) -> Posterior:
    draws = np.random.default_rng(seed)

    def normal(width: int) -> jax.Array:
        return jnp.asarray(draws.normal(size=(rows, width)).astype(np.float32))

    logits = tuple(3 * normal(classes) for classes in CODES.categories)
    return Posterior(logits, normal(2), jnp.exp(normal(2)))


def test_codes_are_named_in_order_and_take_the_entries_they_say():
    assert CODES.names == ("c1", "c2", "c3", "c4")
    assert CODES.categorical_names == ("c1", "c2")
    assert CODES.continuous_names == ("c3", "c4")
    assert CODES.size == 3 + 2 + 2
    assert Codes((), 1).names == ("c1",)
    assert Codes() == Codes(categories=(10,), continuous=2)


def test_codes_are_drawn_from_their_prior_independently():
    drawn = {name: np.asarray(v) for name, v in mutual_information.drawn(CODES, keys(6000)).items()}
    assert list(drawn) == list(CODES.names)
    joint = np.zeros((3, 2))
    np.add.at(joint, (drawn["c1"], drawn["c2"]), 1)
    assert scipy.stats.chisquare(joint.ravel()).pvalue > 1e-3
    for name in ("c3", "c4"):
        assert scipy.stats.kstest(drawn[name], scipy.stats.uniform(-1, 2).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(drawn["c3"], drawn["c4"])[0, 1]) < 0.05


def test_an_examples_codes_are_a_function_of_its_key():
    all_of_them, some = (mutual_information.drawn(CODES, keys(count)) for count in (7, 3))
    for name in CODES.names:
        np.testing.assert_array_equal(all_of_them[name][:3], some[name])


def test_codes_stand_behind_the_noise_categorical_ones_one_hot():
    values = {
        "c1": jnp.asarray([2, 0]),
        "c2": jnp.asarray([0, 1]),
        "c3": jnp.asarray([0.5, -0.25]),
        "c4": jnp.asarray([2.0, -2.0]),
    }
    latents = mutual_information.joined(CODES, jnp.asarray([[7.0], [8.0]]), values)
    np.testing.assert_array_equal(
        latents, [[7, 0, 0, 1, 1, 0, 0.5, 2], [8, 1, 0, 0, 0, 1, -0.25, -2]]
    )


def test_the_bound_is_the_log_likelihood_above_the_priors():
    told, values = posterior(5), mutual_information.drawn(CODES, keys(5))
    found = mutual_information.bounds(CODES, told, values)
    rows = np.arange(5)
    for name, logits in zip(CODES.categorical_names, told.logits, strict=True):
        log_q = scipy.special.log_softmax(np.asarray(logits, np.float64), axis=1)
        expected = log_q[rows, np.asarray(values[name])] + math.log(logits.shape[1])
        np.testing.assert_allclose(found[name], expected, rtol=1e-5, atol=1e-5)
    for index, name in enumerate(CODES.continuous_names):
        mean, std = told.mean[:, index], told.std[:, index]
        log_q = scipy.stats.norm.logpdf(values[name], mean, std)
        # The density of U(-1, 1) is 1/2.
        np.testing.assert_allclose(found[name], log_q - math.log(1 / 2), rtol=1e-5, atol=1e-5)


def test_the_bound_is_the_entropy_where_all_is_told_and_zero_where_nothing_is():
    values = {"c1": jnp.asarray([0, 4, 9])}
    codes = Codes((10,), 0)
    nothing = jnp.zeros((3, 0))
    sure = Posterior((100 * jax.nn.one_hot(values["c1"], 10),), nothing, nothing)
    unsure = Posterior((jnp.full((3, 10), 7.0),), nothing, nothing)
    np.testing.assert_allclose(
        mutual_information.bounds(codes, sure, values)["c1"], math.log(10), rtol=1e-6
    )
    np.testing.assert_allclose(mutual_information.bounds(codes, unsure, values)["c1"], 0, atol=1e-6)


def test_each_kind_has_its_weight_and_reports_without_it():
    batch, told = keys(6), posterior(6)
    bounds = mutual_information.bounds(CODES, told, mutual_information.drawn(CODES, batch))
    means = {name: float(jnp.mean(nats)) for name, nats in bounds.items()}
    weights = mutual_information.Weights(categorical=3.0, continuous=0.5)
    value, metrics = mutual_information.weighted(CODES, weights)(told, batch)
    expected = 3.0 * (means["c1"] + means["c2"]) + 0.5 * (means["c3"] + means["c4"])
    assert float(value) == pytest.approx(expected, rel=1e-5)
    reported = {name: float(mean.value) for name, mean in metrics.items()}
    assert reported == pytest.approx({f"information_{n}": m for n, m in means.items()}, rel=1e-5)
