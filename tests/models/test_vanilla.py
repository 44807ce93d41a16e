"""The GAN of 2014: perceptrons for images and for points, their noise and their descent."""

from __future__ import annotations

from functools import partial

import building
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments import vanilla as experiment
from experiments.flags import two_player_flags
from jaxgan import losses, random
from jaxgan.models import vanilla


def shapes(module, x) -> dict:
    variables = jax.eval_shape(module.init, jax.random.key(0), x)
    return jax.tree.map(jnp.shape, variables["params"])


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def built(**changes):
    optimizers = {name: optax.sgd(0.01) for name in ("generator", "discriminator")}
    return building.built(
        vanilla.build, **{"loss": losses.minimax(), "optimizers": optimizers, **changes}
    )


@pytest.mark.parametrize("shape", [(28, 28, 1), (8, 12, 3), (2,), (1,)])
def test_images_of_any_size_and_points_are_examples_alike(shape):
    gan = built(shape=shape, latent_size=5)
    state = jax.eval_shape(gan.init, jax.random.key(0))
    keys = jax.eval_shape(lambda key: random.row_keys(key, 4), jax.random.key(0))
    examples = jax.eval_shape(gan.sample, state, keys)
    assert examples.shape == (4, *shape)
    logits = jax.eval_shape(lambda state, x: state["discriminator"](x), state, examples)
    assert logits.shape == (4,)


def test_the_widths_are_those_asked_for():
    assert shapes(vanilla.Generator((28, 28, 1), (240, 480)), jnp.zeros((1, 100))) == {
        "Dense_0": {"kernel": (100, 240), "bias": (240,)},
        "Dense_1": {"kernel": (240, 480), "bias": (480,)},
        "Dense_2": {"kernel": (480, 784), "bias": (784,)},
    }
    assert shapes(vanilla.Discriminator((240, 120)), jnp.zeros((1, 28, 28, 1))) == {
        "Dense_0": {"kernel": (784, 240), "bias": (240,)},
        "Dense_1": {"kernel": (240, 120), "bias": (120,)},
        "Dense_2": {"kernel": (120, 1), "bias": (1,)},
    }


def test_the_discriminator_of_2014_is_maxout():
    discriminator = vanilla.Discriminator((240, 240), pieces=5)
    assert shapes(discriminator, jnp.zeros((1, 28, 28, 1))) == {
        "Maxout_0": {"Dense_0": {"kernel": (784, 1200), "bias": (1200,)}},
        "Maxout_1": {"Dense_0": {"kernel": (240, 1200), "bias": (1200,)}},
        "Dense_0": {"kernel": (240, 1), "bias": (1,)},
    }


def test_the_networks_compute_what_they_say():
    generator, discriminator = vanilla.Generator((2, 2, 1), (6,)), vanilla.Discriminator((6,))
    z, x = noise(3, 4), noise(3, 2, 2, 1)
    g = jax.tree.map(lambda s: noise(*s), shapes(generator, z), is_leaf=lambda s: type(s) is tuple)
    d = jax.tree.map(
        lambda s: noise(*s), shapes(discriminator, x), is_leaf=lambda s: type(s) is tuple
    )

    def dense(params, name, x):
        return x @ params[name]["kernel"] + params[name]["bias"][None]

    hidden = dense(g, "Dense_0", z)
    images = np.tanh(dense(g, "Dense_1", np.maximum(hidden, 0))).reshape(3, 2, 2, 1)
    np.testing.assert_allclose(generator.apply({"params": g}, z), images, rtol=1e-5, atol=1e-5)
    hidden = dense(d, "Dense_0", x.reshape(3, 4))
    logits = dense(d, "Dense_1", np.where(hidden > 0, hidden, 0.2 * hidden))[:, 0]
    np.testing.assert_allclose(discriminator.apply({"params": d}, x), logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("shape", "bounded"), [((2, 2, 1), True), ((4,), False)])
def test_images_are_bounded_and_points_are_not(shape, bounded):
    generator = vanilla.Generator(shape, (6,))

    @jax.jit
    def large(key, z):
        return generator.apply(jax.tree.map(lambda leaf: 50 * leaf, generator.init(key, z)), z)

    examples = large(jax.random.key(0), noise(8, 3))
    assert (np.max(np.abs(examples)) <= 1.0) == bounded


