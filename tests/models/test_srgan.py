"""SRGAN: networks that enlarge, a content loss on feature maps, and a pre-training by pixels."""

from __future__ import annotations

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import random
from jaxgan.models import srgan
from jaxgan.nn import upscale
from jaxgan.state import Player

SHAPE, SMALL = (16, 16, 1), (8, 8, 1)


def noise(*shape: int, seed: int = 0) -> jax.Array:
    draws = np.random.default_rng(seed)
    return jnp.asarray(draws.uniform(-1, 1, shape).astype(np.float32))


def build(**changes):
    optimisers = {name: optax.sgd(0.01) for name in ("generator", "discriminator")}
    options = {
        "shape": SHAPE,
        "factor": 2,
        "architecture": "efficient",
        "blocks": 1,
        "width": 2,
        "discriminator_width": 1,
    }
    return srgan.build(**{**options, "optimisers": optimisers, **changes})


def pairs(rows: int = 2) -> dict[str, jax.Array]:
    return {"a": noise(rows, *SMALL), "b": noise(rows, *SHAPE, seed=1)}


def same(left, right) -> bool:
    return all(map(np.array_equal, jax.tree.leaves(left), jax.tree.leaves(right)))


# --- enlarging ------------------------------------------------------------------------------------


def test_depth_to_space_puts_each_group_of_channels_into_its_pixel():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 9 * 2))
    y = upscale.depth_to_space(jnp.asarray(x), 3)
    assert y.shape == (2, 9, 12, 2)
    for i, j, c in np.ndindex(3, 3, 2):
        np.testing.assert_array_equal(
            y[:, i::3, j::3, c], x[:, :, :, (3 * i + j) * 2 + c].astype(np.float32)
        )


def test_channels_that_are_no_blocks_are_refused():
    with pytest.raises(ValueError, match="6 channels cannot become blocks of 2x2 pixels; use a mu"):
        upscale.depth_to_space(jnp.zeros((1, 2, 2, 6)), 2)


def test_bicubic_enlargement_is_cubic_convolution():
    """Inside, each pixel is the sum of 4 x 4 neighbours weighted by Keys' kernel of a = -1/2."""

    def weight(distance: float) -> float:
        t = abs(distance)
        if t <= 1:
            return 1.5 * t**3 - 2.5 * t**2 + 1
        return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t < 2 else 0.0

    x, factor = noise(1, 8, 8, 1), 4
    y = upscale.bicubic(x, factor)
    for row, column in [(12, 12), (13, 18), (15, 16)]:
        centre = [(index + 0.5) / factor - 0.5 for index in (row, column)]
        expected = sum(
            weight(centre[0] - i) * weight(centre[1] - j) * float(x[0, i, j, 0])
            for i in range(8)
            for j in range(8)
        )
        assert float(y[0, row, column, 0]) == pytest.approx(expected, abs=1e-5)


# --- networks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["resnet", "efficient"])
@pytest.mark.parametrize(("factor", "size"), [(2, (9, 5)), (4, (6, 7))])
def test_images_of_any_size_become_larger(architecture, factor, size):
    network = srgan.generator_of(architecture, factor=factor, blocks=2, width=4, axis_name=None)
    init = partial(network.init_with_output, train=True)
    images, _ = jax.eval_shape(init, jax.random.key(0), jnp.zeros((2, *size, 3)))
    assert images.shape == (2, factor * size[0], factor * size[1], 3)


def test_the_network_of_the_paper_has_its_layers():
    network = srgan.SRResNet(4)
    init = partial(network.init, train=True)
    found = jax.eval_shape(init, jax.random.key(0), jnp.zeros((1, 24, 24, 3)))["params"]
    convolutions = [found[f"Conv_{layer}"]["kernel"].shape for layer in range(37)]
    assert convolutions == [
        (9, 9, 3, 64),
        *[(3, 3, 64, 64)] * 33,
        *[(3, 3, 64, 256)] * 2,
        (9, 9, 64, 3),
    ]
    counts = {kind: sum(kind in name for name in found) for kind in ("BatchNorm", "PReLU")}
    assert counts == {"BatchNorm": 33, "PReLU": 1 + 16 + 2}


def test_the_discriminator_of_the_paper_has_its_layers():
    network = srgan.Discriminator()
    init = partial(network.init, train=True)
    found = jax.eval_shape(init, jax.random.key(0), jnp.zeros((1, 96, 96, 3)))["params"]
    widths = [3, 64, 64, 128, 128, 256, 256, 512, 512]
    assert [found[f"Conv_{i}"]["kernel"].shape[2:] for i in range(8)] == list(
        itertools.pairwise(widths)
    )
    assert found["Dense_0"]["kernel"].shape == (6 * 6 * 512, 1024)
    assert sum("BatchNorm" in name for name in found) == 7


