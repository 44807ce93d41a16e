"""The settings of a run that every experiment shares, and what a model must know of its data.

Imports no JAX: `--help` is instant.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from jaxgan.runs.ranges import Count, Positive, Range

if TYPE_CHECKING:
    from jaxgan import data


MAY_CHANGE = frozenset(
    {
        "steps",
        "workdir",
        "data",
        "data_dir",
        "holdout",
        "log_every",
        "sample_every",
        "checkpoint_every",
        "keep",
        "evaluate_every",
        "evaluate",
        "evaluate_samples",
        "inception",
        "inception_sha256",
        "evaluate_features",
        "evaluate_features_sha256",
        "keep_best",
        "overwrite",
        "profile",
        "cache",
    }
)
"""Fields that may change when a run goes on, as no number of a step depends on them; on `steps`
some do where step sizes fall (`RunConfig.falls_to_the_end`), and the run then says so. Data may be
found elsewhere, or held out by a list elsewhere: their digest, which is recorded, must be the same.
"""


MetricName = Literal["fid", "fid_infinity", "kid", "prdc", "inception_score", "swd", "ms_ssim"]
"""What samples can be measured by, see `jaxgan evaluate`."""


class DataSpec(NamedTuple):
    """What a model must know of the data.

    shape:   of what is to be drawn, (H, W, C) or (D,): of 'image', or of 'b' where there are two
             domains.
    classes: the names of the labels.
    inputs:  by role, the shapes of what else an example holds, such as 'a'.
    """

    shape: tuple[int, ...]
    classes: tuple[str, ...] = ()
    inputs: Mapping[str, tuple[int, ...]] = MappingProxyType({})

    @classmethod
    def of(cls, source: data.Source) -> DataSpec:
        """What there is to know of these data."""
        return cls(tuple(source.shape), tuple(source.classes), dict(source.inputs))

    @classmethod
    def recorded(cls, record: Mapping[str, Any]) -> DataSpec:
        """What `record` gave; older records know of no inputs."""
        inputs = {role: tuple(shape) for role, shape in record.get("inputs", {}).items()}
        return cls(tuple(record["shape"]), tuple(record["classes"]), inputs)

    def record(self) -> dict[str, Any]:
        """The same in the terms of JSON."""
        inputs = {role: list(shape) for role, shape in self.inputs.items()}
        return {"shape": list(self.shape), "classes": list(self.classes), "inputs": inputs}


@dataclasses.dataclass(frozen=True)
class DataFlags:
    """Which data to train on, and how they are prepared."""

    GROUP: ClassVar[str] = "data"

    data: str = "fashion"
    """fashion, flowers, folder:PATH, npz:PATH, tfds:NAME, ring, grid or gauss1d."""
    data_dir: str | None = None
    """For tfds: folder of the prepared sets or of the original files."""
    resolution: str | None = None
    """Size of the images, such as 64 or 64x96 (height x width); default: as they are."""
    resize: Literal["crop", "pad", "stretch"] = "crop"
    """How to bring images to the resolution."""
    holdout: Annotated[float | str | None, Range(0, 1, open_high=True)] = None
    """Fraction of the data to hold out, or a file that lists it; default: the set's own or 0.1."""
    flip: bool = False
    """Mirror training images left to right at random."""
    channels: Annotated[int | None, Range(1, 4)] = None
    """1 (grayscale), 3 (color) or 4 (with transparency); default: as the images are."""


@dataclasses.dataclass(frozen=True)
class OptimizationFlags:
    """How long to train, and on what batches."""

    GROUP: ClassVar[str] = "optimization"

    steps: Positive = 2000
    """Train steps in all; a larger number continues a finished run."""
    batch_size: Positive = 64
    """Examples in each update of a player."""
    seed: Annotated[int, Range(0, 2**31 - 1)] = 0
    """Decides initial weights, order of the data and noise."""
    seeds: Annotated[int, Range(1, 4096)] = 1
    """Train this many models at once, of seeds SEED, SEED + 1, ...; each equals its single run."""
    steps_per_call: Positive = 1
    """Train steps in one compiled call; pictures and checkpoints wait for the end of a call."""
    parallel: Literal["jit", "shard_map", "pmap"] = "jit"
    """How to run a step on several devices; the batch is split over all of them."""


