"""Reads from a run directory what is needed to examine it.

These are the log's columns, the discriminators' logits of training and held-out images, and samples
of the checkpoints.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from jaxgan import data, files, losses
from jaxgan.games import stability, stages
from jaxgan.plotting import image_grids
from jaxgan.runs import (
    checkpoint,
    experiments,
    metric_log,
    progress,
    run_directory,
    trained_model,
)
from jaxgan.runs.config import DataSpec, RunConfig
from jaxgan.runs.errors import RunError
from jaxgan.runs.trained_model import TrainedModel, data_of
from jaxgan.tools.diagnosis import sample_signals, texture
from jaxgan.tools.diagnosis.finding import Series, together
from jaxgan.tools.diagnosis.sample_signals import Sides
from jaxgan.tools.diagnosis.texture import Texture
from jaxgan.types import GAN, Batch, Metrics

_TURNS = 12  # train steps in which every player of any of the games is updated


@dataclasses.dataclass(frozen=True)
class Record:
    """The record of a run.

    Attributes:
        path: The run directory.
        experiment: The experiment that made the run.
        config: Its configuration.
        spec: Its data.
        plan: Its stages.
        saved: The steps that have a checkpoint.
        running: Whether a process is training it now.
    """

    path: pathlib.Path
    experiment: experiments.Experiment
    config: RunConfig
    spec: DataSpec
    plan: tuple[stages.Stage, ...]
    saved: tuple[int, ...]
    running: bool


def record(path: pathlib.Path, *, given: experiments.Named | None = None) -> Record:
    """Reads the record of a run.

    Args:
        path: The run directory.
        given: The experiment, if it is the user's own.

    Raises:
        RunError: If there is no such run.
    """
    found = run_directory.required_record(path)
    experiment = experiments.recorded(found["experiment"], given=given)
    config = experiment.config_from(found["config"], source=path)
    spec = DataSpec.recorded(found["data"])
    return Record(
        path,
        experiment,
        config,
        spec,
        experiment.plan(config, spec, saved=True),
        tuple(checkpoint.steps_in(path / "checkpoints")),
        run_directory.is_claimed(path),
    )


# --- the log --------------------------------------------------------------------------------------


def columns(path: pathlib.Path, *, member: int | None = None) -> dict[str, Series]:
    """Reads the columns of the log, by name.

    A row has only what its steps reported. An incomplete last line, left by a crash, is ignored.

    Args:
        path: The run directory.
        member: Index of the model whose columns are read, if the run trained several.
    """
    return columns_of(metric_log.rows(run_directory.RunDirectory(path).metrics), member=member)


def columns_of(rows: Sequence[metric_log.Row], *, member: int | None = None) -> dict[str, Series]:
    """Returns the columns of rows of a log, by name.

    Args:
        rows: The rows.
        member: Index of the model whose columns are returned, if the run trained several.
    """
    found: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        for name, value in _of_member(row, member).items():
            found.setdefault(name, []).append((row["step"], float(value)))
    return {
        name: Series(np.array([step for step, _ in pairs]), np.array([value for _, value in pairs]))
        for name, pairs in found.items()
    }


def _of_member(row: metric_log.Row, member: int | None) -> dict[str, float]:
    """Returns the metrics of a row, or those of one of its members."""
    members = metric_log.members(row)
    if member is not None and members is not None:
        return {name: values[member] for name, values in members.numbers.items()}
    left_out = (*metric_log.NO_NUMBERS, *metric_log.TIMES)
    return {name: value for name, value in row.items() if name not in left_out}


def reason(path: pathlib.Path) -> str | None:
    """Returns the run's last error message; None if the run ended without one."""
    try:
        log = files.read(run_directory.RunDirectory(path).log)
    except OSError:  # there is no readable log
        return None
    lines = log.decode(errors="replace").rstrip("\n").split("\n")
    if not lines[-1].startswith(progress.FAILED):
        return None
    return lines[-1].removeprefix(progress.FAILED)


