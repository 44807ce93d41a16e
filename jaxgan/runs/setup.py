"""Preparation of a run before its first step: configuration, data, model and state."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from jaxgan import data, files, parallel, steps
from jaxgan.data import image_stores, occurring_classes, sources
from jaxgan.games import stages
from jaxgan.runs import (
    checkpoint_digest,
    convolutions,
    environment,
    experiments,
    fine_tuning,
    flags,
    length,
    processes,
    progress,
    saved_state,
    training_loop,
    varying,
)
from jaxgan.runs.config import MAY_CHANGE, DataSpec, RunConfig
from jaxgan.runs.errors import RunError, RunStopped
from jaxgan.runs.experiments import Experiment
from jaxgan.runs.seeds import Seeds
from jaxgan.types import GAN, Batch, TrainStep

MOST_MODELS = 4096
"""The largest number of models of a run."""


class Task(NamedTuple):
    """Everything that a run needs to train one stage.

    `gan`, `single`, `state` and `batches` belong to the stage `plan[index]`.

    Attributes:
        config: The requested configuration, completed by what the run given by `--init-from`
            determines, and by the steps that its `images` are.
        splits: Training data and held-out data.
        spec: Shape, classes and inputs of the data.
        plan: All stages of the run.
        index: Index of the current stage in `plan`.
        single: The model of one seed; of several settings, the first.
        own: The model of each setting, if their samples depend on it beyond the weights; else
            empty, and `single` draws those of all.
        gan: The model that is trained: `single`, or an ensemble of it if there are several seeds
            or settings.
        mesh: The devices to train on.
        state: State of `gan`, placed on the devices of the mesh.
        batches: `batches(step)` returns the batch of a train step, placed on the devices.
        notes: Sentences to report to the user before training.
    """

    config: RunConfig
    splits: data.Splits
    spec: DataSpec
    plan: tuple[stages.Stage, ...]
    index: int
    single: GAN
    own: tuple[GAN, ...]
    gan: GAN
    mesh: Mesh
    state: Any
    batches: Callable[[int], Batch]
    notes: tuple[str, ...]


def as_begun(config: RunConfig, record: dict[str, Any] | None, path: pathlib.Path) -> RunConfig:
    """Returns the configuration with the settings that were determined when the run began.

    Args:
        config: The requested configuration.
        record: The recorded config.json of the run, or None if the run is new.
        path: The run directory, for messages.

    Raises:
        RunError: If the run began with another number of `minutes` or `images`.
    """
    if record is None:
        return config
    config = length.as_recorded(config, record, path)
    config = convolutions.as_recorded(config, record)
    if config.first_stage is not None:
        return config
    return dataclasses.replace(config, first_stage=record["config"].get("first_stage"))


def check_numbers(config: RunConfig) -> None:
    """Checks that the numbers of a configuration can be trained with.

    Raises:
        RunError: If a number is outside of its range, if both `minutes` and `images` are given, if
            `steps` or `evaluate_every` is not a multiple of `steps_per_call`, if `parallel` does
            not support several seeds or split parameters, if `grid` is no pair of numbers, or if
            the flags of several processes do not fit together.
    """
    flags.require_in_range(config)
    _check_models(config)
    length.check(config)
    grid_of(config)
    if config.minutes is None and config.images is None:
        _require_whole_calls(config, "steps")
    _require_whole_calls(config, "evaluate_every", why=", and a call returns only its last state")
    seeds_of(config).require_mode(config.parallel, shard_parameters=config.shard_parameters)
    processes.check(config)
    if config.freeze and config.init_from is None:
        raise RunError("--freeze keeps layers of another run: name that run with --init-from")
    if config.init_optimizer and config.init_from is None:
        raise RunError(
            "--init-optimizer takes moments of another run: name that run with --init-from"
        )


def _check_models(config: RunConfig) -> None:
    """Raises RunError if the settings of a model are out of range, or there are too many models."""
    if not config.sweep:
        return
    if config.models > MOST_MODELS:
        raise RunError(
            f"--sweep makes {config.models:,} models of one run; expected at most {MOST_MODELS:,}"
        )
    for index in range(config.models):
        flags.require_in_range(config.of_model(index))


def _require_whole_calls(config: RunConfig, name: str, *, why: str = "") -> None:
    """Raises RunError if the field is not a multiple of the train steps per compiled call."""
    value, per_call = getattr(config, name), config.steps_per_call
    if value % per_call:
        below = value // per_call * per_call
        nearest = " or ".join(str(n) for n in (below, below + per_call) if n)
        raise RunError(
            f"{flags.flag(name)} is {value}, no multiple of --steps-per-call {per_call}{why}; "
            f"use {nearest}"
        )


def grid_of(config: RunConfig) -> tuple[int, int] | None:
    """Returns rows and columns of the sample pictures, or None for the usual ones.

    Raises:
        RunError: If `grid` is given, but is no such pair of numbers from 1 to 100.
    """
    if config.grid is None:
        return None
    found = re.fullmatch(r"(\d{1,3})[xX](\d{1,3})", config.grid)
    sides = [int(side) for side in found.groups()] if found else []
    if not sides or not all(1 <= side <= 100 for side in sides):
        raise RunError(
            f"--grid is {config.grid}; expected rows x columns from 1 to 100, such as 8x10"
        )
    rows, columns = sides
    return rows, columns


def check_same(
    experiment: Experiment, config: RunConfig, record: dict[str, Any], path: pathlib.Path
) -> None:
    """Checks that a run can be resumed with a configuration.

    Only the settings in `config.MAY_CHANGE` may differ from the recorded ones.

    Args:
        experiment: The experiment to train.
        config: The requested configuration.
        record: The recorded config.json of the run.
        path: The run directory, for messages.

    Raises:
        RunError: If the run was made by another experiment or with other settings.
    """
    experiment.check_made(record, path)
    recorded, asked = record["config"], plain(config)
    for name, value in asked.items():
        if name not in MAY_CHANGE and name in recorded and recorded[name] != value:
            raise RunError(
                f"{path} was made with {flags.flag(name)} {recorded[name]} and cannot go on with "
                f"{value}: use the same value, choose another --workdir, or start again "
                "with --overwrite"
            )


def places(config: RunConfig, record: dict[str, Any]) -> list[RunConfig]:
    """Returns the configurations to look for a run's data with, the most likely one first.

    The recorded paths are relative to the directory in which the run began. They are looked for in
    that directory first, then in the current one.

    Args:
        config: Configuration of the run.
        record: The recorded config.json of the run.

    Returns:
        One configuration, or two with different paths of the data.
    """
    began = record.get("directory")
    if not isinstance(began, str) or began == os.getcwd():
        return [config]

    def at(path: str) -> str:
        there = pathlib.Path(began, path)
        relative = path and not pathlib.Path(path).expanduser().is_absolute()
        return str(there) if relative and files.exists(there) else path

    change = {"data": functools.partial(sources.moved, at=at), "data_dir": at, "holdout": at}
    moved = {
        name: found
        for name, of in change.items()
        if isinstance(path := getattr(config, name), str)
        and path == record["config"].get(name)
        and (found := of(path)) != path
    }
    return [dataclasses.replace(config, **moved), config] if moved else [config]


def notes_on_the_end(config: RunConfig, record: dict[str, Any]) -> list[str]:
    """Warns if a run is resumed with other `steps` and its learning rates depend on them.

    Args:
        config: The requested configuration.
        record: The recorded config.json of the run.

    Returns:
        A list with the warning, or an empty list.
    """
    before = record["config"]["steps"]
    falls = any(config.of_model(index).falls_to_the_end for index in range(config.models))
    if before == config.steps or not falls:
        return []
    return [
        f"warning: learning rates fall to the run's end, which was step {before} and now is "
        f"{config.steps}: the result differs from that of a run started with "
        f"--steps {config.steps}"
    ]


def task(
    experiment: Experiment,
    config: RunConfig,
    *,
    found: saved_state.Saved | None,
    before: dict[str, Any] | None = None,
    splits: data.Splits | None = None,
    report: Callable[[str], None],
) -> Task:
    """Prepares the data, the model and its state.

    The state is restored from `found`. Without a checkpoint it is initialized, and takes the
    weights of the run `config.init_from` if there is one.

    Args:
        experiment: The experiment to train.
        config: Its configuration.
        found: The checkpoint to resume from, or None if the run is new.
        before: The recorded config.json of the run, or None if the run is new.
        splits: The data of the configuration, if they are loaded already.
        report: Called with a sentence for each damaged checkpoint of the run `config.init_from`.

    Returns:
        The task of the current stage.

    Raises:
        RunError: If the data cannot be loaded or differ from those in `before`, if the run
            `config.init_from` cannot be used, or if a size does not fit the model or the devices.
    """
    seeds = seeds_of(config)
    try:
        mesh = seeds.mesh(parallel.data_mesh(parallel.first_devices(config.devices)))
        splits = splits or load_data(config, experiment.data)
        spec = DataSpec.of(splits.train)
        _require_same_data(config, _data_record(spec, splits), before)
        source = reached = None
        if found is None and config.init_from is not None:
            source = fine_tuning.source_of(
                pathlib.Path(config.init_from), seeds=seeds, report=report
            )
            reached = stage_of(experiment, config, spec, source, mesh)
        if reached and config.first_stage is None:
            config = dataclasses.replace(config, first_stage=reached)
        notes = list(splits.notes)
        if before is None and config.images is not None:
            config = length.of_images(experiment, config, spec)
            notes.append(length.note_on_images(config))
        plan = experiment.plan(config, spec)
        index = stages.made_at(plan, found.step if found else 0)
        stage = plan[index]
        if found is not None:
            stage = experiment.plan(config, spec, saved=True)[index]
        if seeds.settings:
            build = varying.build_of(stage, parallel.axis_for(config.parallel))
            example = splits.train.batch(seed=config.seed, step=0, size=stage.rows)
            varying.require(config, build, example)
        single, own, gan = _models(config, stage, mesh)
        key = seeds.keys(index)
        if found is not None:
            state = saved_state.to_tree(jax.eval_shape(gan.init, key), found)
        else:
            fresh = initial_state(gan, key)
            begin = functools.partial(experiment.begin, train=splits.train)
            state = seeds.for_each(begin)(fresh)
        if source is not None:
            differing = fine_tuning.differences(experiment, plain(config), spec, source)
            state, taken = _taken_over(
                state, source, single, config, plan[0], spec.classes, reached, differing
            )
            notes += taken
        state = _placed(config, state, mesh)
        batches = _batches(config, splits, plan[index], mesh)
    except ValueError as error:
        raise RunError(str(error)) from error
    return Task(
        config, splits, spec, plan, index, single, own, gan, mesh, state, batches, tuple(notes)
    )


def _taken_over(
    state: Any,
    source: fine_tuning.Source,
    single: GAN,
    config: RunConfig,
    stage: stages.Stage,
    classes: Sequence[str],
    reached: int | None,
    differing: Sequence[str],
) -> tuple[Any, list[str]]:
    """Returns the state with all that a run takes from another one, and notes.

    `stage` is the first one of the run, `reached` the number of the one that the source's weights
    are of, or None if the run has a single stage.
    """
    first = config.skipped_stages + 1
    if reached not in (None, first):
        differing = [*differing, f"its weights are of stage {reached}, here of stage {first}"]
    by_name: list[str] = []
    if "label" in single.conditions:
        source, by_name = fine_tuning.class_by_class(state, source, classes)
    state, note = fine_tuning.start_from(state, source, differing=differing)
    if reached == first:
        state = stage.enter(state, source.saved.arrays, source.saved.step)
        note += f"; it was saved in stage {first}, in which this run begins"
    notes = [note, *by_name, *fine_tuning.note_on_frozen(single, config, source)]
    if config.init_optimizer:
        state, note = fine_tuning.with_optimizers(state, source, config.freeze)
        notes.append(note)
    return state, notes


def next_stage(config: RunConfig, before: Task, reached: Any) -> Task:
    """Prepares the next stage of a run.

    Args:
        config: Configuration of the run.
        before: The task of the current stage.
        reached: Last state of the current stage, from which the next stage's state is initialized.

    Returns:
        The task of the next stage.

    Raises:
        RunStopped: If a size does not fit the model or the devices.
    """
    index = before.index + 1
    stage, mesh = before.plan[index], before.mesh
    try:
        single, own, gan = _models(config, stage, mesh)
        fresh = initial_state(gan, seeds_of(config).keys(index))
        grown = seeds_of(config).for_each(stage.grow)(reached, fresh)
        state = _placed(config, grown, mesh)
        batches = _batches(config, before.splits, stage, mesh)
    except ValueError as error:
        raise RunStopped(str(error)) from error
    return before._replace(
        index=index, single=single, own=own, gan=gan, state=state, batches=batches
    )


def _models(config: RunConfig, stage: stages.Stage, mesh: Mesh) -> tuple[GAN, tuple[GAN, ...], GAN]:
    """Returns the entries `single`, `own` and `gan` of a stage's task."""
    seeds, axis_name = seeds_of(config), parallel.axis_for(config.parallel)

    def calling(gan: GAN) -> GAN:
        return gan._replace(step=calling_networks(config, gan.step))

    single = calling(stage.build(axis_name=axis_name))
    if not seeds.settings:
        return single, (), seeds.together(single, mesh)
    with_numbers = varying.build_of(stage, axis_name)

    def build(values: Mapping[str, Any]) -> GAN:
        return calling(with_numbers(values))

    return single, seeds.own(build), seeds.together(single, mesh, build)


