"""Super-resolution pairs: 'b' is the image, 'a' its downscaled version."""

from __future__ import annotations

import dataclasses

from jaxgan.data.dataset import Dataset
from jaxgan.data.domains import Pairs
from jaxgan.data.errors import DataError
from jaxgan.kernels import bicubic


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
    cut = dataclasses.replace(images, images=images.images[:, :rows, :columns])
    small = dataclasses.replace(cut, images=bicubic.smaller(cut.images, factor))
    return Pairs(small, cut)