@dataclasses.dataclass(frozen=True)
class RunFlags:
    """What the run directory holds, and how often it is written to."""

    GROUP: ClassVar[str] = "run"

    preset: Literal["quick", "paper", "smoke"] = "quick"
    """Defaults of the other flags: minutes on a CPU, the paper's, or seconds."""
    workdir: str | None = None
    """Run directory (default: runs/NAME-DATE); a run in it is continued as recorded."""
    overwrite: bool = False
    """Delete the run in the directory and start again."""
    init_from: str | None = None
    """Fine-tune: start from the latest weights of this run, with fresh optimizers; it also gives
    the sizes of networks and images that are not given here.
    """
    first_stage: Annotated[int | None, Range(1)] = None
    """The stage, from 1, that a run in stages begins in; default: the first, or with --init-from
    that of its weights.
    """
    log_every: Positive = 50
    """Log metrics averaged over this many steps."""
    sample_every: Count = 500
    """Steps between sample pictures; 0: only at the end."""
    checkpoint_every: Count = 500
    """Steps between checkpoints; 0: only at the end."""
    keep: Positive = 3
    """How many of the latest checkpoints to keep."""
    profile: Count = 0
    """Trace this many steps, once compiled, to profile/ for TensorBoard or Perfetto."""
    cache: bool = True
    """Keep compiled programs in the user's cache folder, so that the next start is quick."""


@dataclasses.dataclass(frozen=True)
class EvaluationFlags:
    """How to evaluate the model while it trains."""

    GROUP: ClassVar[str] = "evaluation"

    evaluate_every: Count = 0
    """Steps between evaluations, which also choose the best checkpoint; 0: never."""
    evaluate: tuple[MetricName, ...] = ()
    """Metrics, see `jaxgan evaluate`; the first chooses the best checkpoint. Default: fid, or swd
    for images that the feature network does not know.
    """
    evaluate_samples: Positive = 2048
    """How many images to sample; results of different counts do not compare."""
    inception: str | None = None
    """Weights of FID's Inception network; default: the garment classifier (proxy), and for color
    images EfficientNet-Lite0.
    """
    inception_sha256: str | None = None
    """First digits of the weights' sha256, if the file's name does not end in them."""
    evaluate_features: str | None = None
    """Weights of EfficientNet-Lite0; default: those of the extra 'features'."""
    evaluate_features_sha256: str | None = None
    """First digits of the sha256 of these weights."""
    keep_best: Positive = 1
    """How many of the best checkpoints to keep, next to the latest."""


@dataclasses.dataclass(frozen=True)
class RunConfig(EvaluationFlags, RunFlags, OptimizationFlags, DataFlags):
    """The flags of every experiment.

    An experiment's own flags are the fields of its subclass. `GROUP` is the heading of a class's
    own fields in `--help`; `REFUSED` names inherited fields that the experiment does not offer.
    """

    GROUP: ClassVar[str] = "model"
    REFUSED: ClassVar[tuple[str, ...]] = ()

    NETWORK: ClassVar[tuple[str, ...]] = ()
    """The fields of a class that decide, with those of its bases, what the networks are: a run that
    starts from another takes them from it.
    """

    @property
    def skipped_stages(self) -> int:
        """Returns how many stages the run leaves out at its beginning."""
        return (self.first_stage or 1) - 1

    @property
    def rows_per_step(self) -> int:
        """Examples a model's train step takes: several batches where a player has several
        updates.
        """
        return self.batch_size

    @property
    def member_seeds(self) -> tuple[int, ...]:
        """The seeds of the models that train together."""
        return tuple(range(self.seed, self.seed + self.seeds))

    @property
    def falls_to_the_end(self) -> bool:
        """Whether step sizes fall to the run's last step, so that a step depends on how many there
        are to be.
        """
        return False

    @property
    def data_options(self) -> dict[str, Any]:
        """Further options of `data.load`: what an experiment learns from where that is not single
        images, such as {"kind": "pairs"}.
        """
        return {}
