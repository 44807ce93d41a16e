"""Devices: the only file that knows how many there are.

A train step is one pure function. `compile_step` runs it under `jit` (the batch sharded by its
sharding alone), under `shard_map`, or under `pmap`; inside the last two, what couples examples is
reduced by the helpers here, which are the identity where `axis_name` is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxgan.types import PyTree, TrainStep

AXIS = "data"
MODES = ("jit", "shard_map", "pmap")


def axis_for(mode: str) -> str | None:
    """The axis name to build a model with, so that its step runs under `mode`.

    Raises ValueError on an unknown mode.
    """
    if mode not in MODES:
        raise ValueError(f"the mode is {mode!r}; expected one of {', '.join(MODES)}")
    return None if mode == "jit" else AXIS


# --- inside a step --------------------------------------------------------------------------------


# --- around a step --------------------------------------------------------------------------------


def data_mesh(devices: Sequence[Any] | None = None) -> Mesh:
    """A mesh of one axis over the devices (all by default), along which batches are split."""
    return Mesh(np.asarray(jax.devices() if devices is None else list(devices)), (AXIS,))


def replicate(tree: PyTree, mesh: Mesh) -> PyTree:
    """The tree with a whole copy on each device of the mesh."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def shard(tree: PyTree, mesh: Mesh, *, axis: int = 0) -> PyTree:
    """The tree with its leaves' axis of examples split over the mesh.

    Raises ValueError where a leaf has a number of rows that the devices do not divide.
    """
    for leaf in jax.tree.leaves(tree):
        if leaf.shape[axis] % mesh.size:
            raise ValueError(
                f"a batch of {leaf.shape[axis]} rows cannot be split over {mesh.size} devices; "
                f"use a batch size that {mesh.size} divides"
            )
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec(*[None] * axis, AXIS)))


def place_state(state: Any, mesh: Mesh) -> Any:
    """The state on the mesh: its buffers split like a batch, all else replicated.

    Raises ValueError where the devices do not divide the places of a buffer.
    """
    for leaf in jax.tree.leaves(state.buffers):
        if leaf.shape[0] % mesh.size:
            raise ValueError(
                f"a buffer of {leaf.shape[0]} places cannot be split over {mesh.size} devices; "
                f"use a size (of a replay pool, say) that {mesh.size} divides"
            )
    placed = replicate(state.replace(buffers={}), mesh)
    return placed.replace(buffers=shard(state.buffers, mesh))


def compile_step(
    step: TrainStep, *, mode: str = "jit", mesh: Mesh | None = None, donate: bool = True
) -> TrainStep:
    """The train step, compiled for the mesh (all devices by default); its state is donated.

    `step` must come from a model built with `axis_name=axis_for(mode)`. Raises ValueError on an
    unknown mode, and, when first called, where shards would not be reduced.
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
    """The step under shard_map: the batch and the buffers split over the mesh, all else whole."""
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
                "the step would train each shard apart: build the model and its steps with "
                "axis_name=parallel.axis_for(mode), so that gradients are reduced"
            ) from error

    return mapped


def _pmapped(
    step: TrainStep, mesh: Mesh, donated: tuple[int, ...], *, check: TrainStep
) -> TrainStep:
    """The step under pmap: state in and out without a device axis, the batch and the buffers split
    over the devices. pmap does not notice shards that differ, so `check` is traced once before.
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

    call.lower = lambda state, batch: run.lower(*given(state, batch))  # as a jitted step has it
    return call
