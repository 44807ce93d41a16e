"""Randomness as a function of (seed, step, example).

Every example of a batch carries its own PRNG key, and a draw *names* itself, so two draws of one
objective never share their bits. Nothing is ever advanced: the same key and name give the same
draw, however the batch is split over devices, slices or processes. Names are folded when a draw is
made, not before: naming costs nothing at run time.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array

PRIORS = ("normal", "uniform", "unit_uniform")


class Keys(struct.PyTreeNode):
    """Per-example randomness: typed PRNG keys [B], and the path of names folded so far (static)."""

    base: Array
    path: str = struct.field(pytree_node=False, default="")

    def __len__(self) -> int:
        return self.base.shape[0]


def example_keys(rng: Array, step: Array | int, rows: Array) -> Keys:
    """Keys of the examples at global `rows` [B] (int32) in train step `step`, from the base key
    `rng` [].
    """
    return _of_rows(jax.random.fold_in(rng, step), rows)


def row_keys(key: Array, count: int, *, start: Array | int = 0) -> Keys:
    """Keys of the rows start ... start + count - 1, for sampling: row i depends on (key, i) alone,
    not on `count`.
    """
    return _of_rows(key, start + jnp.arange(count, dtype=jnp.int32))


def _of_rows(key: Array, rows: Array) -> Keys:
    keys = jax.vmap(lambda row: jax.random.fold_in(key, row))(rows)
    # Without the barrier XLA makes the keys again in the loop of every draw, and on a CPU the LLVM
    # of jaxlib 0.12 does not come back from such a loop where each row draws a single number.
    return Keys(jax.lax.optimization_barrier(keys))


def fold(keys: Keys, name: str | int) -> Keys:
    """Keys independent of `keys` and of every fold by another name."""
    return keys.replace(path=f"{keys.path}/{name}")


def draw(keys: Keys, function: Callable[[Array], Array]) -> Array:
    """`function(key)` of each example's own key, stacked [B, ...]: any draw of `jax.random`."""
    salt = zlib.crc32(keys.path.encode())
    return jax.vmap(lambda key: function(jax.random.fold_in(key, salt)))(keys.base)


def normal(keys: Keys, shape: tuple[int, ...]) -> Array:
    """Standard normal draws [B, *shape]."""
    return draw(keys, lambda key: jax.random.normal(key, shape))


def uniform(keys: Keys, shape: tuple[int, ...], *, low: float = 0.0, high: float = 1.0) -> Array:
    """Uniform draws [B, *shape] in [low, high)."""
    return draw(keys, lambda key: jax.random.uniform(key, shape, minval=low, maxval=high))


def bernoulli(keys: Keys, shape: tuple[int, ...], *, probability: float) -> Array:
    """Boolean draws [B, *shape], true with the given probability."""
    return draw(keys, lambda key: jax.random.bernoulli(key, probability, shape))


def labels(keys: Keys, classes: int) -> Array:
    """Uniform class labels [B] (int32) in [0, classes)."""
    return draw(keys, lambda key: jax.random.randint(key, (), 0, classes, dtype=jnp.int32))


def known_prior(prior: str) -> str:
    """The prior's name; ValueError on one that `latents` does not draw from."""
    if prior not in PRIORS:
        raise ValueError(f"the prior is {prior!r}; expected one of {', '.join(PRIORS)}")
    return prior


def latents(keys: Keys, size: int, *, prior: str = "normal") -> Array:
    """Latents [B, size] from the prior: 'normal' is N(0, I), 'uniform' is U(-1, 1)^size, and
    'unit_uniform' U(-sqrt 3, sqrt 3)^size, of variance 1.
    """
    named = fold(keys, "latent")
    if known_prior(prior) == "normal":
        return normal(named, (size,))
    drawn = uniform(named, (size,), low=-1.0, high=1.0)
    return drawn if prior == "uniform" else math.sqrt(3) * drawn
