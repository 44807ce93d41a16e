"""Spectral normalization against the singular value decomposition."""

from __future__ import annotations

from functools import partial

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import nn, state, steps
from jaxgan.models import dcgan
from jaxgan.nn import spectral_norm

LAYERS = {
    "conv": (nn.Conv(6, (3, 3)), (2, 5, 5, 4)),
    "transposed": (nn.ConvTranspose(6, (3, 3), strides=2), (2, 5, 5, 4)),
    "dense": (linen.Dense(6), (2, 4)),
}
every_layer = pytest.mark.parametrize("name", list(LAYERS))


def draws(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def largest(kernel):
    """The largest singular value of a kernel [..., F] as a matrix."""
    return np.linalg.svd(np.reshape(kernel, (-1, kernel.shape[-1])), compute_uv=False)[0]


def normalized(name):
    """The normalized layer, its variables, and an input."""
    layer, shape = LAYERS[name]
    module, x = nn.SpectralNorm(layer), draws(*shape)
    return module, jax.jit(module.init)(jax.random.key(0), x), x


def repeated(module, variables, x, count):
    """The variables after training passes."""
    run = jax.jit(partial(module.apply, train=True, mutable=[spectral_norm.COLLECTION]))
    for _ in range(count):
        _, updated = run(variables, x)
        variables = {**variables, **updated}
    return variables


def test_a_layer_in_bfloat16_iterates_in_float32():
    module, variables, x = normalized("dense")
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), variables["params"])
    half = {**variables, "params": params}
    y, updated = module.apply(half, x.astype(jnp.bfloat16), train=True, mutable=["spectral_norm"])
    assert y.dtype == jnp.bfloat16
    kernel = params["layer"]["kernel"].astype(jnp.float32)
    (u,) = jax.tree.leaves(variables[spectral_norm.COLLECTION])
    np.testing.assert_array_equal(
        *jax.tree.leaves(updated), np.asarray(spectral_norm.iterate(kernel, u)[1])
    )


@every_layer
def test_after_many_passes_the_layer_has_the_kernel_over_its_largest_singular_value(name):
    module, variables, x = normalized(name)
    variables = repeated(module, variables, x, 300)
    layer = LAYERS[name][0]
    (params,) = variables["params"].values()
    exact = {**params, "kernel": params["kernel"] / largest(params["kernel"])}
    np.testing.assert_allclose(
        module.apply(variables, x), layer.apply({"params": exact}, x), rtol=1e-4, atol=1e-5
    )


def test_inside_a_network_the_layers_keep_their_names_and_initial_parameters():
    class Network(linen.Module):
        bounded: bool

        @linen.compact
        def __call__(self, x):
            layers = [nn.Conv(6, (3, 3)), nn.Conv(2, (3, 3))]
            for layer in layers:
                x = nn.SpectralNorm(layer)(x, train=True) if self.bounded else layer(x)
            return x

    free, bounded = (
        Network(bounded).init(jax.random.key(0), draws(2, 5, 5, 4)) for bounded in (False, True)
    )
    jax.tree.map(np.testing.assert_array_equal, free["params"], bounded["params"])
    assert set(bounded[spectral_norm.COLLECTION]) == {"SpectralNorm_0", "SpectralNorm_1"}


