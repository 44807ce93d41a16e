"""Reductions over the devices that share a batch.

If `axis_name` is None, the batch has one shard and nothing is exchanged between devices.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax


def varying_axes(x: Any) -> frozenset[str]:
    """Returns the mesh axes over whose shards `x` differs, by shard_map's types.

    Outside of shard_map there are none.
    """
    aval: Any = jax.typeof(x)
    # JAX renamed the attribute in 0.10, and there is no public accessor.
    return aval.manual_axis_type.varying if hasattr(aval, "manual_axis_type") else aval.vma


def vary(tree: Any, axis_name: str | None) -> Any:
    """Returns the tree with each leaf marked as differing between the shards of the axis.

    Leaves that are already marked stay as they are. Under shard_map, the gradient of a loss by
    replicated params arrives summed over the shards. By params marked with `vary` it arrives local,
    as under pmap, and one explicit mean reduces it.

    Args:
        tree: Tree of arrays.
        axis_name: Name of the mesh axis, or None for no change.
    """
    if axis_name is None:
        return tree

    def mark(leaf: Any) -> Any:
        leaf = jnp.asarray(leaf)
        if axis_name in varying_axes(leaf):
            return leaf
        return lax.pcast(leaf, axis_name, to="varying")

    return jax.tree.map(mark, tree)


def all_mean(tree: Any, axis_name: str | None) -> Any:
    """Returns the mean of the tree over the axis.

    Leaves that are not floats are taken from any shard (by a maximum).

    Args:
        tree: Tree of arrays.
        axis_name: Name of the mesh axis, or None for no change.
    """
    if axis_name is None:
        return tree

    def reduce(leaf: Array) -> Array:
        if jnp.issubdtype(leaf.dtype, jnp.inexact):
            return lax.pmean(leaf, axis_name)
        return lax.pmax(leaf, axis_name)

    return jax.tree.map(reduce, vary(tree, axis_name))


def all_sum(tree: Any, axis_name: str | None) -> Any:
    """Returns the sum of the tree over the axis.

    Args:
        tree: Tree of arrays.
        axis_name: Name of the mesh axis, or None for no change.
    """
    return tree if axis_name is None else lax.psum(vary(tree, axis_name), axis_name)


def batch_mean(x: Array, axis_name: str | None = None) -> Array:
    """Returns the mean of `x` over the examples of the whole batch, [...], on all its shards.

    Args:
        x: Values [B, ...] of this shard's examples.
        axis_name: Name of the mesh axis, or None if this is the whole batch.
    """
    return all_mean(jnp.mean(x, axis=0), axis_name)


def axis_size(axis_name: str | None) -> int:
    """Returns the number of shards of the axis; 1 if `axis_name` is None."""
    return 1 if axis_name is None else lax.axis_size(axis_name)


def global_rows(count: int, axis_name: str | None) -> Array:
    """Returns the indices, in the whole batch, of this shard's examples: int32 [count].

    Args:
        count: Number of examples of this shard.
        axis_name: Name of the mesh axis, or None if this is the whole batch.
    """
    rows = jnp.arange(count, dtype=jnp.int32)
    return rows if axis_name is None else rows + count * lax.axis_index(axis_name).astype(jnp.int32)
