"""Super-resolution of images of any size, tile by tile, without seams."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from jaxgan.types import Array


def enlarged(
    enlarge: Callable[[np.ndarray], np.ndarray | Array],
    image: np.ndarray,
    *,
    margin: int,
    tile: int = 256,
) -> np.ndarray:
    """Applies `enlarge` to the image in tiles.

    The result equals that of the whole image, up to rounding. Only those pixels of a tile are used
    whose whole margin lies in the tile, or that lie at the edge of the image. All tiles have the
    same size (the image's if that is smaller), so that `enlarge` compiles once per image size. Only
    the image, the result and one tile are held in memory.

    Args:
        enlarge: A function of images [1, h, w, C] to images [1, factor h, factor w, C]; compile it.
        image: The image, [H, W, C].
        margin: The largest distance, in pixels of the image, of a pixel that influences a result.
        tile: Height and width of a tile, in pixels of the image; limited by memory.

    Returns:
        The enlarged image, [factor H, factor W, C].

    Raises:
        ValueError: If the margins leave nothing of a tile.
    """
    require_room(margin=margin, tile=tile)
    height, width = image.shape[:2]
    whole = None
    for (top, bottom), (first, last) in _pieces(height, tile=tile, margin=margin):
        for (left, right), (begin, end) in _pieces(width, tile=tile, margin=margin):
            piece = np.asarray(enlarge(image[None, top:bottom, left:right]))[0]
            factor = piece.shape[0] // (bottom - top)
            if whole is None:
                whole = np.empty((factor * height, factor * width, piece.shape[2]), piece.dtype)
            at = [slice(factor * (top + first), factor * (top + last))]
            at += [slice(factor * (left + begin), factor * (left + end))]
            used = piece[factor * first : factor * last, factor * begin : factor * end]
            whole[tuple(at)] = used
    assert whole is not None  # an image has pixels
    return whole


def require_room(*, margin: int, tile: int) -> None:
    """Checks that the margins leave something of a tile.

    Args:
        margin: The margin, in pixels.
        tile: Height and width of a tile, in pixels.

    Raises:
        ValueError: If they leave nothing.
    """
    if margin < 0 or tile <= 2 * margin:
        raise ValueError(
            f"tiles of {tile} pixels with margins of {margin} leave nothing; "
            f"use tiles of {2 * margin + 1} or more"
        )


def _pieces(side: int, *, tile: int, margin: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Returns, along one side, where each tile lies and, relative to it, which pixels are used."""
    if side <= tile:
        return [((0, side), (0, side))]
    starts = [*range(0, side - tile, tile - 2 * margin), side - tile]
    cuts = [0, *(start + margin for start in starts[1:]), side]
    used = itertools.pairwise(cuts)
    return [
        ((start, start + tile), (begin - start, end - start))
        for start, (begin, end) in zip(starts, used, strict=True)
    ]
