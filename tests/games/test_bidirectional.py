"""The game with an encoder: its two objectives by hand, and its optimum in the linear case."""

from __future__ import annotations

from functools import partial

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

from jaxgan import losses, random, state, steps
from jaxgan.games import bidirectional
from tests.building import built

RATES = {"generator": optax.sgd(1.0), "discriminator": optax.sgd(1.0)}


def player(function, **params):
    """The player that computes `function(params, *inputs)` and descends at rate 1."""

    def apply(variables, *inputs, mutable, **unused):
        return function(variables["params"], *inputs), {}

    params = {name: jnp.asarray(value, jnp.float32) for name, value in params.items()}
    return state.Player.create(apply_fn=apply, params=params, tx=optax.sgd(1.0))


def line(*, encoder, generator, image, latent):
    """E(x) = encoder x, G(z) = generator z, D(x, z) = image x + latent z."""
    return state.create(
        jax.random.key(0),
        {
            "generator": player(lambda p, z: p["w"] * z, w=generator),
            "encoder": player(lambda p, x: bidirectional.Encoding(p["w"] * x, x), w=encoder),
            "discriminator": player(lambda p, x, z: p["x"] * x + p["z"] * z, x=image, z=latent),
        },
    )


X, Z = np.array([[1.0, -2.0, 0.5], [0.3, 1.5, -1.0]], np.float32)
KEYS = random.row_keys(jax.random.key(1), 3)
DRAW = bidirectional.passes(lambda keys: jnp.asarray(Z))


def moved(names, objective, players):
    step = steps.update(names, objective(losses.non_saturating(), DRAW), prefix="")
    return step(players, {"image": jnp.asarray(X)}, KEYS)


def log1pexp(x):
    return np.log1p(np.exp(np.asarray(x, np.float64)))


