"""Statistics of a minibatch as features, by which a discriminator sees a lack of variety.

Groups are runs of rows. Slices of a batch, by stride (`steps.split_rows`), hold other groups than
the batch: accumulated gradients are not those of the whole batch. The statistics couple the rows of
a group, and so each one's slope by its image, which a penalty takes of the group's summed logits.
"""

from __future__ import annotations

import flax.linen as linen
import jax.numpy as jnp

from jaxgan.types import Array

EPSILON = 1e-8


def minibatch_stddev(x: Array, *, group: int) -> Array:
    """Features [B, ..., C] with one more channel, constant in each group of examples: the mean
    over all features of their standard deviation in the group (Karras et al. 2018, section 3).

    Groups are runs of `group` rows, so that they lie within one shard wherever `group` divides a
    shard's rows, and the statistics are those of one device. The authors' code groups by stride,
    which no shard holds. Raises ValueError where the group does not divide the rows.
    """
    grouped = _grouped(x, group, "the minibatch's standard deviation")
    centered = grouped - jnp.mean(grouped, axis=1, keepdims=True)
    deviation = jnp.sqrt(jnp.mean(jnp.square(centered), axis=1) + EPSILON)
    statistic = jnp.mean(deviation, axis=tuple(range(1, x.ndim))).reshape(-1, *[1] * x.ndim)
    plane = jnp.broadcast_to(statistic, (*grouped.shape[:-1], 1))
    return jnp.concatenate([grouped, plane], axis=-1).reshape(*x.shape[:-1], -1)


class MinibatchStddev(linen.Module):
    """`minibatch_stddev` as a layer, which one example is enough to initialize."""

    group: int = 4

    def __call__(self, x: Array) -> Array:
        return minibatch_stddev(x, group=1 if self.is_initializing() else self.group)


class MinibatchDiscrimination(linen.Module):
    """Features [B, F] with `kernels` more: how near each example is to the others of its group, the
    sum over them of exp(-|M_i - M_j|_1), M = x T in `size` dimensions for each kernel (Salimans et
    al. 2016, section 3.2).

    As in the authors' code, an example is not compared with itself. Groups are runs of `group`
    rows, as in `minibatch_stddev`, with its error; the paper's is the whole batch of 100.
    """

    kernels: int = 100
    size: int = 5
    group: int = 4

    @linen.compact
    def __call__(self, x: Array) -> Array:
        group = 1 if self.is_initializing() else self.group
        projected = linen.Dense(
            self.kernels * self.size,
            use_bias=False,
            kernel_init=linen.initializers.normal(0.05),
        )(x)
        rows = _grouped(
            projected.reshape(-1, self.kernels, self.size), group, "minibatch discrimination"
        )
        apart = jnp.sum(jnp.abs(rows[:, :, None] - rows[:, None, :]), axis=-1)
        others = 1 - jnp.eye(group, dtype=x.dtype).reshape(1, group, group, 1)
        nearness = jnp.sum(jnp.exp(-apart) * others, axis=2)
        return jnp.concatenate([x, nearness.reshape(-1, self.kernels)], axis=-1)


def _grouped(x: Array, group: int, purpose: str) -> Array:
    """Rows [B, ...] as [B / group, group, ...], runs of rows together."""
    if x.shape[0] % group:
        raise ValueError(
            f"{x.shape[0]} rows on a device cannot be split into groups of {group} for {purpose}; "
            f"use a batch size that {group} divides on every device"
        )
    return x.reshape(x.shape[0] // group, group, *x.shape[1:])
