"""f-GAN: each divergence's convex function, conjugate, activation and optimum fit together."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import losses

NAMES = tuple(losses.DIVERGENCES)
RATIOS = np.array([0.03, 0.2, 0.5, 0.9, 1.3, 2.0, 7.0, 40.0])
LOGITS = np.linspace(-6, 6, 49)

# The conjugates f* as functions of T, before the activation is put in.
CONJUGATES = {
    "kl": lambda t: np.exp(t - 1),
    "reverse_kl": lambda t: -1 - np.log(-t),
    "pearson": lambda t: t**2 / 4 + t,
    "squared_hellinger": lambda t: t / (1 - t),
    "jensen_shannon": lambda t: -np.log(2 - np.exp(t)),
    "gan": lambda t: -np.log(1 - np.exp(t)),
    "total_variation": lambda t: t,
}


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def kullback_leibler(p, q):
    return np.sum(p * np.log(p / q))


def jensen_shannon(p, q):
    middle = (p + q) / 2
    return (kullback_leibler(p, middle) + kullback_leibler(q, middle)) / 2


# D(p||q) by its usual definition; the two with a constant are named as in Nowozin et al.
DEFINITIONS = {
    "kl": kullback_leibler,
    "reverse_kl": lambda p, q: kullback_leibler(q, p),
    "pearson": lambda p, q: np.sum((p - q) ** 2 / q),
    "squared_hellinger": lambda p, q: np.sum((np.sqrt(p) - np.sqrt(q)) ** 2),
    "jensen_shannon": lambda p, q: 2 * jensen_shannon(p, q),
    "gan": lambda p, q: 2 * jensen_shannon(p, q) - np.log(4),
    "total_variation": lambda p, q: np.abs(p - q).sum() / 2,
}


def distributions(seed, size=12):
    """Two random distributions over `size` outcomes."""
    p, q = np.random.default_rng(seed).dirichlet(np.ones(size), 2)
    return p, q


def strictly_increasing(function):
    return bool(np.all(np.diff(function(LOGITS)) > 0))


def inverse(activation, targets, reach=600.0):
    """The logits at which an increasing activation takes the targets, by bisection."""
    low, high = np.full_like(targets, -reach), np.full_like(targets, reach)
    for _ in range(80):
        middle = (low + high) / 2
        below = np.asarray(activation(middle)) < targets
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return high


def expected_loss(divergence, logits, p, q):
    """The discriminator's mean loss where the data follow p, the generator q."""
    logits = jnp.asarray(logits)
    real, fake = jnp.meshgrid(logits, logits, indexing="ij")
    return jnp.sum(jnp.outer(p, q) * losses.f_gan(divergence).discriminator(real, fake))


def test_all_seven_divergences_are_there():
    assert set(NAMES) == set(CONJUGATES) == set(DEFINITIONS)


@pytest.mark.parametrize("name", NAMES)
def test_the_convex_function_defines_the_divergence(name):
    p, q = distributions(0)
    value = np.sum(q * losses.DIVERGENCES[name].generator(p / q))
    np.testing.assert_allclose(value, DEFINITIONS[name](p, q), rtol=1e-12)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "reverse_kl"])
def test_the_convex_function_is_finite_where_the_data_have_no_mass(name):
    assert np.isfinite(losses.DIVERGENCES[name].generator(jnp.array(0.0)))


@pytest.mark.parametrize("name", NAMES)
def test_the_optimum_is_the_derivative_of_the_convex_function(name):
    divergence = losses.DIVERGENCES[name]
    derivative = jax.vmap(jax.grad(divergence.generator))(jnp.asarray(RATIOS))
    np.testing.assert_allclose(divergence.optimal(RATIOS), derivative, rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_the_simplified_conjugate_is_the_conjugate_of_the_activation(name):
    divergence = losses.DIVERGENCES[name]
    composed = CONJUGATES[name](np.asarray(divergence.activation(LOGITS)))
    np.testing.assert_allclose(divergence.conjugate(LOGITS), composed, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_the_conjugate_is_the_supremum_that_defines_it(name):
    divergence = losses.DIVERGENCES[name]
    ratios = np.concatenate([[1e-12], np.geomspace(1e-6, 1e6, 200_001)])
    for logit in (-2.0, -0.3, 0.0, 0.8, 1.7):
        output = float(divergence.activation(logit))
        supremum = np.max(ratios * output - np.asarray(divergence.generator(ratios)))
        np.testing.assert_allclose(divergence.conjugate(logit), supremum, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_activation_increases(name):
    assert strictly_increasing(losses.DIVERGENCES[name].activation)


def test_the_popular_reverse_kl_activation_would_fail_that_test():
    assert not strictly_increasing(lambda v: -np.exp(v))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", NAMES)
def test_the_optimal_discriminator_attains_minus_the_divergence(name, seed):
    divergence, (p, q) = losses.DIVERGENCES[name], distributions(seed)
    logits = inverse(divergence.activation, np.asarray(divergence.optimal(p / q)))
    least = expected_loss(name, logits, p, q)
    np.testing.assert_allclose(-least, DEFINITIONS[name](p, q), rtol=1e-12, atol=1e-14)
    slopes = jax.grad(expected_loss, argnums=1)(name, logits, p, q)
    np.testing.assert_allclose(slopes, 0, atol=1e-12)
    for shift in (-0.5, 0.5, *np.random.default_rng(seed).normal(size=(3, len(p)))):
        assert expected_loss(name, logits + shift, p, q) >= least


@pytest.mark.parametrize("name", NAMES)
def test_the_boundary_is_the_optimal_logit_of_equally_likely_examples(name):
    divergence = losses.DIVERGENCES[name]
    np.testing.assert_allclose(
        divergence.activation(divergence.boundary), divergence.optimal(1.0), atol=1e-15
    )
    assert losses.f_gan(name).boundary == divergence.boundary


@pytest.mark.parametrize("name", NAMES)
def test_the_game_is_zero_sum(name):
    loss, fake = losses.f_gan(name), jnp.asarray(LOGITS)
    total = loss.discriminator(jnp.zeros_like(fake), fake) + loss.generator(fake)
    np.testing.assert_allclose(total, total[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_fakes_that_look_more_real_cost_the_generator_less(name):
    # Table 2 continues Pearson's parabola below v = f'(0) = -2, which no ratio p/q reaches.
    logits = LOGITS[LOGITS >= -2] if name == "pearson" else LOGITS
    assert np.all(np.diff(losses.f_gan(name).generator(logits)) < 0)


def test_the_gan_divergence_plays_the_minimax_game():
    real, fake = jnp.asarray(LOGITS), jnp.asarray(LOGITS[::-1].copy())
    ours, theirs = losses.f_gan("gan"), losses.minimax()
    np.testing.assert_allclose(ours.discriminator(real, fake), theirs.discriminator(real, fake))
    np.testing.assert_allclose(ours.generator(fake), theirs.generator(fake))


def test_an_unknown_divergence_is_refused():
    with pytest.raises(ValueError, match="did you mean 'squared_hellinger'"):
        losses.f_gan("hellinger")
