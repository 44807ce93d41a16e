"""Closed forms: optimal discriminators, and the divergences and distances the losses then measure.

Everything is in float64, over random distributions on finitely many outcomes or by quadrature; the
optimal discriminators are found numerically from the losses alone and compared with the theory.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import losses, penalties, random

SEEDS = range(3)
JUDGING = tuple(name for name in losses.LOSSES if losses.by_name(name).boundary is not None)


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def distributions(seed, size=10):
    """Two random distributions over `size` outcomes."""
    p, q = np.random.default_rng(seed).dirichlet(np.ones(size), 2)
    return p, q


def expected_discriminator_loss(loss, logits, p, q):
    """The mean over independent real and fake outcomes, where outcome i has logit i."""
    real, fake = jnp.meshgrid(jnp.asarray(logits), jnp.asarray(logits), indexing="ij")
    return jnp.sum(jnp.outer(p, q) * loss.discriminator(real, fake))


def best_logits(loss, p, q, reach=60.0):
    """The logits that minimize the expected loss, by bisection on its derivative."""
    slopes = jax.jit(jax.grad(lambda r, f: jnp.sum(loss.discriminator(r, f)), argnums=(0, 1)))
    low, high = np.full_like(p, -reach), np.full_like(p, reach)
    for _ in range(100):
        middle = (low + high) / 2
        by_real, by_fake = slopes(middle, middle)
        uphill = p * by_real + q * by_fake > 0
        low, high = np.where(uphill, low, middle), np.where(uphill, middle, high)
    return (low + high) / 2


# --- optimal discriminators ----------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "loss",
    [
        *(pytest.param(losses.by_name(name), id=name) for name in JUDGING),
        pytest.param(losses.non_saturating(real_label=0.8), id="smoothed"),
        pytest.param(losses.least_squares(fake=-1, real=3, target=0), id="other labels"),
    ],
)
def test_the_optimal_logit_exceeds_the_boundary_where_real_is_likelier(loss, seed):
    p, q = distributions(seed)
    np.testing.assert_array_equal(best_logits(loss, p, q) > loss.boundary, p > q)


@pytest.mark.parametrize("seed", SEEDS)
def test_cross_entropy_finds_the_log_ratio_and_measures_jensen_shannon(seed):
    p, q = distributions(seed)
    logits = best_logits(losses.minimax(), p, q)
    np.testing.assert_allclose(logits, np.log(p / q), rtol=1e-12, atol=1e-13)
    middle = (p + q) / 2
    divergence = np.sum(p * np.log(p / middle) + q * np.log(q / middle)) / 2
    value = -expected_discriminator_loss(losses.minimax(), logits, p, q)
    np.testing.assert_allclose(value, -np.log(4) + 2 * divergence, rtol=1e-13)


def test_smoothing_scales_the_optimal_probability_by_the_real_label():
    p, q = distributions(3)
    logits = best_logits(losses.non_saturating(real_label=0.9), p, q)
    np.testing.assert_allclose(jax.nn.sigmoid(logits), 0.9 * p / (p + q), rtol=1e-12)


@pytest.mark.parametrize("mean", [-1.5, 0.5, 3.0])
def test_between_gaussians_of_one_width_the_optimal_logit_is_linear(mean):
    nodes = np.linspace(-12.0, 12.0, 2001)
    weights = np.exp(-0.5 * nodes**2) / np.exp(-0.5 * nodes**2).sum()

    def loss(coefficients):
        slope, offset = coefficients
        real, fake = slope * nodes + offset, slope * (nodes + mean) + offset
        return jnp.sum(weights * losses.minimax().discriminator(real, fake))

    optimum = jnp.array([-mean, mean**2 / 2])
    np.testing.assert_allclose(jax.jit(jax.grad(loss))(optimum), 0, atol=1e-13)
    assert np.linalg.eigvalsh(jax.hessian(loss)(optimum)).min() > 0


@pytest.mark.parametrize("labels", [(-1.0, 1.0, 0.0), (0.0, 1.0, 1.0), (-2.0, 3.0, 0.5)])
@pytest.mark.parametrize("seed", SEEDS)
def test_least_squares_finds_the_mean_label(seed, labels):
    p, q = distributions(seed)
    fake, real, target = labels
    loss = losses.least_squares(fake=fake, real=real, target=target)
    logits = best_logits(loss, p, q)
    np.testing.assert_allclose(logits, (real * p + fake * q) / (p + q), rtol=1e-12, atol=1e-13)


def generator_criterion(labels, p, q):
    """2 * (E_p + E_q) of the generator's loss at the optimal discriminator (Mao et al. 2017)."""
    fake, real, target = labels
    loss = losses.least_squares(fake=fake, real=real, target=target)
    return 2 * jnp.sum((p + q) * loss.generator((real * p + fake * q) / (p + q)))


