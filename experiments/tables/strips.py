"""Pictures of points and paths on a plane, without matplotlib: strips, and figures of strips."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from jaxgan.data import Mixture
    from jaxgan.types import GAN

GAP, LINE = 4, 14


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
    import jax

    from jaxgan.plotting import image_grids

    draw, reach = image_grids.sampler(gan, image_grids.POINTS), 1.3 * np.abs(mixture.centers).max()

    def picture(state: Any) -> Image.Image:
        return points([np.asarray(draw(state, jax.random.key(0)))], reach=reach, size=256)

    return picture


def path(steps: np.ndarray, *, reach: float, size: int = 96) -> Image.Image:
    """A path [N, 2] on the square [-reach, reach]^2 as a line, gray at first and black at its end,
    over the axes.
    """
    panel = Image.new("L", (size, size), 255)
    pen = ImageDraw.Draw(panel)
    middle = size // 2
    pen.line([(0, middle), (size, middle)], fill=220)
    pen.line([(middle, 0), (middle, size)], fill=220)
    shown = np.clip(steps, -4 * reach, 4 * reach)
    across = (shown[:, 0] + reach) / (2 * reach) * (size - 1)
    down = (reach - shown[:, 1]) / (2 * reach) * (size - 1)
    count = len(steps) - 1
    for index in range(count):
        ends = [(across[index], down[index]), (across[index + 1], down[index + 1])]
        pen.line(ends, fill=int(170 * (1 - index / count)))
    return panel


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


def together(files: Mapping[str, Path], heads: Sequence[str]) -> bytes:
    """The strips in the files below one another, each after its title, under the heads of their
    panels, as a PNG file.
    """
    opened = {title: Image.open(file).convert("L") for title, file in files.items()}
    wide = max(strip.width for strip in opened.values())
    tall = sum(strip.height + GAP for strip in opened.values())
    measure = ImageDraw.Draw(Image.new("L", (1, 1)))
    margin = 2 * GAP + max(math.ceil(measure.textlength(title)) for title in opened)
    sheet = Image.new("L", (margin + wide, LINE + GAP + tall), 255)
    pen = ImageDraw.Draw(sheet)
    for index, head in enumerate(heads):
        pen.text((margin + index * (wide + GAP) // len(heads), 0), head, fill=0)
    top = LINE
    for title, strip in opened.items():
        pen.text((GAP, top + strip.height // 2 - LINE // 2), title, fill=0)
        sheet.paste(strip, (margin, top))
        top += strip.height + GAP
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
