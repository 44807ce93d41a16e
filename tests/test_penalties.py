"""Penalties: closed forms on linear and quadratic discriminators, kinks, keys, shapes, devices."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from jaxgan import parallel, penalties, random

SHAPE = (5, 4, 3, 2)


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


def images(seed, shape=SHAPE):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


@functools.cache
def keys(count=SHAPE[0], seed=0):
    return random.row_keys(jax.random.key(seed), count)


def linear(weights):
    """The discriminator whose gradient is `weights` everywhere."""
    return lambda x: jnp.sum(x * weights[None], axis=tuple(range(1, x.ndim)))


def quadratic(matrix):
    """x -> x' A x / 2 over flat images, whose gradient is A x for a symmetric A."""

    def discriminator(x):
        flat = x.reshape(x.shape[0], -1)
        return jnp.sum(flat * (flat @ matrix), axis=1) / 2

    return discriminator


def symmetric(size, seed=3):
    matrix = np.random.default_rng(seed).normal(size=(size, size))
    return matrix + matrix.T


# Every penalty at strength 2, as a function of (discriminator, real, fake, keys).
PENALTIES = {
    "r1": lambda d, real, fake, keys: penalties.r1(d, real, gamma=2.0),
    "r2": lambda d, real, fake, keys: penalties.r2(d, fake, gamma=2.0),
    "gradient_penalty": lambda d, real, fake, keys: penalties.gradient_penalty(
        d, real, fake, keys, weight=2.0
    ),
    "zero_centered": lambda d, real, fake, keys: penalties.zero_centered_gradient_penalty(
        d, real, fake, keys, weight=2.0
    ),
    "dragan": lambda d, real, fake, keys: penalties.dragan(d, real, keys, weight=2.0),
}
# What each is on a linear discriminator whose gradient has length n.
ON_LINEAR = {
    "r1": lambda n: n**2,
    "r2": lambda n: n**2,
    "gradient_penalty": lambda n: 2 * (n - 1) ** 2,
    "zero_centered": lambda n: 2 * n**2,
    "dragan": lambda n: 2 * (n - 1) ** 2,
}
every_penalty = pytest.mark.parametrize("name", PENALTIES)


def evaluate(name, discriminator, real, fake):
    return PENALTIES[name](discriminator, real, fake, keys(real.shape[0]))


# --- closed forms --------------------------------------------------------------------------------


@every_penalty
@pytest.mark.parametrize("shape", [SHAPE, (5, 3), (5,)], ids=str)
def test_on_linear_discriminators(name, shape, float64):
    weights = images(1, shape[1:])
    penalty = evaluate(name, linear(weights), images(2, shape), images(3, shape))
    assert penalty.shape == (5,)
    expected = ON_LINEAR[name](np.linalg.norm(weights))
    np.testing.assert_allclose(penalty, np.full(5, expected), rtol=1e-12)


def test_r1_and_r2_together_are_twice_one_of_them_on_a_linear_discriminator(float64):
    slope = linear(images(1, (3,)))
    points = images(2, (4, 3)), images(3, (4, 3))
    both = penalties.r1(slope, points[0], gamma=0.3) + penalties.r2(slope, points[1], gamma=0.3)
    np.testing.assert_allclose(both, 0.3 * np.sum(np.square(images(1, (3,)))), rtol=1e-13)


@pytest.mark.parametrize("penalty", [penalties.r1, penalties.r2])
def test_r1_and_r2_on_quadratic_discriminators(penalty, float64):
    matrix, points = symmetric(24), images(4)
    expected = 0.35 * np.sum(np.square(points.reshape(5, -1) @ matrix), axis=1)
    np.testing.assert_allclose(penalty(quadratic(matrix), points, gamma=0.7), expected, rtol=1e-12)


def test_strengths_and_targets_may_be_traced(float64):
    slope, points = linear(images(1, (3,))), images(2, (4, 3))
    traced = jax.jit(lambda gamma: penalties.r1(slope, points, gamma=gamma))(0.3)
    np.testing.assert_allclose(traced, penalties.r1(slope, points, gamma=0.3), rtol=1e-13)


