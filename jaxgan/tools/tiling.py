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
    it is smaller, so that `enlarge` compiles once an image size. Raises ValueError on tiles that
    the margins leave nothing of.
    """
    if margin < 0 or tile <= 2 * margin:
        raise ValueError(
            f"tiles of {tile} pixels with margins of {margin} leave nothing; "
            f"use tiles of {2 * margin + 1} or more"
        )
    rows, columns = (_pieces(side, tile=tile, margin=margin) for side in image.shape[:2])
    bands = []
    for (top, bottom), (first, last) in rows:
        band = []
        for (left, right), (begin, end) in columns:
            piece = np.asarray(enlarge(image[None, top:bottom, left:right]))[0]
            factor = piece.shape[0] // (bottom - top)
            down, across = slice(first * factor, last * factor), slice(begin * factor, end * factor)
            band.append(piece[down, across])
        bands.append(np.concatenate(band, axis=1))
    return np.concatenate(bands)


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
