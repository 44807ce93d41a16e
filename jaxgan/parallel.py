"""Data parallelism: train steps compiled for one device or many.

A train step is one pure function. `compile_step` runs it under `jit` (parallel by the sharding of
the batch alone), under `shard_map`, or under `pmap`. Inside the last two, computations that couple
examples are reduced by `jaxgan.collectives`, which exchanges nothing if `axis_name` is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxgan.types import PyTree, TrainStep

AXIS = "data"
MODES = ("jit", "shard_map", "pmap")


def axis_for(mode: str) -> str | None:
    """Returns the axis name with which to build a model whose step runs under `mode`.

    Args:
        mode: 'jit', 'shard_map' or 'pmap'.

    Raises:
        ValueError: If the mode is unknown.

    Example:
        >>> from jaxgan import parallel
        >>> parallel.axis_for("jit"), parallel.axis_for("shard_map")
        (None, 'data')
    """
    if mode not in MODES:
        raise ValueError(f"the mode is {mode!r}; expected one of {', '.join(MODES)}")
    return None if mode == "jit" else AXIS


def data_mesh(devices: Sequence[Any] | None = None) -> Mesh:
    """Returns a mesh with one axis, 'data', along which batches are split.

    Args:
        devices: The devices; by default all.

    Example:
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
                f"use a batch size that {mesh.size} divides"
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

    def put(leaf: Any) -> Any:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            bits = put(jax.random.key_data(leaf))
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

    return jax.tree.map(put, tree)


def place_state(state: Any, mesh: Mesh) -> Any:
    """Returns the state on the mesh: its buffers split like a batch, everything else replicated.

    Args:
        state: A `GANState`.
        mesh: Mesh of `data_mesh`.

    Raises:
        ValueError: If the number of devices does not divide the number of places of a buffer.
    """
    for leaf in jax.tree.leaves(state.buffers):
        if leaf.shape[0] % mesh.size:
            raise ValueError(
                f"a buffer of {leaf.shape[0]} places cannot be split over {mesh.size} devices; "
                f"use a size (such as that of a replay pool) that {mesh.size} divides"
            )
    placed = replicate(state.replace(buffers={}), mesh)
    return placed.replace(buffers=shard(state.buffers, mesh))


def compile_step(
    step: TrainStep, *, mode: str = "jit", mesh: Mesh | None = None, donate: bool = True
) -> TrainStep:
    """Returns the train step compiled for the mesh.

    Args:
        step: Train step of a model that was built with `axis_name=axis_for(mode)`.
        mode: 'jit', 'shard_map' or 'pmap'.
        mesh: Mesh of `data_mesh`; by default one of all devices.
        donate: Whether to donate the state, whose memory is then reused. Warning: a donated state
            cannot be used again.

    Raises:
        ValueError: If the mode is unknown, or, in the first call, if the step would not reduce its
            shards.

    Example:
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
    if mode == "jit":
        return jax.jit(step, donate_argnums=donated)
    mapped = _shard_mapped(step, mesh)
    if mode == "shard_map":
        return jax.jit(mapped, donate_argnums=donated)
    return _pmapped(step, mesh, donated, check=mapped)


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
