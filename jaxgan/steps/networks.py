"""How a train step calls its networks: in bfloat16, or once more in the backward pass.

Both wrap the networks of all players where a step calls them (`state.with_networks`). Models and
layers know nothing of it, and what a model draws outside of its train step is computed as ever, in
float32. Penalties ask for the network that is not rounded (`in_float32`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.state import Player, with_networks
from jaxgan.steps.float32_sums import summed_in_float32
from jaxgan.types import PyTree, TrainStep


def in_bfloat16(step: TrainStep) -> TrainStep:
    """Returns the train step whose networks compute in bfloat16.

    The params and the inputs of a network are rounded to bfloat16, and what it returns is float32
    again. Weights, gradients by them, optimizer states, averages, running statistics, logits,
    images and losses are float32. Statistics of batch and layer normalization, and the power
    iterations of spectral normalization, are computed in float32 within the network. Sums over axes
    are added up in float32, in the networks and in their gradients (`float32_sums`).

    Penalties of the discriminator (`games.penalization`) are those of the network in float32: on
    slopes of a rounded one, R1 held DCGAN back.

    Args:
        step: The train step of a model.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import optax
        >>> from jaxgan import state, steps
        >>> def step(now, batch):
        ...     return now, now["a"].apply_fn({"params": now["a"].params}, batch)
        >>> player = state.Player.create(
        ...     apply_fn=lambda of, x: of["params"] * x, params=jnp.float32(3.0), tx=optax.sgd(0.1)
        ... )
        >>> start, x = state.create(jax.random.key(0), {"a": player}), jnp.float32(1.01)
        >>> print(steps.in_bfloat16(step)(start, x)[1], step(start, x)[1])
        3.03125 3.03
    """
    return summed_in_float32(with_networks(step, _InBfloat16))


def rematerialized(step: TrainStep) -> TrainStep:
    """Returns the train step that computes activations once more instead of keeping them.

    The backward pass through a network begins with a second forward pass, so that a step holds the
    activations of one call of one network at a time. The numbers are the same, to rounding: XLA
    may fuse the same operations otherwise.

    Args:
        step: The train step of a model.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import optax
        >>> from jaxgan import state, steps
        >>> def step(now, batch):
        ...     return now, jax.grad(lambda x: now["a"].apply_fn({"params": now["a"].params}, x))(
        ...         batch
        ...     )
        >>> player = state.Player.create(
        ...     apply_fn=lambda of, x: of["params"] * x**2,
        ...     params=jnp.float32(3.0),
        ...     tx=optax.sgd(0.1),
        ... )
        >>> start, x = state.create(jax.random.key(0), {"a": player}), jnp.float32(2.0)
        >>> print(steps.rematerialized(step)(start, x)[1], step(start, x)[1])
        12.0 12.0

    References:
        Chen et al. 2016, Training deep nets with sublinear memory cost.
    """
    return with_networks(step, _Rematerialized)


def in_float32(player: Player) -> Player:
    """Returns the player whose network is not rounded, in a step that computes in bfloat16.

    Args:
        player: A player, in any train step.
    """
    return player.replace(apply_fn=_unrounded(player.apply_fn))


def as_type(tree: PyTree, dtype: Any) -> PyTree:
    """Returns the tree with its arrays of floating-point numbers in another type.

    Args:
        tree: Tree of arrays and anything else.
        dtype: The type.
    """
    return jax.tree.map(lambda leaf: leaf.astype(dtype) if _is_floating(leaf) else leaf, tree)


class _InBfloat16(NamedTuple):
    """A network whose params and inputs are rounded to bfloat16."""

    network: Any

    def __call__(self, variables: Any, *inputs: Any, **options: Any) -> Any:
        given = (variables["params"], inputs, options)
        params, inputs, options = as_type(given, jnp.bfloat16)
        returned = self.network({**variables, "params": params}, *inputs, **options)
        held = [leaf.dtype for leaf in jax.tree.leaves(variables) if _is_floating(leaf)]
        return as_type(returned, jnp.result_type(jnp.float32, *held))


def _is_floating(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray) and jnp.issubdtype(leaf.dtype, jnp.floating)


class _Rematerialized(NamedTuple):
    """A network that is computed once more in its backward pass."""

    network: Any

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        leaves, structure = jax.tree.flatten((inputs, options))
        arrays = [leaf if isinstance(leaf, jax.Array) else None for leaf in leaves]

        @jax.checkpoint
        def call(arrays: list[Any]) -> Any:
            pairs = zip(leaves, arrays, strict=True)
            filled = [leaf if array is None else array for leaf, array in pairs]
            inputs, options = jax.tree.unflatten(structure, filled)
            return self.network(*inputs, **options)

        return call(arrays)


def _unrounded(network: Any) -> Any:
    if isinstance(network, _InBfloat16):
        return network.network
    if isinstance(network, _Rematerialized):
        return _Rematerialized(_unrounded(network.network))
    return network
