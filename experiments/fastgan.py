r"""FastGAN (Liu et al. 2021) for photographs of 64 pixels, without a pretrained network.

    python -m experiments.fastgan
    python -m experiments.fastgan --conditional
    python -m experiments.fastgan --data folder:PHOTOS --resolution 64

The generator is FastGAN's, in a cheap form; the discriminator is small, without normalization, and
penalized at real images (R1) on a quarter of the batch. The weight of the penalty decides most: 10
times as much holds the discriminator so hard that samples stay textures.

It has not been trained to its end: after 4000 of 16,000 steps with `--conditional` samples are beds
and fields of flowers in the colors of their classes, few of which one would name. For photographs,
`projected` is the model that works.

`--reconstruction 1` adds the decoder by which FastGAN's discriminator rebuilds real images, and
`jaxgan sample RUN --truncation 0.6` draws the samples that are easiest to recognize.

The control of its networks is DCGAN with the loss and the penalties of R3GAN:

    python -m experiments.dcgan --data flowers --loss relativistic_paired --penalty r1_r2 \
        --discriminator-norm none --width 32 --beta1 0 --beta2 0.99 --augment diff --flip
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from jaxgan.runs import command_line
from jaxgan.runs.config import DataSpec
from jaxgan.runs.ranges import Decay, LearningRate, Positive, Range

from .flags import penalty_flags, refused_flags, two_player_flags

if TYPE_CHECKING:
    from jaxgan.types import GAN


@dataclasses.dataclass(frozen=True)
class Config(penalty_flags.PenaltyFlags, two_player_flags.TwoPlayerConfig):
    """Flags of FastGAN."""

    NETWORK: ClassVar[tuple[str, ...]] = (
        "width",
        "noise",
        "discriminator_width",
        "group",
        "reconstruction",
        "conditional",
    )
    REFUSED: ClassVar[tuple[str, ...]] = refused_flags.STAGES
    DIFF: ClassVar[tuple[str, ...]] = ("color", "translation")  # no cutout of a small image

    data: str = "flowers"
    steps: int = 16_000
    batch_size: int = 16
    flip: bool = True
    loss: str = "hinge"
    shared_noise: bool = True
    latent_size: Positive = 256
    generator_learning_rate: LearningRate = 3e-4
    discriminator_learning_rate: LearningRate = 5e-4
    beta1: Decay = 0.0
    beta2: Decay = 0.99
    augment: Literal["none", "diff", "ada", "scheduled"] = "diff"
    penalty: Literal["none", "r1", "r1_r2"] = "r1"
    gamma: Annotated[float | None, Range(0, 1e6)] = 0.03
    penalty_stride: Positive = 4
    width: Positive = 16
    """Half the channels of the generator's last map; they double toward its base."""
    noise: bool = False
    """Add noise after each convolution of the generator in training."""
    discriminator_width: Positive = 32
    """Channels of the discriminator's first layer; they double with every layer, 3 times at most.
    """
    group: Annotated[int, Range(0)] = 4
    """Examples of a group whose deviation the discriminator sees; 0: none."""
    reconstruction: Annotated[float, Range(0)] = 0.0
    """Weight of the squared error of the real images that the discriminator rebuilds; 0: none."""
    conditional: bool = False
    """Condition both players on the class."""


PRESETS = {
    # The settings of Liu et al. 2021, section 4 and their code; the discriminator stays this one.
    "paper": {
        "resolution": "256",
        "steps": 50_000,
        "batch_size": 8,
        "generator_learning_rate": 2e-4,
        "discriminator_learning_rate": 2e-4,
        "beta1": 0.5,
        "beta2": 0.999,
        "ema_half_life": 5500.0,
        "penalty": "none",
        "noise": True,
        "width": 32,
        "discriminator_width": 64,
        "reconstruction": 1.0,
    },
    "smoke": {
        "data": "fashion",
        "steps": 4,
        "batch_size": 8,
        "width": 4,
        "discriminator_width": 4,
        "group": 1,
        "log_every": 2,
        "checkpoint_every": 2,
    },
}


def build(config: Config, spec: DataSpec, *, axis_name: str | None = None) -> GAN:
    """Returns the model for images of the data's shape.

    Args:
        config: The flags.
        spec: Shape and classes of the data's images.
        axis_name: Mapped axis over which the batch is split, or None.

    Raises:
        ValueError: If the networks cannot make images of this size, there are no classes to
            condition on, or the flags contradict each other.
    """
    from jaxgan.models import fastgan

    _require_whole_groups(config)
    shape = two_player_flags.image_shape(spec)
    options = two_player_flags.options(config, axis_name=axis_name)
    return fastgan.build(
        shape=shape,
        classes=two_player_flags.classes(config, spec),
        latent_size=config.latent_size,
        prior=config.prior,
        width=config.width,
        noise=config.noise,
        discriminator_width=config.discriminator_width,
        group=config.group,
        reconstruction=config.reconstruction,
        penalty=penalty_flags.penalty(config, spec),
        **two_player_flags.augmented(config, options, shape),
    )


def _require_whole_groups(config: Config) -> None:
    """Raises ValueError if a penalty or a slice of the batch has no whole groups of examples."""
    stride = config.penalty_stride if config.penalty != "none" else 1
    together = config.accumulate * stride
    examples = config.batch_size // together
    if config.group and examples % config.group:
        raise ValueError(
            f"the discriminator sees groups of {config.group} examples, and of a batch of "
            f"{config.batch_size} it is given {examples} at once; choose a --batch-size that "
            f"{config.group * together} divides, or another --group"
        )


if __name__ == "__main__":
    command_line.main(__name__)