@pytest.mark.parametrize("seed", SEEDS)
def test_least_squares_measures_pearson_only_with_labels_made_for_it(seed):
    p, q = distributions(seed)
    pearson = np.sum((2 * q - (p + q)) ** 2 / (p + q))
    for middle in (0.0, 0.5):
        labels = middle - 1, middle + 1, middle
        np.testing.assert_allclose(generator_criterion(labels, p, q), pearson, rtol=1e-12)
    # The popular labels give an affine function of it instead.
    popular = generator_criterion((0.0, 1.0, 1.0), p, q)
    np.testing.assert_allclose(popular, pearson / 4 + 1 / 2, rtol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_hinge_loss_finds_the_likelier_side_and_measures_total_variation(seed):
    p, q = distributions(seed)
    logits = best_logits(losses.hinge(), p, q)
    np.testing.assert_allclose(logits, np.sign(p - q), rtol=1e-12)
    value = -expected_discriminator_loss(losses.hinge(), logits, p, q)
    np.testing.assert_allclose(value, -2 * np.minimum(p, q).sum(), rtol=1e-12)
    np.testing.assert_allclose(value, -2 * (1 - np.abs(p - q).sum() / 2), rtol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_paired_relativistic_optimum_is_the_log_ratio_up_to_a_constant(seed):
    p, q = distributions(seed)
    loss = losses.relativistic_paired()
    for constant in (0.0, 5.0):
        optimum = jnp.log(p / q) + constant
        slopes = jax.grad(expected_discriminator_loss, argnums=1)(loss, optimum, p, q)
        np.testing.assert_allclose(slopes, 0, atol=1e-15)
    curvatures = np.linalg.eigvalsh(
        jax.hessian(expected_discriminator_loss, argnums=1)(loss, optimum, p, q)
    )
    assert abs(curvatures[0]) < 1e-14 < curvatures[1]  # flat along constants, convex across


# --- the Wasserstein distance --------------------------------------------------------------------

LINE = np.linspace(-40.0, 40.0, 160_001)


def gaussian(mean, deviation):
    """Probabilities of N(mean, deviation) on LINE."""
    density = np.exp(-0.5 * ((LINE - mean) / deviation) ** 2)
    return density / density.sum()


def critic_value(critic, p, q):
    """The distance that the critic with these logits on LINE estimates."""
    loss, nothing = losses.wasserstein(), jnp.zeros(LINE.size)
    critic = jnp.asarray(critic)
    real, fake = loss.discriminator(critic, nothing), loss.discriminator(nothing, critic)
    return -float(jnp.sum(p * real + q * fake))


def integral(slopes):
    """The critic on LINE with these slopes between its points."""
    return np.concatenate([[0.0], np.cumsum(slopes[:-1]) * (LINE[1] - LINE[0])])


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [
        ((0.0, 1.0), (2.5, 1.0), 2.5),
        ((1.0, 0.5), (-0.75, 0.5), 1.75),
        ((0.0, 1.0), (1.0, 3.0), 1.791186),  # the mean of |N(1, 2)|
    ],
)
def test_the_best_critic_of_slope_one_measures_the_wasserstein_distance(first, second, distance):
    p, q = gaussian(*first), gaussian(*second)
    best_slopes = np.sign(np.cumsum(q) - np.cumsum(p))
    best = critic_value(integral(best_slopes), p, q)
    np.testing.assert_allclose(best, distance, rtol=1e-6)
    for seed in SEEDS:
        slopes = np.random.default_rng(seed).uniform(-1, 1, LINE.size)
        slopes = np.sign(slopes) if seed == 0 else best_slopes * slopes
        assert critic_value(integral(slopes), p, q) < best


def linear_critic_loss(weights, real, fake, keys, strength):
    """The WGAN-GP discriminator's loss of the critic x -> weights . x."""

    def critic(points):
        return points @ weights

    loss = losses.wasserstein().discriminator(critic(real), critic(fake))
    penalty = penalties.gradient_penalty(critic, real, fake, keys, weight=strength)
    return jnp.mean(loss + penalty)


@pytest.mark.parametrize("strength", [0.1, 1.0, 10.0])
def test_the_gradient_penalty_overestimates_a_mean_gap_by_its_known_bias(strength):
    real, fake = np.random.default_rng(7).normal(size=(2, 32, 3)) + np.array([[[0.0]], [[2.0]]])
    gap = real.mean(0) - fake.mean(0)
    size = np.linalg.norm(gap)
    keys = random.row_keys(jax.random.key(8), 32)
    optimum = jnp.asarray((1 + size / (2 * strength)) * gap / size)
    value, slope = jax.value_and_grad(linear_critic_loss)(optimum, real, fake, keys, strength)
    np.testing.assert_allclose(-value, size + size**2 / (4 * strength), rtol=1e-12)
    np.testing.assert_allclose(slope, 0, atol=1e-12)


@pytest.mark.parametrize("limit", [0.01, 0.5])
def test_weight_clipping_scales_the_mean_gap_by_its_limit(limit):
    real, fake = np.random.default_rng(9).normal(size=(2, 32)) + np.array([[1.0], [-2.0]])

    def loss(weight):
        return jnp.mean(losses.wasserstein().discriminator(weight * real, weight * fake))

    weight = jnp.array(-0.003)
    for _ in range(20):
        weight = penalties.clip_weights(weight - 0.1 * jax.grad(loss)(weight), limit)
    np.testing.assert_allclose(-loss(weight), limit * abs(real.mean() - fake.mean()), rtol=1e-12)