def test_the_gradient_by_the_discriminators_parameters_is_the_closed_form(float64):
    weights, arguments = images(1, (3,)), (images(2, (5, 3)), images(3, (5, 3)), keys())

    def mean(weights):
        return jnp.mean(penalties.gradient_penalty(linear(weights), *arguments, weight=10.0))

    norm = np.linalg.norm(weights)
    np.testing.assert_allclose(
        jax.grad(mean)(weights), 20 * (norm - 1) * weights / norm, rtol=1e-12
    )


# --- where the slope is zero ---------------------------------------------------------------------


@every_penalty
@pytest.mark.parametrize("compiled", [lambda function: function, jax.jit], ids=["eager", "jit"])
def test_the_gradient_is_finite_where_the_slope_is_exactly_zero(name, compiled):
    arguments = images(2, (5, 3)), images(3, (5, 3)), keys()

    def mean(weights):
        return jnp.mean(PENALTIES[name](linear(weights), *arguments))

    value, gradient = compiled(jax.value_and_grad(mean))(jnp.zeros(3))
    assert float(value) == ON_LINEAR[name](0.0)
    np.testing.assert_array_equal(gradient, np.zeros(3))


def test_a_flat_example_does_not_disturb_its_neighbors(float64):
    # relu is flat for the first example, and has slope `weight` for the others.
    real = jnp.array([[-1.0], [2.0], [3.0], [0.5], [4.0]])

    def mean(weight):
        def discriminator(x):
            return jax.nn.relu(weight * x[:, 0])

        return jnp.mean(penalties.gradient_penalty(discriminator, real, real, keys(), weight=5.0))

    value, gradient = jax.value_and_grad(mean)(1.5)
    np.testing.assert_allclose(value, 1 + 4 * 0.25, rtol=1e-14)
    np.testing.assert_allclose(gradient, 4 * 2 * 0.5, rtol=1e-14)


def test_small_slopes_are_not_rounded_up(float64):
    weights = jnp.array([3e-9, 4e-9])
    penalty = penalties.gradient_penalty(
        linear(weights), jnp.ones((5, 2)), jnp.zeros((5, 2)), keys(), weight=1.0, target=0.0
    )
    np.testing.assert_allclose(penalty, 25e-18, rtol=1e-12)


# --- where they are taken ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "penalty",
    [
        lambda d, real, fake, keys: penalties.gradient_penalty(
            d, real, fake, keys, weight=1.0, target=0.0
        ),
        lambda d, real, fake, keys: penalties.zero_centered_gradient_penalty(
            d, real, fake, keys, weight=1.0
        ),
    ],
    ids=["gradient_penalty", "zero_centered"],
)
def test_each_example_is_mixed_by_its_own_uniform_share(penalty, float64):
    count = 2000
    real, fake = jnp.ones((count, 2)), jnp.zeros((count, 2))

    def shares_of(real, fake, keys):
        return jnp.sqrt(penalty(quadratic(jnp.eye(2)), real, fake, keys) / 2)

    # The squared slope of |x|^2 / 2 at a mixture with share s of ones is 2 s^2.
    shares = shares_of(real, fake, keys(count))
    assert 0 <= shares.min() < 0.01
    assert 0.99 < shares.max() < 1
    np.testing.assert_allclose(np.sort(shares), np.linspace(0, 1, count), atol=0.04)
    few = shares_of(real[:5], fake[:5], keys())
    np.testing.assert_allclose(few, shares[:5], rtol=1e-12)
    assert not np.allclose(few, shares_of(real[:5], fake[:5], keys(seed=1)))


def test_dragan_looks_up_to_half_a_deviation_above_each_pixel(float64):
    # The slope of (x - real)^2 / 2, summed, is the perturbation itself.
    count, level = 2000, 3.0
    real = level * np.where(np.arange(count) % 2, 1.0, -1.0)[:, None] * np.ones((count, 2))

    def lengths(pixels, scale):
        def discriminator(x):
            return jnp.sum(jnp.square(x - real)[:, :pixels], axis=1) / 2

        penalty = functools.partial(penalties.dragan, weight=1.0, target=0.0, scale=scale)
        return np.sqrt(penalty(discriminator, jnp.asarray(real), keys(count)))

    first = lengths(1, 0.5)
    assert 0 < first.max() < 0.5 * level
    # A product of two uniform draws: its mean is a quarter, its mean square a ninth.
    np.testing.assert_allclose(first.mean(), 0.5 * level / 4, rtol=0.05)
    np.testing.assert_allclose(np.square(first).mean(), (0.5 * level) ** 2 / 9, rtol=0.1)
    assert np.all(lengths(2, 0.5) > first)
    np.testing.assert_allclose(lengths(1, 1.0), 2 * first, rtol=1e-9)


