"""Limits the number of training images, to train on a subset."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from jaxgan.data import counter_rng
from jaxgan.data.arrays import Arrays
from jaxgan.data.dataset import Dataset
from jaxgan.data.domains import Domains
from jaxgan.data.errors import DataError

if TYPE_CHECKING:
    from jaxgan.data.splits import Source


def limited(source: Source, count: int) -> Source:
    """Returns the data with only `count` training images, in their original order.

    With two domains, `count` images of each domain are kept. The subset is random, but the same at
    every call and for every seed of a run. A larger subset contains the smaller ones, and pairs
    stay together.

    Args:
        source: the training data.
        count: number of images to keep, at least 1 and at most as many as there are.

    Raises:
        DataError: if there are fewer images, or the source is not a finite set of images.
    """
    if isinstance(source, Domains):
        a, b = (limited(domain, count) for domain in (source.a, source.b))
        return dataclasses.replace(source, a=a, b=b)
    if not isinstance(source, Dataset | Arrays):
        raise DataError(f"{source.name} is not a finite set of images: leave --limit-images out")
    if not 1 <= count <= len(source):
        raise DataError(
            f"{source.name}: the training images cannot be limited to {count}; "
            f"expected 1 to {len(source)}, the number of training images"
        )
    return source.subset(np.sort(counter_rng.permutation(0, 0, len(source), "limit")[:count]))
