"""DCGAN (Radford et al. 2016) on garments, a folder of photographs, or any images.

    python -m experiments.dcgan
    # what the independent classifier says of it
    python -m experiments.evaluation.garment_classes RUN

On 2 CPU cores, 9000 steps at 1,200 to 1,400 images a second where nothing else runs: 7 minutes. Of
2,000 samples at least 2 % fall in each of 8 classes at the classifier's confidence of 0.9 or more
(shirts 0.9 %; of real images 3.3 %), within each of which they differ at least 0.87 times as much
as photographs do, and their proxy FID is 1.31 (of real images 0.10). On an H100 the seeds 0, 1 and
2 have 1.21, 1.16 and 1.13, and seed 0 on a CPU with jax 0.12 instead of 0.10, which rounds
otherwise, 1.20. The step sizes are larger than the paper's 2e-4, which the preset `paper` keeps.

Of few images the discriminator soon knows each by heart; `--augment` keeps it from that:

    python -m experiments.dcgan --limit-images 1000 --workdir runs/few
    python -m experiments.dcgan --limit-images 1000 --augment ada --workdir runs/few-ada
    jaxgan evaluate runs/few-ada --split held_out      # and the same of runs/few

After 9000 steps on 1,000 garments it prints a proxy FID of 1.95, with `ada` of 1.56 and with `diff`
of 1.85 (all on a CPU; without either on an H100 1.83). One seed.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from jaxgan.runs import command_line
from jaxgan.runs.config import DataSpec
from jaxgan.runs.ranges import KernelSize, LearningRate, Positive, Range

from .flags import alternatives, refused_flags, two_player_flags

if TYPE_CHECKING:
    from jaxgan.types import GAN


@dataclasses.dataclass(frozen=True)
class Config(two_player_flags.TwoPlayerConfig):
    """Deep convolutional GAN."""

    NETWORK: ClassVar[tuple[str, ...]] = ("width", "kernel")
    REFUSED: ClassVar[tuple[str, ...]] = refused_flags.STAGES

    steps: int = 9000
    generator_learning_rate: LearningRate = 1e-3
    discriminator_learning_rate: LearningRate = 5e-4
    width: Positive = 64
    """Channels next to the image; they double with every halving."""
    kernel: KernelSize = 4
    """Side of every convolution's kernel."""
    shared_noise: bool = True
    augment: Literal["none", "diff", "ada"] = "none"
    """What both players see of all images: them as they are, the random changes of DiffAugment, or
    changes as frequent as keeps the discriminator from learning the images by heart (ADA).
    """
    ada_target: Annotated[float, Range(-1, 1)] = 0.6
    """The mean sign of real images' logits at which ADA holds the discriminator."""
    ada_images: Annotated[float, Range(1)] = 100_000.0
    """Images in which ADA takes the share of changed images from 0 to 1; 500,000 in the authors'
    runs, which are 40 times as long.
    """


ALTERNATIVES = alternatives.FOR_UNBOUNDED

PRESETS = {
    # Radford et al. 2016, section 4: batch 128, 5x5 kernels, 1024 channels at 4x4 for 64 px,
    # uniform latents.
    "paper": {
        "steps": 50_000,
        "batch_size": 128,
        "width": 128,
        "kernel": 5,
        "prior": "uniform",
        "generator_learning_rate": 2e-4,
        "discriminator_learning_rate": 2e-4,
        "shared_noise": False,
        "ema_half_life": 0.0,
    },
    "smoke": {"steps": 4, "batch_size": 8, "width": 4, "log_every": 2, "checkpoint_every": 2},
}


def build(config: Config, spec: DataSpec, *, axis_name: str | None = None, **options) -> GAN:
    """The model for images of the data's shape; ValueError on a size it cannot make, or on flags
    that contradict each other.

    `options` are arguments of the model's own build, which win over those of the flags.
    """
    from jaxgan.models import dcgan

    chosen = {**two_player_flags.options(config, axis_name=axis_name), **options}
    return dcgan.build(
        shape=two_player_flags.image_shape(spec),
        latent_size=config.latent_size,
        prior=config.prior,
        width=config.width,
        kernel=config.kernel,
        **augmented(config, chosen),
    )


def augmented(config: Config, options: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `dcgan.build`, and with them what lets both players see the images as
    the flags say.

    Raises ValueError where the strength is to adapt to a discriminator whose logits do not tell
    real from fake, or by numbers out of range.
    """
    if config.augment == "none":
        return options
    import functools

    from jaxgan.games import augmentation, input_transforms

    training = options["training"]
    if config.augment == "diff":
        shown = input_transforms.for_both(augmentation.diff_augment())
        return {**options, "training": dataclasses.replace(training, refine=shown)}
    if options["loss"].boundary is None:
        raise ValueError(
            f"--augment ada follows how sure the discriminator is, which under the loss "
            f"{config.loss} its logits do not say; use --augment diff"
        )
    adapting = functools.partial(
        augmentation.adapting,
        target=config.ada_target,
        images=config.ada_images,
        axis_name=training.axis_name,
    )
    adaptive = dataclasses.replace(
        training.scheduled(adapting),
        refine=input_transforms.for_both(augmentation.adaptive()),
        extra=augmentation.initial(),
    )
    return {**options, "training": adaptive}


if __name__ == "__main__":
    command_line.main(__name__)
