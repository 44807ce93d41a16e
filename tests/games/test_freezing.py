"""Frozen layers: counted from the input, unchanged bit for bit, and without an optimizer state."""

from __future__ import annotations

from functools import partial

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import losses, penalties, random, state
from jaxgan.games import freezing, two_player
from tests import toy_model
from tests.building import built


class Body(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(2, name="only")(x)


class Network(linen.Module):
    """Its layers in the order of the calls are not those of their names."""

    @linen.compact
    def __call__(self, x, *, keys=None, train=False):
        x = linen.Dense(2, name="z")(x)
        x = linen.LayerNorm(name="norm")(x)
        x = Body(name="middle")(x)
        for number in range(11):
            x = linen.Dense(2, name=f"layer_{number}")(x)
        return linen.Dense(1, name="a")(x)[:, 0]


def test_layers_are_in_the_order_of_the_calls_and_hold_the_norms_that_follow():
    def init(key):
        return state.init_player(key, Network(), optax.adam(1e-2), jnp.zeros((1, 3)))

    player = jax.eval_shape(jax.jit(init), jax.random.key(0))
    layers = freezing.layers_of(player)
    numbered = [f"layer_{number}" for number in range(11)]
    assert list(layers) == ["z", "middle/only", *numbered, "a"]
    assert layers["z"] == ("z", "norm")
    assert layers["layer_10"] == ("layer_10",)


def game(**options):
    return built(
        two_player.build,
        toy_model.Generator((2,), 4, None),
        toy_model.Discriminator(4),
        shape=(2,),
        loss=losses.non_saturating(),
        latents=partial(random.latents, size=3),
        optimizers={"generator": optax.adam(1e-2), "discriminator": optax.adam(1e-2)},
        projection=partial(penalties.clip_weights, limit=1e-3),
        **options,
    )


def test_frozen_arrays_stay_bit_for_bit_whatever_else_the_step_does():
    asked = freezing.parsed(["discriminator:1", "generator:Dense_0"])
    gan = freezing.frozen(game(), asked)
    before = gan.init(jax.random.key(0))
    batch = {"image": np.random.default_rng(0).normal(size=(8, 2)).astype(np.float32)}
    after, step = before, jax.jit(gan.step)
    for _ in range(2):
        after, _ = step(after, batch)
    frozen = {"discriminator": {"Dense_0"}, "generator": {"Dense_0", "BatchNorm_0"}}
    for name, layers in frozen.items():
        for layer, old in before[name].params.items():
            same = [
                np.array_equal(one, other)
                for one, other in zip(
                    jax.tree.leaves(old), jax.tree.leaves(after[name].params[layer]), strict=True
                )
            ]
            assert all(same) if layer in layers else not any(same), (name, layer)
        held = jax.tree_util.tree_leaves_with_path(after[name].opt_state)
        paths = [jax.tree_util.keystr(path) for path, leaf in held if leaf.ndim]
        assert not [path for path in paths if any(layer in path for layer in layers)]
        assert [path for path in paths if "Dense_1" in path]
    assert freezing.frozen_paths(before, asked) == [
        "players/discriminator/params/Dense_0/bias",
        "players/discriminator/params/Dense_0/kernel",
        "players/generator/params/BatchNorm_0/bias",
        "players/generator/params/BatchNorm_0/scale",
        "players/generator/params/Dense_0/bias",
        "players/generator/params/Dense_0/kernel",
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("discriminator:3", "the discriminator has 2 layers: Dense_0, Dense_1"),
        ("discriminator:Conv_0", "the discriminator has no such layer; it has Dense_0, Dense_1"),
        ("critic:1", "names the player 'critic'; the model has discriminator, generator"),
    ],
)
def test_layers_that_are_not_there_are_refused_by_the_names_of_those_that_are(text, sentence):
    gan = freezing.frozen(game(), freezing.parsed([text]))
    with pytest.raises(ValueError, match=sentence):
        jax.eval_shape(gan.init, jax.random.key(0))


@pytest.mark.parametrize("text", ["discriminator", "discriminator:", ":3", "discriminator:0"])
def test_a_text_without_a_player_or_layers_is_refused(text):
    with pytest.raises(ValueError, match="expected a player and a number of layers of 1 or more"):
        freezing.parsed([text])