def test_the_efficient_network_starts_near_the_bicubic_enlargement():
    network, x = srgan.EfficientResNet(4), noise(1, 8, 8, 3)
    images, _ = jax.jit(network.init_with_output)(jax.random.key(0), x)
    change = np.asarray(images - upscale.bicubic(x, 4))
    assert 0 < np.sqrt(np.mean(change**2)) < 0.2


def test_unknown_networks_are_refused():
    for changes, sentence in (
        ({"architecture": "edsr"}, "the architecture is 'edsr'; expected 'resnet' or 'efficient'"),
        ({"architecture": "resnet", "factor": 3, "shape": (18, 18, 1)}, "this network doubles"),
        ({"factor": 1}, "1 times larger; expected 2 or more"),
        ({"factor": 5}, "16x16 pixels cannot be made from images 5 times smaller"),
    ):
        with pytest.raises(ValueError, match=sentence):
            build(**changes)


# --- the objectives -------------------------------------------------------------------------------


def test_content_is_the_squared_difference_of_the_feature_maps():
    def features(images):
        return {"fine": 2.0 * images, "coarse": images[:, ::2, ::2]}

    fake, batch = noise(2, *SHAPE, seed=3), pairs()
    state = build().init(jax.random.key(0))
    difference = np.asarray(fake - batch["b"])
    found = srgan.content_of(features)(state, batch, fake)
    expected = 4 * (difference**2).mean((1, 2, 3)) + (difference[:, ::2, ::2] ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    pixels = srgan.content_of(None)(state, batch, fake)
    assert float(jnp.mean(pixels)) == pytest.approx((difference**2).mean(), rel=1e-5)


def test_the_adversarial_loss_weighs_a_thousandth():
    gan, batch = build(schedule=lambda d, g: g, shared_noise=False), pairs()
    state = gan.init(jax.random.key(0))
    _, metrics = jax.jit(gan.step)(state, batch)

    @jax.jit
    def expected(state):
        fake = state["generator"](batch["a"], train=True)
        logits = state["discriminator"](fake, train=True)
        content = jnp.mean(jnp.square(fake - batch["b"]))
        return content - 1e-3 * jnp.mean(jax.nn.log_sigmoid(logits))

    assert float(metrics["generator/loss"].value) == pytest.approx(float(expected(state)), rel=1e-5)


def test_in_the_pre_training_the_generator_learns_alone_by_pixels():
    gan, batch = build(pretraining=2), pairs()
    step, state = jax.jit(gan.step), gan.init(jax.random.key(0))
    for index in range(4):
        after, metrics = step(state, batch)
        alone = index < 2
        assert not same(state["generator"].params, after["generator"].params)
        assert same(state["discriminator"], after["discriminator"]) == alone
        assert bool(metrics["pretraining/loss"].count) == alone
        assert bool(metrics["discriminator/loss"].count) != alone
        if index == 0:
            fake = jax.jit(state["generator"].__call__)(batch["a"])
            error = float(jnp.mean(jnp.square(fake - batch["b"])))
            assert float(metrics["pretraining/loss"].value) == pytest.approx(error, rel=1e-5)
        state = after


def test_a_pre_training_without_end_has_no_discriminator():
    gan = build(pretraining=None)
    state = jax.eval_shape(gan.init, jax.random.key(0))
    assert set(state.players) == {"generator"}
    _, metrics = jax.eval_shape(gan.step, state, pairs())
    assert all(name.startswith("pretraining/") for name in metrics)


def test_a_player_of_features_joins_the_state_and_never_learns():
    features = Player.create(
        apply_fn=lambda variables, images, mutable: (variables["params"] * images, {}),
        params=jnp.full((1, 1, 1, 1), 3.0),
        tx=optax.identity(),
        variables={},
    )
    gan, batch = build(features=features), pairs()
    state = gan.init(jax.random.key(0))
    after, metrics = jax.jit(gan.step, donate_argnums=0)(state, batch)
    np.testing.assert_array_equal(after["features"].params, 3.0)
    _, pixels = jax.jit(build().step)(build().init(jax.random.key(0)), batch)
    ratio = metrics["generator/content"].value / pixels["generator/content"].value
    assert float(ratio) == pytest.approx(9.0, rel=1e-4)
    # The arrays that were given are still there.
    np.testing.assert_array_equal(gan.init(jax.random.key(1))["features"].params, 3.0)


# --- samples --------------------------------------------------------------------------------------


def test_samples_are_the_images_enlarged_and_clipped():
    gan = build()
    state = gan.init(jax.random.key(0))
    sample = jax.jit(gan.sample)
    keys = random.row_keys(jax.random.key(0), 2)
    images = sample(state, keys, a=2 * noise(2, 5, 9, 1))
    assert images.shape == (2, 10, 18, 1)
    assert float(jnp.max(jnp.abs(images))) == 1.0
    assert sample(state, keys).shape == (2, *SHAPE)
    with pytest.raises(ValueError, match="takes no condition 'b'; it takes a"):
        gan.sample(state, keys, b=images)