def judges(names: Mapping[str, Any]) -> list[str]:
    """Returns the names of the discriminators, by the columns that they report."""
    ending = "/real_logit"
    return [n.removesuffix(ending) for n in names if n.endswith(ending)]


def lead(columns: Mapping[str, Series], judge: str) -> Series:
    """Computes the discriminator's mean logit of real images minus that of fakes.

    Args:
        columns: The columns of the log.
        judge: Name of the discriminator.
    """
    steps, (real, fake) = together(columns[f"{judge}/real_logit"], columns[f"{judge}/fake_logit"])
    return Series(steps, real - fake)


def accuracies(
    columns: Mapping[str, Series], judge: str, loss: str
) -> tuple[Series, Series] | None:
    """Returns the discriminator's accuracy on real images and on fakes.

    For a relativistic loss both are the fraction of pairs that are ranked right; logs without it
    give the probability that the loss assigns to the mean lead.

    Args:
        columns: The columns of the log.
        judge: Name of the discriminator.
        loss: Name of the loss.

    Returns:
        Both accuracies; None if the logits do not define any.
    """
    given = [columns.get(f"{judge}/{kind}_accuracy") for kind in ("real", "fake")]
    if given[0] is not None and given[1] is not None:
        return given[0], given[1]
    ranked = columns.get(f"{judge}/ranking_rate")
    if ranked is not None:
        return ranked, ranked
    if loss not in losses.LOSSES or not losses.by_name(loss).relativistic:
        return None
    ahead = lead(columns, judge)
    ranked = Series(ahead.steps, 1 / (1 + np.exp(-ahead.values)))
    return ranked, ranked


def skill(columns: Mapping[str, Series], judge: str, loss: str) -> Series | None:
    """Computes by what fraction the discriminator's loss is below chance level, at most.

    It is computed from the loss at the mean logits, as all losses are convex.

    Args:
        columns: The columns of the log.
        judge: Name of the discriminator.
        loss: Name of the loss.

    Returns:
        The fraction; None if there is no loss of this name, or it has no decision boundary.
    """
    if loss not in losses.LOSSES:
        return None
    found = losses.by_name(loss)
    boundary = 0.0 if found.relativistic else found.boundary
    if boundary is None:
        return None
    steps, (real, fake) = together(columns[f"{judge}/real_logit"], columns[f"{judge}/fake_logit"])

    def lost(real: jax.Array, fake: jax.Array) -> jax.Array:
        return jnp.sum(found.discriminator(real[None], fake[None]))

    nothing = float(lost(jnp.float32(boundary), jnp.float32(boundary)))
    now = np.asarray(jax.vmap(lost)(jnp.asarray(real), jnp.asarray(fake)), np.float64)
    return Series(steps, 1 - now / nothing) if nothing > 0 else None


def passed_on(columns: Mapping[str, Series], judge: str, loss: str) -> Series | None:
    """Computes the fraction of the discriminator's gradient that the generator's loss passes on.

    It is the loss's derivative at the fakes' mean logit over that at an undecided discriminator's.

    Args:
        columns: The columns of the log.
        judge: Name of the discriminator.
        loss: Name of the loss.

    Returns:
        The fraction; None if there is no loss of this name, or the latter derivative is zero.
    """
    if loss not in losses.LOSSES:
        return None
    generator = losses.by_name(loss).generator

    def slope(fake: jax.Array, real: jax.Array) -> jax.Array:
        return jnp.abs(jax.grad(lambda v: jnp.sum(generator(v[None], real[None])))(fake))

    steps, (real, fake) = together(columns[f"{judge}/real_logit"], columns[f"{judge}/fake_logit"])
    undecided = float(slope(jnp.zeros(()), jnp.zeros(())))
    if not undecided > 0:
        return None
    slopes = jax.vmap(slope)(jnp.asarray(fake), jnp.asarray(real))
    return Series(steps, np.asarray(slopes, np.float64) / undecided)


