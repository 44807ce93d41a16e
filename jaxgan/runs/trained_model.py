"""Trained models, loaded from a run directory."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import data, random
from jaxgan.data import class_names
from jaxgan.games import latent_access, stages
from jaxgan.runs import (
    best_checkpoints,
    checkpoint,
    experiments,
    exported,
    metric_log,
    run_directory,
    saved_state,
    setup,
)
from jaxgan.runs.config import DataSpec, RunConfig
from jaxgan.runs.errors import RunError
from jaxgan.runs.seeds import Seeds
from jaxgan.types import GAN, Array

_BATCH = 64
_DRAWS = 512  # latents that show whether the prior is normal

SEEDS = 2**32 - 1
"""Largest seed of `sample_seeds`: without 64-bit integers, JAX tells no larger ones apart."""


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """A trained model of one seed.

    Attributes:
        gan: Its functions.
        state: Its state after `step` train steps.
        config: Configuration of the run, with the seed of this model.
        spec: Shape, classes and inputs of the training data.
        step: Number of completed train steps.
    """

    gan: GAN
    state: Any
    config: RunConfig
    spec: DataSpec
    step: int

    def sample(
        self,
        key: Array | int,
        n: int,
        *,
        truncation: float = 1.0,
        values: bool = False,
        **conditions: Any,
    ) -> Array:
        """Draws samples from the averaged weights (EMA).

        Sample i depends on the key, on i and on the i-th value of each condition, never on `n`:
        samples are drawn in compiled batches of one size.

        Args:
            key: Random key, or an integer seed.
            n: Number of samples.
            truncation: Factor of the latents, in [0, 1]: below 1 they lie nearer to the mean of
                their normal prior, and the samples are more typical and less diverse.
            values: Whether images are returned in the values and the type of the training data
                (see `in_values`), and not in [-1, 1].
            **conditions: By name, one value for all samples or one per sample [n, ...]. A condition
                that is not given takes the model's default for sample i. A `label` is the number of
                a class or its name (see `class_names.named`); of data with several labels an
                image, it may be a row [K] of 0 and 1 for each sample. Continuous conditions are in
                the units of the model, as `data.transforms.apply` gives them by `spec.transforms`.

        Returns:
            The samples [n, ...]; images are float32 in [-1, 1]. Of `arrays:` data they are in the
            units of the model; `data.transforms.invert` gives those of the data.

        Raises:
            ValueError: If `n` is negative, if a condition has another length or is not one of
                its `classes`, or if this model's latents cannot be truncated.
        """
        if n < 0:
            raise ValueError(f"{n} samples were requested; expected 0 or more")
        key = jax.random.key(key) if isinstance(key, int) else key
        drawn = self._drawn(
            lambda start, size: _row_keys(key, size, start=start), n, truncation, conditions
        )
        return self.in_values(drawn, given=conditions) if values else drawn

    def sample_seeds(
        self,
        seeds: Sequence[int] | np.ndarray,
        *,
        truncation: float = 1.0,
        values: bool = False,
        **conditions: Any,
    ) -> Array:
        """Draws one sample per seed from the averaged weights (EMA).

        The sample of a seed is `sample(seed, 1)`, whichever other seeds are drawn with it.

        Args:
            seeds: Seeds [n], from 0 to 2**32 - 1.
            truncation: Factor of the latents, in [0, 1] (see `sample`).
            values: Whether images are returned in the values of the training data (see `sample`).
            **conditions: By name, one value for all samples or one per seed [n, ...]. A condition
                that is not given takes the model's default for a first sample.

        Returns:
            The samples [n, ...]; images are float32 in [-1, 1].

        Raises:
            ValueError: If a seed is none, and as for `sample`.
        """
        given = np.asarray(seeds).ravel().tolist()
        wrong = [seed for seed in given if not isinstance(seed, int) or not 0 <= seed <= SEEDS]
        if wrong:
            raise ValueError(f"{wrong[0]} is no seed; expected a whole number from 0 to {SEEDS}")
        words = np.asarray(seeds).astype(np.uint32)
        first = {name: default(1)[0] for name, default in self.gan.defaults}

        def keys(start: int, size: int) -> random.Keys:
            rows = np.minimum(np.arange(start, start + size), max(len(words) - 1, 0))
            return _seed_keys(words[rows] if len(words) else np.zeros(size, np.uint32))

        drawn = self._drawn(keys, len(words), truncation, {**first, **conditions})
        return self.in_values(drawn, given=conditions) if values else drawn

    def in_values(self, images: Array | np.ndarray, *, given: Collection[str] = ()) -> Any:
        """Returns generated images in the values and the type of the training data.

        Args:
            images: Images [..., H, W, C] in [-1, 1].
            given: The conditions that they were drawn from: images translated from 'b' are of 'a'.

        Returns:
            uint8, uint16 or float32 [..., H, W, C], a NumPy array; 12 bits are in [0, 4095].

        Raises:
            ValueError: If the model draws points, or arrays in units of their own.
        """
        if len(self.spec.shape) != 3:
            raise ValueError("the model draws points, which have no range of values")
        if self.spec.transforms:
            raise ValueError(
                "the model draws arrays, which have no range of values; data.transforms.invert "
                "gives them in the units of the data"
            )
        role = "a" if "b" in given and "a" in self.spec.inputs else "b"
        return self.spec.range_of(role).to_values(np.asarray(images))

    @property
    def show(self) -> tuple[int, ...]:
        """Returns the indices of the channels that pictures show; () for the usual ones."""
        return data.bands.fitting(getattr(self.config, "show", None), self.spec.shape[-1])

    def _drawn(
        self,
        keys: Callable[[int, int], random.Keys],
        n: int,
        truncation: float,
        conditions: Mapping[str, Any],
    ) -> Array:
        """Draws n samples in batches of one size; `keys(start, size)` are those of a batch."""
        size = batch_size(len(self.spec.classes))
        total = max(1, -(-n // size)) * size
        conditions = dict(conditions)
        for name, classes in self.classes.items():
            if name in conditions:
                conditions[name] = self._of_classes(conditions[name], classes, name=name)
        given = {
            name: default(total) for name, default in self.gan.defaults if name not in conditions
        }
        given |= {
            name: spread(value, n, total, name=name, shape=self._shape_of(name))
            for name, value in conditions.items()
        }
        batches = [
            {name: values[start : start + size] for name, values in given.items()}
            for start in range(0, total, size)
        ]
        factor = None  # draws as training's own pictures do
        if truncation != 1:
            self._require_truncatable(truncation, batches[0], size)
            factor = np.float32(truncation)
        drawn = [
            _draw(self.state, keys(number * size, size), factor, batch, sample=self.gan.sample)
            for number, batch in enumerate(batches)
        ]
        return jnp.concatenate(drawn)[:n]

    def _of_classes(self, value: Any, classes: Sequence[str], *, name: str) -> Any:
        """Returns class numbers, or vectors [n, K] of 0 and 1 if examples have several labels."""
        given = value if isinstance(value, jax.Array) else np.asarray(value)  # may be traced
        if self.spec.several and given.ndim == 2 and given.dtype.kind in "iufb":
            if given.shape[1] != len(classes) or not np.isin(given, (0, 1)).all():
                raise ValueError(
                    f"the {name} is an array of shape {given.shape}; expected [n, {len(classes)}] "
                    "of 0 and 1, a column for each class"
                )
            return given.astype(np.float32)
        return class_names.numbers(value, classes, name=name)

    def _shape_of(self, name: str) -> tuple[int, ...] | None:
        """Returns the shape of one value of a condition; None if only the game knows it."""
        default = dict(self.gan.defaults).get(name)
        return None if default is None else default(1).shape[1:]

    def _require_truncatable(self, truncation: float, given: dict[str, Array], size: int) -> None:
        """Raises ValueError if truncation has no meaning or no effect for this model."""
        if not 0 <= truncation <= 1:
            raise ValueError(f"the truncation is {truncation}; expected 0 to 1")
        key, sample = jax.random.key(0), self.gan.sample
        starts = range(0, -(-_DRAWS // size) * size, size)
        batches = [_row_keys(key, size, start=start) for start in starts]
        latents = [_latents(self.state, keys, given, sample=sample) for keys in batches]
        if self.gan.categories or not latent_access.are_normal(np.concatenate(latents)):
            raise ValueError(
                "truncation moves latents toward the mean of a normal prior, where they are most "
                "likely, and the latents of this model are not normal (a uniform prior, or codes); "
                "leave the truncation out"
            )
        half, none = (
            _draw(self.state, batches[0], np.float32(factor), given, sample=sample)
            for factor in (0.5, 1.0)
        )
        if bool(jnp.allclose(half, none, atol=1e-5)):
            raise ValueError(
                "truncation has no effect on this model, whose generator normalizes its latents; "
                "leave the truncation out"
            )

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """Returns the class names of the categorical conditions, by condition.

        The classes of the label are those of the data. The classes of a code are numbers.
        """
        found = {name: tuple(map(str, range(count))) for name, count in self.gan.categories}
        if "label" in self.gan.conditions and self.spec.classes:
            found["label"] = self.spec.classes
        return found

    def untrained(self, seed: int) -> TrainedModel:
        """Returns the model before its first train step, with weights initialized from the seed.

        Warning: what the experiment's `begin` takes from the training data is missing, and what a
        new run reads from files, such as a pretrained network that a discriminator looks through.
        """
        return dataclasses.replace(self, state=self.gan.init(jax.random.key(seed)))


def in_pieces(
    function: Callable[[Any, Any], Any], state: Any, images: np.ndarray, *, size: int = 500
) -> Any:
    """Applies a function to images in batches, compiled.

    Args:
        function: `function(state, images)` returns arrays with a first axis of one entry per image.
        state: Its first argument.
        images: Images [N, ...].
        size: Batch size; the last batch may be smaller.

    Returns:
        The results as NumPy arrays [N, ...].
    """
    compiled = jax.jit(function)
    parts = [compiled(state, images[at : at + size]) for at in range(0, len(images), size)]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def load(
    run: str | os.PathLike[str],
    *,
    checkpoint: str | int = "latest",
    seed: int | None = None,
    member: str | int | None = None,
    experiment: experiments.Named | None = None,
    seed_flag: str = "seed=",
    member_flag: str = "member=",
) -> TrainedModel:
    """Returns the trained model in a run directory or an export; see `jaxgan.load`.

    Args:
        run: The run directory, or the folder or a file of an export.
        checkpoint: 'latest', 'best' (by the metric of the evaluation in training) or a number of
            steps.
        seed: Seed of the model in a run of several seeds. It may be None if the run has one seed.
        member: The model in a run of several: its number from 0, or its settings, such as
            'beta1=0.5' or 'beta1=0.5,seed=3'.
        experiment: The experiment that made the run; not needed for the experiments of this
            package.
        seed_flag: What the caller writes before a seed, for messages.
        member_flag: What the caller writes before a member, for messages.

    Raises:
        RunError: If there is no such run, checkpoint, seed or member.
    """
    path = pathlib.Path(run)
    folder = exported.folder_of(path)
    if folder is not None:
        named = {f"{seed_flag}{seed}": seed, f"{member_flag}{member}": member}
        asked = [flag for flag, value in named.items() if value is not None]
        asked += [f"checkpoint {checkpoint}"] if checkpoint != "latest" else []
        if asked:
            raise RunError(f"{path} is an export, which holds one model: leave out {asked[0]}")
        return TrainedModel(*exported.open_folder(folder, experiment=experiment))
    record = run_directory.required_record(path)
    made_by = experiments.recorded(record["experiment"], given=experiment)
    config = made_by.config_from(record["config"], source=path)
    seeds = Seeds.of(config)
    index = seeds.choose(seed, member, path=path, flag=seed_flag, member_flag=member_flag)
    config = config.of_model(index)
    spec = DataSpec.recorded(record["data"])
    saved = _find(path, checkpoint)
    plan = made_by.plan(config, spec, saved=True)
    gan = plan[stages.made_at(plan, saved.step)].build()
    state = seeds.restore(gan, saved, index)
    return TrainedModel(gan, state, config, spec, saved.step)


def data_of(run: pathlib.Path, config: RunConfig) -> data.Splits:
    """Loads the data that a run was trained on.

    They are looked for at `config.data`, in the directory in which the run began and in the current
    one. The recorded digest identifies them.

    Args:
        run: The run directory.
        config: Its configuration. Its `data` may name a new place.

    Raises:
        RunError: If the data cannot be loaded, or have changed since the run was trained.
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
        f"{problem}; if the data have moved, name their new place with --data (of evaluate, "
        "diagnose, nearest, project, report, or of the run itself)"
    ) from problem


