"""Data parallelism: train steps compiled for one device or many.

A train step is one pure function. `compile_step` runs it under `jit` (parallel by the sharding of
the batch alone), under `shard_map`, or under `pmap`. Inside the last two, computations that couple
examples are reduced by `jaxgan.collectives`, which exchanges nothing if `axis_name` is None.

The unit is the whole batch, whatever the mode and the number of devices: normalizations, losses and
draws are those of one device. The exception is a replay pool: under `shard_map` and `pmap` each
device has its own part of it, filled by its own examples.

The arrays of the players can be split over the devices as well (`shard_parameters`, under `jit`),
so that each device holds a part of weights, optimizer states and averages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxgan.state import with_networks
from jaxgan.types import PyTree, TrainStep

AXIS = "data"
MODES = ("jit", "shard_map", "pmap")


def axis_for(mode: str) -> str | None:
    """Returns the axis name with which to build a model whose step runs under `mode`.

    Args:
        mode: 'jit', 'shard_map' or 'pmap'.

    Raises:
        ValueError: If the mode is unknown.

    Examples:
        >>> from jaxgan import parallel
        >>> parallel.axis_for("jit"), parallel.axis_for("shard_map")
        (None, 'data')
    """
    if mode not in MODES:
        raise ValueError(f"the mode is {mode!r}; expected one of {', '.join(MODES)}")
    return None if mode == "jit" else AXIS


def first_devices(count: int | None = None) -> list[Any]:
    """Returns the first devices that JAX sees.

    Args:
        count: Number of devices; None for all.

    Raises:
        ValueError: If there are fewer.

    Example:
        >>> from jaxgan import parallel
        >>> len(parallel.first_devices(1))
        1
    """
    devices = jax.devices()
    if count is None:
        return devices
    if not 1 <= count <= len(devices):
        platform = devices[0].platform
        simulated = "; XLA_FLAGS=--xla_force_host_platform_device_count=N simulates N of them"
        raise ValueError(
            f"{count} devices were asked for and JAX sees {len(devices)} ({platform}); expected 1 "
            f"to {len(devices)}{simulated if platform == 'cpu' else ''}"
        )
    return devices[:count]


def data_mesh(devices: Sequence[Any] | None = None) -> Mesh:
    """Returns a mesh with one axis, 'data', along which batches are split.

    Args:
        devices: The devices; by default all.

    Examples:
        >>> import jax
        >>> from jaxgan import parallel
        >>> parallel.data_mesh(jax.devices()[:1]).shape["data"]
        1
    """
    return Mesh(np.asarray(jax.devices() if devices is None else list(devices)), (AXIS,))


def replicate(tree: PyTree, mesh: Mesh) -> PyTree:
    """Returns the tree with a whole copy on each device of the mesh.

    Args:
        tree: Tree of arrays.
        mesh: Mesh of `data_mesh`.
    """
    return _put(tree, NamedSharding(mesh, PartitionSpec()))


class Share(NamedTuple):
    """The examples of a batch that the devices of this process take, where there are several.

    Attributes:
        size: Examples of the batch, of all processes.
        rows: Which of them are taken, int [R], in ascending order.
    """

    size: int
    rows: np.ndarray


def share_of(size: int, mesh: Mesh) -> Share | None:
    """Returns this process's share of a batch, or None if its devices take all of it.

    Args:
        size: Examples of the batch, which the number of devices divides.
        mesh: Mesh of `data_mesh`.
    """
    sharding = NamedSharding(mesh, PartitionSpec(AXIS))
    if sharding.is_fully_addressable:
        return None
    taken = sharding.addressable_devices_indices_map((size,)).values()
    return Share(size, np.unique(np.concatenate([np.arange(size)[index] for index in taken])))


def shard(tree: PyTree, mesh: Mesh, *, axis: int = 0, share: Share | None = None) -> PyTree:
    """Returns the tree with its examples split over the mesh.

    Args:
        tree: Tree of arrays.
        mesh: Mesh of `data_mesh`.
        axis: Axis of the examples in every leaf.
        share: The examples that the tree holds, if they are only the share of this process.

    Raises:
        ValueError: If the number of devices does not divide a leaf's number of examples.
    """
    for leaf in jax.tree.leaves(tree):
        examples = leaf.shape[axis] if share is None else share.size
        if examples % mesh.size:
            raise ValueError(
                f"a batch of {examples} examples cannot be split over {mesh.size} devices; "
                f"use a batch size that {mesh.size} divides, such as {fitting(examples, mesh)}"
            )
    sharding = NamedSharding(mesh, PartitionSpec(*[None] * axis, AXIS))
    return _put(tree, sharding, axis=axis, share=share)


def _put(
    tree: PyTree, sharding: NamedSharding, *, axis: int = 0, share: Share | None = None
) -> PyTree:
    """Returns the tree on the devices; of several processes each fills its own devices.

    `jax.device_put` would compare every array among the processes first. Here they all have to
    have the same arrays, or each its share of the examples along `axis`.
    """
    if sharding.is_fully_addressable:
        return jax.device_put(tree, sharding)
    return jax.tree.map(lambda leaf: _put_here(leaf, sharding, axis=axis, share=share), tree)


def _put_here(
    leaf: Any, sharding: NamedSharding, *, axis: int = 0, share: Share | None = None
) -> Any:
    """Returns an array of which this process fills what lies on its own devices."""
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        bits = _put_here(jax.random.key_data(leaf), sharding, axis=axis, share=share)
        return jax.random.wrap_key_data(bits, impl=jax.random.key_impl(leaf))
    held = np.asarray(leaf)
    shape = list(held.shape)
    if share is not None:
        shape[axis] = share.size

    def part(index: Any) -> np.ndarray:
        if share is None:
            return held[index]
        wanted = np.arange(share.size)[index[axis]]
        here = np.searchsorted(share.rows, wanted)
        return held[(*index[:axis], here, *index[axis + 1 :])]

    return jax.make_array_from_callback(tuple(shape), sharding, part)


def fitting(size: int, mesh: Mesh) -> str:
    """Returns the nearest sizes that the devices divide, as words such as '40 or 48'.

    Args:
        size: A number of examples, or of places of a buffer.
        mesh: Mesh of `data_mesh`.

    Example:
        >>> import jax
        >>> from jaxgan import parallel
        >>> parallel.fitting(42, parallel.data_mesh(jax.devices()[:1]))
        '42'
    """
    below, above = (size // mesh.size * mesh.size, -(-size // mesh.size) * mesh.size)
    return " or ".join(str(n) for n in dict.fromkeys((below, above)) if n)


def place_state(
    state: Any, mesh: Mesh, *, mode: str = "jit", shard_parameters: bool = False
) -> Any:
    """Returns the state on the mesh, as `state_shardings` says.

    Args:
        state: A `GANState`.
        mesh: Mesh of `data_mesh`.
        mode: 'jit', 'shard_map' or 'pmap'.
        shard_parameters: Whether to split the arrays of players and averages.

    Raises:
        ValueError: If the mode cannot hold the state so.
    """
    shardings = state_shardings(state, mesh, mode=mode, shard_parameters=shard_parameters)
    if all(sharding.is_fully_addressable for sharding in jax.tree.leaves(shardings)):
        return jax.device_put(state, shardings)
    return jax.tree.map(_put_here, state, shardings)


def state_shardings(
    state: Any, mesh: Mesh, *, mode: str = "jit", shard_parameters: bool = False
) -> Any:
    """Returns where the leaves of a state lie, as a tree of shardings.

    Buffers are split like a batch. Everything else is whole on each device, but for the arrays of
    players and averages (params, optimizer states) with `shard_parameters`: each that has two axes
    or more is split along the longest axis that the devices divide, and vectors (biases,
    statistics) stay whole.

    Args:
        state: A `GANState`; shapes are enough.
        mesh: Mesh of `data_mesh`.
        mode: 'jit', 'shard_map' or 'pmap'. Under jit a buffer that the devices do not divide is
            whole on each of them.
        shard_parameters: Whether to split the arrays of players and averages.

    Raises:
        ValueError: If the mode is not jit and the devices do not divide the places of a buffer, or
            arrays are to be split.
    """
    if shard_parameters:
        require_sharding(mode)

    def of_players(leaf: Any) -> NamedSharding:
        axis = _split_axis(np.shape(leaf), mesh.size) if shard_parameters else None
        return NamedSharding(mesh, _at(axis))

    def of_buffers(leaf: Any) -> NamedSharding:
        divided = leaf.shape[0] % mesh.size == 0
        if not divided and axis_for(mode):
            raise ValueError(
                f"a buffer of {leaf.shape[0]} places cannot be split over {mesh.size} devices; "
                f"use a size (such as that of a replay pool) that {mesh.size} divides, such as "
                f"{fitting(leaf.shape[0], mesh)}, or the mode jit"
            )
        return NamedSharding(mesh, _at(0 if divided else None))

    placed = jax.tree.map(lambda _: NamedSharding(mesh, PartitionSpec()), state)
    return placed.replace(
        players=jax.tree.map(of_players, state.players),
        ema=jax.tree.map(of_players, state.ema),
        buffers=jax.tree.map(of_buffers, state.buffers),
    )


def require_sharding(mode: str) -> None:
    """Checks that a mode can split the arrays of the players.

    Raises:
        ValueError: If it cannot.
    """
    if axis_for(mode):
        raise ValueError(
            f"the mode {mode} holds all parameters on each device; to shard them use the mode jit"
        )


def _split_axis(shape: tuple[int, ...], devices: int) -> int | None:
    """Returns the longest axis that the devices divide, the last of equal ones; None for none."""
    fits = [axis for axis, size in enumerate(shape) if size and size % devices == 0]
    if len(shape) < 2 or not fits:
        return None
    return max(fits, key=lambda axis: (shape[axis], axis))


def _at(axis: int | None) -> PartitionSpec:
    return PartitionSpec() if axis is None else PartitionSpec(*[None] * axis, AXIS)


def bytes_per_device(tree: PyTree) -> int:
    """Returns the most bytes of the tree's arrays that one device holds.

    Args:
        tree: Tree of arrays that lie on devices.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxgan import parallel
        >>> parallel.bytes_per_device({"x": jnp.zeros((2, 3), jnp.float32)})
        24
    """
    held: dict[Any, int] = {}
    for leaf in jax.tree.leaves(tree):
        if jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        for part in leaf.addressable_shards:
            held[part.device] = held.get(part.device, 0) + part.data.nbytes
    return max(held.values(), default=0)


def compile_step(
    step: TrainStep,
    *,
    mode: str = "jit",
    mesh: Mesh | None = None,
    donate: bool = True,
    shard_parameters: bool = False,
) -> TrainStep:
    """Returns the train step compiled for the mesh.

    Args:
        step: Train step of a model that was built with `axis_name=axis_for(mode)`.
        mode: 'jit', 'shard_map' or 'pmap'.
        mesh: Mesh of `data_mesh`; by default one of all devices.
        donate: Whether to donate the state, whose memory is then reused. Warning: a donated state
            cannot be used again.
        shard_parameters: Whether the state is placed with `shard_parameters`. Each pass through a
            network then gathers its params, and the gradients move each device's own part.

    Raises:
        ValueError: If the mode is unknown or cannot split parameters, or, in the first call, if the
            step would not reduce its shards.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jaxgan import parallel, steps
        >>> from jaxgan.state import Mean, create
        >>> def body(state, batch, keys):
        ...     return state, {"brightness": Mean.of(batch["image"])}
        >>> run = parallel.compile_step(steps.make_train_step(body))
        >>> state, metrics = run(create(jax.random.key(0), {}), {"image": jnp.ones((2, 3))})
        >>> print(state.step, metrics["brightness"].value)
        1 1.0
    """
    mesh = mesh or data_mesh()
    axis_for(mode)
    donated = (0,) if donate else ()
    if shard_parameters:
        require_sharding(mode)
        step = _gathering(step, mesh)
    if mode == "jit":
        return jax.jit(step, donate_argnums=donated)
    mapped = _shard_mapped(step, mesh)
    if mode == "shard_map":
        return jax.jit(mapped, donate_argnums=donated)
    return _pmapped(step, mesh, donated, check=mapped)


def _gathering(step: TrainStep, mesh: Mesh) -> TrainStep:
    """Returns the step of a state whose players are split over the devices.

    Every network gathers its params where it is called, so that examples stay where they are: left
    to itself, XLA may gather the activations instead.
    """
    whole = NamedSharding(mesh, PartitionSpec())

    def gathering(apply: Any) -> Any:
        def applied(variables: Any, *args: Any, **kwargs: Any) -> Any:
            params = lax.with_sharding_constraint(variables["params"], whole)
            return apply({**variables, "params": params}, *args, **kwargs)

        return applied

    def run(state: Any, batch: Any) -> Any:
        moved, metrics = gathered(state, batch)
        shardings = state_shardings(moved, mesh, shard_parameters=True)
        return lax.with_sharding_constraint(moved, shardings), metrics

    gathered = with_networks(step, gathering)
    return run


def _shard_mapped(step: TrainStep, mesh: Mesh) -> TrainStep:
    """Returns the step under shard_map: batch and buffers split, everything else replicated."""
    whole, split = PartitionSpec(), PartitionSpec(AXIS)

    def mapped(state: Any, batch: Any) -> Any:
        specs = jax.tree.map(lambda _: whole, state.replace(buffers={}))
        specs = specs.replace(buffers=jax.tree.map(lambda _: split, state.buffers))
        run = jax.shard_map(step, mesh=mesh, in_specs=(specs, split), out_specs=(specs, whole))
        try:
            return run(state, batch)
        except ValueError as error:
            if "out_specs" not in str(error):
                raise
            raise ValueError(
                "the step would train each shard separately: build the model and its steps with "
                "axis_name=parallel.axis_for(mode), so that gradients are reduced"
            ) from error

    return mapped


def _pmapped(
    step: TrainStep, mesh: Mesh, donated: tuple[int, ...], *, check: TrainStep
) -> TrainStep:
    """Returns the step under pmap, with a state that has no device axis.

    The batch and the buffers are split over the devices. pmap does not notice shards that differ,
    so `check` is traced once before the first call.
    """
    devices = list(mesh.devices.flat)
    checked = False

    def split(leaf: Any) -> Any:
        return leaf.reshape(len(devices), leaf.shape[0] // len(devices), *leaf.shape[1:])

    def join(leaf: Any) -> Any:
        return leaf.reshape(leaf.shape[0] * leaf.shape[1], *leaf.shape[2:])

    def whole(state: Any, buffers: Any, batch: Any) -> Any:
        state, metrics = step(state.replace(buffers=buffers), batch)
        return state.replace(buffers={}), state.buffers, metrics

    run = jax.pmap(
        whole,
        axis_name=AXIS,
        in_axes=(None, 0, 0),
        out_axes=(None, 0, None),
        devices=devices,
        donate_argnums=donated,
    )

    def given(state: Any, batch: Any) -> tuple[Any, Any, Any]:
        nonlocal checked
        if not checked:
            jax.eval_shape(check, state, batch)
            checked = True
        buffers = jax.tree.map(split, state.buffers)
        return state.replace(buffers={}), buffers, jax.tree.map(split, batch)

    def call(state: Any, batch: Any) -> Any:
        state, buffers, metrics = run(*given(state, batch))
        return state.replace(buffers=jax.tree.map(join, buffers)), metrics

    call.lower = lambda state, batch: run.lower(*given(state, batch))  # like a jitted function
    return call
