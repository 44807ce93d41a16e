"""Pages of captions with their generated images."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from jaxgan.plotting import image_grids

MARGIN, LINE = 8, 12
LETTER = 6.5  # average width of a letter of the default font, in pixels


def page(
    captions: Sequence[str], images: np.ndarray, *, columns: int = 1, credit: str = ""
) -> Image.Image:
    """Returns a page with each caption above its row of images.

    Args:
        captions: N captions.
        images: Images [N, K, H, W, C] in [-1, 1], K for each caption.
        columns: Number of captions next to each other.
        credit: Text at the bottom of the page. Empty: none.
    """
    strips = [image_grids.grid(row, columns=len(row)) for row in images]
    width, height = strips[0].size
    titles = [_wrapped(caption, width) for caption in captions]
    room = LINE * max(map(len, titles)) + 2
    step = (width + MARGIN, room + height + MARGIN)
    rows = -(-len(strips) // columns)
    foot = _wrapped(credit, columns * step[0]) if credit else []
    size = (columns * step[0] + MARGIN, rows * step[1] + MARGIN + LINE * len(foot))
    sheet = Image.new("RGB", size, "white")
    write = ImageDraw.Draw(sheet)
    for index, (title, strip) in enumerate(zip(titles, strips, strict=True)):
        left, top = MARGIN + index % columns * step[0], MARGIN + index // columns * step[1]
        write.multiline_text((left, top), "\n".join(title), fill="black", spacing=1, font_size=10)
        opaque = strip.convert("RGBA")
        sheet.paste(opaque, (left, top + room), mask=opaque)
    place = (MARGIN, MARGIN // 2 + rows * step[1])
    write.multiline_text(place, "\n".join(foot), fill="black", spacing=1, font_size=10)
    return sheet


def _wrapped(text: str, width: int) -> list[str]:
    """Wraps the text into lines of at most `width` pixels."""
    return textwrap.wrap(text, max(8, int(width / LETTER))) or [""]
