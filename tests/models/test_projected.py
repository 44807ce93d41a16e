"""Projected GAN: sizes of the specification, what is fixed, and what is refused."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import nn
from jaxgan.games.training import Training
from jaxgan.models import projected
from jaxgan.nn import efficientnet, resampling
from tests.building import output

NETWORK = projected.RandomNetwork((2, 3))
TINY = projected.Features(NETWORK)


def training(**changes):
    descent = {name: optax.sgd(0.05) for name in ("generator", "discriminator")}
    return Training(descent, **changes)


def tiny(**changes):
    options = {"latent_size": 3, "width": 2, "discriminator_width": 2, "side": 16}
    chosen = {"shape": (16, 16, 3), "features": TINY, "training": training(), **options, **changes}
    return projected.build(**chosen)


def count(tree):
    return sum(np.prod(leaf.shape, dtype=int) for leaf in jax.tree.leaves(tree))


def batch(size=4):
    images = np.random.default_rng(0).uniform(-1, 1, (size, 16, 16, 3)).astype(np.float32)
    return {"image": images}


def test_at_64_pixels_the_networks_have_the_documented_sizes():
    network = efficientnet.EfficientNetLite()
    gan = projected.build(
        shape=(64, 64, 3), training=training(), features=projected.Features(network)
    )
    state = jax.eval_shape(gan.init, jax.random.key(0))
    assert count(state["generator"].params) == 3_362_032
    assert count(state["discriminator"].params) == 1_061_248


@pytest.mark.parametrize(
    ("side", "logits"), [(64, 3 * 25 + 1), (96, 4 * 9), (128, 4 * 25), (224, 4 * 16)]
)
def test_every_map_has_logits_of_its_places(side, logits):
    discriminator = projected.Discriminator(efficientnet.EfficientNetLite(), (side, side))
    image = jax.ShapeDtypeStruct((2, 64, 64, 3), jnp.float32)
    found, _ = jax.eval_shape(discriminator.init_with_output, jax.random.key(0), image)
    assert found.shape == (2, logits)


def test_the_mixed_maps_have_half_the_channels_and_twice_the_size_of_the_deeper_ones():
    maps = [jnp.ones((1, 32 >> i, 32 >> i, 5 + i)) for i in range(4)]
    mixed, variables = projected.Mixing().init_with_output(jax.random.key(0), maps)
    assert [x.shape[1:] for x in mixed] == [
        (64, 64, 64),
        (32, 32, 64),
        (16, 16, 128),
        (8, 8, 256),
    ]
    bound = 1 / np.sqrt(5)
    kernel = variables["params"]["channels_0"]["kernel"]
    assert 0.9 * bound < np.abs(kernel).max() <= bound


def test_mixing_before_and_after_the_enlargement_is_the_same():
    x = jax.random.normal(jax.random.key(0), (1, 4, 4, 3))
    conv = nn.Conv(2, (1, 1))
    variables = conv.init(jax.random.key(1), x)
    before = resampling.double_aligned(conv.apply(variables, x))
    after = conv.apply(variables, resampling.double_aligned(x))
    np.testing.assert_allclose(before, after, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def given():
    """Weights of the feature network."""
    return jax.jit(NETWORK.init)(jax.random.key(5), jnp.zeros((1, 16, 16, 3)))


@pytest.fixture(scope="module")
def trained(given):
    """The state of a model before and after a step, and the step's metrics."""
    gan = tiny(features=projected.Features(NETWORK, given))
    before = gan.init(jax.random.key(0))
    return before, *jax.jit(gan.step)(before, batch())


def test_only_the_small_discriminators_and_the_generator_learn(trained):
    before, after, metrics = trained
    fixed = [state["discriminator"].variables["frozen"] for state in (before, after)]
    assert set(fixed[0]) == {"feature_network", "mixing"}
    for a, b in zip(*map(jax.tree.leaves, fixed), strict=True):
        np.testing.assert_array_equal(a, b)
    names = set(before["discriminator"].params)
    assert names == {"MapDiscriminator_0", "MapDiscriminator_1"}
    assert np.isfinite(float(metrics["generator/loss"].value))


def test_the_given_weights_are_those_that_the_discriminator_looks_through(given, trained):
    _, after, _ = trained
    kept = after["discriminator"].variables["frozen"]["feature_network"]["variables"]
    for a, b in zip(jax.tree.leaves(given), jax.tree.leaves(kept), strict=True):
        np.testing.assert_array_equal(a, b)


def test_latents_count_by_their_direction_alone(trained):
    generator = trained[0]["generator"]
    latents = jax.random.normal(jax.random.key(1), (2, 3))
    drawn = output(generator, latents)
    np.testing.assert_allclose(drawn, output(generator, 5 * latents), atol=1e-5)


def test_with_classes_the_label_changes_the_image_once_trained_and_its_logits():
    gan = tiny(classes=2)
    state = gan.init(jax.random.key(0))
    generator, discriminator = state["generator"], state["discriminator"]
    first, second = jnp.array([0, 0]), jnp.array([1, 1])
    norm = generator.params["ConditionalBatchNorm_0"]  # training tells the classes' biases apart
    apart = {**norm, "bias": norm["bias"].at[1].set(1.0)}
    generator = generator.replace(params={**generator.params, "ConditionalBatchNorm_0": apart})
    latents = jnp.ones((2, 3))
    drawn = output(generator, latents, first)
    assert not np.allclose(drawn, output(generator, latents, second))
    images = batch(2)["image"]
    logits = output(discriminator, images, first)
    assert not np.allclose(logits, output(discriminator, images, second))


def test_noise_is_drawn_only_where_it_is_asked_for():
    noisy, plain = (
        jax.eval_shape(tiny(noise=noise).init, jax.random.key(0)) for noise in (True, False)
    )
    strengths = [name for name in noisy["generator"].params if "Noise" in name]
    assert len(strengths) == 1 + 3
    assert not [name for name in plain["generator"].params if "Noise" in name]


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [
        ((64, 64), None, (96, 96)),
        ((28, 28), None, (64, 64)),
        ((128, 128), None, (192, 192)),
        ((256, 256), None, (224, 224)),
        ((64, 96), None, (96, 128)),
        ((96, 64), 128, (192, 128)),
        ((16, 16), 16, (16, 16)),
    ],
)
def test_the_feature_network_sees_images_at_this_size(size, side, expected):
    assert projected.feature_size(size, side) == expected


def test_what_cannot_be_built_is_refused():
    with pytest.raises(ValueError, match="the data have 1 class"):
        tiny(classes=1)
    with pytest.raises(ValueError, match="the nearest sizes are"):
        tiny(shape=(30, 30, 3))
    with pytest.raises(ValueError, match="the policy is 'blur'"):
        tiny(policy=("blur",))
    with pytest.raises(ValueError, match=r"expected \[B, H, W, 1 or 3\]"):
        tiny(shape=(16, 16, 4), features=projected.Features(efficientnet.EfficientNetLite()))
