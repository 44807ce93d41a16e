"""Pictures of points in the plane. Needs no matplotlib and no discriminator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from PIL import Image, ImageDraw

from jaxgan.data import Mixture
from jaxgan.plotting import image_grids
from jaxgan.types import GAN

GAP = 4
"""Pixels between the panels of a strip."""


def points(sets: Sequence[np.ndarray], *, reach: float, size: int = 96) -> Image.Image:
    """Draws each set of points in a panel as a 2D histogram; darker pixels hold more points.

    Args:
        sets: Sets of points [N, 2].
        reach: The panels show the square [-reach, reach]^2.
        size: Height and width of a panel in pixels.
    """
    edges = np.linspace(-reach, reach, size + 1)
    panels = []
    for chosen in sets:
        counts, _, _ = np.histogram2d(-chosen[:, 1], chosen[:, 0], bins=(edges, edges))
        # Logarithmic, so that a pixel with one point and one with a hundred are both visible.
        shade = np.where(counts > 0, 1 - 0.5 ** (1 + np.log2(np.maximum(counts, 1)) / 2), 0)
        panels.append(Image.fromarray((255 * (1 - shade)).astype(np.uint8)))
    return beside(panels)


def picture_of(gan: GAN, mixture: Mixture) -> Callable[[Any], Image.Image]:
    """Returns the picture of a state: points generated from the same latents at every call.

    Args:
        gan: The model.
        mixture: The data, whose centers set the range of the picture.
    """
    draw, reach = image_grids.sampler(gan, image_grids.POINTS), 1.3 * np.abs(mixture.centers).max()

    def picture(state: Any) -> Image.Image:
        return points([np.asarray(draw(state, jax.random.key(0)))], reach=reach, size=256)

    return picture


def beside(panels: Sequence[Image.Image]) -> Image.Image:
    """Arranges panels of the same size in a framed strip."""
    width, height = panels[0].size
    sheet = Image.new("L", (len(panels) * (width + GAP) - GAP, height), 255)
    pen = ImageDraw.Draw(sheet)
    for index, panel in enumerate(panels):
        left = index * (width + GAP)
        sheet.paste(panel, (left, 0))
        pen.rectangle((left, 0, left + width - 1, height - 1), outline=200)
    return sheet
