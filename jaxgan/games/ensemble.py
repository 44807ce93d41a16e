"""Several runs of one model in one program: a ensemble of seeds, or of hyper-parameters.

A member is the run that its key and its batches alone would be; members share nothing but the step
counter. A ensemble's state is that of the model with a new first axis [S] on every leaf but
`step`, so what saves, loops over and records one model does the same for many:

    ensemble = ensemble.of(gan)
    state = ensemble.init(ensemble.keys([0, 1, 2]))
    state, metrics = jax.jit(ensemble.step)(state, batch)      # batch [S, B, ...], metrics [S]
    single = ensemble.select(state, 1)

What differs between members is whatever their states hold. Four learning rates from one seed, with
a generator whose optimizer is `optax.inject_hyperparams(optax.adam)(1e-3)`:

    state = ensemble.init(ensemble.keys([0] * 4))
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
    """What holds of `step` and what of every other entry of a state, as a prefix of its tree."""
    return GANState(step=step, rng=rest, players=rest, ema=rest, extra=rest, buffers=rest)


# The counter is one for all: a condition on it (lazy regularization) stays a branch under vmap,
# where a condition on a number of each member would compute both sides.
_AXES = _laid_out(None, 0)


def of(gan: GAN) -> GAN:
    """The model as a ensemble of itself, under `vmap`.

    init:   `init(keys [S]) -> state`, each member as initialized by its own key.
    step:   `step(state, batch) -> (state, metrics)`: batch entries [S, B, ...], metrics [S].
    sample: `sample(state, keys, **conditions) -> [S, B, ...]`, all members by the same keys.
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
    """What makes of the states of one model another of its states, for each member of as many
    populations.
    """

    def changed(*states: GANState) -> GANState:
        return jax.vmap(change, in_axes=(_AXES,) * len(states), out_axes=_AXES)(*states)

    return changed


def keys(seeds: Iterable[int]) -> Array:
    """The base keys [S] of the single runs with these seeds."""
    return jnp.stack([jax.random.key(seed) for seed in seeds])


def select(state: GANState, index: int) -> GANState:
    """The state of one member, as its single run has it."""
    step = state.step
    return jax.tree.map(lambda leaf: leaf[index], state.replace(step=None)).replace(step=step)


def with_hyperparameters(state: GANState, player: str, **values: Array) -> GANState:
    """The ensemble in which the player's optimizer has these hyper-parameters, [S] each, by name.

    The optimizer must carry them in its state (`optax.inject_hyperparams`). Raises KeyError where
    it does not, and ValueError where there are not as many values as members.
    """
    size = state.rng.shape[0]
    for name, given in values.items():
        if jnp.shape(given) != (size,):
            raise ValueError(
                f"{name} has shape {jnp.shape(given)} for a ensemble of {size}; "
                f"expected one value for each member, ({size},)"
            )
    old = state[player]
    new = old.replace(opt_state=optax.tree.set(old.opt_state, **values))
    return state.replace(players={**state.players, player: new})


# --- on several devices ---------------------------------------------------------------------------


def mesh_for(size: int, mesh: Mesh) -> Mesh:
    """A mesh of as many devices of `mesh` as split `size` members evenly."""
    devices = list(mesh.devices.flat)
    count = max(n for n in range(1, len(devices) + 1) if size % n == 0)
    return parallel.data_mesh(devices[:count])


def spread(gan: GAN, mesh: Mesh) -> GAN:
    """The ensemble with its members split over the mesh, whose devices then share nothing.

    Its state is to be placed by `place`, and its batches split along the axis of members.
    """
    whole, split = PartitionSpec(), PartitionSpec(parallel.AXIS)
    specs = _laid_out(whole, split)
    # Unchecked: inside a step, what a branch or a loop starts from is not marked as varying.
    step = jax.shard_map(
        gan.step, mesh=mesh, in_specs=(specs, split), out_specs=(specs, split), check_vma=False
    )
    return gan._replace(step=step)


def place(state: GANState, mesh: Mesh) -> GANState:
    """The ensemble's state on the mesh, its members split over the devices."""
    members = parallel.shard(state.replace(step=None), mesh)
    return members.replace(step=parallel.replicate(state.step, mesh))
