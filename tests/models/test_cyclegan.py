"""CycleGAN: the networks of the paper, what the players minimize, and the pools in its state."""

from __future__ import annotations

import itertools
from functools import partial

import flax.linen as linen
import jax
import jax.numpy as jnp
import laws
import numpy as np
import optax
import pytest

from jaxgan import losses, parallel, random
from jaxgan.games import replay_pool
from jaxgan.models import cyclegan
from tests.building import built

SHAPE = (8, 8, 1)


def noise(*shape: int, seed: int = 0) -> jax.Array:
    draws = np.random.default_rng(seed)
    return jnp.asarray(draws.uniform(-1, 1, shape).astype(np.float32))


def build(**changes):
    optimizers = {name: optax.sgd(0.01) for name in ("generator", "discriminator")}
    options = {
        "shape_a": SHAPE,
        "shape_b": SHAPE,
        "width": 2,
        "discriminator_width": 2,
        "patch_size": 16,
        "blocks": 1,
        "pool": 0,
    }
    return built(cyclegan.build, **{**options, "optimizers": optimizers, **changes})


def unpaired(rows: int = 2, seed: int = 0) -> dict[str, jax.Array]:
    return {"a": noise(rows, *SHAPE, seed=2 * seed), "b": noise(rows, *SHAPE, seed=2 * seed + 1)}


def close(left, right) -> None:
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), left, right)


# --- the generator --------------------------------------------------------------------------------


@pytest.mark.parametrize("blocks", [6, 9])
def test_the_generator_of_the_paper_has_its_layers(blocks):
    network = cyclegan.ResNetGenerator(3, blocks)
    found = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3)))["params"]
    convolutions = [found[f"Conv_{layer}"]["kernel"].shape for layer in range(4 + 2 * blocks)]
    assert convolutions == [
        (7, 7, 3, 64),
        (3, 3, 64, 128),
        (3, 3, 128, 256),
        *[(3, 3, 256, 256)] * (2 * blocks),
        (7, 7, 64, 3),
    ]
    doublings = [found[f"ConvTranspose_{layer}"]["kernel"].shape for layer in range(2)]
    assert doublings == [(3, 3, 256, 128), (3, 3, 128, 64)]
    # A bias before a norm has no effect; nothing else has parameters.
    assert [name for name in found if "bias" in found[name]] == [f"Conv_{3 + 2 * blocks}"]
    assert len(found) == 6 + 2 * blocks


@pytest.mark.parametrize("size", [(16, 16), (18, 13), (9, 28)])
def test_the_output_has_the_size_of_the_input(size):
    network, x = cyclegan.ResNetGenerator(2, 1, 2), jnp.zeros((2, *size, 3))
    images, _ = jax.eval_shape(network.init_with_output, jax.random.key(0), x)
    assert images.shape == (2, *size, 2)


def test_borders_are_reflected():
    class Reflected(linen.Module):
        @linen.compact
        def __call__(self, x):
            return cyclegan._reflected(x, 1, 7)

    kernel = noise(7, 7, 1, 1)
    x = noise(1, 8, 8, 1)
    padded = jnp.asarray(np.pad(np.asarray(x)[0, :, :, 0], 3, mode="reflect"))
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(padded), (7, 7))
    expected = np.einsum("ijkl,kl->ij", windows, np.asarray(kernel)[:, :, 0, 0])
    found = Reflected().apply({"params": {"Conv_0": {"kernel": kernel}}}, x)
    np.testing.assert_allclose(found[0, :, :, 0], expected, atol=1e-5)


def test_large_images_have_more_blocks():
    assert [cyclegan.blocks_for((side, 64)) for side in (64, 128, 256)] == [6, 6, 9]


def test_batches_joined_row_by_row_come_apart_again():
    first, second = noise(3, 2), noise(3, 2, seed=1)
    both = cyclegan.together(first, second)
    np.testing.assert_array_equal(both[::2], first)
    np.testing.assert_array_equal(both[1::2], second)
    jax.tree.map(np.testing.assert_array_equal, cyclegan.apart(both), (first, second))


# --- the objectives -------------------------------------------------------------------------------


def test_the_losses_are_those_of_the_paper():
    gan, batch = build(), unpaired()
    state = gan.init(jax.random.key(0))
    _, metrics = jax.jit(gan.step)(state, batch)
    found = {name: float(mean.value) for name, mean in metrics.items()}

    def error(left, right):
        return jnp.mean(jnp.abs(left - right))

    @jax.jit
    def expected(state):
        to_b, to_a = state["generator_ab"], state["generator_ba"]
        of_a, of_b = state["discriminator_a"], state["discriminator_b"]
        a, b = batch["a"], batch["b"]
        fake_a, fake_b = to_a(b), to_b(a)
        return {
            "generator/adversarial": jnp.mean((of_a(fake_a) - 1) ** 2)
            + jnp.mean((of_b(fake_b) - 1) ** 2),
            "generator/cycle": 10 * (error(to_a(fake_b), a) + error(to_b(fake_a), b)),
            "generator/identity": 5 * (error(to_a(a), a) + error(to_b(b), b)),
            "discriminator/loss": sum(
                0.5 * jnp.mean((of(real) - 1) ** 2) + 0.5 * jnp.mean(of(fake) ** 2)
                for of, real, fake in ((of_a, a, fake_a), (of_b, b, fake_b))
            ),
        }

    terms = {name: float(value) for name, value in expected(state).items()}
    terms["generator/loss"] = sum(
        terms[f"generator/{name}"] for name in ("adversarial", "cycle", "identity")
    )
    assert {name: found[name] for name in terms} == pytest.approx(terms, rel=1e-5)


