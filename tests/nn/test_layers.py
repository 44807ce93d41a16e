"""Layers: convolutions that are linen's own, and noise that belongs to the example."""

from __future__ import annotations

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jaxgan import nn, random
from jaxgan.nn import layers


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def assert_same_layer(ours: linen.Module, theirs: linen.Module, x) -> None:
    """Both have the same params, and with the same values in them the same output and gradients."""
    key = jax.random.key(0)
    shapes, expected_shapes = (jax.eval_shape(layer.init, key, x) for layer in (ours, theirs))
    assert shapes == expected_shapes
    variables = jax.tree.map(lambda leaf: images(*leaf.shape).astype(leaf.dtype), shapes)

    def run(layer, variables, x):
        def loss(variables, x):
            return jnp.sum(layer.apply(variables, x) ** 2)

        return layer.apply(variables, x), jax.grad(loss, (0, 1))(variables, x)

    both = jax.jit(lambda *args: (run(ours, *args), run(theirs, *args)))
    for a, b in zip(*map(jax.tree.leaves, both(variables, x)), strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        assert np.max(np.abs(a - b)) <= 1e-5 * np.max(np.abs(b))


@pytest.mark.parametrize("name", ["Conv", "ConvTranspose"])
def test_the_same_key_gives_linens_own_initial_params(name):
    layers = [getattr(library, name)(4, (3, 2)) for library in (nn, linen)]
    ours, theirs = (layer.init(jax.random.key(0), images(1, 4, 4, 3)) for layer in layers)
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


sides = st.integers(1, 7)
ends = st.tuples(st.integers(0, 3), st.integers(0, 3))


@settings(max_examples=10)
@given(
    kernel=st.tuples(sides, sides),
    strides=st.sampled_from([1, 2, (1, 2), (3, 1)]),
    padding=st.sampled_from(["SAME", "VALID", "REFLECT", "CIRCULAR", 1]) | st.tuples(ends, ends),
    use_bias=st.booleans(),
)
@example(kernel=(4, 4), strides=2, padding="SAME", use_bias=True)
@example(kernel=(7, 7), strides=1, padding="REFLECT", use_bias=False)
def test_conv_is_linens_own(kernel, strides, padding, use_bias):
    options = {"strides": strides, "padding": padding, "use_bias": use_bias}
    assert_same_layer(
        nn.Conv(4, kernel, **options), linen.Conv(4, kernel, **options), images(2, 8, 9, 3)
    )


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"kernel_size": (3, 3), "feature_group_count": 2}, (2, 6, 6, 4)),
        ({"kernel_size": (3, 3), "kernel_dilation": 2}, (2, 8, 8, 3)),
        ({"kernel_size": (3, 3), "input_dilation": 2, "padding": 1}, (2, 4, 4, 3)),
        ({"kernel_size": (3,)}, (2, 9, 3)),
        ({"kernel_size": (4,), "strides": 2, "padding": "CAUSAL"}, (2, 9, 3)),
        ({"kernel_size": (4,), "padding": "REFLECT"}, (2, 9, 3)),
        ({"kernel_size": (4, 3), "kernel_dilation": 2, "padding": "REFLECT"}, (7, 6, 3)),
        ({"kernel_size": (3, 3, 3)}, (2, 4, 4, 4, 3)),
        ({"kernel_size": (3, 3)}, (6, 6, 3)),
        ({"kernel_size": (3, 3)}, (2, 2, 6, 6, 3)),
        ({"kernel_size": (3, 3), "precision": "highest"}, (2, 6, 6, 3)),
    ],
    ids=[
        "groups",
        "dilated",
        "input-dilated",
        "1-d",
        "causal",
        "reflected series",
        "one reflected image",
        "3-d",
        "one image",
        "two axes",
        "precision",
    ],
)
def test_conv_is_linens_own_where_gans_rarely_go(options, shape):
    assert_same_layer(nn.Conv(4, **options), linen.Conv(4, **options), images(*shape))


