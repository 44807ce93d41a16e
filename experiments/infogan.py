"""InfoGAN (Chen et al. 2016): latent codes that become meaningful without labels.

Part of the latent (the codes) must be recoverable from the generated image.

    python -m experiments.infogan --data tfds:mnist
    # how well the first code matches the classes
    python -m experiments.evaluation.infogan_codes RUN

The authors' 5,000 updates on MNIST take 21 minutes on 2 CPU cores (516 images/s). The first code,
one value for each digit, then gives the right class for 74.3, 89.0 and 85.3 % of the test images
(seeds 0, 1 and 2). With `--preset paper` it is 96.2 % (seed 0; 80.2 % on a GPU). k-means on the
pixels reaches 53.5 %, the paper reports 95 %. The preset differs from the authors' code in one
layer: their generator normalizes its second dense layer by unit, this one by channel of the
resulting maps.

The pictures of a run traverse each code. A row is one draw of all other entries of the latent. The
columns are the values of the code: each class of c1, or -2 to 2 for c2 and c3 (figure 2 of the
paper).
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
    """Flags of the InfoGAN, a convolutional GAN with latent codes."""

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
    """Size of the noise vector, next to the codes."""
    prior: Literal["normal", "uniform", "unit_uniform"] = "uniform"
    """Distribution of the noise: N(0, 1), U(-1, 1), or U(-sqrt 3, sqrt 3), of variance 1."""
    generator_learning_rate: LearningRate = 1e-3
    discriminator_learning_rate: LearningRate = 2e-4
    """Learning rate of the discriminator and of q."""
    shared_noise: bool = True
    categories: tuple[Positive, ...] = (10,)
    """Number of classes of each categorical code."""
    continuous: Count = 2
    """Number of continuous codes, from U(-1, 1)."""
    categorical_weight: Weight = 1.0
    """Weight of the mutual-information term of the categorical codes, relative to the adversarial
    loss.
    """
    continuous_weight: Weight = 1.0
    """Weight of the mutual-information term of the continuous codes, relative to the adversarial
    loss.
    """
    learned_std: bool = False
    """Let q predict the standard deviation of each continuous code; by default it is 1."""
    width: Positive = 64
    """Channels of the layer next to the image; they double with every halving of the resolution."""
    hidden: Positive = 1024
    """Units of the dense layer of the generator and of the discriminator."""
    leak: Fraction = 0.1
    """Negative slope of the discriminator's LeakyReLU."""


PRESETS = {
    # The authors' launcher for MNIST: 50 times 100 updates. Their code has the slope 0.01, the
    # paper's table 0.1. Their code normalizes the generator's second dense layer by unit, this one
    # by channel.
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
    """Returns the model for images of the data's shape.

    Args:
        config: The flags.
        spec: Shape of the data's images.
        axis_name: Mapped axis over which the batch is split, or None.

    Raises:
        ValueError: If the networks cannot make images of this size, or the flags contradict each
            other.
    """
    from jaxgan.games import mutual_information
    from jaxgan.models import infogan

    shape = two_player_flags.image_shape(spec)
    options = two_player_flags.options(config, axis_name=axis_name)
    if config.order == "simultaneous":
        at_once = infogan.simultaneously
        options["training"] = dataclasses.replace(options["training"], schedule=at_once)
    return infogan.build(
        shape=shape,
        codes=mutual_information.Codes(config.categories, config.continuous),
        latent_size=config.latent_size,
        prior=config.prior,
        width=config.width,
        hidden=config.hidden,
        leak=config.leak,
        std=None if config.learned_std else 1.0,
        weights=mutual_information.Weights(config.categorical_weight, config.continuous_weight),
        **two_player_flags.augmented(config, options, shape),
    )


def picture(gan: GAN, splits: data.Splits) -> Picture:
    """Returns a function that draws the traversals of all codes by the averaged generator.

    Args:
        gan: The model.
        splits: The data, for the shape of the images.
    """
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
