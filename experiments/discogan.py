"""DiscoGAN (Kim et al. 2017): shoes to bags and back, without pairs; any two domains.

    python -m experiments.discogan
    python -m experiments.evaluation.garment_translations RUN
    jaxgan translate RUN shoes/ --out bags/               # --source b for the other way

By default the domains are the embedded shoes (of three kinds) and bags, as in the paper's own task.
On 2 CPU cores, 20,000 steps at 1,200 images/s: 18 minutes. Of held-out images, 94 % of the shoes
become bags (with 0.80 of the bags' diversity) and 98 % of the bags shoes (0.91 of theirs, within
each kind); there and back, 84 % of the shoes and 92 % of the bags are of their class again. Many
have holes and frayed edges. With the paper's half of reconstruction (`--late 0.5`) 79.5 % of the
shoes come back, with 0.3 (and `--adversarial 0.5 --features 0.5`) 69 %. One seed.

The preset `paper` is the authors' protocol for images of 64 pixels, to be run as

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
    """What two domains have in common, without pairs."""

    steps: int = 20_000
    batch_size: int = 64
    ema_half_life: HalfLife = 10_000.0
    data: str = "shoes-bags"
    """shoes-bags, fashion-halves, fashion-edges, unpaired:PATH, paired:PATH or npz:PATH."""
    adversarial: Weight = 0.1
    """Share of the adversarial loss in what is not reconstruction."""
    features: Fraction = 0.9
    """Share of the matching of the discriminators' features in what is not reconstruction."""
    early: Fraction = 0.01
    """Share of the reconstruction in the generators' loss, at first."""
    late: Fraction = 0.7
    """Share of the reconstruction in the generators' loss, from step --curriculum on."""
    curriculum: Count = 1500
    """The train step from which the reconstruction has its later share."""


PRESETS = {
    # Kim et al. 2017, section 4, and the authors' code, which runs until it is stopped.
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
    """The model between domains of the data's shapes; ValueError where they do not fit."""
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
        **translation_flags.options(config, spec, optimizers, axis_name=axis_name),
    )


if __name__ == "__main__":
    command_line.main(__name__)
