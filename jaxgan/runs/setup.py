"""What is settled before the first step: the settings, the data, the model and its state."""

from __future__ import annotations

import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from jaxgan import data, parallel
from jaxgan.games import population, stages
from jaxgan.runs import checkpoint, environment, run_directory, training_loop
from jaxgan.runs.config import MAY_CHANGE, DataSpec, RunConfig
from jaxgan.runs.errors import RunError, RunStopped
from jaxgan.runs.experiments import Experiment
from jaxgan.types import GAN, Batch

_LEAST = {
    "steps": 1,
    "batch_size": 1,
    "seed": 0,
    "seeds": 1,
    "log_every": 1,
    "sample_every": 0,
    "checkpoint_every": 0,
    "keep": 1,
    "steps_per_call": 1,
    "profile": 0,
    "evaluate_every": 0,
    "evaluate_samples": 1,
    "keep_best": 1,
}


class Task(NamedTuple):
    """What is trained: data, model and its state on the devices of the mesh; notes for the user.

    `gan` is what trains, a population where there are several seeds, and `member` one model; both,
    the state and the batches are those of the stage `plan[index]`.
    """

    splits: data.Splits
    spec: DataSpec
    plan: tuple[stages.Stage, ...]
    index: int
    member: GAN
    gan: GAN
    mesh: Mesh
    state: Any
    batches: Callable[[int], Batch]
    notes: tuple[str, ...]


def check_numbers(config: RunConfig) -> None:
    """Raises RunError on numbers that make no run."""
    for name, lowest in _LEAST.items():
        value = getattr(config, name)
        if value < lowest:
            raise RunError(f"{flag(name)} is {value}; expected {lowest} or more")
    _require_whole_calls(config, "steps")
    _require_whole_calls(
        config, "evaluate_every", why=", within which there is no state to measure"
    )
    if config.seeds > 1 and config.parallel != "jit":
        raise RunError(
            f"--parallel {config.parallel} splits the rows of a batch over the devices, where "
            f"--seeds {config.seeds} splits the models; use --parallel jit"
        )


def _require_whole_calls(config: RunConfig, name: str, *, why: str = "") -> None:
    value, per_call = getattr(config, name), config.steps_per_call
    if value % per_call:
        below = value // per_call * per_call
        nearest = " or ".join(str(n) for n in (below, below + per_call) if n)
        raise RunError(
            f"{flag(name)} is {value}, no multiple of --steps-per-call {per_call}{why}; "
            f"use {nearest}"
        )


def check_same(
    experiment: Experiment, config: RunConfig, record: dict[str, Any], path: pathlib.Path
) -> None:
    """Raises RunError where the recorded run is of another experiment or has other settings."""
    experiment.check_made(record, path)
    recorded, asked = record["config"], plain(config)
    for name, value in asked.items():
        if name not in MAY_CHANGE and name in recorded and recorded[name] != value:
            raise RunError(
                f"{path} was made with {flag(name)} {recorded[name]} and cannot go on with "
                f"{value}: leave it as it was, choose another --workdir, or start afresh "
                "with --overwrite"
            )


def notes_on_the_end(config: RunConfig, record: dict[str, Any]) -> list[str]:
    """What there is to say where a run goes on to another end than the one recorded."""
    before = record["config"]["steps"]
    if before == config.steps or not config.falls_to_the_end:
        return []
    return [
        f"beware: step sizes fall to the run's end, which was step {before} and now is "
        f"{config.steps}: it is not the run that it had been with --steps {config.steps} from the "
        "start"
    ]


def task(
    experiment: Experiment,
    config: RunConfig,
    *,
    found: checkpoint.Saved | None,
    report: Callable[[str], None],
) -> Task:
    """The data, the model and its state: the checkpoint's, or fresh, or fresh with old weights.

    Raises RunError where the data cannot be had, or where a size does not fit the model or the
    devices.
    """
    mesh = parallel.data_mesh()
    if config.seeds > 1:
        mesh = population.mesh_for(config.seeds, mesh)
    try:
        splits = load_data(config)
        spec = DataSpec.of(splits.train)
        plan = experiment.plan(config, spec)
        index = stages.made_at(plan, found.step if found else 0)
        member, gan = _models(config, plan[index], mesh)
        key = _key(config, index)
        notes = list(splits.notes)
        if found is not None:
            state = checkpoint.to_tree(jax.eval_shape(gan.init, key), found)
        else:
            fresh = jax.jit(gan.init)(key)  # eagerly it takes seconds
            begin = functools.partial(experiment.begin, train=splits.train)
            state = _for_each(config, begin)(fresh)
            if config.init_from is not None:
                source = pathlib.Path(config.init_from)
                state, note = start_from(state, source, seeds=config.seeds, report=report)
                notes.append(note)
        state = _place(config, state, mesh)
        batches = _batches(config, splits, plan[index], mesh)
    except ValueError as error:
        raise RunError(str(error)) from error
    return Task(splits, spec, plan, index, member, gan, mesh, state, batches, tuple(notes))


def next_stage(config: RunConfig, before: Task, reached: Any) -> Task:
    """The task of the next stage, whose state grows from the one that this stage's end reached.

    Raises RunStopped where a size does not fit the model or the devices.
    """
    index = before.index + 1
    stage, mesh = before.plan[index], before.mesh
    try:
        member, gan = _models(config, stage, mesh)
        fresh = jax.jit(gan.init)(_key(config, index))
        state = _place(config, _for_each(config, stage.grow)(reached, fresh), mesh)
        batches = _batches(config, before.splits, stage, mesh)
    except ValueError as error:
        raise RunStopped(str(error)) from error
    return before._replace(index=index, member=member, gan=gan, state=state, batches=batches)


