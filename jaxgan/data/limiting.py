"""Fewer training images than there are: to learn from few, or to see what few do to a model."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from jaxgan.data import counter_rng
from jaxgan.data.dataset import Dataset
from jaxgan.data.domains import Domains
from jaxgan.data.errors import DataError

if TYPE_CHECKING:
    from jaxgan.data.splits import Source


def limited(source: Source, count: int) -> Source:
    """The data of `count` images, of each domain where there are two, in the order they have.

    Which ones is decided by chance, the same at every call and for every seed of a run; those among
    fewer are among more, too, and pairs stay pairs. Raises DataError where there are not as many,
    or no number of images at all.
    """
    if isinstance(source, Domains):
        a, b = (limited(domain, count) for domain in (source.a, source.b))
        return dataclasses.replace(source, a=a, b=b)
    if not isinstance(source, Dataset):
        raise DataError(f"{source.name} has no number of images: leave --limit-images out")
    if not 1 <= count <= len(source):
        raise DataError(
            f"{source.name}: the training images are to be limited to {count}; "
            f"expected 1 to {len(source)}, as many as there are"
        )
    return source.subset(np.sort(counter_rng.permutation(0, 0, len(source), "limit")[:count]))
