"""FastGAN: sizes by hand, what the decoder learns from, and what is refused."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments import fastgan as experiment
from jaxgan.games import penalization
from jaxgan.games.training import Training
from jaxgan.models import fastgan
from jaxgan.runs.config import DataSpec

TRAINING = Training({name: optax.sgd(0.05) for name in ("generator", "discriminator")})


def tiny(**changes):
    options = {"latent_size": 3, "width": 2, "discriminator_width": 2, "group": 2}
    return fastgan.build(shape=(16, 16, 1), training=TRAINING, **{**options, **changes})


def count(tree):
    return sum(np.prod(leaf.shape, dtype=int) for leaf in jax.tree.leaves(tree))


def test_at_64_pixels_the_networks_have_the_sizes_counted_by_hand():
    gan = fastgan.build(shape=(64, 64, 3), training=TRAINING)
    state = jax.eval_shape(gan.init, jax.random.key(0))
    strided = (48 * 32 + 32) + (512 * 64 + 64) + (1024 * 128 + 128) + (2048 * 256 + 256)
    dense = 4 * 4 * (256 + 1) * 256 + 256 + 256 + 1
    assert count(state["discriminator"].params) == strided + dense

    start = 256 * 4 * 4 * 512
    doubled = 9 * 2 * (256 * 128 + 128 * 64 + 64 * 32)
    second = 9 * 2 * (128 * 128 + 32 * 32)
    gates = 16 * 256 * 64 + 64 * 64 + 16 * 128 * 32 + 32 * 32
    last = 16 * 32 * 3
    normalized = 2 * (512 + 2 * 256 + 128 + 2 * 64)
    expected = start + doubled + second + gates + last + normalized
    assert count(state["generator"].params) == expected


@pytest.fixture(scope="module")
def state():
    return tiny(reconstruction=1.0).init(jax.random.key(0))


def test_latents_nearer_to_the_mean_give_other_images(state):
    latents = jax.random.normal(jax.random.key(1), (2, 3))
    drawn = jax.jit(lambda latents: state["generator"](latents))
    assert np.abs(drawn(latents) - drawn(0.5 * latents)).max() > 1e-4


def test_labels_choose_gains_and_biases_and_leave_the_latents_their_effect():
    generator = tiny(classes=3).init(jax.random.key(0))["generator"]
    latents = jax.random.normal(jax.random.key(1), (2, 3))
    drawn = jax.jit(lambda player, label: player(latents, jnp.full(2, label)))
    shown = drawn(generator, 0)
    assert np.abs(shown[0] - shown[1]).max() > 1e-4
    np.testing.assert_array_equal(drawn(generator, 1), shown)  # gains begin at 1, biases at 0
    params = dict(generator.params)
    first = params["ConditionalBatchNorm_0"]
    params["ConditionalBatchNorm_0"] = {**first, "bias": first["bias"].at[1].set(1.0)}
    changed = generator.replace(params=params)
    np.testing.assert_array_equal(drawn(changed, 0), shown)
    assert np.abs(drawn(changed, 1) - shown).max() > 1e-4


def rebuilt(player, images):
    return jax.jit(lambda x: player(x, train=True, rebuild=True))(images)


def test_the_error_of_images_that_are_rebuilt_gray_is_their_mean_square(state):
    images = jax.random.uniform(jax.random.key(1), (2, 16, 16, 1), minval=-1.0)
    gray = jax.tree.map(jnp.zeros_like, state["discriminator"].params)
    error = rebuilt(state["discriminator"].replace(params=gray), images)
    np.testing.assert_allclose(error, np.mean(np.square(images), axis=(1, 2, 3)), rtol=1e-6)


def test_the_decoder_learns_from_real_images_alone(state):
    gan = tiny(reconstruction=1.0)
    images = jax.random.uniform(jax.random.key(1), (4, 16, 16, 1), minval=-1.0)
    after, metrics = jax.jit(gan.step)(state, {"image": images})

    def error(params):
        player = state["discriminator"].replace(params=params)
        return jnp.mean(player(images, train=True, rebuild=True))

    before = state["discriminator"].params
    value, gradient = jax.jit(jax.value_and_grad(error))(before)
    np.testing.assert_allclose(metrics["discriminator/rebuilt"].value, value, rtol=1e-5)
    moved = jax.tree.map(lambda old, slope: old - 0.05 * slope, before, gradient)
    found = after["discriminator"].params["Decoder_0"]
    for a, b in zip(*map(jax.tree.leaves, (found, moved["Decoder_0"])), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_discriminator_without_a_decoder_has_no_parameters_of_one():
    state = jax.eval_shape(tiny().init, jax.random.key(0))
    assert not [name for name in state["discriminator"].params if "Decoder" in name]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"reconstruction": -1.0}, "expected 0 or more"),
        (
            {"reconstruction": 1.0, "penalty": penalization.ZeroCentered(1.0, interval=4)},
            "leave its interval at 1",
        ),
        ({"classes": 1}, "at least 2"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_built(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        tiny(**changes)


def test_groups_that_a_part_of_the_batch_does_not_hold_are_refused_when_it_is_built():
    config = experiment.Config(batch_size=24)
    with pytest.raises(ValueError, match="given 6 at once; choose a --batch-size that 16 divides"):
        experiment.build(config, DataSpec((64, 64, 3)))
    experiment.build(experiment.Config(batch_size=24, penalty="none"), DataSpec((64, 64, 3)))
