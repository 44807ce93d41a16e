"""SRGAN: networks that enlarge, a content loss on feature maps, and a pre-training by pixels."""

from __future__ import annotations

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import data, random
from jaxgan.kernels import bicubic
from jaxgan.models import srgan
from jaxgan.nn import resampling, super_resolution
from jaxgan.state import Player
from tests.building import built

SHAPE, SMALL = (16, 16, 1), (8, 8, 1)


def noise(*shape: int, seed: int = 0) -> jax.Array:
    draws = np.random.default_rng(seed)
    return jnp.asarray(draws.uniform(-1, 1, shape).astype(np.float32))


def build(**changes):
    optimizers = {name: optax.sgd(0.01) for name in ("generator", "discriminator")}
    options = {
        "shape": SHAPE,
        "factor": 2,
        "networks": srgan.Networks("efficient", blocks=1, width=2, discriminator_width=1),
    }
    return built(srgan.build, **{**options, "optimizers": optimizers, **changes})


def pairs(rows: int = 2) -> dict[str, jax.Array]:
    return {"a": noise(rows, *SMALL), "b": noise(rows, *SHAPE, seed=1)}


def same(left, right) -> bool:
    return all(map(np.array_equal, jax.tree.leaves(left), jax.tree.leaves(right)))


# --- networks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["resnet", "efficient"])
@pytest.mark.parametrize(("factor", "size"), [(2, (9, 5)), (4, (6, 7))])
def test_images_of_any_size_become_larger(architecture, factor, size):
    network = super_resolution.network_of(
        architecture, factor=factor, blocks=2, width=4, axis_name=None
    )
    init = partial(network.init_with_output, train=True)
    images, _ = jax.eval_shape(init, jax.random.key(0), jnp.zeros((2, *size, 3)))
    assert images.shape == (2, factor * size[0], factor * size[1], 3)


def test_the_network_of_the_paper_has_its_layers():
    network = super_resolution.SRResNet(4)
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
    network, x = super_resolution.EfficientResNet(4), noise(1, 8, 8, 3)
    images, _ = jax.jit(network.init_with_output)(jax.random.key(0), x)
    change = np.asarray(images - resampling.bicubic(x, 4))
    assert 0 < np.sqrt(np.mean(change**2)) < 0.2


def test_unknown_networks_are_refused():
    for changes, sentence in (
        (
            {"networks": srgan.Networks("edsr")},
            "the architecture is 'edsr'; expected 'resnet' or 'efficient'",
        ),
        (
            {"networks": srgan.Networks("resnet"), "factor": 3, "shape": (18, 18, 1)},
            "factor is 3; expected a power of two",
        ),
        ({"factor": 1}, "factor is 1; expected 2 or more"),
        ({"factor": 5}, "16x16 pixels cannot be made from images 5 times smaller"),
    ):
        with pytest.raises(ValueError, match=sentence):
            build(**changes)


# --- the objectives -------------------------------------------------------------------------------


def test_content_is_the_squared_difference_of_the_feature_maps_and_of_the_pixels():
    def features(images):
        return {"fine": 2.0 * images, "coarse": images[:, ::2, ::2]}

    fake, batch = noise(2, *SHAPE, seed=3), pairs()
    state = build().init(jax.random.key(0))
    difference = np.asarray(fake - batch["b"])
    squares = (difference**2).mean((1, 2, 3))
    expected = 4 * squares + (difference[:, ::2, ::2] ** 2).mean((1, 2, 3))
    found = srgan.content_of(features)(state, batch, fake)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    found = srgan.content_of(features, pixels=0.5)(state, batch, fake)
    np.testing.assert_allclose(found, expected + 0.5 * squares, rtol=1e-5)
    np.testing.assert_allclose(srgan.content_of(None)(state, batch, fake), squares, rtol=1e-5)


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


@pytest.mark.slow
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
    pixels = float(jnp.mean(jnp.square(state["generator"](batch["a"]) - batch["b"])))
    after, metrics = jax.jit(gan.step, donate_argnums=0)(state, batch)
    np.testing.assert_array_equal(after["features"].params, 3.0)
    assert float(metrics["generator/content"].value) == pytest.approx(9 * pixels, rel=1e-4)
    # The arrays that were given are still there.
    np.testing.assert_array_equal(gan.init(jax.random.key(1))["features"].params, 3.0)


# --- from one part to the other -------------------------------------------------------------------


