"""The conditional GAN: both players see the label, and a sample is of the class asked for."""

from __future__ import annotations

from functools import partial

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import losses, random
from jaxgan.models import conditional
from tests.building import built

architectures = pytest.mark.parametrize("architecture", ["convolutional", "perceptron"])


def shapes(module, *inputs) -> dict:
    variables = jax.eval_shape(partial(module.init, train=True), jax.random.key(0), *inputs)
    return jax.tree.map(jnp.shape, variables["params"])


def labels(*values: int) -> jax.Array:
    return jnp.asarray(values, jnp.int32)


def build(**changes):
    optimizers = {name: optax.sgd(0.01) for name in ("generator", "discriminator")}
    options = {"shape": (16, 16, 1), "classes": 3, "latent_size": 4, "width": 2}
    return built(
        conditional.build,
        **{**options, "loss": losses.non_saturating(), "optimizers": optimizers, **changes},
    )


# --- the label beside the input -------------------------------------------------------------------


def test_a_latent_is_joined_with_its_one_hot_label():
    z = jnp.arange(256.0)[None]
    joined = conditional.join(z, labels(7), 10)
    assert joined.shape == (1, 266)
    np.testing.assert_array_equal(joined[:, :256], z)
    np.testing.assert_array_equal(joined[0, 256:], np.eye(10)[7])


def test_several_labels_join_as_their_sum_and_every_network_takes_them():
    several = jnp.array([[1.0, 0, 1]])
    joined = conditional.join(jnp.ones((1, 4, 4, 2)), several, 3)
    np.testing.assert_array_equal(joined[0, 1, 1], [1, 1, 1, 0, 1])
    one_hot = conditional.vectors(labels(2), 3)
    np.testing.assert_array_equal(conditional.vectors(one_hot, 3), [[0, 0, 1]])
    np.testing.assert_array_equal(conditional.vectors(several, 3, float), several)
    for network, example in (
        (conditional.PerceptronGenerator((4, 4, 1), 3), jnp.ones((1, 5))),
        (conditional.PerceptronDiscriminator(3), jnp.ones((1, 4, 4, 1))),
    ):
        assert shapes(network, example, several) == shapes(network, example, labels(1))


def test_an_image_is_joined_with_one_constant_plane_a_class():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 6, 3)).astype(np.float32))
    joined = conditional.join(x, labels(2, 0), 5)
    assert joined.shape == (2, 4, 6, 8)
    np.testing.assert_array_equal(joined[..., :3], x)
    for row, label in enumerate((2, 0)):
        for plane in range(5):
            np.testing.assert_array_equal(joined[row, :, :, 3 + plane], float(plane == label))


def test_the_convolutional_networks_take_the_label_at_their_inputs():
    generator, discriminator = conditional.networks(
        "convolutional", shape=(28, 28, 3), classes=10, width=8, kernel=4, axis_name=None
    )
    found = shapes(generator, jnp.zeros((1, 100)), labels(0))["network"]
    assert found["Dense_0"]["kernel"] == (110, 7 * 7 * 16)
    found = shapes(discriminator, jnp.zeros((1, 28, 28, 3)), labels(0))["network"]
    assert found["Conv_0"]["kernel"] == (4, 4, 3 + 10, 8)


def test_the_perceptrons_of_the_paper_have_their_shapes():
    generator, discriminator = conditional.networks(
        "perceptron", shape=(28, 28, 1), classes=10, width=0, kernel=0, axis_name=None
    )
    assert shapes(generator, jnp.zeros((1, 100)), labels(0)) == {
        "Dense_0": {"kernel": (100, 200), "bias": (200,)},
        "Dense_1": {"kernel": (10, 1000), "bias": (1000,)},
        "Dense_2": {"kernel": (1200, 1200), "bias": (1200,)},
        "Dense_3": {"kernel": (1200, 784), "bias": (784,)},
    }
    assert shapes(discriminator, jnp.zeros((1, 28, 28, 1)), labels(0)) == {
        "Maxout_0": {"Dense_0": {"kernel": (784, 240 * 5), "bias": (240 * 5,)}},
        "Maxout_1": {"Dense_0": {"kernel": (10, 50 * 5), "bias": (50 * 5,)}},
        "Maxout_2": {"Dense_0": {"kernel": (290, 240 * 4), "bias": (240 * 4,)}},
        "Dense_0": {"kernel": (240, 1), "bias": (1,)},
    }


