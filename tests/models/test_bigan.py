"""BiGAN and ALI: how the players move, what the encoder draws, the networks, the flags."""

from __future__ import annotations

from functools import partial

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments import bigan as experiment
from jaxgan import losses, random
from jaxgan.games import bidirectional
from jaxgan.models import bigan
from jaxgan.runs.config import DataSpec
from tests.building import built

# --- the round ------------------------------------------------------------------------------------


def tiny(**changes):
    given = {
        "shape": (8, 8, 1),
        "architecture": "perceptron",
        "latent_size": 3,
        "features": 8,
        "loss": losses.non_saturating(),
        "optimizers": {"generator": optax.sgd(0.1), "discriminator": optax.sgd(0.1)},
    }
    return built(bigan.build, **{**given, **changes})


def images_of(count, seed=0):
    draws = np.random.default_rng(seed)
    return jnp.asarray(draws.uniform(-1, 1, (count, 8, 8, 1)).astype(np.float32))


def test_all_three_players_move_from_the_same_state_on_the_same_draw():
    together = tiny(stochastic=True)
    batch, start = {"image": images_of(6)}, together.init(jax.random.key(0))
    reached, metrics = jax.jit(together.step)(start, batch)
    sides = {("discriminator",): lambda d, g: d, bidirectional.PLAYERS: lambda d, g: g}
    for names, alone in sides.items():
        gan = tiny(stochastic=True, schedule=alone, shared_noise=False)
        expected, found = jax.jit(gan.step)(start, batch)
        for name in names:
            pair = (reached[name].params, expected[name].params)
            jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), *pair)
        for name, mean in found.items():
            assert float(metrics[name].value) == pytest.approx(
                float(mean.value), rel=1e-4, abs=1e-6
            )


def test_given_images_the_sample_is_what_the_generator_makes_of_their_encodings():
    gan, keys = tiny(), random.row_keys(jax.random.key(2), 4)
    players, images = gan.init(jax.random.key(0)), images_of(4)
    encoding = bidirectional.encode(players, images)
    expected = players["generator"](encoding.latents)
    np.testing.assert_allclose(gan.sample(players, keys, image=images), expected, atol=1e-6)
    assert encoding.features.shape == (4, 8)
    drawn = players["generator"](random.latents(keys, 3))
    np.testing.assert_allclose(gan.sample(players, keys), drawn, atol=1e-6)
    with pytest.raises(ValueError, match="takes no condition 'label'; it takes image"):
        gan.sample(players, keys, label=jnp.zeros(4))


# --- the encoder ----------------------------------------------------------------------------------


class Pixels(linen.Module):
    """A trunk without parameters: the features are the pixels."""

    @linen.compact
    def __call__(self, images, *, train=False):
        return images.reshape(len(images), -1)


def stochastic_encoder():
    encoder = bigan.Encoder(Pixels(), 2, stochastic=True)
    variables = encoder.init(jax.random.key(0), images_of(1))
    return encoder, variables


def test_a_stochastic_encoder_draws_a_gaussian_of_each_images_own_mean_and_deviation():
    encoder, variables = stochastic_encoder()
    image, count = images_of(1), 4000
    many = jnp.broadcast_to(image, (count, *image.shape[1:]))
    drawn = encoder.apply(variables, many, keys=random.row_keys(jax.random.key(3), count)).latents
    mean = encoder.apply(variables, image).latents[0]
    kernel = variables["params"]["deviation"]["kernel"]
    deviation = jax.nn.sigmoid(image.reshape(1, -1) @ kernel)[0]
    np.testing.assert_allclose(np.mean(drawn, axis=0), mean, atol=5 * 0.5 / np.sqrt(count))
    np.testing.assert_allclose(np.std(drawn, axis=0), deviation, rtol=5 / np.sqrt(2 * count))


