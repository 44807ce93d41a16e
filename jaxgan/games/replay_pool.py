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
    capacity, count = pool.taken.shape[0], images.shape[0]
    images = lax.stop_gradient(images).astype(pool.images.dtype)
    replaces = random.bernoulli(random.fold(keys, "pool coin"), (), probability=0.5)
    chosen = random.draw(
        random.fold(keys, "pool place"),
        lambda key: jax.random.randint(key, (), 0, capacity, dtype=jnp.int32),
    )
    # What each place holds after each image is known from the draws alone, so images move once. A
    # loop over them would send the whole pool over the devices once an image.
    arrival = jnp.arange(count, dtype=jnp.int32)
    first_free = jnp.sum(pool.taken, dtype=jnp.int32) + arrival
    full = first_free >= capacity
    place = jnp.where(full, chosen, first_free)
    stored_in = jnp.where(full & ~replaces, -1, place)
    before = _latest(stored_in, place, arrival)
    places = jnp.arange(capacity, dtype=jnp.int32)
    after = _latest(stored_in, places, jnp.full_like(places, count))

    old = _chosen(images, before, otherwise=jnp.take(pool.images, place, axis=0, mode="clip"))
    passed = jnp.where(_along(full & replaces, images), old, images)
    kept = _chosen(images, after, otherwise=pool.images)
    return passed, Pool(kept, pool.taken | (after >= 0))


def _latest(stored_in: Array, place: Array, until: Array) -> Array:
    """Returns the last image before number `until` that was stored in each place; -1: none."""

    def one(place: Array, until: Array) -> Array:
        arrival = jnp.arange(stored_in.shape[0], dtype=jnp.int32)
        return jnp.max(jnp.where((stored_in == place) & (arrival < until), arrival, -1))

    return jax.vmap(one)(place, until)


def _chosen(images: Array, index: Array, *, otherwise: Array) -> Array:
    """Returns the images of these indices; where an index is -1, those of `otherwise`."""
    found = jnp.take(images, index, axis=0, mode="clip")
    return jnp.where(_along(index >= 0, images), found, otherwise)


def _along(mask: Array, images: Array) -> Array:
    """Returns a mask [B] with the number of dimensions of the images."""
    return mask.reshape(-1, *(1,) * (images.ndim - 1))