def test_dragan_takes_the_deviation_of_the_whole_batch_on_any_number_of_devices(float64):
    axis, devices = parallel.AXIS, 4
    real = images(6, (8, 3)) * jnp.arange(1.0, 9.0)[:, None]
    matrix = symmetric(3)

    def penalty(real, keys, axis_name):
        return penalties.dragan(quadratic(matrix), real, keys, axis_name=axis_name)

    mesh, split = Mesh(np.array(jax.devices()[:devices]), (axis,)), PartitionSpec(axis)
    sharded = jax.shard_map(
        lambda real, keys: penalty(real, keys, axis), mesh=mesh, in_specs=split, out_specs=split
    )
    whole = penalty(real, keys(8), None)
    np.testing.assert_allclose(jax.jit(sharded)(real, keys(8)), whole, rtol=1e-12)


# --- shapes and precision ------------------------------------------------------------------------


@every_penalty
def test_the_logits_of_an_examples_patches_are_summed(name, float64):
    real, fake, weights = images(2), images(3), images(1, SHAPE[1:])

    def by_patches(x):
        total = jnp.square(linear(weights)(x)) / 2
        return jnp.broadcast_to(total.reshape(-1, 1, 1, 1), (x.shape[0], 2, 3, 1))

    def summed(x):
        return by_patches(x).reshape(x.shape[0], -1).sum(1)

    expected = evaluate(name, summed, real, fake)
    assert expected.shape == (5,)
    np.testing.assert_allclose(evaluate(name, by_patches, real, fake), expected, rtol=1e-12)


@every_penalty
def test_bfloat16_images_are_penalized_in_float32(name):
    real, fake = images(2).astype(jnp.bfloat16), images(3).astype(jnp.bfloat16)
    discriminator = quadratic(jnp.asarray(symmetric(24), jnp.float32) / 24)
    penalty = evaluate(name, discriminator, real, fake)
    assert penalty.dtype == jnp.float32
    expected = evaluate(name, discriminator, *(x.astype(jnp.float32) for x in (real, fake)))
    np.testing.assert_allclose(penalty, expected, rtol=1e-5)


@every_penalty
def test_a_discriminator_that_returns_a_mean_is_refused(name):
    with pytest.raises(ValueError, match="maps 5 images to logits of shape"):
        evaluate(name, jnp.mean, images(2), images(3))


def test_real_and_fake_images_of_different_shapes_are_refused():
    real, fake = jnp.zeros((4, 8, 8, 1)), jnp.zeros((4, 8, 8, 3))
    with pytest.raises(ValueError, match="give both the same shape"):
        penalties.gradient_penalty(linear(real[0]), real, fake, keys(4))


@pytest.mark.parametrize("count", [1, 4])
def test_another_number_of_keys_than_images_is_refused(count):
    real = jnp.zeros((count, 2))
    with pytest.raises(ValueError, match=f"there are 5 keys for {count} images"):
        penalties.gradient_penalty(linear(real[0]), real, real, keys())


# --- weight clipping -----------------------------------------------------------------------------


def test_clipping_reaches_every_leaf_and_keeps_what_is_inside():
    params = {"dense": {"kernel": jnp.array([[-3.0, 0.005]]), "bias": jnp.array([0.02])}}
    clipped = penalties.clip_weights(params, 0.01)
    np.testing.assert_allclose(clipped["dense"]["kernel"], [[-0.01, 0.005]], rtol=1e-6)
    np.testing.assert_allclose(clipped["dense"]["bias"], [0.01], rtol=1e-6)


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan")])
def test_a_limit_that_is_not_positive_is_refused(limit):
    with pytest.raises(ValueError, match="the clipping limit is"):
        penalties.clip_weights({}, limit)