def test_what_an_encoder_draws_depends_on_the_examples_own_key_and_image_alone():
    encoder, variables = stochastic_encoder()
    images, keys = images_of(4), random.row_keys(jax.random.key(3), 4)
    drawn = encoder.apply(variables, images, keys=keys).latents
    half = jax.tree.map(lambda leaf: leaf[2:], (images, keys))
    alone = encoder.apply(variables, half[0], keys=half[1]).latents
    np.testing.assert_allclose(alone, drawn[2:], rtol=1e-6)
    # Reparameterized: the draw follows the mean, one to one.
    shift = np.array([1.0, -2.0], np.float32)
    mean = {**variables["params"]["mean"], "bias": jnp.asarray(shift)}
    shifted = {"params": {**variables["params"], "mean": mean}}
    found = encoder.apply(shifted, images, keys=keys).latents
    np.testing.assert_allclose(found, np.asarray(drawn) + shift, rtol=1e-4, atol=1e-5)


def test_encodings_lie_where_the_priors_latents_lie():
    images = 100 * images_of(20)
    for prior, inside in (("uniform", True), ("normal", False)):
        gan = tiny(prior=prior)
        players = gan.init(jax.random.key(0))
        large = jax.tree.map(lambda leaf: 100 * leaf, players["encoder"].params)
        latents = bidirectional.encode(players.with_params({"encoder": large}), images).latents
        assert (jnp.max(jnp.abs(latents)) <= 1) == inside


# --- the networks ---------------------------------------------------------------------------------


def shapes(gan):
    """The shapes of each player's params by path."""
    players = jax.eval_shape(gan.init, jax.random.key(0)).players
    return {
        name: {
            jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape
            for path, leaf in jax.tree_util.tree_leaves_with_path(player.params)
        }
        for name, player in players.items()
    }


def test_the_perceptrons_are_those_of_the_authors():
    found = shapes(tiny(shape=(28, 28, 1), features=1024, latent_size=50, prior="uniform"))
    assert found["generator"] == {
        "Dense_0/kernel": (50, 1024),
        "Dense_1/kernel": (1024, 1024),
        "Dense_2/kernel": (50, 1024),
        "Dense_3/kernel": (1024, 784),
    }
    trunk = {"trunk/Dense_0/kernel": (784, 1024), "trunk/Dense_1/kernel": (1024, 1024)}
    assert found["encoder"] == {**trunk, "mean/kernel": (1024, 50), "mean/bias": (50,)}
    assert found["discriminator"] == {
        **trunk,
        "trunk/Dense_2/kernel": (50, 1024),
        "Dense_0/kernel": (1024, 1),
        "Dense_0/bias": (1,),
    }


def test_the_latent_meets_the_image_after_layers_of_its_own():
    found = shapes(tiny(shape=(28, 28, 1), architecture="convolutional", discriminator_norm="none"))
    kernels = [shape for path, shape in found["discriminator"].items() if path.endswith("kernel")]
    assert sorted(kernels) == sorted(
        [
            *[(4, 4, 1, 64), (4, 4, 64, 128), (7 * 7 * 128, 8)],  # of the image
            *[(3, 8), (8, 8)],  # of the latent
            *[(16, 16), (16, 16), (16, 1)],  # of both
        ]
    )


@pytest.mark.parametrize("norm", bigan.NORMS)
def test_a_pair_is_judged_by_itself_but_for_batch_normalization(norm):
    judge = bigan.Discriminator(bigan.JointTrunk(4, 2, 4, norm), norm)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 16, 16, 1)).astype(np.float32))
    z = jnp.asarray(np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32))
    variables = jax.jit(judge.init)(jax.random.key(0), x, z)
    collections = [name for name in variables if name != "params"]

    @jax.jit
    def logits(x, z):
        return judge.apply(variables, x, z, train=True, mutable=collections)[0]

    first = logits(x, z)
    assert first.shape == (4,)
    assert not np.allclose(first, logits(x, z[::-1]), rtol=1e-6, atol=1e-9)
    others = logits(jnp.concatenate([x[:2], 9 * x[2:]]), z)
    assert np.allclose(first[:2], others[:2], rtol=1e-5) == (norm != "batch")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "recurrent"}, "architecture is 'recurrent'; expected 'convolutional'"),
        ({"prior": "cauchy"}, "prior is 'cauchy'"),
        (
            {"architecture": "convolutional", "shape": (16, 16, 1), "discriminator_norm": "layer"},
            "norm is 'layer'; expected one of batch, spectral, none",
        ),
        ({"architecture": "convolutional", "shape": (30, 30, 1)}, "images of 30x30"),
    ],
)
def test_what_the_networks_do_not_know_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny(**changes)


