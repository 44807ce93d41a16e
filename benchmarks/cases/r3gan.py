"""R3GAN at 32 pixels: residual networks without normalization, with R1 and R2 in every step."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.cases import Case, uniform_images

if TYPE_CHECKING:
    from benchmarks.pytorch.training import Twin
    from jaxgan.types import GAN

LEARNING_RATE, BETAS = 5e-4, (0.0, 0.9)


@dataclasses.dataclass(frozen=True)
class Setting:
    """The networks of both sides; their default sizes are those of jaxgan's experiment."""

    shape: tuple[int, int, int] = (32, 32, 3)
    """Height, width and channels of an image."""
    rows: int = 32
    """Real images of each player in a step."""
    width: int = 16
    max_width: int = 128
    blocks: int = 2
    fine_blocks: int = 1
    group: int = 64
    """Channels of a group of the grouped convolutions."""
    latent_size: int = 64
    gamma: float = 0.05


def gan(setting: Setting) -> GAN:
    """Returns jaxgan's model, without augmentation."""
    from jaxgan import optimizers
    from jaxgan.games import penalization
    from jaxgan.games.training import Training
    from jaxgan.models import r3gan

    return r3gan.build(
        shape=setting.shape,
        latent_size=setting.latent_size,
        maps=r3gan.resolutions(
            setting.shape[:2],
            width=setting.width,
            max_width=setting.max_width,
            blocks=setting.blocks,
            fine_blocks=setting.fine_blocks,
            group=setting.group,
        ),
        penalty=penalization.ZeroCentered(setting.gamma),
        training=Training(
            {
                player: optimizers.adam(LEARNING_RATE, *BETAS)
                for player in ("generator", "discriminator")
            }
        ),
    )


def twin(setting: Setting) -> Twin:
    """Returns PyTorch's model."""
    from benchmarks.pytorch import r3gan

    height, breadth, channels = setting.shape
    size, last = setting.latent_size, (min(height, breadth) // 4).bit_length() - 1
    levels = range(last + 1)
    networks = (
        (height >> last, breadth >> last),
        [min(setting.width << (last - level), setting.max_width) for level in levels],
        [setting.fine_blocks if last - level < 2 else setting.blocks for level in levels],
    )
    sizes = {"group": setting.group, "channels": channels}
    return r3gan.game(
        r3gan.Generator(*networks, latent_size=size, **sizes),
        r3gan.Discriminator(*networks, **sizes),
        latents=lambda count, draws: draws.normal("latent", count, size),
        gamma=setting.gamma,
        learning_rate=LEARNING_RATE,
        betas=BETAS,
    )


def batch(setting: Setting, draws: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns the batch of a train step: the images of both players."""
    return {"image": uniform_images(draws, (2 * setting.rows, *setting.shape))}


_tiny = {
    "shape": (16, 16, 3),
    "rows": 2,
    "width": 4,
    "max_width": 8,
    "blocks": 1,
    "group": 8,
    "latent_size": 3,
}

CASES = [Case("r3gan32-b32", Setting(), gan, twin, batch, _tiny)]
