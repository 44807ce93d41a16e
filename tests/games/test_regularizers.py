"""Terms against closed forms, quadrature and finite differences, and where they meet a game."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import laws
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from jax import test_util

from jaxgan import losses, random, steps
from jaxgan.games import objectives, regularizers
from jaxgan.models import vanilla
from jaxgan.state import init_player
from tests import toy_players

LATENTS = partial(random.latents, size=3, prior="uniform")
DRAW = objectives.fakes(LATENTS)


def some_features(seed, count=64, size=5):
    draws = np.random.default_rng(seed)
    return jnp.asarray(
        draws.normal(draws.normal(size=size), draws.uniform(0.5, 2, size), (count, size))
    )


def fits():
    return (
        regularizers.Fit(jnp.array([0.3, -1.0]), jnp.array([0.5, 2.0])),
        regularizers.Fit(jnp.array([-0.2, 0.5]), jnp.array([1.5, 0.7])),
    )


def densities(index):
    return [
        scipy.stats.norm(float(fit.mean[index]), float(jnp.sqrt(fit.variance[index]))).pdf
        for fit in fits()
    ]


# --- measures -------------------------------------------------------------------------------------


def test_feature_matching_is_the_squared_gap_of_the_means():
    real, fake = some_features(0), some_features(1)
    expected = np.square(np.mean(real, axis=0) - np.mean(fake, axis=0))
    np.testing.assert_allclose(regularizers.feature_matching(real, fake), expected, rtol=1e-5)
    np.testing.assert_array_equal(regularizers.feature_matching(real, real), 0)


@pytest.mark.parametrize("index", [0, 1])
def test_the_divergence_of_two_fits_is_the_integral(index):
    left, right = densities(index)
    integral, _ = scipy.integrate.quad(lambda x: left(x) * np.log(left(x) / right(x)), -20, 20)
    assert float(regularizers.kl_of_fits(*fits())[index]) == pytest.approx(integral, rel=1e-5)


@pytest.mark.parametrize("index", [0, 1])
def test_the_jensen_shannon_divergence_is_to_the_fit_of_the_mixture_and_bounds_the_true_one(index):
    pair = densities(index)
    means, variances = (
        [float(getattr(fit, name)[index]) for fit in fits()] for name in ("mean", "variance")
    )
    spread = np.sqrt(np.mean(variances) + np.var(means))

    def divergence(middle):
        def integrand(x):
            return sum(0.5 * p(x) * np.log(p(x) / middle(x)) for p in pair)

        return scipy.integrate.quad(integrand, -20, 20)[0]

    found = float(regularizers.js_of_fits(*fits())[index])
    assert found == pytest.approx(
        divergence(scipy.stats.norm(np.mean(means), spread).pdf), rel=1e-5
    )
    assert found > divergence(lambda x: (pair[0](x) + pair[1](x)) / 2)
    np.testing.assert_allclose(found, regularizers.js_of_fits(*fits()[::-1])[index], rtol=1e-6)


MEASURES = {
    "feature matching": regularizers.feature_matching,
    "kl": regularizers.gaussian_kl,
    "js": regularizers.gaussian_js,
}
every_measure = pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES.keys())


@every_measure
def test_a_measure_is_zero_at_equal_features_positive_elsewhere_and_by_feature(measure):
    real, fake = some_features(0), some_features(1)
    assert np.all(measure(real, fake) > 0)
    np.testing.assert_allclose(measure(real, real), 0, atol=1e-6)
    np.testing.assert_allclose(
        measure(real[:, :2], fake[:, :2]), measure(real, fake)[:2], rtol=1e-6
    )


@every_measure
def test_the_gradient_is_that_of_finite_differences(measure):
    with jax.enable_x64(True):
        real = jnp.asarray(some_features(0, 6, 2), jnp.float64)
        fake = jnp.asarray(some_features(1, 6, 2), jnp.float64)
        test_util.check_grads(lambda x: jnp.sum(measure(real, x)), (fake,), 1, eps=1e-6)


@every_measure
def test_a_collapsed_feature_has_a_finite_value_and_gradient(measure):
    collapsed = jnp.zeros((8, 2))
    for pair in ((some_features(0, 8, 2), collapsed), (collapsed, collapsed)):
        value, gradient = jax.value_and_grad(lambda x, y: jnp.sum(measure(y, x)))(*pair[::-1])
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


def test_the_divergence_moves_a_collapsed_generator_apart():
    """Its gradient at points close together points away from their mean."""
    real = some_features(0, 64, 1)
    fake = 0.01 * some_features(1, 64, 1)
    for measure in (regularizers.gaussian_kl, regularizers.gaussian_js):
        gradient = jax.grad(lambda x, measure=measure: jnp.sum(measure(real - jnp.mean(real), x)))(
            fake - jnp.mean(fake)
        )
        assert float(jnp.sum(gradient * (fake - jnp.mean(fake)))) < 0


# --- terms in a game ------------------------------------------------------------------------------


def game():
    """A state of two small perceptrons, a batch and keys."""
    gan = laws.BY_NAME["vanilla"].build()
    batch = laws.batch_of(laws.BY_NAME["vanilla"])
    return gan.init(jax.random.key(0)), batch, random.row_keys(jax.random.key(1), laws.BATCH)


def test_features_are_what_the_layer_puts_out_and_unknown_layers_are_refused():
    network = vanilla.Discriminator((4, 3), dropout=0.0)
    player = init_player(jax.random.key(0), network, laws.descent()["generator"], jnp.zeros((1, 2)))
    images = jnp.asarray(np.random.default_rng(0).normal(size=(6, 2)), jnp.float32)
    found = regularizers.features(player, "Dense_0", images)
    first = player.params["Dense_0"]
    np.testing.assert_allclose(found, images @ first["kernel"] + first["bias"][None], rtol=1e-5)
    assert regularizers.features(player, "Dense_1", images).shape == (6, 3)
    with pytest.raises(ValueError, match=r"no layer 'Dense_9'; .* Dense_0, Dense_1, Dense_2"):
        regularizers.features(player, "Dense_9", images)


def test_a_term_is_added_reported_and_may_stand_alone():
    state, batch, keys = game()
    objective = objectives.generator_objective(losses.non_saturating(), DRAW)
    term = regularizers.between_features(DRAW, "Maxout_1", regularizers.feature_matching)
    plain, out = objective(state, batch, keys)
    value = jnp.mean(term(state, batch, keys))
    assert value > 0
    both, reported = regularizers.plus(objective, term, name="matching", weight=3.0)(
        state, batch, keys
    )
    assert float(both) == pytest.approx(float(plain + 3.0 * value), rel=1e-5)
    assert float(reported.metrics["matching"].value) == pytest.approx(float(value), rel=1e-5)
    assert set(reported.metrics) == {"matching", *out.metrics}
    alone, _ = regularizers.plus(objective, term, name="matching", own=0.0)(state, batch, keys)
    assert float(alone) == pytest.approx(float(value), rel=1e-6)


def test_a_generator_that_matches_features_comes_closer_to_them():
    state, batch, keys = game()
    objective = objectives.generator_objective(losses.non_saturating(), DRAW)
    term = regularizers.between_features(DRAW, "Maxout_1", regularizers.gaussian_kl)
    step = jax.jit(
        steps.update("generator", regularizers.plus(objective, term, name="divergence", own=0.0))
    )
    start = float(jnp.mean(term(state, batch, keys)))
    for _ in range(30):
        state, _ = step(state, batch, keys)
    assert float(jnp.mean(term(state, batch, keys))) < 0.7 * start


def test_mode_seeking_is_the_ratio_of_the_distances_inverted():
    """A generator x -> w x has images w times as far apart as latents."""
    keys = toy_players.keys_of(8)
    term = regularizers.mode_seeking(partial(random.latents, size=2))
    for weight in (0.5, 4.0):
        state = toy_players.state_of({"generator": toy_players.scale(weight)})
        found = float(term(state, {}, keys))
        assert found == pytest.approx(1 / (weight + regularizers.EPSILON), rel=1e-4)
    ignoring = toy_players.state_of({"generator": toy_players.scale(0.0)})
    assert float(term(ignoring, {}, keys)) == pytest.approx(1 / regularizers.EPSILON, rel=1e-4)
