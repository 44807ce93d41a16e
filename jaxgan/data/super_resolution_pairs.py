"""Pairs made of single images: 'b', and 'a', the same reduced, from which it is to be found."""

from __future__ import annotations

import dataclasses

from jaxgan.data.dataset import Dataset
from jaxgan.data.domains import Pairs
from jaxgan.data.errors import DataError
from jaxgan.kernels import bicubic


def pairs(images: object, factor: int) -> Pairs:
    """The images, and the same `factor` times smaller by `bicubic.smaller`, as files of them are.

    Sides that the factor does not divide are cut at the bottom and on the right first. Raises
    DataError where the data are no single images, or no larger than the factor.
    """
    if not isinstance(images, Dataset):
        raise DataError("the data are no single images; only those can be reduced")
    height, width, _ = images.shape
    if factor < 2 or min(height, width) < factor:
        raise DataError(
            f"{images.name}: images of {height}x{width} pixels cannot be made {factor} times "
            "smaller; give a factor of 2 or more, and images that are larger than it"
        )
    rows, columns = height // factor * factor, width // factor * factor
    cut = dataclasses.replace(images, images=images.images[:, :rows, :columns])
    small = dataclasses.replace(cut, images=bicubic.smaller(cut.images, factor))
    return Pairs(small, cut)