def calling_networks(config: RunConfig, step: TrainStep) -> TrainStep:
    """Returns the train step that calls its networks as the configuration says."""
    if config.remat:
        step = steps.rematerialized(step)
    # Around the other, so that its backward pass rounds the weights again instead of keeping both.
    return steps.in_bfloat16(step) if config.precision == "bf16" else step


_QUICK: dict[str, bool | int | str] = {
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}


def initial_state(gan: GAN, key: Any) -> Any:
    """Returns the initial state of a model, made by one compiled program: uncompiled takes longer.

    The program runs once, so most of its time is that of its compilation. On a CPU, XLA compiles it
    in one piece and without its emitters of fused loops, which is quicker and gives the same bits.

    Args:
        gan: The model, of one seed or an ensemble.
        key: Its key, or the keys of the seeds.
    """
    if jax.default_backend() == "cpu":
        with contextlib.suppress(jax.errors.JaxRuntimeError):  # an XLA without these options
            return jax.jit(gan.init, compiler_options=_QUICK)(key)
    return jax.jit(gan.init)(key)


def _placed(config: RunConfig, state: Any, mesh: Mesh) -> Any:
    return seeds_of(config).place(
        state, mesh, mode=config.parallel, shard_parameters=config.shard_parameters
    )


def _batches(
    config: RunConfig, splits: data.Splits, stage: stages.Stage, mesh: Mesh
) -> Callable[[int], Batch]:
    return training_loop.batches_of(
        splits.train,
        seeds=seeds_of(config),
        size=stage.rows,
        per_call=config.steps_per_call,
        mesh=mesh,
    )


