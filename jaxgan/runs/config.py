"""The configuration that all experiments share, and the description of the data for a model.

Imports no JAX, so that `--help` is instant.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Self

from jaxgan.runs import sweeps
from jaxgan.runs.ranges import Count, Positive, Range

if TYPE_CHECKING:
    from jaxgan import data
    from jaxgan.data import ValueRange
    from jaxgan.data.transforms import Transform


MAY_CHANGE = frozenset(
    {
        "steps",
        "minutes",
        "images",
        "workdir",
        "data",
        "data_dir",
        "holdout",
        "log_every",
        "sample_every",
        "grid",
        "show",
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
        "tracker",
        "report",
        "profile",
        "cache",
        "convolutions",
        "devices",
        "shard_parameters",
        "remat",
        "distributed",
        "coordinator",
        "processes",
        "process",
    }
)
"""Fields that may change when a run is resumed, since no number of a step depends on them (on the
number of devices and `remat` only by rounding).

`minutes` and `images` became `steps` when the run began. The exceptions are `steps` if learning
rates fall to the last step (`RunConfig.falls_to_the_end`), and `convolutions`, which change the
last bits: the run then warns. The data, or the list of held-out data, may have moved: their
recorded digest must be the same.
"""


OF_ONE_COMMAND: Mapping[str, Any] = MappingProxyType(
    {
        "overwrite": False,
        "profile": 0,
        "distributed": False,
        "coordinator": None,
        "processes": None,
        "process": None,
    }
)
"""Fields that a resumed run does not take from its record, with their defaults."""

LENGTHS = ("steps", "minutes", "images")
"""The fields that give the length of a run, one of them at a time (`runs.length`)."""


MetricName = Literal[
    "fid", "fid_infinity", "kid", "prdc", "inception_score", "swd", "ms_ssim", "spectrum"
]
"""The name of a metric of samples, see `jaxgan evaluate`."""


class DataSpec(NamedTuple):
    """The shapes and classes of the data, which a model is built for.

    Attributes:
        shape: The shape of an example to generate, (H, W, C) or (D,). With two domains it is that
            of the second, 'b'.
        classes: The names of the labels.
        inputs: By role, the shapes of the other parts of an example, such as 'a'.
        several: Whether an example may have several labels: then 'label' is [B, K] of 0 and 1.
        transforms: By role, the transform of each array of `arrays:PATH`, from the units of the
            data to those of the model.
        typical: By role, a few continuous conditions [K, ...] in the units of the model, as nested
            lists.
        ranges: By role, the ranges of images, where their values are not of 8 bits.
    """

    shape: tuple[int, ...]
    classes: tuple[str, ...] = ()
    inputs: Mapping[str, tuple[int, ...]] = MappingProxyType({})
    several: bool = False
    transforms: Mapping[str, Transform] = MappingProxyType({})
    typical: Mapping[str, list] = MappingProxyType({})
    ranges: Mapping[str, ValueRange] = MappingProxyType({})

    @classmethod
    def of(cls, source: data.Source) -> DataSpec:
        """Returns the description of a source of data."""
        from jaxgan.data.value_range import BYTES  # imports NumPy, which would slow down --help

        typical = getattr(source, "typical", {})  # of arrays alone
        ranges: Mapping[str, ValueRange] = getattr(source, "ranges", {})  # of images alone
        return cls(
            shape=tuple(source.shape),
            classes=tuple(source.classes),
            inputs=dict(source.inputs),
            several=getattr(source, "several", False),
            transforms=dict(getattr(source, "transforms", {})),
            typical={role: values.tolist() for role, values in typical.items()},
            ranges={role: values for role, values in ranges.items() if values != BYTES},
        )

    @classmethod
    def recorded(cls, record: Mapping[str, Any]) -> DataSpec:
        """Returns the description from a `record`; older records have no inputs and no ranges."""
        from jaxgan.data.transforms import Transform
        from jaxgan.data.value_range import ValueRange

        inputs = {role: tuple(shape) for role, shape in record.get("inputs", {}).items()}
        transforms, ranges = record.get("transforms", {}), record.get("ranges", {})
        return cls(
            shape=tuple(record["shape"]),
            classes=tuple(record["classes"]),
            inputs=inputs,
            several=record.get("several") is True,
            transforms={role: Transform.recorded(of) for role, of in transforms.items()},
            typical=record.get("typical", {}),
            ranges={role: ValueRange.recorded(of) for role, of in ranges.items()},
        )

    def record(self) -> dict[str, Any]:
        """Returns the description as JSON values."""
        inputs = {role: list(shape) for role, shape in self.inputs.items()}
        found: dict[str, Any] = {
            "shape": list(self.shape),
            "classes": list(self.classes),
            "inputs": inputs,
        }
        if self.several:
            found["several"] = True
        if self.transforms:
            found["transforms"] = {role: of.record() for role, of in self.transforms.items()}
            found["typical"] = dict(self.typical)
        if self.ranges:
            found["ranges"] = {role: values.record() for role, values in self.ranges.items()}
        return found

    def range_of(self, role: str) -> ValueRange:
        """Returns the range of the images of a role: 'image', or 'a' or 'b' of two domains."""
        from jaxgan.data.value_range import BYTES

        return self.ranges.get(role, self.ranges.get("image", BYTES))


@dataclasses.dataclass(frozen=True)
class DataFlags:
    """The training data and their preprocessing."""

    GROUP: ClassVar[str] = "data"

    data: str = "fashion"
    """fashion, flowers, folder:PATH, npz:PATH, arrays:PATH, tfds:NAME, ring, grid or gauss1d."""
    data_dir: str | None = None
    """For tfds: folder of the prepared data sets or of the original files."""
    resolution: str | None = None
    """Image size, such as 64 or 64x96 (height x width); default: that of the data."""
    resize: Literal["crop", "pad", "stretch"] = "crop"
    """How to fit images to the resolution."""
    crop: str | None = None
    """Size of random parts of the images to train on, in full detail, instead of --resolution;
    held-out images are cut in the center.
    """
    load: str | None = None
    """With --crop: size that images are brought to first; default: their own, which may differ."""
    holdout: Annotated[float | str | None, Range(0, 1, open_high=True)] = None
    """Fraction of the data to hold out, or a file that lists them; default: the data's own held-out
    set, or 0.1.
    """
    flip: bool = False
    """Flip training images horizontally at random."""
    channels: Annotated[int | None, Range(1, 64)] = None
    """1 (grayscale), 3 (color), 4 (color with transparency), or as many as the data have; default:
    those of the data.
    """
    range: str | None = None
    """LOW,HIGH: the values that become -1 and 1, such as 0,4095 (=-1000,400 if LOW is negative);
    default: that of 8 bits, or the one found in the training images.
    """
    show: str | None = None
    """Channels that pictures show: one, or three for red, green and blue, such as 3,2,1; default:
    all of 1, 3 and 4, or else the first ones.
    """
    transform: str | None = None
    """For arrays: the transform of each entry, such as image=symlog,condition=standardize; one of
    none, standardize, log1p, symlog and minmax, or several joined by +.
    """

    @property
    def reading_options(self) -> dict[str, Any]:
        """Returns the arguments of `data.load` next to the data, as these flags give them."""
        return {
            "resolution": self.resolution,
            "resize": self.resize,
            "crop": self.crop,
            "load": self.load,
            "holdout": self.holdout,
            "flip": self.flip,
            "channels": self.channels,
            "range": self.range,
            "show": self.show,
            "data_dir": self.data_dir,
            "transform": self.transform,
        }


@dataclasses.dataclass(frozen=True)
class OptimizationFlags:
    """The length of training and its batches."""

    GROUP: ClassVar[str] = "optimization"

    steps: Positive = 2000
    """Train steps in total; a larger number continues a finished run."""
    minutes: Annotated[float | None, Range(0, open_low=True)] = None
    """Instead of --steps: the steps that take this many minutes, as the first ones are measured."""
    images: Annotated[int | str | None, Range(1)] = None
    """Instead of --steps: the steps that train each model on this many images, such as 250k or 1M.
    """
    batch_size: Positive = 64
    """Examples in each update of a player."""
    seed: Annotated[int, Range(0, 2**31 - 1)] = 0
    """Random seed of the initial weights, the order of the data and the noise."""
    seeds: Annotated[int, Range(1, 4096)] = 1
    """Train this many models at once, with seeds SEED, SEED + 1, ...; each equals a single run."""
    sweep: tuple[str, ...] = ()
    """Train a model for each value of a setting at once, such as
    generator_learning_rate=1e-4,2e-4,4e-4; with several settings for each combination, and with
    --seeds each at every seed.
    """
    steps_per_call: Positive = 1
    """Train steps in one compiled call; sample pictures and checkpoints wait for its end."""
    parallel: Literal["jit", "shard_map", "pmap"] = "jit"
    """How to split a train step's batch over the devices: jit shards the data; shard_map and pmap
    run it on each part. The numbers are equal, to rounding, but for replay pools: under shard_map
    and pmap each device has a part of its own.
    """
    devices: Annotated[int | None, Range(1)] = None
    """Number of devices to use, the first ones; default: all that JAX sees."""
    shard_parameters: bool = False
    """Split weights, optimizer states and averages over the devices too: less memory on each, the
    same numbers; with --parallel jit.
    """
    precision: Literal["auto", "float32", "bf16_products", "bf16"] = "float32"
    """Precision of train steps: bf16_products rounds what convolutions multiply (faster on a CPU
    with AVX512-BF16 or AMX); bf16 computes all of a network in it: less memory on GPUs and TPUs;
    auto: bf16_products where it is faster, else float32. Weights, optimizers, statistics, losses
    and samples stay float32.
    """
    remat: bool = False
    """Compute the activations of a network again in its backward pass instead of keeping them: less
    memory on GPUs and TPUs, a slower step, the same numbers.
    """
    convolutions: Literal["auto", "fast", "xla", "onednn"] | None = None
    """Convolutions of the train step: auto (by platform), fast (jaxgan's), xla, or onednn (on x86:
    faster steps, slower starts); default: onednn if the run is long enough, otherwise auto.
    """


@dataclasses.dataclass(frozen=True)
class RunFlags:
    """The run directory, and how often to write to it."""

    GROUP: ClassVar[str] = "run"

    preset: Literal["quick", "paper", "smoke"] = "quick"
    """Defaults of the other flags: quick: minutes on a CPU; paper: those of the paper; smoke:
    seconds.
    """
    workdir: str | None = None
    """Run directory (default: runs/NAME-DATE); a run in it is resumed with its settings."""
    overwrite: bool = False
    """Delete the run in the run directory and start again."""
    init_from: str | None = None
    """Fine-tune: start from the latest weights of this run directory; sizes of networks and images
    default to those of that run.
    """
    init_optimizer: bool = False
    """With --init-from, also take the optimizers' moments; schedules begin anew."""
    freeze: tuple[str, ...] = ()
    """Layers that keep the weights of --init-from: the first of a player, from its input on, as in
    discriminator:3 (FreezeD), or one by its name, as in generator:Dense_0.
    """
    first_stage: Annotated[int | None, Range(1)] = None
    """Stage, from 1, in which a run in stages begins; default: the first, or with --init-from that
    of the weights.
    """
    log_every: Positive = 50
    """Log metrics averaged over this many steps."""
    sample_every: Count = 500
    """Steps between sample pictures, also at steps 50, 100 and 200; 0: only at the end."""
    grid: str | None = None
    """Rows and columns of a sample picture, such as 8x10 (the default, with whole columns of each
    class); of two domains: its rows.
    """
    checkpoint_every: Count = 500
    """Steps between checkpoints; 0: only at the end."""
    keep: Positive = 3
    """Number of latest checkpoints to keep."""
    tracker: Literal["wandb", "mlflow"] | None = None
    """Also send metrics and sample pictures to Weights & Biases or MLflow, as its own environment
    variables say; TensorBoard's file is always written.
    """
    report: bool = False
    """Renew report.html, the page of `jaxgan report` without its diagnosis, after each sample
    picture; needs the extra 'report'.
    """
    profile: Count = 0
    """Trace this many steps, after compilation, to profile/ for TensorBoard or Perfetto."""
    cache: bool = True
    """Keep compiled programs and data statistics in the user's cache folder, for quick starts."""


