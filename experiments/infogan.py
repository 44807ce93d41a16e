"""InfoGAN (Chen et al. 2016): codes of the generator that come to mean something, without labels.

    python -m experiments.infogan --data tfds:mnist
    python -m experiments.evaluation.infogan_codes RUN  # how well the first code knows the classes

On 2 CPU cores, the authors' 5,000 updates on MNIST at 516 images a second: 21 minutes. The first
code, one value for each digit, then gives the right class to 74.3, 89.0 and 85.3 % of the test
images (seeds 0, 1 and 2), with `--preset paper` to 96.2 % (seed 0, and 80.2 % on a GPU); k-means on
the pixels has 53.5 %, the paper 95 %. The preset differs from the authors' code in one layer: their
generator normalizes its second dense layer by unit, this one by channel of the maps it becomes.

The pictures of a run traverse each code: a row is one draw of all the rest, and the columns are the
values of the code, each class of c1 or -2 to 2 for c2 and c3 (figure 2 of the paper).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar, Literal

from jaxgan.runs import command_line
from jaxgan.runs.config import DataSpec
from jaxgan.runs.ranges import Count, Fraction, LearningRate, Positive, Weight

from .flags import refused_flags, two_player_flags

if TYPE_CHECKING:
    from jaxgan import data
    from jaxgan.plotting.image_grids import Picture
    from jaxgan.types import GAN


@dataclasses.dataclass(frozen=True)
class Config(two_player_flags.TwoPlayerConfig):
    """A convolutional GAN whose codes are read off its images."""

    NETWORK: ClassVar[tuple[str, ...]] = (
        "categories",
        "continuous",
        "learned_std",
        "width",
        "hidden",
        "leak",
    )
    REFUSED: ClassVar[tuple[str, ...]] = refused_flags.STAGES

    steps: int = 5000
    batch_size: int = 128
    latent_size: Positive = 62
    """Entries of the noise beside the codes."""
    prior: Literal["normal", "uniform", "unit_uniform"] = "uniform"
    """Distribution of the noise: N(0, 1), U(-1, 1), or U(-sqrt 3, sqrt 3), of variance 1."""
    generator_learning_rate: LearningRate = 1e-3
    discriminator_learning_rate: LearningRate = 2e-4
    """Step size of the discriminator's and of q's optimizer."""
    shared_noise: bool = True
    categories: tuple[Positive, ...] = (10,)
    """How many classes each categorical code has."""
    continuous: Count = 2
    """How many codes from U(-1, 1) there are."""
    categorical_weight: Weight = 1.0
    """Of what the images tell of categorical codes, beside the adversarial loss."""
    continuous_weight: Weight = 1.0
    """Of what the images tell of continuous codes, beside the adversarial loss."""
    learned_std: bool = False
    """Let q say how sure it is of a continuous code; by default its deviation is 1."""
    width: Positive = 64
    """Channels next to the image; they double with every halving."""
    hidden: Positive = 1024
    """Entries of the dense layer of the generator and of the discriminator."""
    leak: Fraction = 0.1
    """Slope of the discriminator's rectifiers below 0."""


PRESETS = {
    # The authors' launcher for MNIST: 50 times 100 updates. Their code has the slope 0.01 where the
    # paper's table has 0.1, and normalizes the generator's second dense layer by unit, where this
    # one does by channel.
    "paper": {"leak": 0.01, "shared_noise": False, "ema_half_life": 0.0},
    "smoke": {
        "steps": 4,
        "batch_size": 8,
        "width": 4,
        "hidden": 16,
        "log_every": 2,
        "checkpoint_every": 2,
    },
}


def build(config: Config, spec: DataSpec, *, axis_name: str | None = None) -> GAN:
    """The model for images of the data's shape; ValueError on a size it cannot make."""
    from jaxgan.games import mutual_information
    from jaxgan.models import infogan

    options = two_player_flags.options(config, axis_name=axis_name)
    if config.order == "simultaneous":
        at_once = infogan.simultaneously
        options["training"] = dataclasses.replace(options["training"], schedule=at_once)
    return infogan.build(
        shape=two_player_flags.image_shape(spec),
        codes=mutual_information.Codes(config.categories, config.continuous),
        latent_size=config.latent_size,
        prior=config.prior,
        width=config.width,
        hidden=config.hidden,
        leak=config.leak,
        std=None if config.learned_std else 1.0,
        weights=mutual_information.Weights(config.categorical_weight, config.continuous_weight),
        **options,
    )


def picture(gan: GAN, splits: data.Splits) -> Picture:
    """The traversals of all codes by the averaged generator, side by side."""
    import jax
    import numpy as np
    from PIL import Image

    from jaxgan.models import infogan
    from jaxgan.plotting import image_grids

    draw = jax.jit(lambda state: infogan.traversals(gan, state.averaged(), splits.train.shape))

    def traversed(state) -> Image.Image:
        panels = {
            f"{name}, from left to right": image_grids.grid(
                np.asarray(images).reshape(-1, *images.shape[2:]), columns=images.shape[1]
            )
            for name, images in draw(state).items()
        }
        return image_grids.panels(panels)

    return traversed


if __name__ == "__main__":
    command_line.main(__name__)
