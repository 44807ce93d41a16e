"""Random numbers as a pure function of (seed, stream, counter), in NumPy.

The generator is SplitMix64 in counter mode: draw n of a stream is the mixed n-th point of a Weyl
sequence. Any draw is computed without those before it. The distributions of `numpy.random` may
change between releases. The draws here are the same with every release of NumPy, so a run that is
resumed after an upgrade sees the same data.

References:
    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable

import numpy as np

_WEYL = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def bits(seed: int, stream: str, counters: np.ndarray) -> np.ndarray:
    """Returns uniform uint64 draws, one per counter.

    Args:
        seed: seed of the run.
        stream: name of the stream; different streams give different draws.
        counters: integers of any shape.
    """
    start = np.array(_start(seed, stream), np.uint64)
    mixed = start + (np.asarray(counters).astype(np.uint64) + np.uint64(1)) * _WEYL
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    return mixed ^ (mixed >> np.uint64(31))


def uniform(seed: int, stream: str, counters: np.ndarray) -> np.ndarray:
    """Returns uniform float64 draws in [0, 1), one per counter, with 53 random bits.

    Args:
        seed: seed of the run.
        stream: name of the stream; different streams give different draws.
        counters: integers of any shape.
    """
    return (bits(seed, stream, counters) >> np.uint64(11)) * 2.0**-53


def normal(seed: int, stream: str, counters: np.ndarray) -> np.ndarray:
    """Returns standard normal float64 draws, one per counter (Box and Muller, 1958).

    Args:
        seed: seed of the run.
        stream: name of the stream; different streams give different draws.
        counters: integers of any shape.
    """
    radius = np.sqrt(-2.0 * np.log1p(-uniform(seed, f"{stream}/radius", counters)))
    return radius * np.cos(2.0 * np.pi * uniform(seed, f"{stream}/angle", counters))


def permutation(seed: int, epoch: int, count: int, stream: str = "") -> np.ndarray:
    """Returns the order [count] in which an epoch visits the examples; read-only.

    Args:
        seed: seed of the run.
        epoch: number of the epoch, counted from 0.
        count: number of examples.
        stream: name of the stream; different streams give different orders.
    """
    return _orders(seed, count, stream)(epoch)


@functools.lru_cache(maxsize=256)
def _orders(seed: int, count: int, stream: str) -> Callable[[int], np.ndarray]:
    """Returns a function from the epoch to its order, for one stream.

    It caches two epochs, since a batch may span two. Each stream has its own cache: a stream of few
    examples, with many epochs in a batch, does not evict the orders of the other streams.
    """

    @functools.lru_cache(maxsize=2)
    def order(epoch: int) -> np.ndarray:
        draws = bits(seed, f"{stream}epoch {epoch}", np.arange(count))
        found = np.argsort(draws, kind="stable")
        found.setflags(write=False)
        return found

    return order


@functools.lru_cache(maxsize=256)
def _start(seed: int, stream: str) -> int:
    digest = hashlib.blake2b(f"{seed}/{stream}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")