@pytest.mark.slow
def test_both_sides_move_from_the_same_state():
    batch, state = unpaired(), build().init(jax.random.key(0))
    together, _ = jax.jit(build().step)(state, batch)
    for side, names in (
        (lambda d, g: d, cyclegan.DISCRIMINATORS),
        (lambda d, g: g, cyclegan.GENERATORS),
    ):
        alone, _ = jax.jit(build(schedule=side, shared_noise=False).step)(state, batch)
        for name in names:
            close(together[name].params, alone[name].params)


def test_without_the_identity_loss_channels_may_differ():
    gan = build(shape_b=(8, 8, 3), identity=0.0)
    state = jax.eval_shape(gan.init, jax.random.key(0))
    batch = {"a": jnp.zeros((2, 8, 8, 1)), "b": jnp.zeros((2, 8, 8, 3))}
    _, metrics = jax.eval_shape(gan.step, state, batch)
    assert "generator/cycle" in metrics
    assert "generator/identity" not in metrics
    with pytest.raises(ValueError, match="a have 1 channels and images of b 3"):
        build(shape_b=(8, 8, 3))


def test_a_relativistic_loss_sees_real_images():
    gan = build(loss=losses.relativistic_paired())
    state = jax.eval_shape(gan.init, jax.random.key(0))
    _, metrics = jax.eval_shape(gan.step, state, unpaired())
    assert "generator/adversarial" in metrics


# --- the pools ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pooled():
    """A model with pools of three, and its state after three steps of two images."""
    gan = build(pool=3)
    step, state = jax.jit(gan.step), gan.init(jax.random.key(0))
    states = [state]
    for seed in range(3):
        state, _ = step(state, unpaired(seed=seed))
        states.append(state)
    return gan, states


def test_each_discriminator_has_a_pool_of_its_own_fakes(pooled):
    gan, states = pooled
    sample = jax.jit(gan.sample)
    keys = random.row_keys(jax.random.key(0), 2)
    batch, (before, after) = unpaired(seed=0), states[:2]
    for domain, origin in (("a", "b"), ("b", "a")):
        pool = after.buffers[f"pool_{domain}"]
        fakes = sample(before, keys, **{origin: batch[origin]})
        np.testing.assert_allclose(pool.images[:2], fakes, atol=1e-5)
        np.testing.assert_array_equal(pool.taken, [True, True, False])
    assert all(np.all(pool.taken) for pool in states[2].buffers.values())


def test_the_pools_are_part_of_the_state(pooled):
    gan, states = pooled
    again, _ = jax.jit(gan.step)(jax.tree.map(jnp.copy, states[2]), unpaired(seed=2))
    jax.tree.map(np.testing.assert_array_equal, again.buffers, states[3].buffers)


@pytest.mark.slow
def test_with_pools_a_batch_split_by_its_sharding_is_one_batch():
    case = laws.BY_NAME["cyclegan-pool"]
    gan, mesh = case.build(), parallel.data_mesh(jax.devices()[:2])
    whole, split = (gan.init(jax.random.key(1)) for _ in range(2))
    whole = parallel.place_state(whole, parallel.data_mesh(jax.devices()[:1]))
    split, step = parallel.place_state(split, mesh), jax.jit(gan.step)
    for seed in range(2):
        batch = laws.batch_of(case, seed=seed)
        whole, _ = step(whole, batch)
        split, _ = step(split, parallel.shard(batch, mesh))
    jax.tree.map(
        partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-4), split.buffers, whole.buffers
    )


def test_an_unusable_pool_is_refused():
    with pytest.raises(ValueError, match="the pool holds -1 images"):
        jax.eval_shape(build(pool=-1).init, jax.random.key(0))
    assert replay_pool.pool(1, SHAPE).images.shape == (1, *SHAPE)


# --- the model ------------------------------------------------------------------------------------


def test_samples_go_both_ways():
    gan = build()
    state = gan.init(jax.random.key(0))
    keys, batch = random.row_keys(jax.random.key(0), 2), unpaired()
    sample = jax.jit(gan.sample)
    there, back = sample(state, keys, a=batch["a"]), sample(state, keys, b=batch["a"])
    close(there, state["generator_ab"](batch["a"]))
    close(back, state["generator_ba"](batch["a"]))
    assert not np.allclose(there, back)
    np.testing.assert_array_equal(
        sample(state, keys), sample(state, keys, a=jnp.zeros((2, *SHAPE)))
    )


def test_what_samples_do_not_take_is_refused():
    gan, keys = build(), random.row_keys(jax.random.key(0), 2)
    with pytest.raises(ValueError, match="takes no condition 'c'; it takes a, b"):
        gan.sample(None, keys, c=1)
    with pytest.raises(ValueError, match="images of a and b were given; one call translates from"):
        gan.sample(None, keys, **unpaired())


def test_what_does_not_fit_is_refused():
    for shapes, sentence in (
        ({"shape_b": (8, 12, 1)}, "the two domains are 8x8 and 8x12"),
        ({"shape_a": (6, 6, 1), "shape_b": (6, 6, 1)}, "6x6 pixels are too small for the gen"),
    ):
        with pytest.raises(ValueError, match=sentence):
            build(**shapes)
    for size in (70, 34):
        with pytest.raises(ValueError, match="too small for a discriminator of patches"):
            build(patch_size=size)


def test_every_player_belongs_to_one_side():
    players = set(jax.eval_shape(build().init, jax.random.key(0)).players)
    assert players == set(itertools.chain(cyclegan.GENERATORS, cyclegan.DISCRIMINATORS))
