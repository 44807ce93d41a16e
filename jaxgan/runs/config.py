"""The settings of a run that every experiment shares, and what a model must know of its data.

Imports no JAX: `--help` is instant.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from jaxgan import data


MAY_CHANGE = frozenset(
    {
        "steps",
        "workdir",
        "data_dir",
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
some do where step sizes fall (`Common.falls_to_the_end`), and the run then says so.
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
class RunConfig:
    """The flags of every experiment."""

    steps: int = 2000
    """Train steps in all; a larger number continues a finished run."""
    batch_size: int = 64
    """Examples in each update of a player."""
    seed: int = 0
    """Decides initial weights, order of the data and noise."""
    seeds: int = 1
    """Train this many models at once, of seeds SEED, SEED + 1, ...; each is its single run."""
    workdir: str | None = None
    """The run directory (default: runs/NAME-DATE); a run in it is continued as recorded."""
    data: str = "fashion"
    """fashion, folder:PATH, npz:PATH, tfds:NAME, ring, grid or gauss1d."""
    data_dir: str | None = None
    """For tfds: the folder of prepared sets or of the original """
    resolution: str | None = None
    """Size of the images, like 64 or 64x96 (height x width); default: as they are."""
    resize: Literal["crop", "pad", "stretch"] = "crop"
    """How images are brought to the resolution."""
    holdout: float | str | None = None
    """Share of the data not trained on, or a file that lists it; default: the set's own or 0.1."""
    flip: bool = False
    """Mirror training images left to right at random."""
    channels: int | None = None
    """1 (grayscale), 3 (color) or 4 (with transparency); default: as the images are."""
    log_every: int = 50
    """Steps a row of metrics is the mean of."""
    sample_every: int = 500
    """Steps between pictures of samples; 0: only at the end."""
    checkpoint_every: int = 500
    """Steps between checkpoints; 0: only at the end."""
    keep: int = 3
    """How many of the latest checkpoints to keep."""
    evaluate_every: int = 0
    """Steps between measurements of the samples, by which the best checkpoint is kept; 0: never."""
    evaluate: tuple[MetricName, ...] = ("fid",)
    """What to measure, see `jaxgan evaluate`; the first chooses the best checkpoint."""
    evaluate_samples: int = 2048
    """How many images to draw for it; numbers of different counts do not compare."""
    inception: str | None = None
    """Weights of FID's Inception to measure by; default: the classifier of garments (proxy), and
    for color images EfficientNet-Lite0."""
    inception_sha256: str | None = None
    """What the sha256 of these weights begins with, where their name does not end in it."""
    evaluate_features: str | None = None
    """Weights of EfficientNet-Lite0 to measure by; default: the extra 'features'."""
    evaluate_features_sha256: str | None = None
    """What the sha256 of these weights begins with, where their name does not end in it."""
    keep_best: int = 1
    """How many of the best checkpoints to keep, beside the latest."""
    steps_per_call: int = 1
    """Train steps in one compiled call; pictures and checkpoints fall on the next end of a call."""
    parallel: Literal["jit", "shard_map", "pmap"] = "jit"
    """How a step runs on several devices; the batch is split over all of them."""
    preset: Literal["quick", "paper", "smoke"] = "quick"
    """Defaults of the other flags: minutes on a CPU, as in the paper, or seconds."""
    overwrite: bool = False
    """Delete the run in the directory and start afresh."""
    init_from: str | None = None
    """A run whose latest weights to start from, with fresh optimizers (fine-tuning)."""
    profile: int = 0
    """Trace this many steps, once compiled, to profile/ for TensorBoard or Perfetto."""
    cache: bool = True
    """Keep compiled programs in the user's cache folder, so that the next start is quick."""

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