@dataclasses.dataclass(frozen=True)
class EvaluationFlags:
    """The evaluation of the model during training."""

    GROUP: ClassVar[str] = "evaluation"

    evaluate_every: Count = 0
    """Steps between evaluations, which also choose the best checkpoint; 0: never."""
    evaluate: tuple[MetricName, ...] = ()
    """Metrics, see `jaxgan evaluate`; the first chooses the best checkpoint. Default: fid, or swd
    for images without a suitable feature network and for arrays (of vectors and videos: kid).
    """
    evaluate_samples: Positive = 2048
    """Number of images to generate; numbers of different counts do not compare."""
    inception: str | None = None
    """File of FID's Inception weights; default: the garment classifier (proxy) for gray images,
    EfficientNet-Lite0 for color images.
    """
    inception_sha256: str | None = None
    """First digits of the sha256 of these weights, if the file name does not end in them."""
    evaluate_features: str | None = None
    """ImageNet network of the features: EfficientNet lite0 or lite1 (the extra 'features'), or a
    file of the weights of either; default for color images: lite0, for projected lite1.
    """
    evaluate_features_sha256: str | None = None
    """First digits of the sha256 of these weights, if the file name does not end in them."""
    keep_best: Positive = 1
    """Number of best checkpoints to keep, next to the latest."""