def seeds_of(config: RunConfig) -> Seeds:
    """Returns the seeds of the models that the run trains together."""
    return Seeds.of(config)


def load_data(config: RunConfig, own: Callable[[Any], data.Splits] | None = None) -> data.Splits:
    """Loads the data of a configuration.

    Args:
        config: The configuration.
        own: The experiment's own `data(config)`. None: that of the module of the configuration's
            class, if there is one, and `--data` otherwise.

    Raises:
        DataError: If the data cannot be loaded or hold less than one batch.
    """
    module = sys.modules.get(type(config).__module__)
    if own is None and module is not None and experiments.own_data(module):
        own = experiments.of(module).data
    splits = (
        _of_flags(config)
        if own is None
        else occurring_classes.occurring(data.completed(own(config), name=type(config).__module__))
    )
    data.require_batch(splits.train, config.rows_per_step, batch_size=config.batch_size)
    return splits


def _of_flags(config: RunConfig) -> data.Splits:
    """Returns the data of `--data`."""
    return data.load(
        config.data,
        **config.reading_options,
        **config.data_options,
        storing=image_stores.Storing(watch=progress.counted, say=progress.tell),
    )


def stage_of(
    experiment: Experiment,
    config: RunConfig,
    spec: DataSpec,
    source: fine_tuning.Source,
    mesh: Mesh,
) -> int | None:
    """Returns the stage that fits the weights of another run best.

    The best stage takes most of the source's arrays. The earliest one wins a tie.

    Args:
        experiment: The experiment to train.
        config: Its configuration; `first_stage` and `freeze` are ignored.
        spec: Shape, classes and inputs of the data.
        source: The run that provides the weights.
        mesh: The devices to train on.

    Returns:
        The number of the stage, from 1, or None if there is only one stage.
    """
    whole = dataclasses.replace(config, first_stage=None, freeze=())
    plan = experiment.plan(whole, spec)
    if len(plan) == 1:
        return None

    def taken(index: int) -> int:
        gan = _models(config, plan[index], mesh)[-1]
        fresh = jax.eval_shape(gan.init, seeds_of(config).keys())
        return len(saved_state.fitting(fine_tuning.weights_of(fresh), source.saved)[0])

    return 1 + max(range(len(plan)), key=taken)


