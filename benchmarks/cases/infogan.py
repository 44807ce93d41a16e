"""InfoGAN at 28 pixels: three players, two of them updated together."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

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
    rows: int = 128
    width: int = 64
    hidden: int = 1024
    """Entries of the dense layer of the generator and of the discriminator."""
    noise: int = 62
    """Entries of a latent beside the codes."""
    classes: int = 10
    """Of the categorical code."""
    continuous: int = 2
    """How many codes are continuous."""


def gan(setting: Setting) -> GAN:
    """Returns jaxgan's model."""
    from jaxgan import losses, optimizers
    from jaxgan.games import mutual_information
    from jaxgan.games.training import Training
    from jaxgan.models import infogan

    return infogan.build(
        shape=setting.shape,
        codes=mutual_information.Codes((setting.classes,), setting.continuous),
        latent_size=setting.noise,
        width=setting.width,
        hidden=setting.hidden,
        loss=losses.non_saturating(),
        training=Training(
            {side: optimizers.adam(rate) for side, rate in LEARNING_RATES.items()},
            shared_noise=True,
        ),
    )


def twin(setting: Setting) -> Twin:
    """Returns PyTorch's model."""
    from benchmarks.pytorch import infogan

    height, width, channels = setting.shape
    shape, stages = (channels, height, width), (height // 4).bit_length() - 1
    networks = {"stages": stages, "hidden": setting.hidden, "width": setting.width}
    sizes = infogan.Sizes(setting.noise, setting.classes, setting.continuous)
    players = {
        "generator": infogan.generator(shape, latent_size=sizes.latent, **networks),
        "discriminator": infogan.Discriminator(shape, **networks),
        "q": infogan.recognizer(setting.hidden, sizes),
    }
    return infogan.game(players, sizes, learning_rates=LEARNING_RATES)


def batch(setting: Setting, draws: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns the batch of a train step."""
    return {"image": uniform_images(draws, (setting.rows, *setting.shape))}


_tiny = {"shape": (16, 16, 3), "rows": 8, "width": 4, "hidden": 12, "noise": 3, "classes": 4}

# The generator's large updates magnify rounding: its loss differs by 1 % in the third step.
CASES = [Case("infogan28", Setting(), gan, twin, batch, _tiny, compared=2)]
