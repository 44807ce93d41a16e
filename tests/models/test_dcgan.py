"""The rules of the deep convolutional GAN, read off its parameters and off a pass through it."""

from __future__ import annotations

import math
import re
from functools import partial

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxgan import losses, random
from jaxgan.models import dcgan
from tests.building import built

SIZES = {
    (16, 16): 2,
    (28, 28): 2,
    (32, 32): 3,
    (56, 56): 3,
    (64, 64): 4,
    (64, 96): 4,
    (32, 128): 3,
    (128, 128): 5,
}


def shapes(module: linen.Module, x) -> dict:
    """The shapes of the module's params, without computing them."""
    variables = jax.eval_shape(partial(module.init, train=True), jax.random.key(0), x)
    return jax.tree.map(jnp.shape, variables["params"])


def initialized(module: linen.Module, x) -> dict:
    init = jax.jit(partial(module.init, train=True))
    return init(jax.random.key(0), x)


def passed(module: linen.Module, x, *, train: bool = True):
    """The names of the layers in order, what each took and gave, and what the network gave."""
    order: list[str] = []

    def run(variables, x):
        layers = {}

        def keep(call, args, kwargs, context):
            output = call(*args, **kwargs)
            if context.method_name == "__call__" and context.module.name:
                order.append(context.module.name)
                layers[context.module.name] = (args[0], output)
            return output

        with linen.intercept_methods(keep):
            output, _ = module.apply(variables, x, train=train, mutable=["batch_stats"])
        return layers, output

    layers, output = jax.jit(run)(initialized(module, x), x)
    return order, layers, output


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


close = partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6)


# --- the networks ---------------------------------------------------------------------------------


def test_the_generator_of_the_paper_has_its_shapes():
    found = shapes(dcgan.Generator((64, 64, 3), 128, 5), jnp.zeros((1, 100)))
    norms = {
        f"BatchNorm_{i}": {"scale": (n,), "bias": (n,)} for i, n in enumerate((1024, 512, 256, 128))
    }
    assert found == {
        "Dense_0": {"kernel": (100, 4 * 4 * 1024)},
        "ConvTranspose_0": {"kernel": (5, 5, 1024, 512)},
        "ConvTranspose_1": {"kernel": (5, 5, 512, 256)},
        "ConvTranspose_2": {"kernel": (5, 5, 256, 128)},
        "ConvTranspose_3": {"kernel": (5, 5, 128, 3), "bias": (3,)},
        **norms,
    }


def test_the_discriminator_of_the_paper_has_its_shapes():
    found = shapes(dcgan.Discriminator(128, 5), jnp.zeros((1, 64, 64, 3)))
    norms = {
        f"BatchNorm_{i}": {"scale": (n,), "bias": (n,)} for i, n in enumerate((256, 512, 1024))
    }
    assert found == {
        "Conv_0": {"kernel": (5, 5, 3, 128), "bias": (128,)},
        "Conv_1": {"kernel": (5, 5, 128, 256)},
        "Conv_2": {"kernel": (5, 5, 256, 512)},
        "Conv_3": {"kernel": (5, 5, 512, 1024)},
        "Dense_0": {"kernel": (4 * 4 * 1024, 1), "bias": (1,)},
        **norms,
    }


def test_the_generator_normalizes_everywhere_but_at_its_tanh():
    order, layers, images = passed(dcgan.Generator((32, 32, 1), 2), noise(3, 5))
    doubling = ("BatchNorm", "ConvTranspose")
    assert order == ["Dense_0", *(f"{kind}_{i}" for i in range(3) for kind in doubling)]
    close(layers["BatchNorm_0"][0].reshape(3, -1), layers["Dense_0"][1])
    for i in range(3):
        close(layers[f"ConvTranspose_{i}"][0], jax.nn.relu(layers[f"BatchNorm_{i}"][1]))
    for i in range(2):
        close(layers[f"BatchNorm_{i + 1}"][0], layers[f"ConvTranspose_{i}"][1])
    close(images, jnp.tanh(layers["ConvTranspose_2"][1]))


def test_the_discriminator_normalizes_everywhere_but_at_its_input():
    order, layers, logits = passed(dcgan.Discriminator(2), noise(3, 32, 32, 1))
    assert order == ["Conv_0", "Conv_1", "BatchNorm_0", "Conv_2", "BatchNorm_1", "Dense_0"]

    def leaky(x):
        return jnp.where(x > 0, x, 0.2 * x)

    close(layers["Conv_1"][0], leaky(layers["Conv_0"][1]))
    close(layers["BatchNorm_0"][0], layers["Conv_1"][1])
    close(layers["Conv_2"][0], leaky(layers["BatchNorm_0"][1]))
    close(layers["BatchNorm_1"][0], layers["Conv_2"][1])
    close(layers["Dense_0"][0], leaky(layers["BatchNorm_1"][1]).reshape(3, -1))
    close(logits, layers["Dense_0"][1][:, 0])