def test_the_perceptrons_dropout_needs_keys():
    discriminator = conditional.PerceptronDiscriminator(3)
    x, keys = jnp.ones((2, 2, 2, 1)), random.row_keys(jax.random.key(0), 2)

    @jax.jit
    def judged(key, keys):
        variables = discriminator.init(key, x, labels(0, 0))
        judge = partial(discriminator.apply, variables, x, labels(0, 0))
        return judge(), judge(keys=keys)

    quiet, noisy = judged(jax.random.key(0), keys)
    assert quiet[0] == quiet[1]
    assert noisy[0] != noisy[1]


# --- the game -------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["convolutional", "perceptron"])
def game(request):
    gan = build(architecture=request.param)
    state = jax.jit(gan.init)(jax.random.key(0))
    return state, jax.jit(gan.sample), gan


def one_latent(count: int) -> random.Keys:
    """The same key for every row, so that only the labels differ."""
    key = random.row_keys(jax.random.key(5), 1)
    return key.replace(base=jnp.repeat(key.base, count))


def test_the_label_changes_what_both_players_say(game):
    state, sample, _ = game
    images = sample(state, one_latent(3), label=labels(0, 1, 2))
    assert images.shape == (3, 16, 16, 1)
    assert len(np.unique(np.asarray(images).reshape(3, -1), axis=0)) == 3
    judge = jax.jit(lambda state, *x: state["discriminator"](*x))
    same = jnp.broadcast_to(images[:1], images.shape)
    assert len(np.unique(judge(state, same, labels(0, 1, 2)))) == 3


def test_without_labels_samples_cycle_through_the_classes(game):
    state, sample, _ = game
    keys = one_latent(5)
    images = np.asarray(sample(state, keys))
    np.testing.assert_array_equal(images, sample(state, keys, label=labels(0, 1, 2, 0, 1)))
    np.testing.assert_array_equal(images[:2], images[3:])


def test_the_labels_asked_for_are_those_used(game):
    state, sample, _ = game
    images = np.asarray(sample(state, one_latent(3), label=labels(2, 2, 0)))
    cycle = np.asarray(sample(state, one_latent(3)))
    np.testing.assert_allclose(images, cycle[[2, 2, 0]], rtol=1e-6, atol=1e-6)


def test_a_condition_it_does_not_take_is_refused(game):
    state, _, gan = game
    with pytest.raises(ValueError, match="takes no condition 'color'; it takes label"):
        gan.sample(state, one_latent(2), color=1)


def test_training_reads_the_labels_of_the_batch():
    gan = build(architecture="perceptron", shape=(2, 2, 1))
    image = np.random.default_rng(0).uniform(-1, 1, (4, 2, 2, 1)).astype(np.float32)

    @jax.jit
    def loss(label):
        _, metrics = gan.step(gan.init(jax.random.key(0)), {"image": image, "label": label})
        return metrics["discriminator/loss"].value

    assert np.isfinite(loss(labels(0, 1, 2, 0)))
    assert loss(labels(0, 1, 2, 0)) != loss(labels(1, 1, 1, 1))


@pytest.mark.parametrize("classes", [0, 1])
@architectures
def test_fewer_than_two_classes_are_refused(classes, architecture):
    with pytest.raises(ValueError, match=f"the data have {classes} classes; .* at least 2"):
        build(classes=classes, architecture=architecture)


def test_what_the_networks_do_not_know_is_refused():
    with pytest.raises(ValueError, match="'transformer'; expected 'convolutional' or 'perceptron'"):
        build(architecture="transformer")
    with pytest.raises(ValueError, match="cannot make images of 30x30"):
        build(shape=(30, 30, 1))
    with pytest.raises(ValueError, match="the prior is 'cauchy'"):
        build(prior="cauchy")


def test_perceptrons_make_images_of_sizes_that_do_not_halve():
    gan = build(architecture="perceptron", shape=(9, 7, 2))
    state = jax.eval_shape(gan.init, jax.random.key(0))
    images = jax.eval_shape(gan.sample, state, random.row_keys(jax.random.key(0), 2))
    assert images.shape == (2, 9, 7, 2)


def test_any_network_can_be_joined():
    class Echo(linen.Module):
        def __call__(self, x, *, keys=None, train=False):
            return x

    joined = conditional.Joined(Echo(), 3).apply({}, jnp.ones((2, 4)), labels(1, 2))
    np.testing.assert_array_equal(joined[:, 4:], np.eye(3)[[1, 2]])
