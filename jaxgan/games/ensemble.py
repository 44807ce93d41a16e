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

Or in any number that their `build` takes, without a change of the model:

    gans = ensemble.of_settings(build, {"learning_rate": [1e-4, 3e-4, 1e-3, 3e-3]})
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, PartitionSpec

from jaxgan import parallel, random
from jaxgan.games.varied import Varied
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


Build = Callable[[Mapping[str, Any]], GAN]
"""`build(values) -> GAN`: the model with these numbers, each a Python number or `Varied`."""

Settings = Mapping[str, Sequence[float]]
"""By name, the number of each model [S]."""


def of_settings(build: Build, settings: Settings) -> GAN:
    """Returns the ensemble of models that differ in numbers of their settings, as `of` does.

    In the program of all models, `build` is called with `Varied` numbers. All models have the
    functions and the state's structure of the first one; `bound` gives a state those of another.

    Args:
        build: Builds a model.
        settings: Its numbers, one of each name for each model.

    Raises:
        Differs: If models would take different programs, once `init` or `step` is traced.
    """
    return _of_settings(build, settings, met=set())


def numbers_met(build: Build, settings: Settings, batch: Any) -> set[str]:
    """Returns the names of those settings that the initial state or a step depends on.

    Both are traced, not computed.

    Args:
        build: Builds a model.
        settings: Its numbers, one of each name for each model.
        batch: The batch of all models [S, B, ...]: arrays or their shapes.

    Raises:
        Differs: If models would take different programs.
    """
    met: set[str] = set()
    gan = _of_settings(build, settings, met=met)
    jax.eval_shape(gan.step, jax.eval_shape(gan.init, _keys_of(settings)), batch)
    return met


def numbers_drawn(build: Build, settings: Settings) -> set[str]:
    """Returns the names of those settings that samples depend on, but for the weights.

    They are all settings if the model does not sample without further conditions.

    Args:
        build: Builds a model.
        settings: Its numbers, one of each name for each model.
    """
    met: set[str] = set()
    gan = _of_settings(build, settings, met=met)
    state = jax.eval_shape(gan.init, _keys_of(settings))
    met.clear()
    row = random.row_keys(jax.random.key(0), 1)
    try:
        jax.eval_shape(lambda now: gan.sample(now, row), state)
    except (TypeError, ValueError, KeyError):
        return set(settings)
    return met


def _keys_of(settings: Settings) -> Array:
    return keys([0] * _size(settings))


def _size(settings: Settings) -> int:
    return len(next(iter(settings.values())))


def _of_settings(build: Build, settings: Settings, *, met: set[str]) -> GAN:
    """Returns the ensemble; `met` receives the settings that met an array while it was traced."""
    size = _size(settings)
    first = build({name: numbers[0] for name, numbers in settings.items()})

    def model(index: Array) -> GAN:
        return build(
            {name: Varied(numbers, index, name=name, met=met) for name, numbers in settings.items()}
        )

    def init(index: Array, key: Array) -> GANState:
        return bound(model(index).init(key), first)

    def step(index: Array, state: GANState, batch: Any) -> tuple[GANState, Any]:
        # Its optimizers and networks are those with the numbers of this model. They hold traced
        # values, so that they must not leave this function.
        gan = model(index)
        state, metrics = gan.step(bound(state, gan), batch)
        return bound(state, first), metrics

    def sample(state: GANState, keys: Keys, **conditions: Any) -> Array:
        def draw(index: Array, member: GANState) -> Array:
            gan = model(index)
            return gan.sample(bound(member, gan), keys, **conditions)

        return jax.vmap(draw, in_axes=(0, _AXES))(places(state), state)

    def places(state: GANState) -> Array:
        """The index of each model that is here: all of them, or the part of one device."""
        here = state.rng.shape[0]
        before = 0 if here == size else here * jax.lax.axis_index(parallel.AXIS)
        return before + jnp.arange(here)

    return first._replace(
        init=lambda keys: jax.vmap(init, out_axes=_AXES)(jnp.arange(size), keys),
        step=lambda state, batch: jax.vmap(step, in_axes=(0, _AXES, 0), out_axes=(_AXES, 0))(
            places(state), state, batch
        ),
        sample=sample,
    )


def bound(state: GANState, gan: GAN) -> GANState:
    """Returns the state with the networks and optimizers of another model, of the same structure.

    Args:
        state: The state.
        gan: The model.
    """
    structure = jax.tree.structure(jax.eval_shape(gan.init, jax.random.key(0)))
    return jax.tree.unflatten(structure, jax.tree.leaves(state))


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
