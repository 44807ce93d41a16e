"""Pools of previously generated images (the image buffer of CycleGAN).

Training the discriminator on earlier fakes keeps it from forgetting them.

References:
    Shrivastava et al. 2017, "Learning from Simulated and Unsupervised Images through Adversarial
    Training".
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
    """A pool of generated images.

    Keep it in `state.buffers`, which is split over devices like the batch. Under `shard_map` and
    `pmap` each shard has its own part of the pool, filled only by its own examples.

    Attributes:
        images: Images [capacity, H, W, C].
        taken: Which places hold an image, bool [capacity].
    """

    images: Array
    taken: Array


def pool(capacity: int, shape: tuple[int, ...]) -> Pool:
    """Returns an empty pool.

    Args:
        capacity: Number of images that the pool holds, 1 or more.
        shape: Shape (H, W, C) of an image.

    Raises:
        ValueError: If the capacity is not positive.
    """
    if capacity < 1:
        raise ValueError(f"the pool holds {capacity} images; expected 1 or more")
    return Pool(jnp.zeros((capacity, *shape)), jnp.zeros((capacity,), bool))


def exchange(pool: Pool, images: Array, keys: Keys) -> tuple[Array, Pool]:
    """Stores images in the pool and returns the images that the discriminator is trained on.

    Images are handled one after another. While the pool has room, an image is stored and returned.
    When the pool is full, one of two things happens with probability 1/2 each: a random old image
    is returned and the new one takes its place, or the new image is returned and not stored. No
    gradient flows through the pool.

    Args:
        pool: The pool.
        images: Generated images [B, H, W, C].
        keys: Per-example keys [B].

    Returns:
        Images [B, H, W, C] for the discriminator, and the updated pool.

    References:
        Zhu et al. 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial
        Networks", section 4 (after Shrivastava et al. 2017).
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
