"""Reductions over the devices that share a batch: the identity where `axis_name` is None."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax


def varying_axes(x: Any) -> frozenset[str]:
    """The mesh axes over whose shards `x` differs, as shard_map's types say; none outside of it."""
    aval: Any = jax.typeof(x)
    # jax renamed the attribute between 0.10 and its predecessors; there is no public accessor.
    return aval.manual_axis_type.varying if hasattr(aval, "manual_axis_type") else aval.vma


def vary(tree: Any, axis_name: str | None) -> Any:
    """The tree, each leaf marked as differing between the shards of the axis (once; leaves so
    marked stay).

    Under shard_map, the gradient of a loss by replicated params arrives already summed over the
    shards; by params marked so, it arrives local, as under pmap, and one explicit mean reduces it.
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
    """The mean of the tree over the axis; the tree itself without one. Non-float leaves are taken
    from any shard (max).
    """
    if axis_name is None:
        return tree

    def reduce(leaf: Array) -> Array:
        if jnp.issubdtype(leaf.dtype, jnp.inexact):
            return lax.pmean(leaf, axis_name)
        return lax.pmax(leaf, axis_name)

    return jax.tree.map(reduce, vary(tree, axis_name))


def all_sum(tree: Any, axis_name: str | None) -> Any:
    """The sum of the tree over the axis; the tree itself without one."""
    return tree if axis_name is None else lax.psum(vary(tree, axis_name), axis_name)


def batch_mean(x: Array, axis_name: str | None = None) -> Array:
    """The mean of `x` [B, ...] over the examples of the whole batch, [...], wherever its shards
    lie.
    """
    return all_mean(jnp.mean(x, axis=0), axis_name)


def axis_size(axis_name: str | None) -> int:
    """How many shards the axis has; 1 without one."""
    return 1 if axis_name is None else lax.axis_size(axis_name)


def global_rows(count: int, axis_name: str | None) -> Array:
    """Rows [count] (int32) of the whole batch that this shard of `count` examples holds."""
    rows = jnp.arange(count, dtype=jnp.int32)
    return rows if axis_name is None else rows + count * lax.axis_index(axis_name).astype(jnp.int32)