def last_step(columns: Mapping[str, Series]) -> int:
    """Returns the step at which the log ends."""
    return max((int(column.steps[-1]) for column in columns.values()), default=0)


# --- the checkpoints ------------------------------------------------------------------------------


def load(found: Record, which: str | int, member: int | None) -> TrainedModel:
    """Loads the model of a checkpoint.

    Args:
        found: The record of the run.
        which: The checkpoint: 'latest', 'best' or a step.
        member: Index of the model, if the run trained several.

    Raises:
        RunError: If there is no such model.
    """
    return trained_model.load(
        found.path, checkpoint=which, member=member, experiment=found.experiment.module
    )


def without_shared_noise(found: Record, step: int) -> GAN:
    """Returns the model of a step's stage, whose objectives draw their own noise.

    Args:
        found: The record of the run.
        step: The step.
    """
    config = found.config
    if getattr(config, "shared_noise", False):
        config = dataclasses.replace(config, shared_noise=False)  # type: ignore[call-arg]
    plan = found.experiment.plan(config, found.spec, saved=True)
    return plan[stages.made_at(plan, step)].build()


def backwards(found: Record, latest: TrainedModel, member: int | None) -> Iterator[TrainedModel]:
    """Yields the models of earlier checkpoints of the same stage, the latest first.

    They use the functions of the given model, so that nothing is compiled again.

    Args:
        found: The record of the run.
        latest: The given model.
        member: Index of the model, if the run trained several.
    """
    stage = stages.made_at(found.plan, latest.step)
    for step in sorted((s for s in found.saved if s < latest.step), reverse=True):
        if stages.made_at(found.plan, step) != stage:
            return
        try:
            earlier = load(found, step, member)
        except RunError:  # a damaged checkpoint
            return
        leaves = jax.tree.leaves(earlier.state)
        state = jax.tree.unflatten(jax.tree.structure(latest.state), leaves)
        yield dataclasses.replace(latest, state=state, step=step)


def first_step(
    found: Record,
    latest: TrainedModel,
    member: int | None,
    holds: Callable[[TrainedModel], bool],
) -> int:
    """Returns the first checkpoint since which `holds` is true.

    Args:
        found: The record of the run.
        latest: The latest model, for which it is true.
        member: Index of the model, if the run trained several.
        holds: The condition.
    """
    since = latest.step
    for earlier in backwards(found, latest, member):
        if not holds(earlier):
            break
        since = earlier.step
    return since


def splits(found: Record) -> data.Splits:
    """Returns the run's data.

    Raises:
        RunError: If the data are missing or have changed.
    """
    return data_of(found.path, found.config)


def sides(given: data.Splits, count: int) -> Sides:
    """Returns the real examples to compare samples with.

    Args:
        given: The data.
        count: Number of different examples, or fewer if a split has fewer.
    """
    have = [len(part) for part in given[:2] if isinstance(part, data.Dataset)]
    size = min([count, *have])

    def some(source: data.Source) -> np.ndarray:
        if isinstance(source, data.Dataset):  # a batch may repeat some examples
            return sample_signals.rows(source.float_images(source.evenly(size)))
        return sample_signals.rows(source.batch(seed=0, step=0, size=size)["image"])

    known, unknown = map(some, given[:2])
    return Sides(known, unknown, given.train if isinstance(given.train, data.Mixture) else None)


def textures(given: data.Splits, count: int) -> tuple[Texture, Texture] | None:
    """Returns the textures of the images of `sides`; None if they have none (`texture.why_not`).

    Args:
        given: The data.
        count: Number of images, or fewer if a split has fewer.
    """
    known, unknown = given[:2]
    if not isinstance(known, data.Dataset) or not isinstance(unknown, data.Dataset):
        return None
    if texture.why_not(known.images.shape[1:]) is not None:
        return None
    size = min(count, len(known), len(unknown))
    one, other = (texture.of(part.float_images(part.evenly(size))) for part in (known, unknown))
    return one, other