def batch_size(classes: int) -> int:
    """Returns the number of samples in a compiled batch.

    It is a multiple of the number of classes, if there are few. Thus labels that cycle through the
    classes continue across batches if the model does not define its default (`GAN.defaults`).

    Args:
        classes: Number of classes of the data; 0 for data without labels.
    """
    return _BATCH // classes * classes if 1 <= classes <= _BATCH else _BATCH


def spread(
    value: Any, n: int, total: int, *, name: str, shape: tuple[int, ...] | None = None
) -> Array:
    """Returns the values of a condition for all compiled batches.

    Args:
        value: One value, or one per sample [n, ...]. A number stands for a value of one number.
        n: Number of samples.
        total: Number of samples in all batches, at least `n`.
        name: Name of the condition, for messages.
        shape: Shape of one value; None if it is not known.

    Returns:
        The values [total, ...]. The last one is repeated as padding.

    Raises:
        ValueError: If there are neither one nor `n` values, or they have another shape.
    """
    values = jnp.asarray(value)
    shape = values.shape[1:] if shape is None else shape
    if shape == (1,) and values.ndim < 2:
        values = values.reshape(-1, 1)
    if values.shape in ((), shape) or values.shape == (1, 1) == (1, *shape):
        return jnp.broadcast_to(values, (total, *shape))
    if len(values) != n:
        raise ValueError(
            f"the condition {name!r} has {len(values)} entries for {n} samples; "
            f"give one value or {n}"
        )
    if values.shape[1:] != shape:
        raise ValueError(
            f"the condition {name!r} has values of shape {values.shape[1:]}; expected {shape}"
        )
    if n == 0:
        return jnp.zeros((total, *values.shape[1:]), values.dtype)
    return values[jnp.minimum(jnp.arange(total), n - 1)]