@pytest.mark.slow
def test_the_game_begins_with_the_pretrained_generator_and_remembers_it():
    before = build(pretraining=None, ema_half_life=100.0)
    game = srgan.remembering(build(ema_half_life=100.0))
    step, batch = jax.jit(before.step), pairs()
    trained, _ = step(before.init(jax.random.key(0)), batch)
    trained, _ = step(trained, batch)
    averaged = jax.device_get(trained.ema["generator"]["params"])
    keys, sample = random.row_keys(jax.random.key(0), 2), jax.jit(game.sample)
    expected = sample(trained.averaged(), keys, a=batch["a"])
    np.testing.assert_array_equal(
        sample(srgan.as_pretrained(trained), keys, a=batch["a"]), expected
    )
    state = srgan.game_from(trained, game.init(jax.random.key(1)))
    assert int(state.step) == 2
    assert same(state["generator"].params, averaged)
    assert not same(state["generator"].params, trained["generator"].params)
    assert same(state["pretrained"].params, state["generator"].params)
    # Given away as a whole, as a run does: no array is in it twice.
    after, metrics = jax.jit(game.step, donate_argnums=0)(state, batch)
    assert {"discriminator/loss", "generator/content"} <= set(metrics)
    assert same(after["pretrained"].params, averaged)
    assert not same(after["generator"].params, averaged)
    as_it_was = sample(srgan.as_pretrained(after).averaged(), keys, a=batch["a"])
    np.testing.assert_array_equal(as_it_was, expected)


def test_a_correction_holds_in_training_and_in_samples():
    gan, plain, batch = build(correct=resampling.consistent, pretraining=None), build(), pairs()
    small = 0.5 * batch["a"]
    state = gan.init(jax.random.key(0))
    keys = random.row_keys(jax.random.key(0), 2)
    again = resampling.reduced(jax.jit(gan.sample)(state, keys, a=0.5 * small), 2)
    np.testing.assert_allclose(again, 0.5 * small, atol=1e-5)
    assert not np.allclose(
        resampling.reduced(plain.sample(state, keys, a=small), 2), small, atol=1e-3
    )
    _, metrics = jax.jit(gan.step)(state, batch)
    made = resampling.consistent(state["generator"](batch["a"]), batch["a"])
    error = float(jnp.mean(jnp.square(made - batch["b"])))
    assert float(metrics["pretraining/loss"].value) == pytest.approx(error, rel=1e-5)


def test_clipping_and_correcting_in_turn_leaves_images_that_are_nearly_both():
    original = jnp.clip(3 * noise(1, 16, 16, 1), -1, 1)
    small, guess = resampling.reduced(original, 4), 2 * noise(1, 16, 16, 1, seed=5)
    once = jnp.clip(resampling.consistent(guess, small), -1, 1)
    found = srgan.within_range(guess, small, resampling.consistent)

    def apart(left, right):
        return float(jnp.linalg.norm(left - right))

    assert float(jnp.max(jnp.abs(found))) <= 1
    assert apart(resampling.reduced(found, 4), small) < 0.5 * apart(
        resampling.reduced(once, 4), small
    )
    assert apart(found, original) < apart(once, original) < apart(guess, original)
    np.testing.assert_array_equal(srgan.within_range(guess, small, None), jnp.clip(guess, -1, 1))


# --- pairs of single images -----------------------------------------------------------------------


def test_pieces_of_images_are_trained_on_and_what_they_are_reduced_to():
    seen = {}

    def step(state, batch):
        seen.update(batch)
        return state, {}

    gan = build(pretraining=None)
    gan, state = gan._replace(step=step), gan.init(jax.random.key(0))
    images = np.random.default_rng(0).integers(0, 256, (40, 9, 11, 1), np.uint8)
    pieces = srgan.of_images(gan, factor=2, size=(8, 10))
    pieces.step(state, {"image": jnp.asarray(data.to_float(images))})
    large = data.to_uint8(seen["b"])
    np.testing.assert_array_equal(data.to_uint8(seen["a"]), bicubic.smaller(large, 2))
    np.testing.assert_allclose(seen["a"], data.to_float(bicubic.smaller(large, 2)), atol=1e-6)
    places = [(row, column) for row in (0, 1) for column in (0, 1)]
    found = [
        [p for p in places if np.array_equal(piece, image[p[0] : p[0] + 8, p[1] : p[1] + 10])]
        for piece, image in zip(large, images, strict=True)
    ]
    assert {place for (place,) in found} == set(places)
    first = seen["b"]
    pieces.step(state.replace(step=state.step + 1), {"image": jnp.asarray(data.to_float(images))})
    assert not np.array_equal(first, seen["b"])


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