@settings(max_examples=10)
@given(
    kernel=st.tuples(sides, sides),
    strides=st.sampled_from([(1, 1), (2, 2), (3, 2)]),
    padding=st.sampled_from(["SAME", "VALID", 2]) | st.tuples(ends, ends),
    use_bias=st.booleans(),
)
@example(kernel=(4, 4), strides=(2, 2), padding="SAME", use_bias=True)
@example(kernel=(5, 5), strides=(2, 2), padding="SAME", use_bias=False)
@example(kernel=(1, 1), strides=(2, 2), padding="SAME", use_bias=False)
@example(kernel=(1, 2), strides=(3, 3), padding="VALID", use_bias=True)
def test_conv_transpose_is_linens_own(kernel, strides, padding, use_bias):
    options = {"strides": strides, "padding": padding, "use_bias": use_bias}
    assert_same_layer(
        nn.ConvTranspose(4, kernel, **options),
        linen.ConvTranspose(4, kernel, **options),
        # Larger than an explicit padding can crop.
        images(2, 8, 9, 3),
    )


def test_conv_transpose_takes_one_stride_for_both_axes_as_linens_does():
    x = images(2, 4, 4, 3)
    assert_same_layer(
        nn.ConvTranspose(2, (4, 4), strides=2), linen.ConvTranspose(2, (4, 4), strides=2), x
    )


@pytest.mark.parametrize(("strides", "padding"), [((3,), "VALID"), (2, [(3, 1)])])
def test_conv_transpose_of_series_is_linens_own(strides, padding):
    ours = nn.ConvTranspose(4, (5,), strides=strides, padding=padding)
    strides = (strides,) if isinstance(strides, int) else strides
    theirs = linen.ConvTranspose(4, (5,), strides=strides, padding=padding)
    assert_same_layer(ours, theirs, images(2, 7, 3))


def test_conv_transpose_refuses_a_kernel_of_other_axes_than_the_input():
    layer = nn.ConvTranspose(4, (3, 3))
    with pytest.raises(ValueError, match=r"kernel of \(3, 3\) does not fit .* \(1, 8, 3\); exp"):
        jax.eval_shape(layer.init, jax.random.key(0), jnp.zeros((1, 8, 3)))


@pytest.mark.parametrize("layer", [nn.Conv, nn.ConvTranspose])
def test_the_dtype_is_that_of_the_work_and_not_of_the_params(layer):
    module = layer(4, (3, 3), dtype=jnp.bfloat16)
    init = module.init_with_output
    output, variables = jax.eval_shape(init, jax.random.key(0), jnp.zeros((2, 6, 6, 3)))
    assert output.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


def test_conv_transpose_refuses_a_padding_it_does_not_know():
    with pytest.raises(ValueError, match="the padding is 'CIRCULAR'; expected 'SAME', 'VALID' or"):
        layer = nn.ConvTranspose(4, (3, 3), padding="CIRCULAR")
        jax.eval_shape(layer.init, jax.random.key(0), jnp.zeros((1, 4, 4, 3)))


# --- noise ----------------------------------------------------------------------------------------


class Noisy(linen.Module):
    """The same values through two layers of the same kind."""

    layer: type
    level: float

    @linen.compact
    def __call__(self, x, keys):
        return self.layer(self.level)(x, keys), self.layer(self.level)(x, keys)


noises = pytest.mark.parametrize("layer", [nn.Dropout, nn.GaussianNoise])


def applied(layer, x, keys, level=0.4) -> tuple[jax.Array, jax.Array]:
    network = Noisy(layer, level)
    return jax.jit(lambda x, keys: network.apply({}, x, keys))(x, keys)


def rows(keys, *, start: int, stop: int):
    return keys.replace(base=keys.base[start:stop])


