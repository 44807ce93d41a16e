"""Packs of examples: which rows they hold, and that a packed game is the game on joined inputs."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import stacked
from jaxgan import penalties, random
from jaxgan.models import vanilla
from jaxgan.nn import packing
from jaxgan.runs.config import DataSpec

SIZES = (1, 2, 3, 4)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", [(2,), (3, 5, 2)])
def test_a_pack_is_a_run_of_rows_joined_on_the_channels_and_comes_apart_again(size, shape):
    rows = jnp.asarray(np.random.default_rng(0).normal(size=(12, *shape)), jnp.float32)
    packs = packing.pack(rows, size)
    assert packs.shape == (12 // size, *shape[:-1], size * shape[-1])
    expected = [np.concatenate(list(rows[at : at + size]), axis=-1) for at in range(0, 12, size)]
    np.testing.assert_array_equal(packs, np.stack(expected))
    np.testing.assert_array_equal(packing.unpack(packs, size), rows)


@pytest.mark.parametrize("size", SIZES)
def test_a_packed_discriminator_is_the_network_on_joined_inputs(size):
    network = vanilla.Discriminator((8,), dropout=0.5)
    packed = packing.Packed(network, size)
    images = jnp.asarray(np.random.default_rng(1).normal(size=(12, 2)), jnp.float32)
    keys = random.row_keys(jax.random.key(3), 12)
    variables = packed.init(jax.random.key(0), images[:1], keys=keys, train=True)
    inner = variables["params"]["network"]
    assert inner["Dense_0"]["kernel"].shape == (2 * size, 8)
    found = packed.apply(variables, images, train=True)
    joined = images.reshape(12 // size, 2 * size)
    np.testing.assert_array_equal(found, network.apply({"params": inner}, joined, train=True))
    assert found.shape == (12 // size,)
    assert not np.array_equal(packed.apply(variables, images, keys=keys, train=True), found)


def test_a_pack_tells_copies_from_variety_where_single_examples_cannot():
    """The discriminator |x1 - x2|^2 of a pack is zero on a collapsed generator alone."""
    varied = jnp.asarray(np.random.default_rng(2).normal(size=(8, 2)), jnp.float32)
    collapsed = jnp.repeat(varied[:1], 8, axis=0)

    def judge(images):
        left, right = jnp.split(packing.pack(images, 2), 2, axis=-1)
        return jnp.sum(jnp.square(left - right), axis=-1)

    assert np.all(judge(collapsed) == 0)
    assert np.all(judge(varied) > 0)


def test_the_penalty_is_on_the_slope_by_the_whole_pack():
    slope = jnp.array([3.0, 4.0, 12.0, 0.0])

    def discriminator(images):
        return packing.pack(images, 2) @ slope

    images = jnp.asarray(np.random.default_rng(4).normal(size=(6, 2)), jnp.float32)
    keys = random.row_keys(jax.random.key(0), 6)
    of_packs = packing.packed_penalty(partial(penalties.gradient_penalty, weight=2.0), 2)
    costs = of_packs(discriminator, images, images + 1, keys)
    np.testing.assert_allclose(costs, np.full(3, 2.0 * (13 - 1) ** 2), rtol=1e-5)


def test_rows_that_fill_no_packs_are_refused():
    with pytest.raises(ValueError, match="10 examples on a device cannot be packed by 4"):
        packing.pack(jnp.zeros((10, 2)), 4)


@pytest.mark.parametrize("shared", [pytest.param(False, marks=pytest.mark.slow), True])
def test_stacked_players_meet_the_same_fakes_if_asked_as_in_the_papers_code(shared):
    """A discriminator that does not move gives both players' fakes the same logits."""
    preset = {**stacked.PRESETS["smoke"], "packing": 2, "discriminator_learning_rate": 0.0}
    config = stacked.Config(**preset, shared_noise=shared)
    assert stacked.PRESETS["paper"]["shared_noise"]
    gan = stacked.build(config, DataSpec((28, 28, 1)))
    images = np.random.default_rng(0).uniform(-1, 1, (config.rows_per_step, 28, 28, 1))
    _, found = jax.jit(gan.step)(gan.init(jax.random.key(0)), {"image": images.astype(np.float32)})
    of = [found[f"{side}/fake_logit"] for side in ("discriminator", "generator")]
    assert np.allclose(*of, rtol=1e-5) == shared