def test_dropout_falls_where_it_is_asked_for_and_only_given_keys():
    x, keys = noise(6, 5), random.row_keys(jax.random.key(0), 6)
    shares = [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5)]
    networks = [vanilla.Discriminator((7,), input_dropout=a, dropout=b) for a, b in shares]

    @jax.jit
    def judged(key, keys):
        variables = networks[0].init(key, x)
        return [(n.apply(variables, x), n.apply(variables, x, keys=keys)) for n in networks]

    (exact, without), *noisy = judged(jax.random.key(0), keys)
    np.testing.assert_array_equal(without, exact)
    for quiet, _ in noisy:
        np.testing.assert_array_equal(quiet, exact)
    (_, before), (_, between) = noisy
    assert not np.allclose(before, exact)
    assert not np.allclose(between, exact)
    assert not np.allclose(before, between)


def test_the_weights_of_2014_are_uniform_and_the_discriminators_a_tenth():
    for init, limit in zip(vanilla.weights(0.05), (0.05, 0.005), strict=True):
        drawn = np.asarray(init(jax.random.key(0), (200, 100), jnp.float32))
        assert 0.99 * limit < np.max(np.abs(drawn)) <= limit
        assert drawn.std() == pytest.approx(limit / np.sqrt(3), rel=0.02)


def test_without_a_limit_the_weights_shrink_with_the_fan_in():
    for init in vanilla.weights(None):
        drawn = np.asarray(init(jax.random.key(0), (400, 100), jnp.float32))
        assert drawn.std() == pytest.approx(1 / np.sqrt(400), rel=0.05)


def test_the_descent_of_2014_slows_down_and_gains_momentum():
    optimizer = vanilla.sgd_of_2014(0.1, saturate=4)
    params, velocity, expected = jnp.asarray(2.0), 0.0, 2.0
    state = optimizer.init(params)
    for step in range(6):
        gradient = float(np.sin(step + 1.0))
        updates, state = optimizer.update(jnp.asarray(gradient), state, params)
        params = optax.apply_updates(params, updates)
        velocity = (0.5 + 0.2 * min(step / 4, 1.0)) * velocity + gradient
        expected -= 0.1 / 1.000004**step * velocity
        assert float(params) == pytest.approx(expected, rel=1e-5)


def test_the_descent_of_2014_never_stops():
    optimizer = vanilla.sgd_of_2014(0.1)
    state = optimizer.init(jnp.asarray(0.0))
    # Every counter of the state, as after ten million steps.
    late = jax.tree.map(
        lambda leaf: leaf + 10_000_000 if jnp.issubdtype(leaf.dtype, jnp.integer) else leaf, state
    )
    update, _ = optimizer.update(jnp.asarray(1.0), late, jnp.asarray(0.0))
    assert float(update) == pytest.approx(-1e-6, rel=1e-5)


def test_training_meets_noise_that_samples_do_not():
    gan = built(shape=(2,), latent_size=3, generator=vanilla.Generator((2,), (4,)))
    state = jax.jit(gan.init)(jax.random.key(0))
    keys = random.row_keys(jax.random.key(1), 4)
    sample = jax.jit(gan.sample)
    np.testing.assert_array_equal(sample(state, keys), sample(state, keys))
    judge = jax.jit(
        partial(state["discriminator"].apply_fn, {"params": state["discriminator"].params})
    )
    x = sample(state, keys)
    assert not np.allclose(judge(x, keys=keys), judge(x))


def test_what_the_game_does_not_know_is_refused():
    with pytest.raises(ValueError, match="the prior is 'cauchy'; expected one of normal, uniform"):
        built(shape=(2,), prior="cauchy")
    gan = built(shape=(2,))
    keys = random.row_keys(jax.random.key(0), 2)
    with pytest.raises(ValueError, match="takes no condition 'label'; it takes none"):
        gan.sample(None, keys, label=jnp.zeros(2, jnp.int32))


def test_the_papers_discriminator_moves_by_half_as_its_authors_halve_its_loss():
    config = experiment.Config(**{"preset": "paper", **experiment.PRESETS["paper"]})
    players = two_player_flags.optimizers(config)
    for name, rate in (("generator", 0.1), ("discriminator", 0.05)):
        move, _ = players[name].update(np.ones(1), players[name].init(np.zeros(1)))
        assert move[0] == pytest.approx(-rate, rel=1e-5)
    assert config.prior == "unit_uniform"