# --- the experiment -------------------------------------------------------------------------------


def test_the_papers_step_sizes_fall_to_a_hundredth_and_its_weights_decay():
    preset = {**experiment.PRESETS["paper"], "steps": 10, "beta1": 0.0, "beta2": 0.0}
    config = experiment.Config(**{**preset, "weight_decay": 0.0})
    optimizer = experiment.optimizers(config)["discriminator"]
    params, moves = np.ones(1, np.float32), []
    memory = optimizer.init(params)
    for _ in range(11):
        move, memory = optimizer.update(params, memory, params)
        moves.append(-move[0] / 2e-4)
    expected = [*[1.0] * 5, *0.01 ** (np.arange(6) / 5)]
    np.testing.assert_allclose(moves, expected, rtol=1e-3)
    decayed = experiment.optimizers(experiment.Config(**preset))["generator"]
    move, _ = decayed.update(np.zeros(1, np.float32), decayed.init(params), params)
    assert move[0] == pytest.approx(-2e-4, rel=1e-3)  # no gradient: Adam scales the decay alone


@pytest.mark.parametrize("n_critic", [1, 2, 5])
def test_each_players_step_size_falls_over_its_own_updates_and_no_further(n_critic):
    config = experiment.Config(
        steps=10,
        order="alternate",
        n_critic=n_critic,
        decay_to=0.01,
        beta1=0.0,
        beta2=0.0,
        generator_learning_rate=2e-4,
    )
    for side, times in (("generator", 1), ("discriminator", n_critic)):
        optimizer = experiment.optimizers(config)[side]
        params, moves = np.ones(1, np.float32), []
        memory = optimizer.init(params)
        for _ in range(12 * times):
            move, memory = optimizer.update(params, memory, params)
            moves.append(-move[0] / 2e-4)
        updates = np.arange(12 * times)
        expected = 0.01 ** np.clip((updates - 5 * times) / (5 * times), 0, 1)
        np.testing.assert_allclose(moves, expected, rtol=1e-3)


def test_flags_that_contradict_the_exchanged_labels_or_each_other_are_refused():
    spec = DataSpec((28, 28, 1))
    with pytest.raises(ValueError, match=r"exchanged labels.*leave --real-label at 1"):
        experiment.build(experiment.Config(real_label=0.9), spec)
    with pytest.raises(ValueError, match="--optimizer sgd has its own decay"):
        experiment.build(experiment.Config(optimizer="sgd", decay_to=0.1), spec)
    with pytest.raises(ValueError, match="times its value; expected a number from 0 to 1"):
        experiment.build(experiment.Config(decay_to=1.5), spec)


@pytest.mark.slow
def test_the_order_of_the_authors_moves_all_three_players():
    preset = {**experiment.PRESETS["smoke"], "architecture": "perceptron"}
    assert experiment.Config().order == "simultaneous"
    gan = experiment.build(experiment.Config(**preset), DataSpec((8, 8, 1)))
    before = gan.init(jax.random.key(0))
    after, _ = jax.jit(gan.step)(before, {"image": images_of(8)})
    for name in before.players:
        pair = (before[name].params, after[name].params)
        assert not any(jax.tree.leaves(jax.tree.map(np.array_equal, *pair)))
