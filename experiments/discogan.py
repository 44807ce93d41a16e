"""DiscoGAN (Kim et al. 2017): shoes to bags and back, without pairs.

It translates between any two domains.

    python -m experiments.discogan
    python -m experiments.evaluation.garment_translations RUN
    jaxgan translate RUN shoes/ --out bags/               # --source b for the other way

By default the domains are the embedded shoes (of three kinds) and bags, as in the paper. 20,000
steps take 18 minutes on 2 CPU cores (1,200 images/s). Of the held-out images, 94 % of the shoes
become bags (with 0.80 of the bags' diversity) and 98 % of the bags become shoes (with 0.91 of their
diversity, within each kind). Translated there and back, 84 % of the shoes and 92 % of the bags keep
their class. Many have holes and frayed edges. With the paper's reconstruction fraction of one half
(`--late 0.5`) 79.5 % of the shoes keep their class, with 0.3 (and `--adversarial 0.5 --features
0.5`) 69 %. One seed.

The preset `paper` is the authors' protocol for images of 64 pixels:

    python -m experiments.discogan --preset paper --data unpaired:PATH
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from jaxgan.runs import command_line
from jaxgan.runs.config import DataSpec
from jaxgan.runs.ranges import Count, Fraction, HalfLife, Weight

from .flags import translation_flags

if TYPE_CHECKING:
    from jaxgan.types import GAN


@dataclasses.dataclass(frozen=True)
class Config(translation_flags.TranslationConfig):
    """Flags of the DiscoGAN."""

    steps: int = 20_000
    batch_size: int = 64
    ema_half_life: HalfLife = 10_000.0
    data: str = "shoes-bags"
    """shoes-bags, fashion-halves, fashion-edges, unpaired:PATH, paired:PATH or npz:PATH."""
    adversarial: Weight = 0.1
    """Weight of the adversarial loss within the part that is not reconstruction."""
    features: Fraction = 0.9
    """Weight of feature matching within the part that is not reconstruction."""
    early: Fraction = 0.01
    """Fraction of the reconstruction in the generators' loss before step --curriculum."""
    late: Fraction = 0.7
    """Fraction of the reconstruction in the generators' loss from step --curriculum on."""
    curriculum: Count = 1500
    """Step at which the fraction of the reconstruction changes from --early to --late."""


PRESETS = {
    # Kim et al. 2017, section 4, and the authors' code, which runs until it is stopped by hand.
    "paper": {
        "steps": 100_000,
        "late": 0.5,
        "resolution": "64",
        "width": 64,
        "discriminator_width": 64,
        "curriculum": 10_000,
        "ema_half_life": 0.0,
    },
    "smoke": {
        "steps": 4,
        "batch_size": 8,
        "width": 2,
        "discriminator_width": 2,
        "curriculum": 2,
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
    from jaxgan.models import discogan

    optimizers = {
        "generator": discogan.adam(config.generator_learning_rate),
        "discriminator": discogan.adam(config.discriminator_learning_rate),
    }
    return discogan.build(
        weights=discogan.Weights(
            adversarial=config.adversarial,
            features=config.features,
            early=config.early,
            late=config.late,
            curriculum=config.curriculum,
        ),
        **translation_flags.options(
            config,
            spec,
            optimizers,
            loss=discogan.CROSS_ENTROPY,
            axis_name=axis_name,
            schedule=discogan.one_to_two,
            judges=translation_flags.OF_DOMAINS,
        ),
    )


if __name__ == "__main__":
    command_line.main(__name__)
