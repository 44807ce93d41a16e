"""Pix2Pix (Isola et al. 2017): from drawings to garments, from pairs; any pairs of images.

    python -m experiments.pix2pix
    # the score, beside another run
    python -m experiments.evaluation.garment_translations RUN --beside OTHER
    jaxgan translate RUN drawings/ --out garments/        # your own drawings

By default the drawings are edges found in the embedded photographs (see
`jaxgan.data.fashion_domains`). On 2 CPU cores, 15,000 steps at 270 images/s: 15 minutes. Of 2,000
held-out drawings 84.5 % become garments of the right class (of the photographs themselves 90.8 %),
0.107 away in the mean. The same U-Net on the absolute error alone, `--adversarial 0`, has 85.0 %
and 0.102, but its edges are twice as far from real ones' (5.7 against 2.7) and its spectrum five
times (2.3 dB against 0.4). The preset `paper` is the authors' protocol for facades, to be run as

    python -m experiments.pix2pix --preset paper --data paired:facades --direction BtoA
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from jaxgan.runs import command_line
from jaxgan.runs.config import DataSpec
from jaxgan.runs.ranges import Decay, Fraction, HalfLife, Weight

from .flags import translation_flags

if TYPE_CHECKING:
    from jaxgan.types import GAN


@dataclasses.dataclass(frozen=True)
class Config(translation_flags.PatchConfig):
    """Image to image, from pairs."""

    NETWORK: ClassVar[tuple[str, ...]] = ("norm",)

    steps: int = 15_000
    batch_size: int = 16
    decay_from: Fraction = 0.5
    ema_half_life: HalfLife = 10_000.0
    data: str = "fashion-edges"
    """fashion-edges, paired:PATH or npz:PATH."""
    l1: Weight = 100.0
    """Weight of the mean absolute error."""
    adversarial: Weight = 1.0
    """Weight of the generator's adversarial loss; 0 leaves the absolute error alone."""
    norm: Literal["batch", "instance"] = "instance"
    """Of each image by itself, or by its batch, as the authors, also when the model is used."""
    dropout: Decay = 0.5
    """Share of what the first three decoder layers drop, also when the model is used."""

    @property
    def data_options(self) -> dict[str, Any]:
        """Pairs of images."""
        return {**super().data_options, "kind": "pairs"}


PRESETS = {
    # Isola et al. 2017, section 6.2, and the authors' code, for the 400 facades: 200 epochs, one
    # image at a time (a norm by batch is then one by image), scaled to 286 pixels and cut to 256.
    "paper": {
        "steps": 80_000,
        "batch_size": 1,
        "resolution": "256",
        "jitter": 30,
        "flip": True,
        "width": 64,
        "discriminator_width": 64,
        "patch_size": 70,
        "norm": "batch",
        "decay_from": 1.0,
        "ema_half_life": 0.0,
    },
    "smoke": {
        "steps": 4,
        "batch_size": 8,
        "width": 2,
        "discriminator_width": 2,
        "log_every": 2,
        "checkpoint_every": 2,
    },
}


def build(config: Config, spec: DataSpec, *, axis_name: str | None = None) -> GAN:
    """The model for pairs of the data's shapes; ValueError where the data are no pairs or too small
    for the patches.
    """
    from jaxgan.models import pix2pix

    return pix2pix.build(
        l1=config.l1,
        adversarial=config.adversarial,
        patch_size=config.patch_size,
        norm=config.norm,
        dropout=config.dropout,
        **translation_flags.options(
            config, spec, translation_flags.adams(config), axis_name=axis_name
        ),
    )


if __name__ == "__main__":
    command_line.main(__name__)
