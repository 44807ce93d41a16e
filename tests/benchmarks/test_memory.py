"""What of a program is alive at once, by hand."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from benchmarks import memory


def most_alive(function, *given):
    return memory.most_alive(jax.make_jaxpr(function)(*given).jaxpr)


def test_values_are_alive_from_their_making_to_their_last_use():
    x = jnp.ones(8, jnp.float32)
    assert most_alive(lambda x: jnp.sin(x) * jnp.cos(x) + 1, x) == 3 * 32  # sin, cos, the product
    assert most_alive(lambda x: jnp.sin(jnp.cos(jnp.tan(x))), x) == 2 * 32
    assert most_alive(lambda x: jnp.sin(x.astype(jnp.bfloat16)), x) == 2 * 16


def test_inner_programs_count_while_they_run():
    x = jnp.ones(8, jnp.float32)

    def inner(x):
        return jnp.sin(x) * jnp.cos(x)

    assert most_alive(lambda x: jnp.exp(x) + jax.jit(inner)(x), x) == 4 * 32  # exp is there, too
    assert most_alive(lambda x: jax.lax.scan(lambda c, _: (inner(c), None), x, None, 5)[0], x) == 96


def test_rematerialized_activations_are_not_alive_between_the_passes():
    def network(x):
        for _ in range(8):
            x = jnp.tanh(x)
        return x

    def loss(network, x):
        return jnp.sum(network(x) * network(2 * x))

    kept, again = (
        most_alive(jax.grad(lambda x: loss(of, x)), jnp.ones(8)) // 32  # noqa: B023
        for of in (network, jax.checkpoint(network))
    )
    assert kept >= 16
    assert again <= 14
