"""Figures of generated samples: image grids, densities of toy data, pages of captions.

`image_grids` writes the pictures of a run, `films` what moves, `caption_pages` pages of captions,
`plane_points` points without Matplotlib, `toy_densities` the density and the discriminator with it
(extra `plots`). May use all rooms up to metrics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxgan import _submodule

if TYPE_CHECKING:
    from jaxgan.plotting import caption_pages, films, image_grids, plane_points, toy_densities

__all__ = [
    "caption_pages",
    "films",
    "image_grids",
    "plane_points",
    "toy_densities",
]


def __getattr__(name: str) -> Any:
    return _submodule(__name__, __all__, name)
