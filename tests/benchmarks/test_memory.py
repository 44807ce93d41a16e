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


def test_a_further_call_of_a_network_keeps_its_activations_unless_they_are_rematerialized():
    def network(x):
        for _ in range(8):
            x = jnp.tanh(x)
        return x

    def sum_of_calls(network, count):
        return lambda x: jnp.sum(sum(network(place * x) for place in range(count)))

    def alive(network, count):
        return most_alive(jax.grad(sum_of_calls(network, count)), jnp.ones(8)) // 32

    # Of each tanh the result and one minus the result; of a rematerialized network its input.
    assert alive(network, 3) - alive(network, 2) == 2 * 8
    again = jax.checkpoint(network)
    assert alive(again, 3) - alive(again, 2) == 1
