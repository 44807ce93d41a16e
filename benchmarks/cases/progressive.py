"""Progressive growing at 32 pixels, fully grown: the Wasserstein critic, R1, and cross-entropy."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.cases import Case, uniform_images

if TYPE_CHECKING:
    from benchmarks.pytorch.training import Twin
    from jaxgan.types import GAN

R1_GAMMA, DRIFT = 10.0, 0.001
LEARNING_RATE, BETAS = 1e-3, (0.0, 0.99)


@dataclasses.dataclass(frozen=True)
class Setting:
    """The networks of both sides; their default sizes are those of jaxgan's experiment."""

    penalty: str = "none"
    """'none', 'r1', or 'wgan-gp', which brings its loss with the drift term."""
    shape: tuple[int, int, int] = (32, 32, 3)
    """Height, width and channels of an image."""
    rows: int = 16
    width: int = 16
    max_width: int = 128
    latent_size: int = 128
    group: int = 4
    """Examples in a group of the minibatch's standard deviation."""

    @property
    def level(self) -> int:
        """Returns how often images double from the base of 4 to 7 pixels."""
        return (min(self.shape[:2]) // 4).bit_length() - 1


def gan(setting: Setting) -> GAN:
    """Returns jaxgan's model."""
    from jaxgan import losses, optimizers, penalties
    from jaxgan.games.training import Training
    from jaxgan.models import progressive

    of_penalty = {
        "none": None,
        "r1": lambda judge, real, fake, keys: penalties.r1(judge, real, gamma=R1_GAMMA),
        "wgan-gp": penalties.gradient_penalty,
    }
    wasserstein = progressive.drifting(losses.wasserstein(), DRIFT)
    return progressive.build(
        shape=setting.shape,
        level=setting.level,
        rows=setting.rows,
        fade_images=0,
        latent_size=setting.latent_size,
        width=setting.width,
        max_width=setting.max_width,
        group=setting.group,
        loss=wasserstein if setting.penalty == "wgan-gp" else losses.non_saturating(),
        penalty=of_penalty[setting.penalty],
        training=Training(
            {
                player: optimizers.adam(LEARNING_RATE, *BETAS)
                for player in ("generator", "discriminator")
            },
            shared_noise=True,
        ),
    )


def twin(setting: Setting) -> Twin:
    """Returns PyTorch's model."""
    from benchmarks.pytorch import penalties, progressive, training

    height, breadth, channels = setting.shape
    last, size = setting.level, setting.latent_size
    base = height >> last, breadth >> last
    widths = [min(setting.width << (last - level), setting.max_width) for level in range(last + 1)]
    of_penalty = {
        "none": None,
        "r1": penalties.r1(R1_GAMMA),
        "wgan-gp": penalties.gradient_penalty(),
    }
    wasserstein = progressive.drifting(training.wasserstein(), DRIFT)
    return training.two_players(
        progressive.Generator(base, widths, channels=channels, latent_size=size),
        progressive.Discriminator(base, widths, channels=channels, group=setting.group),
        loss=wasserstein if setting.penalty == "wgan-gp" else training.non_saturating(),
        latents=lambda count, draws: draws.normal("latent", count, size),
        learning_rate=LEARNING_RATE,
        betas=BETAS,
        penalty=of_penalty[setting.penalty],
    )


def batch(setting: Setting, draws: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns the batch of a train step."""
    return {"image": uniform_images(draws, (setting.rows, *setting.shape))}


_tiny = {"shape": (8, 8, 3), "rows": 4, "width": 2, "max_width": 4, "latent_size": 3, "group": 2}
_both: dict[str, Any] = {"gan": gan, "twin": twin, "batch": batch, "tiny": _tiny}
# Equal channels at every resolution, as in the paper up to 32 pixels, but fewer than its 512.
_wide: dict[str, Any] = {"width": 128, "max_width": 128}

CASES = [
    Case("progressive32", Setting(), **_both),
    Case("progressive32-r1", Setting("r1"), **_both),
    Case("progressive32-wgangp", Setting("wgan-gp"), **_both),
    Case("progressive32-wide", Setting(**_wide), **_both),
    Case("progressive32-wide-r1", Setting("r1", **_wide), **_both),
    Case("progressive32-wide-wgangp", Setting("wgan-gp", **_wide), **_both),
]
