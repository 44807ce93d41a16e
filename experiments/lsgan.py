"""LSGAN (Mao et al. 2017), DCGAN's networks with a least squares loss, on garments, a folder of
photographs, or any images.

    python -m experiments.lsgan
    # what the independent classifier says of it
    python -m experiments.evaluation.garment_classes RUN

It takes as long as `experiments.dcgan`, whose program it is but for the loss. Of 2,000 samples
after the 9000 steps, at least 2 % fall in each of 6 classes at the classifier's confidence of 0.9,
and their proxy FID is 1.56 (that of `experiments.dcgan` 1.31). With `--decay-from 0.5`, 8 classes
and 1.66, and within each class samples that differ at least 0.84 times as much as photographs do.
One seed.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, TypeAlias

from jaxgan.runs import command_line
from jaxgan.runs.config import DataSpec
from jaxgan.runs.ranges import Range

from . import dcgan
from .flags import alternatives

if TYPE_CHECKING:
    from jaxgan.types import GAN


Label: TypeAlias = Annotated[float, Range(-100, 100)]


@dataclasses.dataclass(frozen=True)
class Config(dcgan.Config):
    """DCGAN's networks under least squares."""

    REFUSED: ClassVar[tuple[str, ...]] = (*dcgan.Config.REFUSED, "loss", "real_label")

    loss: Literal["least_squares"] = "least_squares"
    labels: tuple[Label, Label, Label] = (-1.0, 1.0, 0.0)
    """What the discriminator is to say of fakes (a) and of real images (b), and what the generator
    wants to hear (c). -1 1 0 make the generator minimize a Pearson divergence; 0 1 1 are those of
    the authors' code.
    """


ALTERNATIVES = alternatives.FOR_UNBOUNDED

PRESETS = {
    # The authors' train_lsun.py at 112 px, but for its generator, which has more layers, of 3x3
    # kernels. It feeds both players the same latents, and is stopped by hand.
    "paper": {
        "steps": 200_000,
        "labels": (0.0, 1.0, 1.0),
        "kernel": 5,
        "latent_size": 1024,
        "prior": "uniform",
        "generator_learning_rate": 1e-3,
        "discriminator_learning_rate": 1e-3,
        "ema_half_life": 0.0,
    },
    "smoke": dcgan.PRESETS["smoke"],
}


def build(config: Config, spec: DataSpec, *, axis_name: str | None = None) -> GAN:
    """The model for images of the data's shape; ValueError on a size it cannot make, or on labels
    that do not tell real from fake.
    """
    from jaxgan import losses

    fake, real, target = config.labels
    loss = losses.least_squares(fake=fake, real=real, target=target)
    return dcgan.build(config, spec, axis_name=axis_name, loss=loss)


if __name__ == "__main__":
    command_line.main(__name__)
