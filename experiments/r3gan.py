"""R3GAN (Huang et al. 2024): a relativistic loss, R1 and R2, and plain residual networks.

It trains on the embedded garments, padded to 32 pixels, or on any other images.

    python -m experiments.r3gan
    # the embedded photographs of flowers, at 64 pixels
    python -m experiments.r3gan --preset flowers

Nothing is normalized, so the weight of the penalties, `--gamma`, decides most: too large, and the
discriminator hardly tells real from fake (`jaxgan diagnose` says so); too small, and training
becomes unstable. No rule is known; the authors' presets span 0.05 (32 pixels) to 150 (256 pixels).
Try a quarter and four times as much on other data.

The learning rates, Adam's beta2, gamma, the half-life of the average and the probability of
augmentation all follow half a cosine over the first `--burn-in` images, as in the paper.

It has not been trained to its end yet. A step of 32 flowers takes 1.2 s on two cores with products
of bfloat16, all 3750 some 75 minutes, and the first compilation 36 s. After 480 and 960 steps, ten
and twenty minutes, the distance is 921 and 801 (docs/results.md, where photographs have 166):
samples are blobs of the colors of flowers, and some have stripes of dots.

The presets `paper` (CIFAR-10 with its classes), `ffhq64`, `ffhq256`, `imagenet32` and `imagenet64`
have the authors' networks and settings, and need accelerators:

    python -m experiments.r3gan --preset paper
    python -m experiments.r3gan --preset ffhq256 --data folder:FACES
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from jaxgan.runs import command_line
from jaxgan.runs.config import DataSpec
from jaxgan.runs.ranges import Decay, Fraction, HalfLife, LearningRate, Positive, Range

from .flags import penalty_flags, refused_flags, two_player_flags

if TYPE_CHECKING:
    from jaxgan.types import GAN


@dataclasses.dataclass(frozen=True)
class Config(penalty_flags.PenaltyFlags, two_player_flags.TwoPlayerConfig):
    """Flags of R3GAN."""

    NETWORK: ClassVar[tuple[str, ...]] = (
        "width",
        "max_width",
        "blocks",
        "fine_blocks",
        "group",
        "conditional",
    )
    REFUSED: ClassVar[tuple[str, ...]] = (
        *refused_flags.STAGES,
        "real_label",
        "n_critic",
        "order",
        "shared_noise",
        "optimizer",
        "decay_from",
        "gamma_images",
        "penalty_interval",
        "augment",
        "augment_policy",
        "augment_images",
        "augment_filtered",
        "ada_target",
        "ada_images",
    )

    preset: Literal[
        "quick", "flowers", "paper", "ffhq64", "ffhq256", "imagenet32", "imagenet64", "smoke"
    ] = "quick"
    """Defaults of the other flags: quick and flowers: for a CPU; paper: CIFAR-10, it and those
    named by their data: the paper's, for accelerators; smoke: seconds.
    """
    resolution: str | None = "32"
    resize: Literal["crop", "pad", "stretch"] = "pad"
    steps: int = 2500
    batch_size: int = 32
    loss: str = "relativistic_paired"
    latent_size: Positive = 64
    generator_learning_rate: LearningRate = 5e-4
    discriminator_learning_rate: LearningRate = 5e-4
    beta1: Decay = 0.0
    beta2: Decay = 0.9
    beta2_end: Decay = 0.99
    """Adam's beta2 after the burn-in."""
    decay_to: Fraction = 0.25
    """Fraction of the learning rates that remains after the burn-in."""
    burn_in: Annotated[float, Range(1)] = 48_000.0
    """Real images over which all schedules run."""
    penalty: Literal["none", "r1", "r1_r2"] = "r1_r2"
    gamma: Annotated[float | None, Range(0, 1e6)] = 0.05
    gamma_end: Annotated[float | None, Range(0, 1e6)] = 0.005
    """Weight of the penalty after the burn-in; default: --gamma."""
    ema_half_life: HalfLife = 5000.0
    """Half-life of the generator's moving average after the burn-in, in images; it begins with 0, a
    copy. 0: no average.
    """
    precision: Literal["auto", "float32", "bf16_products", "bf16"] = "auto"
    augment_probability: Fraction = 0.3
    """Probability of each augmentation after the burn-in; it begins with 0."""
    width: Positive = 16
    """Channels at the image; they double with every halving, up to --max-width."""
    max_width: Positive = 128
    """The most channels of a feature map."""
    blocks: Positive = 2
    """Residual blocks at each resolution."""
    fine_blocks: Positive = 1
    """Residual blocks at each of the two highest resolutions."""
    group: Positive = 64
    """Channels of a group of the grouped convolutions; on a CPU few large groups cost no more than
    the paper's of 16 channels, and compile in half the time.
    """
    conditional: bool = False
    """Condition both players on the class."""

    @property
    def rows_per_step(self) -> int:
        """Examples per step: each player has real images of its own."""
        return 2 * self.batch_size


