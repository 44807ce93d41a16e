"""The game of two players: what follows the discriminator's steps, and what moves the players."""

from __future__ import annotations

from functools import partial

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import losses, nn, optimizers, penalties, random, steps
from jaxgan.games import builder, two_player
from jaxgan.models import vanilla
from tests.building import built

LIMIT = 0.05


def build(**changes):
    descent = {name: optax.sgd(0.5) for name in ("generator", "discriminator")}
    options = {
        "shape": (2,),
        "loss": losses.wasserstein(),
        "latents": partial(random.latents, size=3),
        "optimizers": descent,
    }
    return built(
        two_player.build,
        vanilla.Generator((2,), (8,)),
        vanilla.Discriminator((8,), dropout=0.0),
        **{**options, **changes},
    )


def batch(rows):
    return {"image": np.random.default_rng(0).normal(size=(rows, 2)).astype(np.float32)}


def largest(params):
    return max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize("n_critic", [1, 3])
def test_the_projection_follows_every_step_of_the_discriminator_and_none_of_the_generator(n_critic):
    met = []

    def projection(params):
        clipped = penalties.clip_weights(params, LIMIT)
        jax.debug.callback(lambda before, after: met.append((before, after)), params, clipped)
        return clipped

    gan = build(projection=projection, schedule=partial(steps.alternate, n_critic=n_critic))
    state, _ = jax.jit(gan.step)(gan.init(jax.random.key(0)), batch(4 * n_critic))
    jax.effects_barrier()
    assert len(met) == n_critic
    assert all(largest(before) > LIMIT for before, _ in met)
    assert largest(state["discriminator"].params) == pytest.approx(LIMIT)
    assert largest(state["generator"].params) > LIMIT


def test_the_wasserstein_estimate_is_the_difference_of_mean_logits_without_the_penalty():
    gan = build(penalty=partial(penalties.gradient_penalty, weight=3.0))
    _, metrics = jax.jit(gan.step)(gan.init(jax.random.key(0)), batch(8))
    seen = {name.partition("/")[2]: float(mean.value) for name, mean in metrics.items()}
    by_hand = metrics["discriminator/real_logit"].value - metrics["discriminator/fake_logit"].value
    assert seen["wasserstein"] == pytest.approx(float(by_hand), abs=1e-6)
    loss = metrics["discriminator/loss"].value
    assert float(loss) == pytest.approx(seen["penalty"] - seen["wasserstein"], rel=1e-5)
    assert seen["penalty"] > 0


def test_a_critic_held_at_slope_1_estimates_the_distance_of_two_points():
    draws = np.zeros((64, 2), np.float32)
    draws[:, 0] = 4.0
    adam = {
        "generator": optax.sgd(0.0),
        "discriminator": optimizers.adam(0.02, 0.0, 0.9),
    }

    class Origin(vanilla.Generator):
        def __call__(self, latents, *, keys=None, train=False):
            return 0.0 * super().__call__(latents, keys=keys, train=train)

    gan = built(
        two_player.build,
        Origin((2,), (4,)),
        vanilla.Discriminator((32,), dropout=0.0),
        shape=(2,),
        loss=losses.wasserstein(),
        latents=partial(random.latents, size=3),
        optimizers=adam,
        penalty=partial(penalties.gradient_penalty, weight=10.0),
    )
    state, run = gan.init(jax.random.key(0)), jax.jit(steps.repeat(gan.step))
    batches = {"image": np.broadcast_to(draws, (400, *draws.shape))}
    _, metrics = run(state, batches)
    estimates = metrics["discriminator/wasserstein"]
    found = float(jnp.mean(estimates.total[-50:] / estimates.count[-50:]))
    # The penalty is soft: the best slope is 1 + |gap| / (2 weight), here 1.2.
    assert found == pytest.approx(4 * 1.2, rel=0.05)


