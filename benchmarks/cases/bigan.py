"""BiGAN at 28 pixels: generator, encoder and a discriminator of pairs, updated together."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.cases import Case, uniform_images

if TYPE_CHECKING:
    from benchmarks.pytorch.training import Twin
    from jaxgan.types import GAN

LEARNING_RATES = {"generator": 1e-3, "discriminator": 2e-4}


@dataclasses.dataclass(frozen=True)
class Setting:
    """The networks of both sides; their default sizes are those of jaxgan's experiment."""

    shape: tuple[int, int, int] = (28, 28, 1)
    """Height, width and channels of an image."""
    rows: int = 64
    width: int = 48
    kernel: int = 4
    features: int = 256
    """Of the encoder, and units of the dense layers."""
    latent_size: int = 50


def gan(setting: Setting) -> GAN:
    """Returns jaxgan's model."""
    from jaxgan import losses, optimizers
    from jaxgan.games.training import Training
    from jaxgan.models import bigan

    return bigan.build(
        shape=setting.shape,
        latent_size=setting.latent_size,
        width=setting.width,
        kernel=setting.kernel,
        features=setting.features,
        loss=losses.non_saturating(),
        training=Training({side: optimizers.adam(rate) for side, rate in LEARNING_RATES.items()}),
    )


def twin(setting: Setting) -> Twin:
    """Returns PyTorch's model."""
    from benchmarks.pytorch import bigan, dcgan

    height, width, channels = setting.shape
    shape, stages = (channels, height, width), (height // 4).bit_length() - 1
    convolutions: dict[str, Any] = {
        "stages": stages,
        "width": setting.width,
        "kernel": setting.kernel,
    }
    features, latent = setting.features, {"latent_size": setting.latent_size}

    def trunk():
        return bigan.trunk(shape, features=features, **convolutions)

    pairs = bigan.JointTrunk(trunk(), features=features, **latent)
    players = {
        "generator": dcgan.generator(shape, **latent, **convolutions),
        "encoder": bigan.Encoder(trunk(), features=features, **latent),
        "discriminator": bigan.Discriminator(pairs, features=2 * features),
    }
    return bigan.game(players, learning_rates=LEARNING_RATES, **latent)


def batch(setting: Setting, draws: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns the batch of a train step."""
    return {"image": uniform_images(draws, (setting.rows, *setting.shape))}


_tiny = {"shape": (16, 16, 3), "rows": 8, "width": 4, "features": 6, "latent_size": 3}

CASES = [Case("bigan28", Setting(), gan, twin, batch, _tiny)]