_row_keys = jax.jit(random.row_keys, static_argnames=("count",))
_seed_keys = jax.jit(random.seed_keys)


@partial(jax.jit, static_argnames=("sample",))
def _draw(
    state: Any,
    keys: random.Keys,
    factor: np.float32 | None,
    conditions: dict[str, Array],
    *,
    sample: Callable[..., Array],
) -> Array:
    """Draws the samples of one batch; a factor scales the latents."""
    state = state.averaged()
    if factor is not None:
        state = latent_access.changed(state, lambda latents: factor * latents)
    return sample(state, keys, **conditions)


@partial(jax.jit, static_argnames=("sample",))
def _latents(
    state: Any, keys: random.Keys, conditions: dict[str, Array], *, sample: Callable[..., Array]
) -> Array:
    """Returns the latents of the samples of one batch."""
    return latent_access.read(state.averaged(), lambda state: sample(state, keys, **conditions))


def _find(path: pathlib.Path, which: str | int) -> saved_state.Saved:
    """Returns the checkpoint 'latest', 'best' or of a step. Raises RunError if there is none."""
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
                f"{path} has no best checkpoint: no metric was evaluated in training "
                "(--evaluate-every); use 'latest' or a number of steps"
            )
        return checkpoint.read(folder, held[0])
    if which not in steps:
        raise RunError(
            f"{path} has no checkpoint {which!r}; there are 'latest' and the steps {steps}"
        )
    return checkpoint.read(folder, int(which))
