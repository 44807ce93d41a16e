"""R3GAN: the sizes of its networks, what they are at first, and what each player is shown."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from toy_players import keys_of, state_of

from experiments import r3gan as experiment
from jaxgan import losses
from jaxgan.games import penalization
from jaxgan.games.training import Training
from jaxgan.models import r3gan
from jaxgan.runs.config import DataSpec
from jaxgan.state import Mean

MAPS = {"width": 4, "max_width": 8, "blocks": 1, "group": 4}
TINY = {"shape": (16, 16, 1), "classes": 2}


def tiny(maps=MAPS, **changes):
    descent = {name: optax.sgd(0.05) for name in ("generator", "discriminator")}
    options = {"latent_size": 5, "penalty": penalization.ZeroCentered(0.1), **TINY, **changes}
    maps = r3gan.resolutions(options["shape"][:2], **maps)
    return r3gan.build(training=Training(descent), maps=maps, **options)


def count(tree):
    return sum(np.prod(leaf.shape, dtype=int) for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(
    ("preset", "changes", "generator", "discriminator"),
    [
        ("paper", {}, 20_781_952, 21_280_512),
        ("paper", {"conditional": False}, 20_732_160, 20_683_776),
        ("ffhq64", {}, 22_429_824, 22_381_440),
        ("ffhq256", {}, 23_057_952, 23_009_568),
    ],
)
def test_the_papers_presets_have_the_papers_numbers_of_parameters(
    preset, changes, generator, discriminator
):
    config = experiment.Config(**{**experiment.PRESETS[preset], **changes})
    side = int(config.resolution or 0)
    gan = experiment.build(config, DataSpec((side, side, 3), tuple("abcdefghij")))
    players = jax.eval_shape(gan.init, jax.random.key(0)).players
    assert count(players["generator"].params) == generator
    assert count(players["discriminator"].params) == discriminator


@pytest.mark.parametrize(
    ("size", "options", "expected"),
    [
        ((64, 64), {"width": 16}, ((4, 4), (128, 128, 64, 32, 16), (2, 2, 2, 1, 1))),
        ((32, 32), {"width": 32}, ((4, 4), (128, 128, 64, 32), (2, 2, 1, 1))),
        ((28, 28), {"width": 200}, ((7, 7), (200, 200, 200), (2, 1, 1))),
        ((32, 48), {"width": 64}, ((4, 6), (128, 128, 128, 64), (2, 2, 1, 1))),
    ],
)
def test_widths_double_towards_the_base_and_the_finest_maps_have_fewer_blocks(
    size, options, expected
):
    found = r3gan.resolutions(size, max_width=128, blocks=2, fine_blocks=1, **options)
    assert found == r3gan.Resolutions(*expected)


# --- at first -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gan():
    return tiny()


@pytest.fixture(scope="module")
def start(gan):
    return gan.init(jax.random.key(0))


@pytest.mark.slow
def test_both_networks_are_linear_at_first(start):
    draws = np.random.default_rng(0)
    labels = jnp.array([0, 1])
    for name, shape in (("generator", (2, 5)), ("discriminator", (2, 16, 16, 1))):
        player = jax.jit(lambda x, name=name: start[name](x, labels) - start[name](0 * x, labels))
        x, y = (draws.normal(size=shape).astype(np.float32) for _ in range(2))
        whole, parts = player(2 * x - 3 * y), 2 * player(x) - 3 * player(y)
        np.testing.assert_allclose(whole, parts, atol=2e-4 * float(jnp.abs(parts).max()))


def test_the_initial_weights_have_the_papers_deviations():
    block = jax.jit(r3gan.Block(8).init)(jax.random.key(0), jnp.zeros((1, 4, 4, 64)))
    params = block["params"]
    for name, fan_in in (("Conv_0", 64), ("Conv_1", 9 * 16)):
        deviation = float(np.std(params[name]["kernel"])) * np.sqrt(fan_in)
        assert deviation == pytest.approx(0.824567, rel=0.02)
    assert not np.any(params["Conv_2"]["kernel"])
    discriminator = r3gan.Discriminator(r3gan.Resolutions((4, 4), (64,), (0,)), classes=10)
    shapes = (jnp.zeros((1, 4, 4, 3)), jnp.zeros(1, jnp.int32))
    params = jax.jit(discriminator.init)(jax.random.key(0), *shapes)["params"]
    assert float(np.std(params["basis"])) == pytest.approx(1 / 4, rel=0.1)
    assert float(np.std(params["Dense_0"]["kernel"])) == pytest.approx(1 / 8, rel=0.05)
    embedding = params["Embed_0"]["embedding"]
    assert float(np.std(embedding)) == pytest.approx(1 / np.sqrt(640), rel=0.1)


@pytest.mark.slow
def test_the_first_step_moves_all_but_the_inner_layers_of_the_blocks(gan, start):
    """They are multiplied by the zeros of the last layer of their block."""
    images = np.random.default_rng(0).uniform(-1, 1, (8, 16, 16, 1)).astype(np.float32)
    batch = {"image": images, "label": np.arange(8) % 2}
    after, metrics = jax.jit(gan.step)(start, batch)
    for name in ("generator", "discriminator"):
        leaves = jax.tree_util.tree_leaves_with_path(start[name].params)
        for (path, old), new in zip(leaves, jax.tree.leaves(after[name].params), strict=True):
            at = jax.tree_util.keystr(path)
            inner = "Block" in at and "Conv_2" not in at
            assert np.array_equal(old, new) == inner, at
    reported = {"penalty", "r1", "r2", "gamma", "loss"}
    assert {f"discriminator/{kind}" for kind in reported} <= set(metrics)


# --- the game -------------------------------------------------------------------------------------


def test_each_player_has_real_images_of_its_own():
    def seen(name):
        def step(state, batch, keys):
            return state, {f"{name}/first": Mean.of(batch["image"][0]), f"{name}/of": len(keys)}

        return step

    played = r3gan.apart(seen("discriminator"), seen("generator"))
    _, found = played(state_of({}), {"image": jnp.arange(6.0)}, keys_of(6))
    firsts = [float(found[f"{name}/first"].value) for name in ("discriminator", "generator")]
    assert firsts == [0.0, 1.0]
    assert found["discriminator/of"] == found["generator/of"] == 3
    with pytest.raises(ValueError, match="have no shared_noise"):
        r3gan.apart(seen("discriminator"), seen("generator"), shared_noise=None)


def test_real_and_fake_count_in_pairs_and_only_their_difference():
    loss = losses.relativistic_paired()
    real, fake = (np.random.default_rng(seed).normal(size=6).astype(np.float32) for seed in (0, 1))
    turned = np.roll(np.arange(6), 1)

    def mean(real, fake):
        return float(jnp.mean(loss.discriminator(real, fake)))

    assert mean(real, fake[turned]) != pytest.approx(mean(real, fake), rel=1e-3)
    assert mean(real[turned], fake[turned]) == pytest.approx(mean(real, fake), rel=1e-6)
    assert mean(real + 7, fake + 7) == pytest.approx(mean(real, fake), rel=1e-5)
    assert mean(0 * real, 0 * fake) == pytest.approx(np.log(2), rel=1e-6)


def test_samples_are_clipped_and_follow_the_class(gan, start):
    larger = jax.tree.map(lambda weight: 3 * weight, start["generator"].params)
    sample, state = jax.jit(gan.sample), start.with_params({"generator": larger})
    first, second = (
        sample(state, keys_of(4), label=jnp.full(4, label, jnp.int32)) for label in (0, 1)
    )
    assert float(jnp.abs(first).max()) == 1.0
    assert not np.array_equal(first, second)


def test_all_schedules_run_over_the_burn_in():
    config = experiment.Config(batch_size=10, burn_in=100.0, ema_half_life=8.0)
    gamma = experiment.scheduled(config, 0.05, 0.005)
    assert [float(gamma(step)) for step in (0, 5, 10, 99)] == pytest.approx(
        [0.05, 0.0275, 0.005, 0.005]
    )
    # A step has 20 real images, 10 for each player; the average counts all of them.
    half_life = experiment.half_life(config)
    assert [float(half_life(20 * step)) for step in (0, 5, 10)] == pytest.approx([0.0, 8.0, 16.0])
    assert experiment.half_life(dataclasses.replace(config, ema_half_life=0.0)) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": 1}, "the data have 1 class"),
        ({"shape": (30, 30, 3)}, "the nearest sizes are"),
    ],
)
def test_what_cannot_be_built_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny(**changes)


def test_groups_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(ValueError, match="10 channels cannot be split into groups of 4"):
        jax.eval_shape(tiny({**MAPS, "width": 5, "max_width": 5}).init, jax.random.key(0))
