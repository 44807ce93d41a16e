"""The models: one module per GAN, each with its networks and a `build` that returns a `GAN`.

Each module's docstring names the paper and what differs from it. May use the ground files, kernels,
steps, nn and games.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxgan import _submodule

if TYPE_CHECKING:
    from jaxgan.models import (
        bigan,
        conditional,
        cyclegan,
        dcgan,
        discogan,
        fastgan,
        infogan,
        pix2pix,
        progressive,
        projected,
        r3gan,
        semisupervised,
        srgan,
        text_to_image,
        vanilla,
    )

__all__ = [
    "bigan",
    "conditional",
    "cyclegan",
    "dcgan",
    "discogan",
    "fastgan",
    "infogan",
    "pix2pix",
    "progressive",
    "projected",
    "r3gan",
    "semisupervised",
    "srgan",
    "text_to_image",
    "vanilla",
]


def __getattr__(name: str) -> Any:
    return _submodule(__name__, __all__, name)
