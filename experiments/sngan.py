"""SNGAN (Miyato et al. 2018): spectral normalization and the hinge loss.

It has DCGAN's networks and trains on the embedded garments or any other images.

    python -m experiments.sngan
    # evaluate it with the independent classifier
    python -m experiments.evaluation.garment_classes RUN

9000 steps take 7 to 8 minutes on 2 CPU cores: a step takes 1.04 times as long as one of
`experiments.dcgan` (`python -m benchmarks.speed`). Of 2,000 samples, at least 2 % fall in each of 8
classes at a classifier confidence of 0.9. The proxy FID is 1.58 (that of `experiments.dcgan`:
1.31). On an H100 the seeds 1 and 2 reach 1.55 and 1.62 (DCGAN: 1.16 and 1.13), and seed 0 with
`--decay-from 0.5` reaches 1.65.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from jaxgan.runs import command_line
from jaxgan.runs.config import DataSpec

from . import dcgan
from .flags import alternatives

if TYPE_CHECKING:
    from jaxgan.types import GAN


@dataclasses.dataclass(frozen=True)
class Config(dcgan.Config):
    """Flags of the SNGAN."""

    REFUSED: ClassVar[tuple[str, ...]] = (*dcgan.Config.REFUSED, "discriminator_norm")

    loss: str = "hinge"


ALTERNATIVES = alternatives.FOR_NORMALIZED

PRESETS = {
    # pfnet-research/sngan_projection, sn_cifar10_unconditional.yml, except for its residual
    # networks and for the generator's batch size, which is 128 there.
    "paper": {
        "steps": 50_000,
        "latent_size": 128,
        "generator_learning_rate": 2e-4,
        "discriminator_learning_rate": 2e-4,
        "beta1": 0.0,
        "beta2": 0.9,
        "decay_from": 0.0,
        "n_critic": 5,
        "shared_noise": False,
        "ema_half_life": 0.0,
    },
    "smoke": dcgan.PRESETS["smoke"],
}


def build(config: Config, spec: DataSpec, *, axis_name: str | None = None) -> GAN:
    """Returns the model for images of the data's shape.

    Args:
        config: The flags.
        spec: Shape of the data's images.
        axis_name: Mapped axis over which the batch is split, or None.

    Raises:
        ValueError: If the networks cannot make images of this size, or the flags contradict each
            other.
    """
    return dcgan.build(config, spec, axis_name=axis_name, discriminator_norm="spectral")


if __name__ == "__main__":
    command_line.main(__name__)