def test_two_step_sizes_move_the_players_by_their_own_multiples_of_their_gradients():
    def moves(generator, discriminator):
        rates = {"generator": generator, "discriminator": discriminator}
        gan = build(
            optimizers={name: optax.sgd(rate) for name, rate in rates.items()},
            schedule=builder.simultaneously,
        )
        before = gan.init(jax.random.key(0))
        after, metrics = jax.jit(gan.step)(before, batch(8))
        for name, rate in rates.items():
            moved = jax.tree.map(jnp.subtract, after[name].params, before[name].params)
            gradient = float(metrics[f"{name}/gradient_norm"].value)
            yield float(optax.tree.norm(moved)), pytest.approx(rate * gradient, rel=1e-5)

    (generator, of_generator), (discriminator, of_discriminator) = moves(0.125, 0.5)
    assert (generator, discriminator) == (of_generator, of_discriminator)
    assert [norm for norm, _ in moves(0.25, 0.5)] == pytest.approx(
        [2 * generator, discriminator], rel=1e-5
    )


def test_rmsprop_by_hand():
    optimizer = optimizers.rmsprop(0.1)
    params = jnp.array([1.0, -2.0])
    state, square = optimizer.init(params), np.zeros(2)
    for gradient in (np.array([3.0, -0.5]), np.array([1.0, 4.0])):
        square = 0.99 * square + 0.01 * gradient**2
        move, state = optimizer.update(jnp.asarray(gradient), state, params)
        np.testing.assert_allclose(move, -0.1 * gradient / (np.sqrt(square) + 1e-8), rtol=1e-5)


# --- noise inside, and continuous conditions ------------------------------------------------------


class Noisy(linen.Module):
    """A generator with every kind of noise inside, in sampling, too."""

    @linen.compact
    def __call__(self, latents, mass, wind, *, keys, train=False):
        x = linen.Dense(8)(jnp.concatenate([latents, mass, wind], axis=-1))
        x = nn.Dropout(0.5)(nn.GaussianNoise(1.0)(x, keys), keys)
        chosen = random.draw(random.fold(keys, "gumbel"), lambda key: jax.random.gumbel(key, (2,)))
        return linen.Dense(2)(x) + jax.nn.softmax(chosen)


class Judge(linen.Module):
    """A discriminator with a projection of the conditions."""

    @linen.compact
    def __call__(self, x, mass, wind, *, keys=None, train=False):
        given = linen.Dense(4)(jnp.concatenate([mass, wind], axis=-1))
        return jnp.sum(linen.Dense(4)(x) * given, axis=-1)


TYPICAL = {"mass": [[1.0], [2.0]], "wind": [[0.0, 1.0, 2.0]]}


@pytest.fixture(scope="module")
def windy():
    """A game of both, whose latents are all alike, and its initial state."""
    adam = {name: optimizers.adam(1e-3) for name in ("generator", "discriminator")}
    gan = built(
        two_player.build,
        Noisy(),
        Judge(),
        shape=(2,),
        loss=losses.hinge(),
        latents=lambda keys: jnp.ones((keys.count, 3)),
        optimizers=adam,
        **two_player.conditioned(TYPICAL),
    )
    return gan, gan.init(jax.random.key(0))


def test_the_same_key_gives_the_same_noise_inside_whatever_the_batch(windy):
    gan, state = windy
    draw = jax.jit(gan.sample)
    first = draw(state, random.row_keys(jax.random.key(1), 4))
    other = draw(state, random.row_keys(jax.random.key(1), 4, start=2))
    np.testing.assert_array_equal(other[:2], first[2:])
    assert len(np.unique(np.asarray(first), axis=0)) == 4


def test_continuous_conditions_default_to_typical_ones_in_turn(windy):
    gan, _ = windy
    assert gan.conditions == ("mass", "wind")
    defaults = dict(gan.defaults)
    np.testing.assert_array_equal(defaults["mass"](3), [[1.0], [2.0], [1.0]])
    np.testing.assert_array_equal(defaults["wind"](2), [[0.0, 1.0, 2.0]] * 2)
    with pytest.raises(ValueError, match="the condition 'x' has typical values of shape"):
        two_player.conditioned({"x": np.zeros((0, 2))})


def test_both_players_learn_from_continuous_conditions(windy):
    gan, state = windy
    given = {"mass": np.ones((4, 1), np.float32), "wind": np.ones((4, 3), np.float32)}
    step = jax.jit(gan.step)
    near, _ = step(state, {**batch(4), **given})
    far, _ = step(state, {**batch(4), **given, "mass": 9 * given["mass"]})
    for name in ("generator", "discriminator"):
        left, right = (jax.tree.leaves(of[name].params) for of in (near, far))
        assert any(not np.array_equal(*pair) for pair in zip(left, right, strict=True))
