r"""GAN (Goodfellow et al. 2014): two perceptrons, on images or a toy density.

    python -m experiments.vanilla
    python -m experiments.vanilla --data ring --steps 6000 --steps-per-call 50 --batch-size 256 \
        --generator-learning-rate 1e-3 --discriminator-learning-rate 1e-3
    python -m experiments.vanilla --data gauss1d --steps 4000 --steps-per-call 50 --batch-size 256

10,000 steps on garments take 2 minutes on 2 CPU cores. At a classifier confidence of 0.9 or more, 5
classes have at least 2 % of 2,000 samples each, and the proxy FID is 7.35 (`python -m
experiments.evaluation.garment_classes RUN`). The ring takes half a minute and ends with points on
all 8 modes. On gauss1d the discriminator's value reaches -1.389 in 20 seconds; the optimum is -log
4 = -1.386.

The preset `paper` has the authors' layers, optimizer and latents, with images in [-1, 1] and a tanh
output. `experiments.original` is their protocol on digits, with pixels in [0, 1].
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from jaxgan.runs import command_line
from jaxgan.runs.config import DataSpec
from jaxgan.runs.ranges import Decay, Positive, Range

from .flags import alternatives, refused_flags, two_player_flags

if TYPE_CHECKING:
    from jaxgan.models.vanilla import Discriminator, Generator
    from jaxgan.types import GAN


@dataclasses.dataclass(frozen=True)
class Config(two_player_flags.TwoPlayerConfig):
    """Flags of the GAN of multilayer perceptrons."""

    NETWORK: ClassVar[tuple[str, ...]] = ("generator_hidden", "discriminator_hidden", "pieces")
    REFUSED: ClassVar[tuple[str, ...]] = refused_flags.STAGES

    steps: int = 10_000
    data: str = "fashion"
    """fashion, folder:PATH, npz:PATH, tfds:NAME, ring, grid or gauss1d."""
    prior: Literal["normal", "uniform"] = "uniform"
    generator_hidden: tuple[Positive, ...] | None = None
    """Units of the generator's hidden layers (ReLU); default: 256 512 1024, for points 128 128."""
    discriminator_hidden: tuple[Positive, ...] | None = None
    """Units of the discriminator's hidden layers; default: 512 256, for points 128 128."""
    pieces: Positive = 1
    """Linear pieces of each maxout unit in the discriminator; 1: LeakyReLU instead of maxout."""
    input_dropout: Decay = 0.0
    """Dropout rate of the discriminator's inputs."""
    dropout: Annotated[float | None, Range(0, 1, open_high=True)] = None
    """Dropout rate of the discriminator's hidden units; default: 0.3, for points 0."""
    weight_range: Annotated[float | None, Range(0, 10, open_low=True)] = None
    """Draw the generator's initial weights from U(-r, r), the discriminator's from a tenth of that
    range; default: by fan-in.
    """


ALTERNATIVES = alternatives.FOR_UNBOUNDED

PRESETS = {
    # goodfeli/adversarial, mnist.yaml: the momentum grows over 250 epochs of 50,000 images;
    # training ended by eye. They halve the discriminator's loss, and so its learning rate. Their
    # pixels are in [0, 1], the generator's from a sigmoid on biases set by the data: see
    # `experiments.original`.
    "paper": {
        "steps": 250 * 500,
        "batch_size": 100,
        "generator_hidden": (1200, 1200),
        "discriminator_hidden": (240, 240),
        "pieces": 5,
        "input_dropout": 0.2,
        "dropout": 0.5,
        "weight_range": 0.05,
        "optimizer": "sgd",
        "generator_learning_rate": 0.1,
        "discriminator_learning_rate": 0.05,
        "prior": "unit_uniform",
        "order": "simultaneous",
        "ema_half_life": 0.0,
    },
    "smoke": {
        "steps": 4,
        "batch_size": 8,
        "generator_hidden": (16,),
        "discriminator_hidden": (16,),
        "log_every": 2,
        "checkpoint_every": 2,
    },
}


def networks(config: Config, shape: tuple[int, ...]) -> tuple[Generator, Discriminator]:
    """Returns the generator and the discriminator for examples of the given shape.

    Args:
        config: The flags.
        shape: Shape of an example, (H, W, C) or (D,); it decides the default layers.
    """
    from jaxgan.models import vanilla

    points = len(shape) == 1
    generator_init, discriminator_init = vanilla.weights(config.weight_range)
    dropout = (0.0 if points else 0.3) if config.dropout is None else config.dropout
    generator = vanilla.Generator(
        shape,
        config.generator_hidden or ((128, 128) if points else (256, 512, 1024)),
        generator_init,
    )
    discriminator = vanilla.Discriminator(
        config.discriminator_hidden or ((128, 128) if points else (512, 256)),
        pieces=config.pieces,
        input_dropout=config.input_dropout,
        dropout=dropout,
        kernel_init=discriminator_init,
    )
    return generator, discriminator


def build(config: Config, spec: DataSpec, *, axis_name: str | None = None) -> GAN:
    """Returns the model for examples of the data's shape, images or points.

    Args:
        config: The flags.
        spec: Shape of the data's examples.
        axis_name: Mapped axis over which the batch is split, or None.

    Raises:
        ValueError: If the flags contradict each other.
    """
    from jaxgan.models import vanilla

    generator, discriminator = networks(config, spec.shape)
    options = two_player_flags.options(config, axis_name=axis_name)
    return vanilla.build(
        shape=spec.shape,
        latent_size=config.latent_size,
        prior=config.prior,
        generator=generator,
        discriminator=discriminator,
        **two_player_flags.augmented(config, options, spec.shape),
    )


if __name__ == "__main__":
    command_line.main(__name__)
