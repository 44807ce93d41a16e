"""What a run directory holds of a game's health: the log's columns, what the checkpoints' players
say of real images, known and unknown, and what they draw.
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

_TURNS = 12  # train steps in which every player of any game known here has had its turn


@dataclasses.dataclass(frozen=True)
class Record:
    """What a run said of itself.

    saved:   the steps that have a checkpoint.
    running: whether a process is at it now.
    """

    path: pathlib.Path
    experiment: experiments.Experiment
    config: RunConfig
    spec: DataSpec
    plan: tuple[stages.Stage, ...]
    saved: tuple[int, ...]
    running: bool


def record(path: pathlib.Path, *, given: experiments.Named | None = None) -> Record:
    """The record of the run; RunError where there is none."""
    found = run_directory.required_record(path)
    experiment = experiments.recorded(found["experiment"], given=given)
    config = experiment.config_from(found["config"], source=path)
    spec = DataSpec.recorded(found["data"])
    return Record(
        path,
        experiment,
        config,
        spec,
        experiment.plan(config, spec),
        tuple(checkpoint.steps_in(path / "checkpoints")),
        run_directory.is_claimed(path),
    )


# --- the log --------------------------------------------------------------------------------------


def columns(path: pathlib.Path, *, model_seed: int | None = None) -> dict[str, Series]:
    """The columns of the log, by name; of several models those of the seed `member`.

    A row has only what its steps reported. What a crash left of a last line is not read.
    """
    found: dict[str, list[tuple[int, float]]] = {}
    for row in metric_log.rows(run_directory.RunDirectory(path).metrics):
        for name, value in _of_seed(row, model_seed).items():
            found.setdefault(name, []).append((row["step"], float(value)))
    return {
        name: Series(np.array([step for step, _ in pairs]), np.array([value for _, value in pairs]))
        for name, pairs in found.items()
    }


def _of_seed(row: Mapping[str, Any], model_seed: int | None) -> dict[str, float]:
    """The metrics of a row, or those of one of its members."""
    if model_seed is not None and "members" in row:
        seeds = row["members"]["seed"]
        values = {k: v for k, v in row["members"].items() if k != "seed"}
        return {name: of_seeds[seeds.index(model_seed)] for name, of_seeds in values.items()}
    left_out = (*metric_log.NO_NUMBERS, *metric_log.TIMES)
    return {name: value for name, value in row.items() if name not in left_out}


def reason(path: pathlib.Path) -> str | None:
    """Why the run ended, in its own words; None where it ended well, or could not say."""
    try:
        lines = (
            files.read(run_directory.RunDirectory(path).log).decode(errors="replace").splitlines()
        )
    except OSError:  # none, or none that can be read
        return None
    if not lines or not lines[-1].startswith(progress.FAILED):
        return None
    return lines[-1].removeprefix(progress.FAILED)


def judges(names: Mapping[str, Any]) -> list[str]:
    """The players that tell real from fake, by the columns they report."""
    ending = "/real_logit"
    return [n.removesuffix(ending) for n in names if n.endswith(ending)]


def lead(columns: Mapping[str, Series], judge: str) -> Series:
    """By how much the judge's mean logit of real images exceeds that of fakes."""
    steps, (real, fake) = together(columns[f"{judge}/real_logit"], columns[f"{judge}/fake_logit"])
    return Series(steps, real - fake)


def accuracies(
    columns: Mapping[str, Series], judge: str, loss: str
) -> tuple[Series, Series] | None:
    """How often the judge is right on real images and on fakes; None where its logits do not say.

    Of a relativistic loss it is, for both, the probability that the loss gives the mean lead.
    """
    given = [columns.get(f"{judge}/{kind}_accuracy") for kind in ("real", "fake")]
    if given[0] is not None and given[1] is not None:
        return given[0], given[1]
    if loss not in losses.LOSSES or not losses.by_name(loss).relativistic:
        return None
    ahead = lead(columns, judge)
    ranked = Series(ahead.steps, 1 / (1 + np.exp(-ahead.values)))
    return ranked, ranked


def skill(columns: Mapping[str, Series], judge: str, loss: str) -> Series | None:
    """The share of its loss of this name that the judge has gained on one that knows nothing, at
    most: its loss at its mean logits, as all of them are convex. None where there is no loss of
    that name, or its unit is the critic's own.
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
    """The share of the judge's slope that the generator's loss of this name passes on: its
    derivative by the fakes' mean logit over that at an undecided judge. None where there is no loss
    of that name, or that derivative is zero.
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
    """The step at which the log ends."""
    return max((int(column.steps[-1]) for column in columns.values()), default=0)


# --- the checkpoints ------------------------------------------------------------------------------