def test_one_pass_is_one_iteration_by_hand():
    module, variables, x = normalized("conv")
    matrix = np.reshape(variables["params"]["layer"]["kernel"], (-1, 6))
    u = variables[spectral_norm.COLLECTION]["u"]
    v = matrix @ u / np.linalg.norm(matrix @ u)
    expected = v @ matrix / np.linalg.norm(v @ matrix)
    after = repeated(module, variables, x, 1)[spectral_norm.COLLECTION]["u"]
    np.testing.assert_allclose(after, expected, rtol=1e-5, atol=1e-6)
    value, reached = spectral_norm.iterate(variables["params"]["layer"]["kernel"], u)
    np.testing.assert_allclose(reached, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(value, v @ matrix @ expected, rtol=1e-5)


def test_inference_and_dropped_updates_leave_the_vector_and_take_the_same_iteration():
    module, variables, x = normalized("conv")
    trained, updated = module.apply(variables, x, train=True, mutable=[spectral_norm.COLLECTION])
    output, same = module.apply(variables, x, train=False, mutable=[spectral_norm.COLLECTION])
    np.testing.assert_array_equal(output, trained)
    np.testing.assert_array_equal(
        same[spectral_norm.COLLECTION]["u"], variables[spectral_norm.COLLECTION]["u"]
    )
    assert not np.array_equal(
        updated[spectral_norm.COLLECTION]["u"], variables[spectral_norm.COLLECTION]["u"]
    )


def test_the_vector_depends_on_no_example():
    module, variables, x = normalized("conv")
    others = repeated(module, variables, 100 * draws(7, 5, 5, 4, seed=1), 3)
    np.testing.assert_array_equal(
        repeated(module, variables, x, 3)[spectral_norm.COLLECTION]["u"],
        others[spectral_norm.COLLECTION]["u"],
    )

    def one(x):
        output, updated = module.apply(variables, x, train=True, mutable=[spectral_norm.COLLECTION])
        return output, updated

    _, updated = jax.vmap(one, out_axes=(0, None))(x[:, None])
    np.testing.assert_allclose(
        updated[spectral_norm.COLLECTION]["u"],
        repeated(module, variables, x, 1)[spectral_norm.COLLECTION]["u"],
        rtol=1e-6,
    )


def test_the_gradient_takes_the_singular_vectors_as_given():
    kernel, u = jnp.asarray(draws(5, 3)), jnp.asarray(draws(3, seed=1))
    weight = jnp.asarray(draws(5, 3, seed=2))
    matrix = np.asarray(kernel, np.float64)
    v = matrix @ u / np.linalg.norm(matrix @ u)
    w = v @ matrix / np.linalg.norm(v @ matrix)
    sigma = v @ matrix @ w
    expected = (weight - np.sum(weight * matrix) / sigma * np.outer(v, w)) / sigma

    def loss(kernel):
        return jnp.sum(weight * kernel / spectral_norm.iterate(kernel, u)[0])

    np.testing.assert_allclose(jax.grad(loss)(kernel), expected, rtol=1e-4, atol=1e-5)


def test_at_the_singular_vectors_the_gradient_is_that_of_the_exact_singular_value():
    with jax.enable_x64(True):
        kernel = jnp.asarray(draws(5, 3), jnp.float64)
        u = jnp.linalg.svd(kernel)[2][0]
        exact = jax.grad(lambda kernel: jnp.linalg.svd(kernel, compute_uv=False)[0])(kernel)
        found = jax.grad(lambda kernel: spectral_norm.iterate(kernel, u)[0])(kernel)
        np.testing.assert_allclose(found, exact, rtol=1e-10, atol=1e-12)


def test_a_kernel_of_zeros_gives_zeros_and_no_nan():
    module, variables, x = normalized("dense")
    variables = jax.tree.map(jnp.zeros_like, variables)
    output, gradient = jax.value_and_grad(lambda v: jnp.sum(module.apply(v, x)))(variables)
    assert output == 0
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_a_layer_without_a_kernel_is_refused():
    with pytest.raises(ValueError, match="BatchNorm has no kernel to normalize"):
        nn.SpectralNorm(linen.BatchNorm(use_running_average=True)).init(
            jax.random.key(0), draws(2, 4)
        )


@pytest.mark.parametrize(("accumulate", "iterations"), [(1, 2), (2, 4)])
def test_real_and_fake_pass_iterate_once_each_in_every_slice(accumulate, iterations):
    def judge(state_, batch, keys):
        real, player = state_["discriminator"].mutate(batch["image"], train=True)
        fake, player = player.mutate(-batch["image"], train=True)
        return jnp.mean(fake - real), state.Out(players={"discriminator": player})

    @jax.jit
    def played(images):
        network = dcgan.Discriminator(2, norm="spectral")
        player = state.init_player(jax.random.key(0), network, optax.sgd(0.0), images)
        before = state.create(jax.random.key(1), {"discriminator": player})
        update = steps.update("discriminator", judge, accumulate=accumulate)
        return player, steps.make_train_step(update)(before, {"image": images})[0]

    player, after = played(draws(4, 16, 16, 1))
    u = player.variables[spectral_norm.COLLECTION]["SpectralNorm_1"]["u"]
    for _ in range(iterations):
        u = spectral_norm.iterate(player.params["Conv_1"]["kernel"], u)[1]
    found = after["discriminator"].variables[spectral_norm.COLLECTION]["SpectralNorm_1"]["u"]
    np.testing.assert_allclose(found, u, rtol=1e-5, atol=1e-6)
