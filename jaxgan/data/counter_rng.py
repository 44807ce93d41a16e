"""Random numbers as a pure function of (seed, stream, counter), in NumPy.

SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014)
in counter mode: draw `n` of a stream is the mixed n-th point of a Weyl sequence, so any draw is had
without those before it. Unlike those of `numpy.random`, whose distributions may change, the draws
here are the same with every release of NumPy: a run resumed after an upgrade sees the data it would
have seen.
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
    """Uniform uint64 draws, one per counter (integers of any shape); no two streams agree."""
    start = np.array(_start(seed, stream), np.uint64)
    mixed = start + (np.asarray(counters).astype(np.uint64) + np.uint64(1)) * _WEYL
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    return mixed ^ (mixed >> np.uint64(31))


def uniform(seed: int, stream: str, counters: np.ndarray) -> np.ndarray:
    """Uniform float64 draws in [0, 1), one per counter, with 53 random bits."""
    return (bits(seed, stream, counters) >> np.uint64(11)) * 2.0**-53


def normal(seed: int, stream: str, counters: np.ndarray) -> np.ndarray:
    """Standard normal float64 draws, one per counter (Box and Muller, 1958)."""
    radius = np.sqrt(-2.0 * np.log1p(-uniform(seed, f"{stream}/radius", counters)))
    return radius * np.cos(2.0 * np.pi * uniform(seed, f"{stream}/angle", counters))


def permutation(seed: int, epoch: int, count: int, stream: str = "") -> np.ndarray:
    """The order [count] in which epoch `epoch` visits `count` examples, read-only; no two streams
    agree.
    """
    return _orders(seed, count, stream)(epoch)


@functools.lru_cache(maxsize=256)
def _orders(seed: int, count: int, stream: str) -> Callable[[int], np.ndarray]:
    """The orders of the epochs of one stream, which keeps two, as a batch may straddle them: a
    stream of few examples, with many epochs in a batch, does not push out those of the others.
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
