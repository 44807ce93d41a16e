"""Super-resolution pairs: 'b' is the image, 'a' its downscaled version."""

from __future__ import annotations

import dataclasses

import numpy as np

from jaxgan.data.dataset import Dataset
from jaxgan.data.domains import Pairs
from jaxgan.data.errors import DataError
from jaxgan.kernels import bicubic

_PIECE = 256  # images that are downscaled at a time


def pairs(images: object, factor: int) -> Pairs:
    """Returns pairs of images (b) and their versions downscaled by `bicubic.smaller` (a).

    Images whose height or width is not a multiple of the factor are first cut at the bottom and
    right.

    Args:
        images: the dataset of single images.
        factor: the downscaling factor, 2 or more.

    Raises:
        DataError: if the data are not single images, or are smaller than the factor.
    """
    if not isinstance(images, Dataset):
        raise DataError("the data are not single images; expected single images to downscale")
    height, width, _ = images.shape
    if factor < 2 or min(height, width) < factor:
        raise DataError(
            f"{images.name}: images of {height}x{width} pixels cannot be downscaled {factor} "
            "times; give a factor of 2 or more, and images that are larger than it"
        )
    rows, columns = height // factor * factor, width // factor * factor
    cut = dataclasses.replace(images, images=images.images[:, :rows, :columns], uncut=None)
    pieces = (cut.images[at : at + _PIECE] for at in range(0, len(cut), _PIECE))
    small = np.concatenate([bicubic.smaller(piece, factor) for piece in pieces])
    small = dataclasses.replace(cut, images=small)
    return Pairs(small, cut)
