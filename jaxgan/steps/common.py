"""Helpers of the steps: names of players, slices of a batch, merged metrics."""

from __future__ import annotations

from collections.abc import Sequence

import jax

from jaxgan.state import GANState
from jaxgan.types import Array, Metrics, PyTree

Names = str | Sequence[str]


def as_names(names: Names) -> tuple[str, ...]:
    """Returns one name or several names as a tuple."""
    return (names,) if isinstance(names, str) else tuple(names)


def split_rows(tree: PyTree, slices: int) -> PyTree:
    """Returns leaves [B, ...] as [slices, B / slices, ...].

    Slice i holds the examples i, i + slices, i + 2 slices, ... The stride keeps shards local.

    Args:
        tree: Tree of arrays [B, ...].
        slices: Number of slices.

    Raises:
        ValueError: If the number of slices does not divide the batch size.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan import steps
        >>> steps.split_rows(jnp.arange(6), 2).tolist()
        [[0, 2, 4], [1, 3, 5]]
    """

    def split(leaf: Array) -> Array:
        if leaf.shape[0] % slices:
            raise ValueError(
                f"a batch of {leaf.shape[0]} examples cannot be split into {slices} slices; "
                f"use a batch size that {slices} divides on every device"
            )
        return leaf.reshape(leaf.shape[0] // slices, slices, *leaf.shape[1:]).swapaxes(0, 1)

    return jax.tree.map(split, tree)


def merged(left: Metrics, right: Metrics) -> Metrics:
    """Returns both reports as one.

    Args:
        left: Means by name.
        right: Means by other names.

    Raises:
        ValueError: If a name is in both.
    """
    shared = sorted(set(left) & set(right))
    if shared:
        raise ValueError(f"two steps report {shared[0]!r}; give one of them another prefix")
    return {**left, **right}


def require_players(names: tuple[str, ...], state: GANState) -> None:
    """Checks that the state has all the named players.

    Args:
        names: Names of players.
        state: The state.

    Raises:
        ValueError: If a player is missing.
    """
    missing = [name for name in names if name not in state.players]
    if missing:
        known = ", ".join(sorted(state.players))
        raise ValueError(f"there is no player {missing[0]!r}; the state has {known}")
