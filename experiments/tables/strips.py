"""Pictures of paths on a plane, without matplotlib, and figures of strips."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

GAP, LINE = 4, 14


def path(steps: np.ndarray, *, reach: float, size: int = 96) -> Image.Image:
    """Returns a picture of a path over the axes: a line, gray at its start and black at its end.

    Args:
        steps: Points of the path [N, 2].
        reach: Half the side of the square that the picture shows.
        size: Side of the picture, in pixels.
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


def together(files: Mapping[str, Path], heads: Sequence[str]) -> bytes:
    """Returns a PNG file with the strips below one another, gray if all of them are.

    Args:
        files: Files of the strips by title.
        heads: Headings of the panels of a strip.
    """
    read = {title: Image.open(file) for title, file in files.items()}
    mode = "L" if all(strip.mode == "L" for strip in read.values()) else "RGB"
    opened = {title: strip.convert(mode) for title, strip in read.items()}
    wide = max(strip.width for strip in opened.values())
    tall = sum(strip.height + GAP for strip in opened.values())
    measure = ImageDraw.Draw(Image.new(mode, (1, 1)))
    margin = 2 * GAP + max(math.ceil(measure.textlength(title)) for title in opened)
    sheet = Image.new(mode, (margin + wide, LINE + GAP + tall), "white")
    pen = ImageDraw.Draw(sheet)
    for index, head in enumerate(heads):
        pen.text((margin + index * (wide + GAP) // len(heads), 0), head, fill="black")
    top = LINE
    for title, strip in opened.items():
        pen.text((GAP, top + strip.height // 2 - LINE // 2), title, fill="black")
        sheet.paste(strip, (margin, top))
        top += strip.height + GAP
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
