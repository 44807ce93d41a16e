"""Two perceptrons: on points of a ring, with several steps per call, and on images."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.cases import Case, uniform_images

if TYPE_CHECKING:
    from benchmarks.pytorch.training import Twin
    from jaxgan.types import GAN


@dataclasses.dataclass(frozen=True)
class Setting:
    """The networks of both sides."""

    shape: tuple[int, ...]
    """Of an example: (D,) or (H, W, C)."""
    generator: tuple[int, ...]
    discriminator: tuple[int, ...]
    dropout: float
    rows: int
    learning_rate: float
    latent_size: int = 100


def gan(setting: Setting) -> GAN:
    """Returns jaxgan's model."""
    from jaxgan import losses, optimizers
    from jaxgan.games.training import Training
    from jaxgan.models import vanilla

    return vanilla.build(
        shape=setting.shape,
        latent_size=setting.latent_size,
        generator=vanilla.Generator(setting.shape, setting.generator),
        discriminator=vanilla.Discriminator(setting.discriminator, dropout=setting.dropout),
        loss=losses.non_saturating(),
        training=Training(
            {
                player: optimizers.adam(setting.learning_rate)
                for player in ("generator", "discriminator")
            },
            shared_noise=True,
        ),
    )


def twin(setting: Setting) -> Twin:
    """Returns PyTorch's model."""
    from benchmarks.pytorch import training, vanilla

    height, *rest = setting.shape
    shape = (rest[1], height, rest[0]) if rest else (height,)
    size = setting.latent_size
    return training.two_players(
        vanilla.generator(shape, latent_size=size, hidden=setting.generator),
        vanilla.discriminator(shape, hidden=setting.discriminator, dropout=setting.dropout),
        loss=training.non_saturating(),
        latents=lambda count, draws: draws.uniform("latent", count, size, low=-1.0, high=1.0),
        learning_rate=setting.learning_rate,
    )


def batch(setting: Setting, draws: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns the batch of a train step."""
    if len(setting.shape) == 3:
        return {"image": uniform_images(draws, (setting.rows, *setting.shape))}
    angles = draws.integers(0, 8, setting.rows) * (np.pi / 4)
    ring = 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return {"image": (ring + draws.normal(0, 0.02, ring.shape)).astype(np.float32)}


_both: dict[str, Any] = {"gan": gan, "twin": twin, "batch": batch, "layouts": ("contiguous",)}

CASES = [
    Case(
        "mixture",
        Setting((2,), (128,) * 3, (128,) * 3, dropout=0.0, rows=256, learning_rate=1e-3),
        per_call=50,
        tiny={"generator": (8, 8), "discriminator": (8, 8), "rows": 16, "latent_size": 3},
        **_both,
    ),
    Case(
        "vanilla28",
        Setting(
            (28, 28, 1), (256, 512, 1024), (512, 256), dropout=0.3, rows=64, learning_rate=2e-4
        ),
        tiny={
            "shape": (4, 6, 3),
            "generator": (8, 8),
            "discriminator": (8, 16),
            "rows": 8,
            "latent_size": 3,
        },
        **_both,
    ),
]