@dataclasses.dataclass(frozen=True)
class ProcessFlags:
    """The processes that train the model together, often on several machines."""

    GROUP: ClassVar[str] = "distribution"

    distributed: bool = False
    """Train with all processes of this cluster job (SLURM, Open MPI, TPU pod): the batch is split
    over the devices of all.
    """
    coordinator: str | None = None
    """HOST:PORT where process 0 listens, if there is no such job; with --processes and --process.
    """
    processes: Annotated[int | None, Range(1)] = None
    """Number of processes."""
    process: Annotated[int | None, Range(0)] = None
    """Which of them this one is, from 0; process 0 writes the run directory."""


@dataclasses.dataclass(frozen=True)
class RunConfig(ProcessFlags, EvaluationFlags, RunFlags, OptimizationFlags, DataFlags):
    """The flags of every experiment.

    An experiment's own flags are the fields of its subclass.

    Attributes:
        GROUP: The heading in `--help` of the fields that a class declares.
        REFUSED: Inherited fields that the experiment does not offer.
        PIXELS_FOR_ONEDNN: Pixels of training images, of all steps, from which the faster steps of
            oneDNN's convolutions save more time than its slower starts take, on two cores.
        JUDGE: EfficientNet by which color images are judged, if no network is asked for: 'lite0',
            or 'lite1' where the players look through Lite0.
    """

    GROUP: ClassVar[str] = "model"
    REFUSED: ClassVar[tuple[str, ...]] = ()
    PIXELS_FOR_ONEDNN: ClassVar[int] = 1 << 25
    JUDGE: ClassVar[Literal["lite0", "lite1"]] = "lite0"

    DATA: ClassVar[tuple[str, ...]] = ("data",)
    """The fields that name the data, one of them at a time."""

    NETWORK: ClassVar[tuple[str, ...]] = ()
    """The fields of a class that determine the networks, with those of its bases. A run with
    --init-from takes them from the other run.
    """

    @property
    def skipped_stages(self) -> int:
        """Returns how many stages the run skips at its beginning."""
        return (self.first_stage or 1) - 1

    @property
    def rows_per_step(self) -> int:
        """Returns the examples per train step of one model.

        This is more than one batch if a player is updated several times.
        """
        return self.batch_size

    @property
    def swept(self) -> Mapping[str, tuple[float, ...]]:
        """Returns the values of each swept setting.

        Raises:
            RunError: If `sweep` names no settings that can be swept.
        """
        return sweeps.parsed(self.sweep, type(self), RunConfig)

    @property
    def model_settings(self) -> Mapping[str, tuple[float, ...]]:
        """Returns, by name of a swept setting, the value of each model of the ensemble."""
        return sweeps.columns(self.swept, self.seeds)

    @property
    def model_seeds(self) -> tuple[int, ...]:
        """Returns the seed of each model of the ensemble."""
        seeds = tuple(range(self.seed, self.seed + self.seeds))
        return seeds * math.prod(len(values) for values in self.swept.values())

    @property
    def models(self) -> int:
        """Returns the number of models of the ensemble."""
        return len(self.model_seeds)

    def of_model(self, index: int) -> Self:
        """Returns the configuration of the run that trains one model of the ensemble alone.

        Args:
            index: Index of the model, from 0.
        """
        own = {name: values[index] for name, values in self.model_settings.items()}
        seed = self.model_seeds[index]
        return dataclasses.replace(self, **{"seed": seed, "seeds": 1, "sweep": (), **own})

    @property
    def falls_to_the_end(self) -> bool:
        """Returns whether learning rates fall to the run's last step.

        If so, every step depends on the number of steps.
        """
        return False

    @property
    def data_options(self) -> dict[str, Any]:
        """Returns further options of `data.load`, such as {"kind": "pairs"} for image pairs.

        They are needed if an experiment does not train on single images.
        """
        return {}