def logistic(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


# --- the objectives -------------------------------------------------------------------------------


def test_the_discriminator_takes_real_images_with_their_encodings_for_real():
    players = line(encoder=0.5, generator=2.0, image=0.7, latent=-0.4)
    real, fake = 0.7 * X - 0.4 * 0.5 * X, 0.7 * 2.0 * Z - 0.4 * Z
    after, metrics = moved("discriminator", bidirectional.discriminator_objective, players)
    assert metrics["loss"].value == pytest.approx(np.mean(log1pexp(-real) + log1pexp(fake)))
    by_real, by_fake = -logistic(-real), logistic(fake)
    judge = after["discriminator"].params
    assert 0.7 - judge["x"] == pytest.approx(np.mean(by_real * X + by_fake * 2.0 * Z), rel=1e-4)
    assert -0.4 - judge["z"] == pytest.approx(np.mean(by_real * 0.5 * X + by_fake * Z), rel=1e-4)


def test_generator_and_encoder_each_answer_their_own_pairs_with_the_labels_exchanged():
    players = line(encoder=0.5, generator=2.0, image=0.7, latent=-0.4)
    real, fake = 0.7 * X - 0.4 * 0.5 * X, 0.7 * 2.0 * Z - 0.4 * Z
    after, metrics = moved(bidirectional.PLAYERS, bidirectional.inverse_objective, players)
    assert metrics["loss"].value == pytest.approx(np.mean(log1pexp(real) + log1pexp(-fake)))
    assert metrics["encoding_square"].value == pytest.approx(np.mean((0.5 * X) ** 2))
    by_encoder = np.mean(logistic(real) * -0.4 * X)
    by_generator = np.mean(-logistic(-fake) * 0.7 * Z)
    assert 0.5 - after["encoder"].params["w"] == pytest.approx(by_encoder, rel=1e-4)
    assert 2.0 - after["generator"].params["w"] == pytest.approx(by_generator, rel=1e-4)


def test_a_discriminator_that_is_right_leaves_both_players_their_slope():
    # D(x, z) = 50 z: sure that encodings (+1) are real, and that latents (-1) are fake.
    one = jnp.ones(3)
    players = line(encoder=1.0, generator=1.0, image=50.0, latent=50.0)
    objective = bidirectional.inverse_objective(
        losses.non_saturating(), bidirectional.passes(lambda keys: -one)
    )
    after, _ = steps.update(bidirectional.PLAYERS, objective)(players, {"image": one}, KEYS)
    assert 1.0 - after["encoder"].params["w"] == pytest.approx(50.0)
    assert 1.0 - after["generator"].params["w"] == pytest.approx(50.0)


# --- the linear case ------------------------------------------------------------------------------


class Linear(linen.Module):
    """A linear map without bias: a generator of points."""

    features: int = 2

    @linen.compact
    def __call__(self, x, *, keys=None, train=False):
        return linen.Dense(self.features, use_bias=False)(x)


class LinearEncoder(Linear):
    def __call__(self, x, *, keys=None, train=False):
        return bidirectional.Encoding(super().__call__(x), x)


class Quadratic(linen.Module):
    """Any quadratic form of the pair: it sees the pairs' second moments and nothing else."""

    @linen.compact
    def __call__(self, images, latents, *, keys=None, train=False):
        pair = jnp.concatenate([images, latents], axis=-1)
        products = pair[:, :, None] * pair[:, None, :]
        return linen.Dense(1, kernel_init=linen.initializers.zeros)(
            products.reshape(len(pair), -1)
        )[:, 0]


MIXING = np.array([[1.5, 0.5], [-0.5, 0.8]])


def linear_game(**game):
    networks = {"generator": Linear(), "encoder": LinearEncoder(), "discriminator": Quadratic()}
    return built(
        bidirectional.build,
        networks,
        shape=(2,),
        latent_size=2,
        latents=partial(random.latents, size=2),
        loss=losses.non_saturating(),
        **game,
    )


def slope_of_the_discriminator(encoder, generator):
    """How far an undecided quadratic discriminator would move, where images are MIXING z of the
    very latents that are drawn.
    """
    gan = linear_game(optimizers=RATES, schedule=lambda d, g: d, shared_noise=False)
    first = gan.init(jax.random.key(0))
    start = first.with_params(
        {
            "encoder": {"Dense_0": {"kernel": jnp.asarray(encoder.T, jnp.float32)}},
            "generator": {"Dense_0": {"kernel": jnp.asarray(generator.T, jnp.float32)}},
        }
    )
    keys = random.example_keys(start.rng, start.step, jnp.arange(64))
    images = random.latents(keys, 2) @ MIXING.T
    _, metrics = gan.step(start, {"image": images})
    return float(metrics["discriminator/gradient_norm"].value)


def test_only_an_encoder_that_inverts_the_generator_leaves_the_discriminator_nothing_to_learn():
    inverse = np.linalg.inv(MIXING)
    assert slope_of_the_discriminator(inverse, MIXING) < 1e-5
    # Images and encodings are each distributed as they should be, but not together.
    assert slope_of_the_discriminator(-inverse, MIXING) > 0.5
    assert slope_of_the_discriminator(inverse, -MIXING) > 0.5


@pytest.mark.slow
def test_training_finds_an_encoder_that_inverts_the_generator():
    decayed = optax.chain(optax.add_decayed_weights(0.3), optax.sgd(0.1))
    gan = linear_game(optimizers={"generator": optax.sgd(0.02), "discriminator": decayed})

    @jax.jit
    def train(start):
        def step(players, key):
            images = jax.random.normal(key, (256, 2)) @ MIXING.T
            return gan.step(players, {"image": images})[0], None

        return lax.scan(step, start, jax.random.split(jax.random.key(1), 3000))[0]

    found = train(gan.init(jax.random.key(0)))
    encoder, generator = (
        np.asarray(found[name].params["Dense_0"]["kernel"]).T for name in ("encoder", "generator")
    )
    np.testing.assert_allclose(encoder @ generator, np.eye(2), atol=0.1)
    np.testing.assert_allclose(generator @ generator.T, MIXING @ MIXING.T, atol=0.3)