def said(
    trained: TrainedModel, sources: Sequence[data.Source], *, rows: int, batches: int
) -> list[dict[str, np.ndarray]]:
    """Returns, for each source, what train steps on its examples report while no player is updated.

    The discriminators are applied as in training: to batches of the training's batch size, with
    their noise and input transforms, at the checkpoint's step. If they are not updated in that
    step, the next step in which they are is used.

    Args:
        trained: The model.
        sources: The sources of examples.
        rows: Batch size.
        batches: Number of batches.

    Returns:
        For each source, by name, the means of the batches in which the metric was reported, [N], N
        from 1 to `batches`.
    """
    report = _reporting(trained.gan)

    def means(source: data.Source, number: int, ahead: int) -> dict[str, float]:
        batch = source.batch(seed=trained.config.seed, step=number, size=rows)
        # Other random numbers for each batch, but the same step: another one may report other
        # metrics.
        state = trained.state.replace(
            step=trained.state.step + ahead, rng=jax.random.fold_in(trained.state.rng, number)
        )
        pairs = jax.device_get(report(state, batch))
        return {name: float(total / count) for name, (total, count) in pairs.items() if count}

    turns = (ahead for ahead in range(_TURNS) if judges(means(sources[0], 0, ahead)))
    ahead = next(turns, 0)
    found = []
    for source in sources:
        seen = [means(source, number, ahead) for number in range(batches)]
        names = dict.fromkeys(name for one in seen for name in one)
        found.append({name: np.array([one[name] for one in seen if name in one]) for name in names})
    return found


@functools.lru_cache(maxsize=1)  # earlier checkpoints of the same model are not compiled again
def _reporting(gan: GAN) -> Callable[[Any, Batch], Metrics]:
    @jax.jit
    def report(state: Any, batch: Batch) -> Metrics:
        return gan.step(stability.held(state), batch)[1]

    return report


# --- the pictures ---------------------------------------------------------------------------------


def pictured(found: Record) -> Iterator[tuple[int, np.ndarray]]:
    """Yields the samples [N, H, W, C] in [-1, 1] of the run's image files, the latest first.

    Nothing is yielded if the files are not grids of samples.

    Yields:
        The step and its samples.
    """
    shape = found.spec.shape
    whole = len(shape) == 3 and shape[2] in data.bands.PICTURES and not found.config.show
    grids = whole and not found.spec.inputs
    if found.experiment.picture is not None or found.config.models > 1 or not grids:
        return
    for step, path in reversed(picture_files(found.path).items()):
        with Image.open(path) as picture:
            yield step, tiles(np.asarray(picture), shape)


def picture_files(path: pathlib.Path) -> dict[int, pathlib.Path]:
    """Returns the files of the run's sample pictures by step, the earliest first.

    Args:
        path: The run directory.
    """
    folder = run_directory.RunDirectory(path).samples
    # Sorted by number, as names have more digits from step 1,000,000 on. Other names are ignored.
    by_step = {int(path.stem): path for path in folder.glob("*.png") if path.stem.isdigit()}
    return dict(sorted(by_step.items()))


def tiles(picture: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the images [N, H, W, C] in [-1, 1] of a picture made by `image_grids.grid`.

    Args:
        picture: The picture, uint8.
        shape: Shape (H, W, C) of an image.
    """
    height, width, channels = shape
    gap, factor = image_grids.GAP, image_grids.enlargement(height, width)
    sheet = picture[::factor, ::factor].reshape(math.ceil(picture.shape[0] / factor), -1, channels)
    rows, columns = (
        (sheet.shape[0] - gap) // (height + gap),
        (sheet.shape[1] - gap) // (width + gap),
    )
    cut = [
        sheet[top : top + height, left : left + width]
        for top in gap + np.arange(rows) * (height + gap)
        for left in gap + np.arange(columns) * (width + gap)
    ]
    return data.to_float(np.stack(cut))
