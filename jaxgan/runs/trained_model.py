"""A trained model, given back by its run directory in any process."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import data, random
from jaxgan.data import class_names
from jaxgan.games import stages
from jaxgan.runs import best_checkpoints, checkpoint, experiments, metric_log, run_directory, setup
from jaxgan.runs.config import DataSpec, RunConfig
from jaxgan.runs.errors import RunError
from jaxgan.runs.seeds import Seeds
from jaxgan.types import GAN, Array

_BATCH = 64


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """A trained model: its functions, its state after `step` steps, and what it learned from."""

    gan: GAN
    state: Any
    config: RunConfig
    spec: DataSpec
    step: int

    def sample(self, key: Array | int, n: int, **conditions: Any) -> Array:
        """`n` samples [n, ...], images float32 in [-1, 1], drawn by the averaged players.

        Sample i depends on the key (or seed), on i and on the i-th entry of each condition, never
        on `n`: samples are drawn in compiled batches of one size. A condition is one value for all
        or one for each sample, [n, ...]; one left out takes the model's default for sample i. A
        `label` is the number of a class or its name (see `class_names.named`). Raises ValueError
        where n is negative, a condition has another length or is none of its `classes`.
        """
        if n < 0:
            raise ValueError(f"{n} samples were asked for; expected 0 or more")
        key = jax.random.key(key) if isinstance(key, int) else key
        size = batch_size(len(self.spec.classes))
        total = max(1, -(-n // size)) * size
        for name, classes in self.classes.items():
            if name in conditions:
                number = class_names.numbers(conditions[name], classes, name=name)
                conditions = {**conditions, name: number}
        given = {
            name: default(total) for name, default in self.gan.defaults if name not in conditions
        }
        given |= {name: spread(value, n, total, name=name) for name, value in conditions.items()}
        drawn = [
            _draw(
                self.state,
                key,
                start,
                {name: values[start : start + size] for name, values in given.items()},
                sample=self.gan.sample,
                size=size,
            )
            for start in range(0, total, size)
        ]
        return jnp.concatenate(drawn)[:n]

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """The names of the classes that conditions are one of, by the condition: of the label those
        of the data, of a code its numbers.
        """
        found = {name: tuple(map(str, range(count))) for name, count in self.gan.categories}
        if "label" in self.gan.conditions and self.spec.classes:
            found["label"] = self.spec.classes
        return found

    def untrained(self, seed: int) -> TrainedModel:
        """The model before its first step, its weights drawn anew by the seed: without what an
        experiment's `begin` takes from the training data.
        """
        return dataclasses.replace(self, state=self.gan.init(jax.random.key(seed)))


def in_pieces(
    function: Callable[[Any, Any], Any], state: Any, images: np.ndarray, *, size: int = 500
) -> Any:
    """`function(state, images)`, compiled, of images [N, ...], `size` of them at a time: its arrays
    [N, ...] as NumPy's.
    """
    compiled = jax.jit(function)
    parts = [compiled(state, images[at : at + size]) for at in range(0, len(images), size)]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def load(
    run: str | os.PathLike[str],
    *,
    checkpoint: str | int = "latest",
    seed: int | None = None,
    experiment: experiments.Named | None = None,
    seed_flag: str = "seed=",
) -> TrainedModel:
    """The trained model of the run directory; see `jaxgan.load`. `seed_flag` is what the caller
    writes before a seed, for messages.
    """
    path = pathlib.Path(run)
    record = run_directory.required_record(path)
    made_by = experiments.recorded(record["experiment"], given=experiment)
    config = made_by.config_from(record["config"], source=path)
    seeds = Seeds(config.model_seeds)
    seed = seeds.choose(seed, path=path, flag=seed_flag)
    spec = DataSpec.recorded(record["data"])
    saved = _find(path, checkpoint)
    plan = made_by.plan(config, spec)
    gan = plan[stages.made_at(plan, saved.step)].build()
    state = seeds.restore(gan, saved, seed)
    config = dataclasses.replace(config, seed=seed, seeds=1)
    return TrainedModel(gan, state, config, spec, saved.step)


def data_of(run: pathlib.Path, config: RunConfig) -> data.Splits:
    """The data of the run directory, whose configuration is `config`, wherever `config.data` says
    or the run began: the digest decides.

    Raises RunError where they cannot be had, or are no longer what the run was trained on.
    """
    record = run_directory.required_record(run)
    problem: data.DataError | None = None
    changed = False
    for place in setup.places(config, record):
        try:
            splits = setup.load_data(place)
        except data.DataError as error:
            problem = problem or error
            continue
        if splits.train.digest == record["data"]["digest"]:
            return splits
        changed = True
    if changed or problem is None:
        raise RunError(
            f"the data of {run}, {config.data}, have changed since it was trained; bring them back"
        )
    raise RunError(
        f"{problem}; where the data have moved, --data of evaluate, of diagnose and of the run "
        "itself says where they are now"
    ) from problem


def batch_size(classes: int) -> int:
    """Samples in a compiled batch: a multiple of a few classes, so that labels go on cycling where
    the model does not say what their default is (`GAN.defaults`).
    """
    return _BATCH // classes * classes if 1 <= classes <= _BATCH else _BATCH


def spread(value: Any, n: int, total: int, *, name: str) -> Array:
    """One value, or n of them [n, ...], as [total, ...]; the last one fills up.

    Raises ValueError, with `name`, on another length.
    """
    values = jnp.asarray(value)
    if values.ndim == 0:
        return jnp.broadcast_to(values, (total,))
    if len(values) != n:
        raise ValueError(
            f"the condition {name!r} has {len(values)} entries for {n} samples; "
            f"give one value or {n}"
        )
    if n == 0:
        return jnp.zeros((total, *values.shape[1:]), values.dtype)
    return values[jnp.minimum(jnp.arange(total), n - 1)]


@partial(jax.jit, static_argnames=("sample", "size"))
def _draw(
    state: Any,
    key: Array,
    start: Array,
    conditions: dict[str, Array],
    *,
    sample: Callable[..., Array],
    size: int,
) -> Array:
    keys = random.row_keys(key, size, start=start)
    return sample(state.averaged(), keys, **conditions)


def _find(path: pathlib.Path, which: str | int) -> checkpoint.Saved:
    """The checkpoint asked for, a number of steps also in words of a command line. Raises RunError
    where there is none such.
    """
    which = int(which) if isinstance(which, str) and which.isdecimal() else which
    folder = path / "checkpoints"
    steps = checkpoint.steps_in(folder)
    if which == "latest":
        saved = checkpoint.latest(folder, report=partial(print, file=sys.stderr))
        if saved is None:
            raise RunError(f"{path} has no checkpoint yet")
        return saved
    if which == "best":
        ranked = best_checkpoints.ranked(metric_log.rows(run_directory.RunDirectory(path).metrics))
        held = [step for step in ranked if step in steps]
        if not held:
            raise RunError(
                f"{path} has no best checkpoint: the run watched no metric to choose one by, which "
                "--evaluate-every does; ask for 'latest' or a number of steps"
            )
        return checkpoint.read(folder, held[0])
    if which not in steps:
        raise RunError(
            f"{path} has no checkpoint {which!r}; there are 'latest' and the steps {steps}"
        )
    return checkpoint.read(folder, int(which))
