"""Transformations for games against their recursions in NumPy, optax's own, and known games."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import optimizers

RATE = 0.1


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def path_of(optimizer, gradient, start, count=6):
    """The params after each step, [count, ...]."""
    params, state, path = jnp.asarray(start), optimizer.init(jnp.asarray(start)), []
    for _ in range(count):
        updates, state = optimizer.update(gradient(params), state, params)
        params = optax.apply_updates(params, updates)
        path.append(np.asarray(params))
    return np.stack(path)


def curved(params):
    return 2.0 * params + jnp.sin(5 * params)


def test_optimistic_descent_is_the_papers_recursion():
    found = path_of(optax.chain(optax.sgd(RATE), optimizers.optimistic()), curved, 0.8)
    params, last, expected = 0.8, 0.0, []
    for _ in range(6):
        gradient = float(curved(params))
        params, last = params - RATE * (2 * gradient - last), gradient
        expected.append(params)
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_optimistic_adam_is_twice_adams_update_less_the_one_before():
    adam = optax.adam(1e-2, b1=0.5)
    found = path_of(optax.chain(adam, optimizers.optimistic()), lambda p: jnp.ones(()), 0.0, 4)
    # A constant gradient: every update of Adam is the same, and only the first is doubled.
    np.testing.assert_allclose(np.diff(found), found[0] / 2, rtol=1e-5)


def test_optimism_is_that_of_optax_but_for_the_first_update():
    gradients = [jnp.array([0.3, -1.7]), jnp.array([0.1, 0.9]), jnp.array([-2.0, 0.7])]
    ours, theirs = optimizers.optimistic(), optax.scale_by_optimistic_gradient()
    states = [one.init(gradients[0]) for one in (ours, theirs)]
    for index, gradient in enumerate(gradients):
        found, states[0] = ours.update(gradient, states[0])
        known, states[1] = theirs.update(gradient, states[1])
        np.testing.assert_array_equal(found, 2 * known if index == 0 else known)


def test_optimism_makes_the_bilinear_game_converge_where_descent_diverges():
    def rotated(params):
        return jnp.stack([params[1], -params[0]])

    plain = path_of(optax.sgd(RATE), rotated, [1.0, 1.0], 400)
    ahead = path_of(optax.chain(optax.sgd(RATE), optimizers.optimistic()), rotated, [1.0, 1.0], 400)
    assert np.linalg.norm(plain[-1]) > 5
    assert np.linalg.norm(ahead[-1]) < 0.2


def test_historical_averaging_pulls_towards_the_mean_of_all_params_so_far():
    found = path_of(
        optax.chain(optimizers.historical_averaging(0.3), optax.sgd(RATE)), curved, [0.8, -0.2]
    )
    params, seen, expected = np.array([0.8, -0.2]), [], []
    for _ in range(6):
        seen.append(params)
        pull = 2 * 0.3 * (params - np.mean(seen, axis=0))
        params = params - RATE * (np.asarray(curved(params)) + pull)
        expected.append(params)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_an_average_of_no_weight_changes_nothing():
    plain = path_of(optax.adam(RATE), curved, [0.8, -0.2])
    chained = optax.chain(optimizers.historical_averaging(0.0), optax.adam(RATE))
    np.testing.assert_array_equal(path_of(chained, curved, [0.8, -0.2]), plain)


def test_an_average_that_cannot_be_taken_is_refused():
    with pytest.raises(ValueError, match="weight of the historical average is -1"):
        optimizers.historical_averaging(-1)
    transformation = optimizers.historical_averaging(1.0)
    with pytest.raises(ValueError, match="call update with them"):
        transformation.update(jnp.ones(2), transformation.init(jnp.ones(2)))


def test_adams_first_update_adds_its_epsilons_next_to_the_root_and_under_it():
    # The first bias-corrected moments are the gradient and its square.
    for gradient in (1e-4, 2.0):
        at_first = path_of(
            optimizers.adam(RATE, eps=1e-3, eps_root=1e-8), lambda p, g=gradient: g + 0 * p, 0.0, 1
        )
        expected = -RATE * gradient / (np.sqrt(gradient**2 + 1e-8) + 1e-3)
        np.testing.assert_allclose(at_first, [expected], rtol=1e-10)


def test_adams_momentum_is_a_half():
    gradients = iter([1.0, -1.0])
    path = path_of(optimizers.adam(RATE, eps=0.0), lambda p: next(gradients) + 0 * p, 0.0, 2)
    # Means 1/2 and then (1/2) 1/2 - 1/2, over their weights 1/2 and 3/4; the squares are 1.
    np.testing.assert_allclose(np.diff(path), [RATE / 3], rtol=1e-10)
