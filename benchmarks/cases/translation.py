"""Image translation: Pix2Pix's U-Net, CycleGAN's residual network, and SRResNet."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.cases import Case, uniform_images

if TYPE_CHECKING:
    from benchmarks.pytorch.training import Twin
    from jaxgan.types import GAN

L1, CYCLE, IDENTITY = 100.0, 10.0, 0.5
STAGES = {16: 1, 70: 3}
"""Stride-2 layers of the discriminator of such patches."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """The networks of both sides."""

    shape: tuple[int, int, int]
    """Height, width and channels of an image."""
    rows: int
    width: int = 64
    patch: int = 70
    blocks: int = 6
    """Residual blocks."""
    pool: int = 50
    """Earlier fakes."""


def _options(setting: Setting) -> dict[str, Any]:
    from jaxgan import optimizers
    from jaxgan.games.training import Training

    return {
        "shape_a": setting.shape,
        "shape_b": setting.shape,
        "width": setting.width,
        "discriminator_width": setting.width,
        "patch_size": setting.patch,
        "training": Training({side: optimizers.adam() for side in ("generator", "discriminator")}),
    }


def pairs(setting: Setting, draws: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns a batch of image pairs."""
    return {name: uniform_images(draws, (setting.rows, *setting.shape)) for name in ("a", "b")}


# --- Pix2Pix --------------------------------------------------------------------------------------


def pix2pix_gan(setting: Setting) -> GAN:
    """Returns jaxgan's model."""
    from jaxgan.models import pix2pix

    return pix2pix.build(l1=L1, **_options(setting))


def pix2pix_twin(setting: Setting) -> Twin:
    """Returns PyTorch's model."""
    from benchmarks.pytorch import patch, pix2pix

    height, _, channels = setting.shape
    depth = (height - 1).bit_length()
    return pix2pix.game(
        pix2pix.UNet(channels, channels, depth=depth, width=setting.width),
        patch.discriminator(
            2 * channels, stages=STAGES[setting.patch], width=setting.width, norm="batch"
        ),
        l1=L1,
    )


# --- CycleGAN -------------------------------------------------------------------------------------


def cyclegan_gan(setting: Setting) -> GAN:
    """Returns jaxgan's model."""
    from jaxgan.models import cyclegan

    return cyclegan.build(
        cycle=CYCLE,
        identity=IDENTITY,
        pool=setting.pool,
        blocks=setting.blocks,
        **_options(setting),
    )


def cyclegan_twin(setting: Setting) -> Twin:
    """Returns PyTorch's model."""
    from benchmarks.pytorch import cyclegan, patch

    channels, stages = setting.shape[2], STAGES[setting.patch]
    sizes = {"blocks": setting.blocks, "width": setting.width}
    players = {
        **{
            name: cyclegan.ResNet(channels, channels, **sizes)
            for name in ("generator_ab", "generator_ba")
        },
        **{
            name: patch.discriminator(channels, stages=stages, width=setting.width, norm="instance")
            for name in ("discriminator_a", "discriminator_b")
        },
    }
    return cyclegan.game(players, cycle=CYCLE, identity=IDENTITY, pool=setting.pool)


# --- SRResNet -------------------------------------------------------------------------------------

FACTOR = 4


def srresnet_gan(setting: Setting) -> GAN:
    """Returns jaxgan's model."""
    from jaxgan import optimizers
    from jaxgan.games.training import Training
    from jaxgan.models import srgan

    return srgan.build(
        shape=setting.shape,
        factor=FACTOR,
        training=Training({"generator": optimizers.adam(1e-4, beta1=0.9)}),
        networks=srgan.Networks(blocks=setting.blocks, width=setting.width),
        pretraining=None,
    )


def srresnet_twin(setting: Setting) -> Twin:
    """Returns PyTorch's model."""
    from benchmarks.pytorch import srresnet

    sizes = {"factor": FACTOR, "blocks": setting.blocks, "width": setting.width}
    return srresnet.by_pixels(srresnet.SRResNet(setting.shape[2], **sizes))


def small_and_large(setting: Setting, draws: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns a batch of small and large images."""
    height, width, channels = setting.shape
    small = (setting.rows, height // FACTOR, width // FACTOR, channels)
    return {
        "a": uniform_images(draws, small),
        "b": uniform_images(draws, (setting.rows, *setting.shape)),
    }


_tiny = {"shape": (16, 16, 3), "rows": 2, "width": 4, "patch": 16, "blocks": 1, "pool": 3}
_64, _96 = (64, 64, 3), (96, 96, 3)
_pix2pix: dict[str, Any] = {"gan": pix2pix_gan, "twin": pix2pix_twin, "batch": pairs, "tiny": _tiny}
_cyclegan: dict[str, Any] = {
    "gan": cyclegan_gan,
    "twin": cyclegan_twin,
    "batch": pairs,
    "tiny": _tiny,
}

CASES = [
    Case("pix2pix64-b4", Setting(_64, 4), **_pix2pix),
    Case("cyclegan64-b1", Setting(_64, 1), **_cyclegan),
    Case("cyclegan64-b4", Setting(_64, 4), **_cyclegan),
    Case(
        "srresnet96-b16",
        Setting(_96, 16, blocks=16),
        srresnet_gan,
        srresnet_twin,
        small_and_large,
        _tiny,
    ),
]