def load(found: Record, which: str | int, model_seed: int | None) -> TrainedModel:
    """The model of a checkpoint; RunError where there is none such."""
    return trained_model.load(
        found.path, checkpoint=which, seed=model_seed, experiment=found.experiment.module
    )


def without_shared_noise(found: Record, step: int) -> GAN:
    """The model that made the state of a step, each of whose objectives draws by itself."""
    config = found.config
    if getattr(config, "shared_noise", False):
        config = dataclasses.replace(config, shared_noise=False)  # type: ignore[call-arg]
    plan = found.experiment.plan(config, found.spec)
    return plan[stages.made_at(plan, step)].build()


def backwards(
    found: Record, latest: TrainedModel, model_seed: int | None
) -> Iterator[TrainedModel]:
    """The models of earlier checkpoints of the same stage, the latest first, each by the functions
    of the one given: nothing compiles again.
    """
    stage = stages.made_at(found.plan, latest.step)
    for step in sorted((s for s in found.saved if s < latest.step), reverse=True):
        if stages.made_at(found.plan, step) != stage:
            return
        try:
            earlier = load(found, step, model_seed)
        except RunError:  # damaged
            return
        leaves = jax.tree.leaves(earlier.state)
        state = jax.tree.unflatten(jax.tree.structure(latest.state), leaves)
        yield dataclasses.replace(latest, state=state, step=step)


def first_step(
    found: Record,
    latest: TrainedModel,
    model_seed: int | None,
    holds: Callable[[TrainedModel], bool],
) -> int:
    """The first checkpoint from which on `holds`, which is true of the latest one."""
    since = latest.step
    for earlier in backwards(found, latest, model_seed):
        if not holds(earlier):
            break
        since = earlier.step
    return since


def splits(found: Record) -> data.Splits:
    """The run's data; RunError where they cannot be had or are no longer the same."""
    return data_of(found.path, found.config)


def sides(given: data.Splits, count: int) -> Sides:
    """What to compare samples with: `count` different examples, or as many as both sides have."""
    have = [len(part) for part in given[:2] if isinstance(part, data.Dataset)]
    size = min([count, *have])

    def some(source: data.Source) -> np.ndarray:
        if isinstance(source, data.Dataset):  # a batch may hold some of them more than once
            return sample_signals.rows(source.float_images(source.evenly(size)))
        return sample_signals.rows(source.batch(seed=0, step=0, size=size)["image"])

    known, unknown = map(some, given[:2])
    return Sides(known, unknown, given.train if isinstance(given.train, data.Mixture) else None)


def textures(given: data.Splits, count: int) -> tuple[Texture, Texture] | None:
    """The texture of the images of `sides`; None where the data are no images, or have none to
    compare (`texture.why_not`).
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
    """For each of the sources, what train steps on its examples report while no player moves: by
    name, the means [N] of those of its batches in which anything was seen, N from 1 to `batches`.

    The discriminators judge as they do in training, batches of a step's size, with their noise and
    through their views, at the checkpoint's own step or, where the players' turns leave them out of
    that, at the next that is theirs.
    """
    report = _reporting(trained.gan)

    def means(source: data.Source, number: int, ahead: int) -> dict[str, float]:
        batch = source.batch(seed=trained.config.seed, step=number, size=rows)
        # Other draws at each batch, at the same step: another may report other metrics.
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


@functools.lru_cache(maxsize=1)  # earlier checkpoints of the same model compile nothing again
def _reporting(gan: GAN) -> Callable[[Any, Batch], Metrics]:
    @jax.jit
    def report(state: Any, batch: Batch) -> Metrics:
        return gan.step(stability.held(state), batch)[1]

    return report


# --- the pictures ---------------------------------------------------------------------------------


def pictured(found: Record) -> Iterator[tuple[int, np.ndarray]]:
    """The samples [N, H, W, C] in [-1, 1] in the run's pictures, the latest first, by step; nothing
    where its pictures are not grids of samples.
    """
    shape = found.spec.shape
    grids = len(shape) == 3 and shape[2] in (1, 3, 4) and not found.spec.inputs
    if found.experiment.picture is not None or found.config.seeds > 1 or not grids:
        return
    folder = run_directory.RunDirectory(found.path).samples
    # By number: from step 1,000,000 on names have more digits. Others are the user's own.
    by_step = {int(path.stem): path for path in folder.glob("*.png") if path.stem.isdigit()}
    for step in sorted(by_step, reverse=True):
        with Image.open(by_step[step]) as picture:
            yield step, tiles(np.asarray(picture), shape)


def tiles(picture: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The images [N, H, W, C] in [-1, 1] of which `image_grids.grid` made the picture."""
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
