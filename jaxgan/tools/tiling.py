"""Images of any size through a network that enlarges them, tile by tile, without seams."""

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
    """What `enlarge` makes of the image [H, W, C], computed in tiles: [factor H, factor W, C].

    enlarge: images [1, h, w, C] to images [1, factor h, factor w, C]; compile it.
    margin:  pixels of the image around each pixel that its enlargement depends on, at most.
    tile:    height and width of a tile, in pixels of the image: what fits into memory.

    The result is that of the whole image at once, but for rounding: a tile is used where it knows
    the whole margin, or ends where the image does. All tiles have one size, that of the image where
    it is smaller, so that `enlarge` compiles once an image size. Beside a tile only the image and
    the result are held. Raises ValueError on tiles that the margins leave nothing of.
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
    """ValueError where the margins leave nothing of a tile."""
    if margin < 0 or tile <= 2 * margin:
        raise ValueError(
            f"tiles of {tile} pixels with margins of {margin} leave nothing; "
            f"use tiles of {2 * margin + 1} or more"
        )


def _pieces(side: int, *, tile: int, margin: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Along one side, where each tile lies and, counted from there, which part of it is used."""
    if side <= tile:
        return [((0, side), (0, side))]
    starts = [*range(0, side - tile, tile - 2 * margin), side - tile]
    cuts = [0, *(start + margin for start in starts[1:]), side]
    used = itertools.pairwise(cuts)
    return [
        ((start, start + tile), (begin - start, end - start))
        for start, (begin, end) in zip(starts, used, strict=True)
    ]
