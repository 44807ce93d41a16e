"""Ensembles: several runs of one model in one program, with different seeds or hyperparameters.

Each model of the ensemble is trained as in a single run with the same key and batches. The models
share only the step counter. The state of an ensemble is the state of a model with a new first axis
[S] on every leaf except `step`. Code that saves, trains or records one model therefore also works
for an ensemble:

    gans = ensemble.of(gan)
    state = gans.init(ensemble.keys([0, 1, 2]))
    state, metrics = jax.jit(gans.step)(state, batch)      # batch [S, B, ...], metrics [S]
    single = ensemble.select(state, 1)

Models may differ in anything that their states hold. For example, four learning rates with the same
seed, with a generator whose optimizer is `optax.inject_hyperparams(optax.adam)(1e-3)`:

    state = gans.init(ensemble.keys([0] * 4))
    rates = jnp.array([1e-4, 3e-4, 1e-3, 3e-3])
    state = ensemble.with_hyperparameters(state, "generator", learning_rate=rates)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, PartitionSpec

from jaxgan import parallel
from jaxgan.random import Keys
from jaxgan.state import GANState
from jaxgan.types import GAN, Array


def _laid_out(step: Any, rest: Any) -> GANState:
    """Returns a prefix of a state's tree: one value for `step`, another for all other entries."""
    return GANState(step=step, rng=rest, players=rest, ema=rest, extra=rest, buffers=rest)


# The step is shared: a condition on it (lazy regularization) stays a branch under vmap. With one
# step for each model, vmap would compute both branches.
_AXES = _laid_out(None, 0)


def of(gan: GAN) -> GAN:
    """Returns the ensemble of a model, as a `GAN` that runs all its models under `vmap`.

    The functions of the ensemble:

    - `init(keys [S]) -> state` initializes each model with its own key.
    - `step(state, batch) -> (state, metrics)` takes batch entries [S, B, ...] and returns metrics
      [S].
    - `sample(state, keys, **conditions) -> [S, B, ...]` samples from all models with the same keys.
    """

    def sample(state: GANState, keys: Keys, **conditions: Any) -> Array:
        def draw(member: GANState) -> Array:
            return gan.sample(member, keys, **conditions)

        return jax.vmap(draw, in_axes=(_AXES,))(state)

    return gan._replace(
        init=jax.vmap(gan.init, out_axes=_AXES),
        step=jax.vmap(gan.step, in_axes=(_AXES, 0), out_axes=(_AXES, 0)),
        sample=sample,
    )


def for_each(change: Callable[..., GANState]) -> Callable[..., GANState]:
    """Applies a function of states to each model of one or several ensembles.

    Args:
        change: Function of one or several states of a model that returns a state.

    Returns:
        The same function of the states of ensembles of equal size.
    """

    def changed(*states: GANState) -> GANState:
        return jax.vmap(change, in_axes=(_AXES,) * len(states), out_axes=_AXES)(*states)

    return changed


def keys(seeds: Iterable[int]) -> Array:
    """Returns the base keys [S] of the single runs with these seeds."""
    return jnp.stack([jax.random.key(seed) for seed in seeds])


def select(state: GANState, index: int) -> GANState:
    """Returns the state of one model of the ensemble, as in a single run.

    Args:
        state: The ensemble's state.
        index: Index of the model, from 0.
    """
    step = state.step
    return jax.tree.map(lambda leaf: leaf[index], state.replace(step=None)).replace(step=step)


def with_hyperparameters(state: GANState, player: str, **values: Array) -> GANState:
    """Returns the ensemble's state with these hyperparameters in the optimizer of one player.

    The optimizer's state must hold them (`optax.inject_hyperparams`).

    Args:
        state: The ensemble's state.
        player: Name of the player.
        **values: Hyperparameters by name, [S] each, one value for each model.

    Raises:
        KeyError: If the optimizer's state does not hold a hyperparameter.
        ValueError: If the number of values is not the size of the ensemble.
    """
    size = state.rng.shape[0]
    for name, given in values.items():
        if jnp.shape(given) != (size,):
            raise ValueError(
                f"{name} has shape {jnp.shape(given)} for an ensemble of {size}; "
                f"expected one value for each model, ({size},)"
            )
    old = state[player]
    new = old.replace(opt_state=optax.tree.set(old.opt_state, **values))
    return state.replace(players={**state.players, player: new})


# --- on several devices ---------------------------------------------------------------------------


def mesh_for(size: int, mesh: Mesh) -> Mesh:
    """Returns a mesh of as many devices as possible that split the ensemble evenly.

    Args:
        size: Number of models in the ensemble.
        mesh: The mesh of all available devices.
    """
    devices = list(mesh.devices.flat)
    count = max(n for n in range(1, len(devices) + 1) if size % n == 0)
    return parallel.data_mesh(devices[:count])


def spread(gan: GAN, mesh: Mesh) -> GAN:
    """Returns the ensemble with its models split over the devices of a mesh.

    The devices do not communicate. Place the state with `place`, and split batches along their
    first axis [S].

    Args:
        gan: The ensemble (`of`).
        mesh: The mesh (`mesh_for`).
    """
    whole, split = PartitionSpec(), PartitionSpec(parallel.AXIS)
    specs = _laid_out(whole, split)
    # Without check_vma: initial values of branches and loops in a step are not marked as varying.
    step = jax.shard_map(
        gan.step, mesh=mesh, in_specs=(specs, split), out_specs=(specs, split), check_vma=False
    )
    return gan._replace(step=step)


def place(state: GANState, mesh: Mesh) -> GANState:
    """Places the ensemble's state on a mesh, with its models split over the devices.

    Args:
        state: The ensemble's state.
        mesh: The mesh.
    """
    members = parallel.shard(state.replace(step=None), mesh)
    return members.replace(step=parallel.replicate(state.step, mesh))
