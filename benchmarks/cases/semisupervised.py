"""A classifier from few labels at 28 pixels: perceptrons with weight normalization and noise.

Both sides add Adam's epsilon outside the square root, as usual. The experiment adds it inside,
which PyTorch's fused Adam does not offer.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.cases import Case, uniform_images

if TYPE_CHECKING:
    from benchmarks.pytorch.training import Twin
    from jaxgan.types import GAN

LEARNING_RATE = 3e-3


@dataclasses.dataclass(frozen=True)
class Setting:
    """The networks of both sides; their default sizes are those of jaxgan's experiment."""

    size: tuple[int, int] = (28, 28)
    """Height and width of an image, which is gray."""
    rows: int = 100
    """Images of each of the kinds with labels, without, for reference, and generated."""
    classes: int = 10
    hidden: tuple[int, ...] = (1000, 500, 250, 250, 250)
    """Units of the discriminator's hidden layers."""
    generator_hidden: tuple[int, ...] = (500, 500)
    latent_size: int = 100


def gan(setting: Setting) -> GAN:
    """Returns jaxgan's model."""
    from jaxgan import optimizers
    from jaxgan.games.training import Training
    from jaxgan.models import semisupervised

    return semisupervised.build(
        shape=(*setting.size, 1),
        classes=setting.classes,
        training=Training(
            {player: optimizers.adam(LEARNING_RATE) for player in ("generator", "discriminator")}
        ),
        latent_size=setting.latent_size,
        hidden=setting.hidden,
        generator_hidden=setting.generator_hidden,
    )


def twin(setting: Setting) -> Twin:
    """Returns PyTorch's model."""
    from benchmarks.pytorch import semisupervised

    pixels, latent_size = setting.size[0] * setting.size[1], setting.latent_size
    return semisupervised.game(
        semisupervised.generator(pixels, latent_size=latent_size, hidden=setting.generator_hidden),
        semisupervised.Discriminator(pixels, hidden=setting.hidden, classes=setting.classes),
        latent_size=latent_size,
        learning_rate=LEARNING_RATE,
    )


def batch(setting: Setting, draws: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns the batch of a train step."""
    shape = (setting.rows, *setting.size, 1)
    images = {n: uniform_images(draws, shape) for n in ("image", "unlabeled", "reference")}
    return {**images, "label": draws.integers(0, setting.classes, setting.rows, dtype=np.int32)}


_tiny = {
    "size": (4, 6),
    "rows": 8,
    "classes": 3,
    "hidden": (12, 8),
    "generator_hidden": (8,),
    "latent_size": 3,
}

CASES = [Case("semisupervised28", Setting(), gan, twin, batch, _tiny, layouts=("contiguous",))]
