"""A state as arrays by path, as a checkpoint holds it, and back.

The paths are 'step', 'rng', 'players/generator/params/...', 'ema/...', 'extra/...' and
'buffers/...'. So a checkpoint can be read before a model is built.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.runs.errors import RunError
from jaxgan.types import PyTree

Arrays = dict[str, np.ndarray]


class Saved(NamedTuple):
    """A checkpoint that has been read.

    Attributes:
        step: Number of completed train steps.
        arrays: Arrays by path.
        keys: Name of the PRNG implementation by path, for the arrays that are random keys.
        notes: Notes of the run: JSON types.
    """

    step: int
    arrays: Arrays
    keys: dict[str, str]
    notes: dict[str, Any]


def to_arrays(tree: PyTree) -> tuple[Arrays, dict[str, str]]:
    """Copies the leaves of a tree to the host.

    Returns:
        The arrays by path, random keys as their bits; and the names of the PRNG implementations by
            path, for the random keys.
    """
    leaves, keys = bits_by_path(tree)
    # np.array copies: the device's buffer may be donated before this is written.
    return {name: np.array(leaf) for name, leaf in leaves.items()}, keys


def bits_by_path(tree: PyTree) -> tuple[dict[str, jax.Array], dict[str, str]]:
    """Returns what `to_arrays` does, without copying: arrays on devices."""
    leaves, keys = {}, {}
    for name, leaf in _by_path(tree):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            keys[name] = str(jax.random.key_impl(leaf))
            leaf = jax.random.key_data(leaf)
        leaves[name] = leaf
    return leaves, keys


def to_tree(template: PyTree, saved: Saved) -> PyTree:
    """Returns the saved arrays as a tree, on the host.

    Args:
        template: A tree of the same structure. Its leaves are arrays or their shapes.
        saved: The checkpoint.

    Raises:
        RunError: If the arrays do not fit the template: the model is not the one that was saved.
    """

    def restored(name: str, leaf: Any) -> Any:
        if leaf.size == 0:  # not stored
            return np.zeros(leaf.shape, leaf.dtype)
        if name not in saved.arrays:
            raise RunError(f"the checkpoint has no {name}; the model is not the one that was saved")
        array: Any = saved.arrays[name]
        if name in saved.keys:
            try:
                array = jax.random.wrap_key_data(jnp.asarray(array), impl=saved.keys[name])
            except (ValueError, TypeError) as error:
                raise RunError(
                    f"the checkpoint's {name} is not a random key of a PRNG {saved.keys[name]!r} "
                    "that this JAX knows"
                ) from error
        if array.shape != leaf.shape or array.dtype != leaf.dtype:
            raise RunError(
                f"the checkpoint's {name} is {array.dtype} {array.shape} where the model has "
                f"{leaf.dtype} {leaf.shape}; the model is not the one that was saved"
            )
        return array

    leaves = [restored(name, leaf) for name, leaf in _by_path(template)]
    return jax.tree.unflatten(jax.tree.structure(template), leaves)


def transfer(tree: PyTree, saved: Saved) -> tuple[PyTree, list[str], list[str]]:
    """Copies those arrays of a checkpoint into a tree that have the path and the shape of a leaf.

    Args:
        tree: The tree. Leaves without such an array stay as they are.
        saved: The checkpoint.

    Returns:
        The new tree, the paths of the copied leaves, and the paths of the others.
    """
    taken, left = fitting(tree, saved)
    fits = set(taken)
    leaves = [
        jnp.asarray(saved.arrays[name], leaf.dtype) if name in fits else leaf
        for name, leaf in _by_path(tree)
    ]
    return jax.tree.unflatten(jax.tree.structure(tree), leaves), taken, left


def fitting(tree: PyTree, saved: Saved) -> tuple[list[str], list[str]]:
    """Finds the leaves of a tree that have a saved array of the same path and shape.

    Args:
        tree: The tree. Its leaves are arrays or their shapes.
        saved: The checkpoint. Its random keys fit no leaf.

    Returns:
        The paths of these leaves, and the paths of the others.
    """
    taken, left = [], []
    for name, leaf in _by_path(tree):
        array = saved.arrays.get(name)
        fits = array is not None and array.shape == leaf.shape and name not in saved.keys
        (taken if fits else left).append(name)
    return taken, left


def _by_path(tree: PyTree) -> list[tuple[str, Any]]:
    """Returns the leaves of a tree with their paths."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [(jax.tree_util.keystr(path, simple=True, separator="/"), leaf) for path, leaf in leaves]


def is_finite(array: np.ndarray) -> bool:
    """Returns whether an array has no infinity and no NaN; integers have none."""
    return not jnp.issubdtype(array.dtype, jnp.inexact) or bool(np.isfinite(array).all())