@pytest.mark.parametrize("norm", ["none", "spectral"])
def test_without_statistics_every_convolution_has_a_bias(norm):
    found = shapes(dcgan.Discriminator(2, norm=norm), jnp.zeros((1, 32, 32, 1)))
    assert found == {
        "Conv_0": {"kernel": (4, 4, 1, 2), "bias": (2,)},
        "Conv_1": {"kernel": (4, 4, 2, 4), "bias": (4,)},
        "Conv_2": {"kernel": (4, 4, 4, 8), "bias": (8,)},
        "Dense_0": {"kernel": (4 * 4 * 8, 1), "bias": (1,)},
    }


def test_layer_normalization_takes_batch_normalizations_place():
    order, layers, _ = passed(dcgan.Discriminator(2, norm="layer"), noise(3, 32, 32, 1))
    assert order == ["Conv_0", "Conv_1", "LayerNorm_0", "Conv_2", "LayerNorm_1", "Dense_0"]
    taken, given = layers["LayerNorm_1"]
    mean, variance = (
        np.asarray(f(taken, axis=(1, 2, 3), keepdims=True)) for f in (np.mean, np.var)
    )
    close(given, (taken - mean) / np.sqrt(variance + 1e-5), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", dcgan.NORMS)
def test_only_batch_normalization_couples_the_images(norm):
    discriminator = dcgan.Discriminator(2, norm=norm)
    x = noise(4, 16, 16, 1)
    variables = initialized(discriminator, x)
    collections = [name for name in variables if name != "params"]

    @jax.jit
    def logits(x):
        return discriminator.apply(variables, x, train=True, mutable=collections)[0]

    changed = logits(np.concatenate([x[:2], 9 * x[2:]]))
    assert np.allclose(logits(x)[:2], changed[:2], atol=1e-6) == (norm != "batch")


def test_spectral_normalization_bounds_every_layer():
    discriminator = dcgan.Discriminator(2, norm="spectral")
    x = noise(3, 16, 16, 1)
    variables = initialized(discriminator, x)
    layers = len(variables["params"])
    assert {name: set(u) for name, u in variables["spectral_norm"].items()} == {
        f"SpectralNorm_{i}": {"u"} for i in range(layers)
    }
    # Each kernel over its largest singular value: the scale of the kernels is gone, up to biases.
    larger = {
        **variables,
        "params": {
            name: {"kernel": 7 * layer["kernel"], "bias": layer["bias"]}
            for name, layer in variables["params"].items()
        },
    }
    close(discriminator.apply(larger, x), discriminator.apply(variables, x), rtol=1e-5)


def test_an_unknown_norm_is_refused():
    with pytest.raises(ValueError, match=r"norm is 'instance'; expected one of batch, layer, none"):
        build(discriminator_norm="instance")


def test_images_stay_within_tanh_however_large_the_weights():
    generator = dcgan.Generator((16, 16, 1), 2)
    variables = initialized(generator, noise(2, 3))
    variables["params"] = jax.tree.map(lambda leaf: 100 * leaf, variables["params"])
    run = jax.jit(generator.apply)
    images = run(variables, noise(2, 3))
    assert 0.99 < jnp.max(jnp.abs(images)) <= 1.0


@pytest.mark.parametrize(
    ("module", "x"),
    [
        (dcgan.Generator((32, 32, 3), 32), jnp.zeros((1, 50))),
        (dcgan.Discriminator(32), jnp.zeros((1, 32, 32, 3))),
    ],
    ids=["generator", "discriminator"],
)
def test_weights_start_at_0_and_gains_at_1_with_deviation_002(module, x):
    found = {"kernel": [], "scale": [], "bias": []}
    for path, leaf in jax.tree_util.tree_leaves_with_path(initialized(module, x)["params"]):
        found[path[-1].key].append(np.ravel(leaf))
    centers = {"kernel": 0.0, "scale": 1.0}
    for kind, center in centers.items():
        values = np.concatenate(found[kind]) - center
        assert abs(values.mean()) < 5 * 0.02 / np.sqrt(values.size)
        assert abs(values.std() - 0.02) < 5 * 0.02 / np.sqrt(2 * values.size)
    # Normal, not truncated at two deviations.
    assert np.max(np.abs(np.concatenate(found["kernel"]))) > 0.06
    assert not np.any(np.concatenate(found["bias"]))


@pytest.mark.parametrize(
    ("size", "channels"), [*((size, 3) for size in SIZES), ((28, 28), 1), ((64, 96), 4)]
)
def test_every_size_that_halves_comes_out_as_asked(size, channels):
    generator, discriminator = dcgan.Generator((*size, channels), 2), dcgan.Discriminator(2)
    images, _ = jax.eval_shape(generator.init_with_output, jax.random.key(0), jnp.zeros((5, 7)))
    assert images.shape == (5, *size, channels)
    logits, _ = jax.eval_shape(discriminator.init_with_output, jax.random.key(0), images)
    assert logits.shape == (5,)
    height, width = (side >> SIZES[size] for side in size)
    found = shapes(generator, jnp.zeros((1, 7)))
    features = 2 << (SIZES[size] - 1)
    assert found["Dense_0"]["kernel"] == (7, height * width * features)


# --- sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "count"), SIZES.items())
def test_a_size_halves_down_to_its_base(size, count):
    assert dcgan.stages(size) == count


def suggested(size: tuple[int, int]) -> list[tuple[int, int]]:
    """The sizes that the refusal of this one names; none where it is accepted."""
    try:
        dcgan.stages(size)
    except ValueError as error:
        named = re.search(r"nearest sizes are (.*)", str(error))
        assert named
        assert f"{size[0]}x{size[1]}:" in str(error)
        return [tuple(map(int, pair)) for pair in re.findall(r"(\d+)x(\d+)", named[1])]
    return []


@pytest.mark.parametrize(
    ("size", "nearest"),
    [
        ((30, 30), [(28, 28), (32, 32)]),
        ((31, 31), [(28, 28), (32, 32)]),
        ((65, 65), [(64, 64), (72, 72)]),
        ((8, 8), [(16, 16)]),
        ((17, 64), [(16, 64), (20, 64)]),
        ((64, 100), [(64, 96), (64, 104)]),
        ((10, 300), [(16, 300)]),
    ],
)
def test_a_size_that_does_not_halve_is_refused_with_the_nearest(size, nearest):
    assert suggested(size) == nearest


def makes(size: tuple[int, int]) -> bool:
    """Whether some number of halvings from 2 leaves 4 to 15 pixels on the shorter side."""
    counts = range(2, 12)
    return any(
        math.gcd(*size) % 2**count == 0 and 4 <= min(size) / 2**count <= 15 for count in counts
    )


MADE = [(h, w) for h in range(16, 161, 4) for w in range(16, 161, 4) if makes((h, w))]


@given(st.tuples(st.integers(1, 128), st.integers(1, 128)))
def test_what_a_refusal_names_is_accepted_and_nothing_is_nearer(size):
    named = suggested(size)
    assert bool(named) != makes(size)

    def distance(other):
        return abs(other[0] - size[0]) + abs(other[1] - size[1])

    below = [s for s in MADE if s[0] <= size[0] and s[1] <= size[1]]
    above = [s for s in MADE if s[0] >= size[0] and s[1] >= size[1]]
    if named:
        nearest = [min(map(distance, sizes)) for sizes in (below, above) if sizes]
        assert list(map(distance, named)) == nearest
        assert all(dcgan.stages(s) >= 2 for s in named)


# --- the game -------------------------------------------------------------------------------------


def build(**changes):
    optimizers = {name: optax.sgd(0.01) for name in ("generator", "discriminator")}
    options = {"shape": (16, 16, 1), "latent_size": 3, "width": 1, "kernel": 3}
    return built(
        dcgan.build,
        **{**options, "loss": losses.non_saturating(), "optimizers": optimizers, **changes},
    )


def test_a_game_that_cannot_be_played_is_refused_when_it_is_built():
    with pytest.raises(ValueError, match="cannot make images of 30x30"):
        build(shape=(30, 30, 1))
    with pytest.raises(ValueError, match="the prior is 'cauchy'"):
        build(prior="cauchy")


@pytest.fixture(scope="module")
def game():
    gan = build()
    return gan, gan.init(jax.random.key(0))


def test_a_sample_does_not_depend_on_the_others_beside_it(game):
    gan, state = game
    sample = jax.jit(gan.sample)
    keys = random.row_keys(jax.random.key(1), 4)
    together = sample(state, keys)
    assert together.shape == (4, 16, 16, 1)
    close(sample(state, random.row_keys(jax.random.key(1), 2)), together[:2])
    np.testing.assert_array_equal(sample(state, keys), together)


@pytest.mark.parametrize("name", ["generator", "discriminator"])
def test_training_takes_the_batchs_statistics_and_evaluation_the_running_ones(game, name):
    player = game[1][name]
    x = noise(4, 3) if name == "generator" else noise(4, 16, 16, 1)

    @partial(jax.jit, static_argnames="train")
    def run(x, *, train):
        return player.mutate(x, train=train)

    for train in (True, False):
        output, after = run(x, train=train)
        changed, _ = run(np.concatenate([x[:2], 9 * x[2:]]), train=train)
        # Whether the first two rows see the others.
        assert np.allclose(output[:2], changed[:2], atol=1e-6) != train
        before, after = (jax.tree.leaves(p.variables) for p in (player, after))
        same = [np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
        assert len(same) == 2 * (2 if name == "generator" else 1)
        assert not any(same) if train else all(same)


@pytest.mark.parametrize("moved", ["generator", "discriminator"])
def test_a_step_updates_the_statistics_of_the_player_that_moves(game, moved):
    _, before = game
    alone = {"discriminator": lambda d, g: d, "generator": lambda d, g: g}[moved]
    step = jax.jit(build(schedule=alone).step)
    after, _ = step(before, {"image": noise(4, 16, 16, 1)})
    for name in ("generator", "discriminator"):
        old, new = (jax.tree.leaves(state[name].variables) for state in (before, after))
        same = [np.array_equal(a, b) for a, b in zip(old, new, strict=True)]
        assert all(same) if name != moved else not any(same)
