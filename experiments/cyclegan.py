"""CycleGAN (Zhu et al. 2017): translation between two domains without pairs.

By default it translates drawings to garments and back.

    python -m experiments.cyclegan
    # compare it with another run
    python -m experiments.evaluation.garment_translations RUN --beside OTHER
    jaxgan translate RUN drawings/ --out garments/        # --source b for the other way

By default it sees drawings of one half of the embedded garments and photographs of the other half.
10,000 steps take 18 minutes on 2 CPU cores (37 images/s). Of 2,000 held-out drawings, 82.2 % become
garments of the right class (of the photographs themselves: 90.8 %), with a mean absolute error of
0.131 (of the drawings as they are: 0.398). Photographs become drawings with an error of 0.085.
Without the cycle loss (`--cycle 0`, which also removes the identity loss) the garments have nothing
to do with the drawings: 10.0 % of the right class, an error of 0.456, and 0.595 for drawings. The
preset `paper` is the authors' protocol for horses and zebras:

    python -m experiments.cyclegan --preset paper --data unpaired:horse2zebra

Warning: training amplifies rounding errors. A tiny CycleGAN in float64 on 8 devices agrees with one
device to 3e-12 after two steps, and not at all after ten; so does one device with itself, if each
float of its first state is changed by one rounding error (docs/scaling.md).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from jaxgan.runs import command_line
from jaxgan.runs.config import DataSpec
from jaxgan.runs.ranges import Count, Fraction, HalfLife, Positive, Weight

from .flags import translation_flags

if TYPE_CHECKING:
    from jaxgan.types import GAN


@dataclasses.dataclass(frozen=True)
class Config(translation_flags.PatchConfig):
    """Flags of the CycleGAN."""

    NETWORK: ClassVar[tuple[str, ...]] = ("blocks",)
    PIXELS_FOR_ONEDNN: ClassVar[int] = 1 << 23  # two generators: many convolutions for each pixel

    steps: int = 10_000
    batch_size: int = 4
    decay_from: Fraction = 0.5
    ema_half_life: HalfLife = 2000.0
    width: Positive = 24
    discriminator_width: Positive = 32
    cycle: Weight = 10.0
    """Weight of the cycle-consistency loss (mean absolute error)."""
    identity: Weight = 0.5
    """Weight of the identity loss, relative to --cycle."""
    pool: Count = 50
    """Size of each discriminator's pool of earlier fakes; 0: none."""
    blocks: Count = 3
    """Residual blocks of each generator; 0: as the authors, 6 up to 128 pixels and 9 above."""


PRESETS = {
    # Zhu et al. 2017, section 7.1, and the authors' code, for 1,067 horses and 1,334 zebras: 100
    # epochs and 100 more with linear decay, images resized to 286 pixels and cropped to 256.
    "paper": {
        "steps": 266_800,
        "batch_size": 1,
        "load": "286",
        "crop": "256",
        "flip": True,
        "width": 64,
        "discriminator_width": 64,
        "patch_size": 70,
        "blocks": 0,
        "ema_half_life": 0.0,
    },
    "smoke": {
        "steps": 4,
        "batch_size": 8,
        "width": 2,
        "discriminator_width": 2,
        "blocks": 1,
        "pool": 8,
        "log_every": 2,
        "checkpoint_every": 2,
    },
}


def build(config: Config, spec: DataSpec, *, axis_name: str | None = None) -> GAN:
    """Returns the model between two domains of the data's shapes.

    Args:
        config: The flags.
        spec: Shapes of the data's images of both domains.
        axis_name: Mapped axis over which the batch is split, or None.

    Raises:
        ValueError: If the data have no two domains of images, or the networks cannot make their
            sizes.
    """
    from jaxgan.games import domain_translation
    from jaxgan.models import cyclegan

    return cyclegan.build(
        cycle=config.cycle,
        identity=config.identity,
        pool=config.pool,
        blocks=config.blocks or None,
        patch_size=config.patch_size,
        **translation_flags.options(
            config,
            spec,
            translation_flags.adams(config),
            loss=cyclegan.LEAST_SQUARES,
            axis_name=axis_name,
            schedule=domain_translation.simultaneously,
            judges=translation_flags.OF_DOMAINS,
        ),
    )


if __name__ == "__main__":
    command_line.main(__name__)