def _models(config: RunConfig, stage: stages.Stage, mesh: Mesh) -> tuple[GAN, GAN]:
    """The stage's model, and what trains: the model itself, or a population of it."""
    member = stage.build(axis_name=parallel.axis_for(config.parallel))
    if config.seeds == 1:
        return member, member
    return member, population.spread(population.of(member), mesh)


def _key(config: RunConfig, index: int) -> jax.Array:
    """What a stage's fresh state is drawn from: the seed's key, or one [S] for each seed."""
    keys = population.keys(config.member_seeds)
    if index > 0:
        keys = jax.vmap(lambda key: jax.random.fold_in(key, index))(keys)
    return keys if config.seeds > 1 else keys[0]


def _for_each(config: RunConfig, change: Callable[..., Any]) -> Callable[..., Any]:
    """What changes the states of one model, for the run's model or each of its several."""
    return change if config.seeds == 1 else population.for_each(change)


def _place(config: RunConfig, state: Any, mesh: Mesh) -> Any:
    return (parallel.place_state if config.seeds == 1 else population.place)(state, mesh)


def _batches(
    config: RunConfig, splits: data.Splits, stage: stages.Stage, mesh: Mesh
) -> Callable[[int], Batch]:
    return training_loop.batches_of(
        splits.train,
        seeds=config.member_seeds,
        rows=stage.rows,
        per_call=config.steps_per_call,
        mesh=mesh,
    )


def load_data(config: RunConfig) -> data.Splits:
    """The data that the configuration names, which hold a batch at least; DataError otherwise."""
    splits = data.load(
        config.data,
        resolution=config.resolution,
        resize=config.resize,
        holdout=config.holdout,
        flip=config.flip,
        channels=config.channels,
        data_dir=config.data_dir,
        **config.data_options,
    )
    data.require_batch(splits.train, config.rows_per_step, batch_size=config.batch_size)
    return splits


def start_from(
    state: Any, path: pathlib.Path, *, seeds: int = 1, report: Callable[[str], None]
) -> tuple[Any, str]:
    """The fresh state with what fits of the weights and averages of the run in `path`, and a note.

    Optimizers, step and randomness stay fresh. Every one of several models starts from the weights
    of a single one, or each from its own of as many. Raises RunError where there is no such run,
    nothing in it fits, or it holds another number of models.
    """
    record = run_directory.read_record(path)
    if record is None:
        raise RunError(f"--init-from {path}: there is no run in it{run_directory.suggestion(path)}")
    saved = checkpoint.latest(path / "checkpoints", report=report)
    if saved is None:
        raise RunError(f"--init-from {path}: the run has no checkpoint yet")
    saved = _of_as_many(saved, record["config"].get("seeds", 1), seeds, path)
    weights = {
        "players": {
            name: {"params": player.params, "variables": player.variables}
            for name, player in state.players.items()
        },
        "ema": state.ema,
    }
    weights, taken, left = checkpoint.transfer(weights, saved)
    if not taken:
        raise RunError(f"--init-from {path}: nothing in it has a name and shape of this model")
    players = weights["players"]
    state = state.with_params({name: player["params"] for name, player in players.items()})
    state = state.with_variables({name: player["variables"] for name, player in players.items()})
    note = f"started from step {saved.step} of {path}: took {len(taken)} arrays"
    if left:
        note += f", left {len(left)} fresh ({', '.join(left)})"
    return state.replace(ema=weights["ema"]), note


def _of_as_many(
    saved: checkpoint.Saved, held: int, wanted: int, path: pathlib.Path
) -> checkpoint.Saved:
    """The checkpoint of `held` models as one of `wanted`; RunError where that is another number."""
    if held == wanted:
        return saved
    if held > 1:
        raise RunError(
            f"--init-from {path}: the run holds {held} models; start from it with --seeds {held}, "
            "or from a run of one"
        )
    arrays = {name: np.broadcast_to(a, (wanted, *a.shape)) for name, a in saved.arrays.items()}
    return saved._replace(arrays=arrays)


def record(
    experiment: Experiment, config: RunConfig, prepared: Task, *, before: dict[str, Any] | None
) -> dict[str, Any]:
    """What config.json is to hold. Raises RunError where the data are not those recorded before."""
    now = {**prepared.spec.record(), "digest": prepared.splits.train.digest}
    earlier = now if before is None else {"inputs": {}, **before["data"]}
    if earlier != now:
        name = next(key for key, value in now.items() if earlier.get(key) != value)
        was = earlier.get(name)
        raise RunError(
            f"the data have changed since the run began: their {name} was {was} and is "
            f"{now[name]}; bring them back, or choose another --workdir"
        )
    return {
        "experiment": experiment.record,
        "config": plain(config),
        "data": now,
        "environment": environment.describe(experiment.file),
    }


def plain(config: RunConfig) -> dict[str, Any]:
    """The configuration as JSON would give it back."""
    return json.loads(json.dumps(dataclasses.asdict(config), default=str))


def flag(name: str) -> str:
    """The command line's name of a field."""
    return "--" + name.replace("_", "-")
