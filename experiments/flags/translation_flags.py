"""Flags of the models that translate images between two domains."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from jaxgan.runs import flags
from jaxgan.runs.config import DataSpec, RunConfig
from jaxgan.runs.ranges import Decay, Fraction, HalfLife, LearningRate, Positive

from . import augmentation_flags, refused_flags, two_player_flags

if TYPE_CHECKING:
    from jaxgan.games.training import Schedule
    from jaxgan.losses import AdversarialLoss

OF_DOMAINS = {f"discriminator/{domain}/real_sign": f"discriminator_{domain}" for domain in "ab"}
"""A discriminator of each domain, by what the signs of its logits are reported as."""


@dataclasses.dataclass(frozen=True)
class TranslationConfig(augmentation_flags.AugmentationFlags, RunConfig):
    """Flags that all models between two domains share."""

    NETWORK: ClassVar[tuple[str, ...]] = (
        "resolution",
        "crop",
        "load",
        "channels",
        "direction",
        "width",
        "discriminator_width",
    )
    REFUSED: ClassVar[tuple[str, ...]] = (
        *refused_flags.STAGES,
        *refused_flags.EVALUATION,
        "data_dir",
    )
    DATA: ClassVar[tuple[str, ...]] = ("data", "source")
    FOLDERS: ClassVar[str] = "unpaired"
    """The form of data that `source` and `target` name."""

    data: str = "fashion-halves"
    """fashion-edges, fashion-halves, shoes-bags, unpaired:PATH, paired:PATH or npz:PATH."""
    source: str | None = None
    """Folder of domain a, with --target instead of --data."""
    target: str | None = None
    """Folder of domain b."""
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    """BtoA exchanges the two domains."""
    generator_learning_rate: LearningRate = 2e-4
    """Learning rate of the generators."""
    discriminator_learning_rate: LearningRate = 2e-4
    """Learning rate of the discriminators."""
    width: Positive = 32
    """Channels of the generators' first layer."""
    discriminator_width: Positive = 32
    """Channels of the discriminators' first layer."""
    ema_half_life: HalfLife = 0.0
    """Half-life of the generators' moving average, in images; 0: no average, translate with the
    last weights.
    """
    accumulate: Positive = 1
    """Average gradients over this many slices of a batch, to save memory."""

    def __post_init__(self) -> None:
        """Names the data by the two folders, if they are given, so that one field names them."""
        named = flags.of_two_folders(self.FOLDERS, self.source, self.target)
        if named is not None:
            for name, value in {"data": named, "source": None, "target": None}.items():
                object.__setattr__(self, name, value)

    @property
    def data_options(self) -> dict[str, Any]:
        """Images of two domains, not paired."""
        return {"kind": "domains", "direction": self.direction}


@dataclasses.dataclass(frozen=True)
class PatchConfig(TranslationConfig):
    """Flags of the models with patch discriminators (PatchGAN)."""

    NETWORK: ClassVar[tuple[str, ...]] = ("patch_size",)

    patch_size: Literal[1, 16, 34, 70, 142, 286] = 16
    """Receptive field of the patch discriminators, in pixels."""
    beta1: Decay = 0.5
    """Adam's beta1 (momentum), for both player groups."""
    decay_from: Fraction = 1.0
    """Fraction of the run after which both learning rates fall linearly to 0; 1: never."""

    @property
    def falls_to_the_end(self) -> bool:
        """Whether the learning rates decay up to the last step of the run."""
        return self.decay_from != 1.0


def options(
    config: TranslationConfig,
    spec: DataSpec,
    optimizers: dict[str, Any],
    *,
    loss: AdversarialLoss,
    axis_name: str | None,
    schedule: Schedule | None = None,
    **seen: Any,
) -> dict[str, Any]:
    """Returns the arguments that the `build` functions of all these models share.

    Args:
        config: The flags.
        spec: Shapes of the data's images of both domains.
        optimizers: Optimizer of each player group.
        loss: The adversarial loss.
        axis_name: Mapped axis over which the batch is split, or None.
        schedule: The model's schedule. None: `steps.alternate`.
        **seen: What is augmented (`augmentation_flags.augmented`).

    Raises:
        ValueError: If the data are not images of two domains.
    """
    from jaxgan.games.training import Training

    if "a" not in spec.inputs or {len(spec.shape), len(spec.inputs["a"])} != {3}:
        raise ValueError("the data are not images of two domains a and b, which this model needs")
    if config.augment != "none":
        augmentation_flags.require_colors(config, spec.inputs["a"][2])
    training = Training(
        optimizers,
        schedule=schedule,
        accumulate=two_player_flags.slices(config.accumulate, config.batch_size),
        ema_half_life=config.ema_half_life or None,
        axis_name=axis_name,
    )
    return {
        "shape_a": spec.inputs["a"],
        "shape_b": spec.shape,
        "width": config.width,
        "discriminator_width": config.discriminator_width,
        "training": augmentation_flags.augmented(
            config, training, loss=loss, shape=spec.shape, **seen
        ),
    }


def adams(config: PatchConfig) -> dict[str, Any]:
    """Returns the optimizer of each player group, with the learning-rate decay of the flags."""
    from jaxgan import optimizers

    return {
        side: optimizers.adam(
            optimizers.linear_from(rate, config.decay_from, steps=config.steps), config.beta1
        )
        for side, rate in (
            ("generator", config.generator_learning_rate),
            ("discriminator", config.discriminator_learning_rate),
        )
    }
