"""Long sums of bfloat16 numbers: added up in float32, wherever a program has them."""

from __future__ import annotations

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import PartitionSpec

from jaxgan import nn, parallel
from jaxgan.steps.float32_sums import summed_in_float32

ONES = jnp.ones((64, 8, 8), jnp.bfloat16)
TOTAL = 4096  # a number of bfloat16, but no sum of ones in bfloat16: 256 + 1 is 256


def total(x):
    return lax.reduce_sum(x, axes=(0, 1, 2))


def scanned(x):
    return lax.scan(lambda last, _: (last + total(x), None), jnp.bfloat16(0), None, length=2)[0] / 2


def chosen(x):
    return lax.cond(x[0, 0, 0] > 0, total, lambda x: x[0, 0, 0], x)


def repeated(x):
    return lax.while_loop(lambda c: c[1] < 1, lambda c: (total(x), c[1] + 1), (x[0, 0, 0], 0))[0]


def differentiated(x):
    return jax.grad(lambda b: jnp.sum((b + x).astype(jnp.float32)))(jnp.bfloat16(0))


def mapped(x):
    return jax.vmap(lambda y: lax.reduce_sum(y, axes=(0, 1, 2)))(x[None])[0]


def gathered(x):
    """The gradient by a table of two rows, one of which is read everywhere."""
    places = jnp.zeros(x.shape, jnp.int32)
    return jax.grad(lambda rows: jnp.sum(rows[places].astype(jnp.float32)))(x[0, 0, :2])[0]


WAYS = (
    total,
    jax.jit(total),
    scanned,
    chosen,
    repeated,
    differentiated,
    jax.checkpoint(total),
    mapped,
    gathered,
)


@pytest.mark.parametrize("function", WAYS, ids=lambda f: getattr(f, "__name__", "wrapped"))
def test_a_sum_is_whole_anywhere_in_a_program(function):
    found = jax.jit(summed_in_float32(function))(ONES)
    assert found.dtype == jnp.bfloat16
    assert found == TOTAL


def test_a_sum_over_several_devices_is_whole():
    mesh = parallel.data_mesh(jax.devices()[:2])
    axis = PartitionSpec(parallel.AXIS)

    def share(x):
        return lax.psum(summed_in_float32(total)(x), parallel.AXIS)

    run = jax.jit(jax.shard_map(share, mesh=mesh, in_specs=axis, out_specs=PartitionSpec()))
    assert run(ONES) == TOTAL


def test_other_types_are_left_alone():
    def sums(x):
        return total(x), total(x.astype(jnp.float32)), x.astype(jnp.int32).sum()

    program = str(jax.make_jaxpr(summed_in_float32(sums))(ONES.astype(jnp.float16)))
    assert "bf16" not in program
    assert program == str(jax.make_jaxpr(sums)(ONES.astype(jnp.float16)))


@pytest.mark.parametrize("layer", [nn.Conv(4, (3, 3)), linen.Conv(4, (3, 3)), linen.Dense(4)])
def test_the_gradient_by_a_bias_is_that_of_all_positions(layer):
    """The gradients by the biases of DCGAN in bfloat16 were a tenth to a half of what they are."""
    x = jax.random.normal(jax.random.key(0), (64, 14, 14, 3), jnp.bfloat16)
    weights = jax.tree.map(
        lambda leaf: leaf.astype(jnp.bfloat16), layer.init(jax.random.key(1), x)["params"]
    )

    def gradient(params):
        mean = lambda given: jnp.mean(layer.apply({"params": given}, x).astype(jnp.float32))  # noqa: E731
        return jax.grad(mean)(params)["bias"]

    mended = jax.jit(summed_in_float32(gradient))(weights)
    np.testing.assert_allclose(np.asarray(mended, np.float32), 0.25, rtol=2**-7)
