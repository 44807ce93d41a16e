"""JAX's generator of random bits, compiled on a CPU without its loop: the same bits in a fifth of
the time.

Every example draws by a key of its own, so small networks spend a third of a step on this function
(Threefry-2x32 with 20 rounds, Salmon et al. 2011), and every draw's loop is compiled anew. A run
calls `install`, as any program may; importing the module changes nothing.
"""

from __future__ import annotations

import functools

import jax.numpy as jnp
from jax import Array
from jax.extend.random import threefry2x32_p
from jax.interpreters import mlir

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


def threefry2x32(key0: Array, key1: Array, count0: Array, count1: Array) -> tuple[Array, Array]:
    """The two words of bits that the key gives at the count; all arguments uint32, of one shape."""
    keys = (key0, key1, key0 ^ key1 ^ jnp.uint32(_PARITY))
    x, y = count0 + keys[0], count1 + keys[1]
    for group in range(5):
        for distance in _ROTATIONS[group % 2]:
            x = x + y
            y = (y << jnp.uint32(distance)) | (y >> jnp.uint32(32 - distance))
            y = y ^ x
        x = x + keys[(group + 1) % 3]
        y = y + keys[(group + 2) % 3] + jnp.uint32(group + 1)
    return x, y


@functools.cache
def install() -> None:
    """Has JAX compile every draw of this process to `threefry2x32` on a CPU: the same bits, sooner.

    It replaces JAX's own lowering of the generator for 'cpu', in programs that are compiled from
    then on; other platforms keep JAX's. Does nothing a second time.
    """
    mlir.register_lowering(
        threefry2x32_p, mlir.lower_fun(threefry2x32, multiple_results=True), platform="cpu"
    )
