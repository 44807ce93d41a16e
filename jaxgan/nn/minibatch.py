"""Statistics of a minibatch as features, by which a discriminator sees a lack of variety."""

from __future__ import annotations

import flax.linen as linen
import jax.numpy as jnp

from jaxgan.types import Array

EPSILON = 1e-8


def minibatch_stddev(x: Array, *, group: int) -> Array:
    """Features [B, H, W, C] with one more channel, constant in each group of examples: the mean
    over all features of their standard deviation in the group (Karras et al. 2018, section 3).

    Groups are runs of `group` rows, so that they lie within one shard wherever `group` divides a
    shard's rows, and the statistics are those of one device. The authors' code groups by stride,
    which no shard holds. Raises ValueError where the group does not divide the rows.
    """
    rows, height, width, channels = x.shape
    if rows % group:
        raise ValueError(
            f"{rows} rows on a device cannot be split into groups of {group} for the minibatch's "
            f"standard deviation; use a batch size that {group} divides on every device"
        )
    grouped = x.reshape(rows // group, group, height, width, channels)
    centred = grouped - jnp.mean(grouped, axis=1, keepdims=True)
    deviation = jnp.sqrt(jnp.mean(jnp.square(centred), axis=1) + EPSILON)
    statistic = jnp.mean(deviation, axis=(1, 2, 3)).reshape(-1, 1, 1, 1, 1)
    plane = jnp.broadcast_to(statistic, (*grouped.shape[:-1], 1))
    return jnp.concatenate([grouped, plane], axis=-1).reshape(rows, height, width, channels + 1)


class MinibatchStddev(linen.Module):
    """`minibatch_stddev` as a layer, which one example is enough to initialise."""

    group: int = 4

    def __call__(self, x: Array) -> Array:
        return minibatch_stddev(x, group=1 if self.is_initializing() else self.group)
