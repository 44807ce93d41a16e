"""Pictures of points on a plane, without matplotlib and whatever the discriminator is."""

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
    """Sets of points [N, 2] on the square [-reach, reach]^2, one panel each beside the other; the
    darker a pixel, the more points lie in it.
    """
    edges = np.linspace(-reach, reach, size + 1)
    panels = []
    for chosen in sets:
        counts, _, _ = np.histogram2d(-chosen[:, 1], chosen[:, 0], bins=(edges, edges))
        # One point in a pixel is to be seen, as well as a hundred.
        shade = np.where(counts > 0, 1 - 0.5 ** (1 + np.log2(np.maximum(counts, 1)) / 2), 0)
        panels.append(Image.fromarray((255 * (1 - shade)).astype(np.uint8)))
    return beside(panels)


def picture_of(gan: GAN, mixture: Mixture) -> Callable[[Any], Image.Image]:
    """The picture of a state: the points that it draws from the same latents at every call."""
    draw, reach = image_grids.sampler(gan, image_grids.POINTS), 1.3 * np.abs(mixture.centers).max()

    def picture(state: Any) -> Image.Image:
        return points([np.asarray(draw(state, jax.random.key(0)))], reach=reach, size=256)

    return picture


def beside(panels: Sequence[Image.Image]) -> Image.Image:
    """Panels of one size as one strip, framed."""
    width, height = panels[0].size
    sheet = Image.new("L", (len(panels) * (width + GAP) - GAP, height), 255)
    pen = ImageDraw.Draw(sheet)
    for index, panel in enumerate(panels):
        left = index * (width + GAP)
        sheet.paste(panel, (left, 0))
        pen.rectangle((left, 0, left + width - 1, height - 1), outline=200)
    return sheet