@noises
def test_noise_depends_on_the_examples_own_key_alone(layer):
    keys, x = random.row_keys(jax.random.key(0), 6), jnp.ones((6, 5, 4))
    whole = applied(layer, x, keys)
    parts = [
        applied(layer, x[a:b], rows(keys, start=a, stop=b)) for a, b in [(0, 1), (1, 4), (4, 6)]
    ]
    for layer_index in (0, 1):
        joined = np.concatenate([part[layer_index] for part in parts])
        np.testing.assert_allclose(joined, whole[layer_index], rtol=1e-6)
    assert len(np.unique(whole[0].reshape(6, -1), axis=0)) == 6


@noises
def test_two_layers_of_a_network_draw_different_noise(layer):
    first, second = applied(layer, jnp.ones((4, 64)), random.row_keys(jax.random.key(0), 4))
    assert not np.array_equal(first, second)


@noises
def test_keys_folded_by_another_name_give_different_noise(layer):
    keys = random.row_keys(jax.random.key(0), 4)
    real, fake = (
        applied(layer, jnp.ones((4, 64)), random.fold(keys, name))[0] for name in ("real", "fake")
    )
    assert not np.array_equal(real, fake)


@noises
def test_without_keys_or_without_noise_the_input_passes_unchanged(layer):
    x = jnp.asarray(images(3, 5))
    keys = random.row_keys(jax.random.key(0), 3)
    assert layer(0.4).apply({}, x, None) is x
    assert layer(0.0).apply({}, x, keys) is x


def test_dropout_zeroes_the_stated_share_and_keeps_the_mean():
    x = jnp.ones((50, 400))
    y = np.asarray(nn.Dropout(0.3).apply({}, x, random.row_keys(jax.random.key(1), 50)))
    assert set(np.unique(y)) == {0.0, np.float32(1 / 0.7)}
    deviation = np.sqrt(0.3 * 0.7 / y.size)
    assert abs(np.mean(y == 0.0) - 0.3) < 5 * deviation
    assert abs(np.mean(y) - 1.0) < 5 * deviation / 0.7


def test_gaussian_noise_has_the_stated_deviation():
    x = jnp.full((50, 400), 3.0)
    noise = np.asarray(nn.GaussianNoise(0.5).apply({}, x, random.row_keys(jax.random.key(1), 50)))
    noise = (noise - 3.0) / 0.5
    assert abs(np.mean(noise)) < 5 / np.sqrt(noise.size)
    assert abs(np.mean(noise**2) - 1.0) < 5 * np.sqrt(2 / noise.size)


@noises
def test_noise_keeps_the_dtype(layer):
    x = jnp.ones((2, 3), jnp.bfloat16)
    assert layer(0.4).apply({}, x, random.row_keys(jax.random.key(0), 2)).dtype == jnp.bfloat16


# --- activations ----------------------------------------------------------------------------------


def test_maxout_takes_the_largest_of_each_features_pieces():
    # The first feature's pieces are x0, x1 and -x0 - x1; the second's 2 x0, 1 and x1 - 5.
    kernel = jnp.array([[1.0, 0.0, -1.0, 2.0, 0.0, 0.0], [0.0, 1.0, -1.0, 0.0, 0.0, 1.0]])
    bias = jnp.array([0.0, 0.0, 0.0, 0.0, 1.0, -5.0])
    params = {"params": {"Dense_0": {"kernel": kernel, "bias": bias}}}
    x = jnp.array([[3.0, -1.0], [-2.0, 1.0], [-4.0, 9.0]])
    expected = [[3.0, 6.0], [1.0, 1.0], [9.0, 4.0]]
    np.testing.assert_array_equal(nn.Maxout(2, 3).apply(params, x), expected)


def test_maxout_has_a_weight_for_every_piece():
    variables = jax.eval_shape(nn.Maxout(240, 5).init, jax.random.key(0), jnp.zeros((1, 784)))
    assert jax.tree.map(jnp.shape, variables["params"]) == {
        "Dense_0": {"kernel": (784, 1200), "bias": (1200,)}
    }


def test_leaky_relu_lets_a_fifth_through():
    x = jnp.array([-10.0, -1.0, 0.0, 2.0])
    np.testing.assert_allclose(layers.leaky_relu(x), [-2.0, -0.2, 0.0, 2.0], rtol=1e-7)