def record(
    experiment: Experiment, config: RunConfig, prepared: Task, *, before: dict[str, Any] | None
) -> dict[str, Any]:
    """Returns the contents of config.json.

    Args:
        experiment: The experiment to train.
        config: Its configuration.
        prepared: The task that was prepared with it.
        before: The recorded config.json of the run, or None if the run is new.

    Raises:
        RunError: If the data differ from those in `before`.
    """
    now = _data_record(prepared.spec, prepared.splits)
    _require_same_data(config, now, before)
    return {
        "experiment": experiment.record,
        "config": plain(config),
        "data": now,
        "directory": os.getcwd(),
        "environment": environment.describe(experiment.file),
    }


def fingerprint(config: RunConfig, prepared: Task, state: Any) -> dict[str, str]:
    """Returns what has to be the same in all processes that train together, by its name.

    Args:
        config: The configuration.
        prepared: The task that was prepared with it.
        state: The state of the task, whole in this process.
    """
    when = ("steps", "log_every", "sample_every", "checkpoint_every", "evaluate_every")
    settings = {
        flags.flag(name): str(value)
        for name, value in plain(config).items()
        if name not in MAY_CHANGE or name in when
    }
    arrays, _ = saved_state.to_arrays(state)
    now = {
        "data": prepared.splits.train.digest,
        "a first state": checkpoint_digest.of_whole(arrays, {}),
    }
    return settings | now


def _data_record(spec: DataSpec, splits: data.Splits) -> dict[str, Any]:
    """Returns what config.json holds of the data."""
    return {**spec.record(), "digest": splits.train.digest}


def _require_same_data(
    config: RunConfig, now: dict[str, Any], before: dict[str, Any] | None
) -> None:
    """Raises RunError if the data differ from those in the record `before`."""
    if before is None:
        return
    earlier, place = {"inputs": {}, **before["data"]}, before["config"].get("data")
    if earlier == now:
        return
    name = next((key for key, value in now.items() if earlier.get(key) != value), "record")
    was = f"their {name} was {earlier.get(name)} and is {now.get(name)}"
    if config.data != place:
        raise RunError(
            f"--data {config.data} holds other data than the run began with, {place}: {was}; "
            "name the new place of those, or choose another --workdir"
        )
    raise RunError(
        f"the data have changed since the run began: {was}; bring them back, or choose another "
        "--workdir"
    )


def plain(config: RunConfig) -> dict[str, Any]:
    """Returns the configuration as a dict of JSON types."""
    return json.loads(json.dumps(dataclasses.asdict(config), default=str))