_PAPER = {
    "batch_size": 256,
    "flip": True,
    "generator_learning_rate": 2e-4,
    "discriminator_learning_rate": 2e-4,
    "burn_in": 20e6,
    "ema_half_life": 5e5,
    "max_width": 768,
    "fine_blocks": 2,
    "group": 16,
}
_FACES = {**_PAPER, "data": "folder:ffhq", "steps": 20_000_000 // 256}
_IMAGENET = {
    **_PAPER,
    "data": "folder:imagenet",
    "steps": 1_000_000_000 // 4096,
    "batch_size": 4096,
    "conditional": True,
    "burn_in": 200e6,
    "ema_half_life": 5e7,
    "width": 1536,
    "max_width": 1536,
    "group": 32,
}

PRESETS = {
    "flowers": {
        "data": "flowers",
        "resolution": "64",
        "flip": True,
        "steps": 3750,
        "burn_in": 72_000.0,
    },
    # The authors' settings (train.py and the paper's appendix). The lengths of the runs on faces
    # are not known; here they are those of the burn-in.
    "paper": {
        **_PAPER,
        "data": "tfds:cifar10",
        "steps": 250_000_000 // 512,
        "batch_size": 512,
        "conditional": True,
        "augment_probability": 0.55,
        "ema_half_life": 5e6,
        "width": 768,
    },
    "ffhq64": {**_FACES, "resolution": "64", "gamma": 2.0, "gamma_end": 0.2, "width": 384},
    "ffhq256": {**_FACES, "resolution": "256", "gamma": 150.0, "gamma_end": 15.0, "width": 96},
    "imagenet32": {
        **_IMAGENET,
        "resolution": "32",
        "augment_probability": 0.5,
        "gamma": 0.5,
        "gamma_end": 0.05,
    },
    "imagenet64": {
        **_IMAGENET,
        "resolution": "64",
        "augment_probability": 0.4,
        "gamma": 1.0,
        "gamma_end": 0.1,
    },
    "smoke": {
        "steps": 4,
        "batch_size": 8,
        "resolution": "28",
        "width": 4,
        "max_width": 8,
        "group": 4,
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
    from jaxgan.models import r3gan

    classes = two_player_flags.classes(config, spec)
    options = two_player_flags.options(config, axis_name=axis_name)
    training = dataclasses.replace(
        options.pop("training"),
        optimizers=optimizers(config),
        schedule=r3gan.apart,
        ema_half_life=half_life(config),
    )
    burnt_in = dataclasses.replace(config, gamma_images=config.burn_in)
    shape = two_player_flags.image_shape(spec)
    maps = r3gan.resolutions(
        shape[:2],
        width=config.width,
        max_width=config.max_width,
        blocks=config.blocks,
        fine_blocks=config.fine_blocks,
        group=config.group,
    )
    return r3gan.build(
        shape=shape,
        training=training,
        classes=classes,
        latent_size=config.latent_size,
        prior=config.prior,
        maps=maps,
        probability=scheduled(config, 0.0, config.augment_probability)
        if config.augment_probability
        else None,
        penalty=penalty_flags.penalty(burnt_in, spec),
        **options,
    )


def scheduled(config: Config, start: float, end: float) -> Any:
    """Returns half a cosine over the burn-in, as a function of the steps.

    Args:
        config: The flags.
        start: First value.
        end: Value after the burn-in.
    """
    from jaxgan import optimizers

    over_images = optimizers.cosine_between(start, end, over=config.burn_in)
    return optimizers.by_images(over_images, config.batch_size)


def optimizers(config: Config) -> dict[str, Any]:
    """Returns the optimizer of each player: Adam with scheduled learning rate and beta2.

    Args:
        config: The flags.
    """
    from jaxgan import optimizers

    beta2 = scheduled(config, config.beta2, config.beta2_end)

    def adam(rate: float) -> Any:
        return optimizers.adam(scheduled(config, rate, config.decay_to * rate), config.beta1, beta2)

    return {
        "generator": adam(config.generator_learning_rate),
        "discriminator": adam(config.discriminator_learning_rate),
    }


def half_life(config: Config) -> Any:
    """Returns the half-life of the average by the images of a step; None: no average.

    Args:
        config: The flags.
    """
    from jaxgan import optimizers

    if not config.ema_half_life:
        return None
    # A step's batch holds the real images of both players, but the paper counts those of one.
    return optimizers.cosine_between(0.0, 2 * config.ema_half_life, over=2 * config.burn_in)


if __name__ == "__main__":
    command_line.main(__name__)
