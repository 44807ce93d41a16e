"""Pools of earlier fakes, so that a discriminator does not forget them (Shrivastava et al.
2017).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct
from jax import lax

from jaxgan import random
from jaxgan.random import Keys
from jaxgan.types import Array


class Pool(struct.PyTreeNode):
    """Images [capacity, H, W, C], and which of those places are taken (bool [capacity]).

    Keep it in the state's `buffers`: there it is split over devices like the batch. Under
    `shard_map` and `pmap` each shard then has its own part, fed by its own examples alone.
    """

    images: Array
    taken: Array


def pool(capacity: int, shape: tuple[int, ...]) -> Pool:
    """An empty pool; ValueError where the capacity is not positive."""
    if capacity < 1:
        raise ValueError(f"the pool holds {capacity} images; expected 1 or more")
    return Pool(jnp.zeros((capacity, *shape)), jnp.zeros((capacity,), bool))


def exchange(pool: Pool, images: Array, keys: Keys) -> tuple[Array, Pool]:
    """What the discriminator sees instead of these images [B, H, W, C], and the pool afterwards.

    Image by image, as Zhu et al. 2017 do: while there is room, the image is stored and passed on.
    Once the pool is full, a coin decides: either a random old image is passed on and the new one
    takes its place, or the new one is passed on and not stored. No gradient flows through the pool.
    """
    coins = random.bernoulli(random.fold(keys, "pool coin"), (), probability=0.5)
    capacity = pool.taken.shape[0]
    chosen = random.draw(
        random.fold(keys, "pool place"),
        lambda key: jax.random.randint(key, (), 0, capacity, dtype=jnp.int32),
    )

    def one(pool: Pool, arrival: tuple[Array, Array, Array]) -> tuple[Pool, Array]:
        image, coin, place = arrival
        full = jnp.all(pool.taken)
        place = jnp.where(full, place, jnp.argmin(pool.taken).astype(jnp.int32))
        old = lax.dynamic_index_in_dim(pool.images, place, keepdims=False)
        kept = jnp.where(full & ~coin, old, image.astype(old.dtype))
        passed = jnp.where(full & coin, old, image.astype(old.dtype))
        stored = Pool(
            lax.dynamic_update_index_in_dim(pool.images, kept, place, 0),
            pool.taken.at[place].set(True),
        )
        return stored, passed

    pool, passed = lax.scan(one, pool, (lax.stop_gradient(images), coins, chosen))
    return passed, pool
