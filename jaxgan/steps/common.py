"""What the steps share: names of players, slices of a batch, reports put together."""

from __future__ import annotations

from collections.abc import Sequence

import jax

from jaxgan.state import GANState
from jaxgan.types import Array, Metrics, PyTree

Names = str | Sequence[str]


def as_names(names: Names) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def split_rows(tree: PyTree, slices: int) -> PyTree:
    """Leaves [B, ...] as [slices, B / slices, ...]: slice i holds rows i, i + slices, ... (by
    stride, which keeps shards local).

    Raises ValueError where the slices do not divide the rows.
    """

    def split(leaf: Array) -> Array:
        if leaf.shape[0] % slices:
            raise ValueError(
                f"a batch of {leaf.shape[0]} rows cannot be split into {slices} slices; "
                f"use a batch size that {slices} divides on every device"
            )
        return leaf.reshape(leaf.shape[0] // slices, slices, *leaf.shape[1:]).swapaxes(0, 1)

    return jax.tree.map(split, tree)


def merged(left: Metrics, right: Metrics) -> Metrics:
    shared = sorted(set(left) & set(right))
    if shared:
        raise ValueError(f"two steps report {shared[0]!r}; give one of them another prefix")
    return {**left, **right}


def require_players(names: tuple[str, ...], state: GANState) -> None:
    missing = [name for name in names if name not in state.players]
    if missing:
        known = ", ".join(sorted(state.players))
        raise ValueError(f"there is no player {missing[0]!r}; the state has {known}")
