"""Images of two domains, 'a' and 'b': pairs, or unpaired images."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable

import numpy as np

from jaxgan.data.dataset import Dataset, Rows
from jaxgan.data.errors import DataError
from jaxgan.data.value_range import ValueRange


@dataclasses.dataclass(frozen=True, eq=False)
class Domains:
    """Unpaired images of two domains; their numbers may differ.

    Batches hold no labels, so `classes` is (). The datasets `a` and `b` keep their labels.

    Attributes:
        a: the images of the first domain.
        b: the images of the second domain.
    """

    a: Dataset
    b: Dataset

    _streams = ("a/", "b/")

    def __len__(self) -> int:
        return max(len(self.a), len(self.b))

    @property
    def name(self) -> str:
        """What the user asked for; used in messages."""
        return self.b.name

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the labels of a batch: none."""
        return ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape (H, W, C) of an image of domain b."""
        return self.b.shape

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """The shape of each further input of an example, by its name: an image of domain a."""
        return {"a": self.a.shape}

    @property
    def ranges(self) -> dict[str, ValueRange]:
        """The range of the values of each domain."""
        return {"a": self.a.values, "b": self.b.values}

    @functools.cached_property
    def digest(self) -> str:
        """The sha256, in hex, of both domains and of whether they are paired."""
        described = f"{type(self).__name__} {self.a.digest} {self.b.digest}"
        return hashlib.sha256(described.encode()).hexdigest()

    def batch(self, *, seed: int, step: int, size: int, rows: Rows = None) -> dict[str, np.ndarray]:
        """Returns the batch of a step, a pure function of the arguments (see `Dataset.batch`).

        The batch holds 'a' and 'b', float32 [B, H, W, C] in [-1, 1]. Each domain has its own
        epochs, order, random mirroring and crops; `Pairs` share them.

        Args:
            seed: seed of the run.
            step: training step, 0 or more.
            size: batch size.
            rows: which examples of the batch to build; None builds all of them.
        """
        return {
            role: domain.batch(seed=seed, step=step, size=size, rows=rows, stream=stream)["image"]
            for role, domain, stream in zip("ab", (self.a, self.b), self._streams, strict=True)
        }

    def augmented(self, *, flip: bool) -> Domains:
        """Returns the same data, whose batches are augmented.

        Args:
            flip: whether to mirror images left to right at random.
        """
        return self.of_each(lambda domain: domain.augmented(flip=flip))

    def take(self, count: int) -> Domains:
        """Returns `count` images of each domain, spread evenly over it.

        Raises:
            DataError: if a domain has fewer than `count` images.
        """
        return self.of_each(lambda domain: domain.take(count))

    def swapped(self) -> Domains:
        """Returns the same data with the two domains exchanged."""
        return dataclasses.replace(self, a=self.b, b=self.a)

    def unpaired(self) -> Domains:
        """Returns the same images as unpaired domains."""
        return Domains(self.a, self.b)

    def of_each(self, change: Callable[[Dataset], Dataset]) -> Domains:
        """Returns the data with each domain changed by `change`."""
        return dataclasses.replace(self, a=change(self.a), b=change(self.b))


@dataclasses.dataclass(frozen=True, eq=False)
class Pairs(Domains):
    """Pairs of images: image i of `a` belongs to image i of `b`.

    The images of a pair stay together in every batch, with the same mirroring and the same crop.

    Attributes:
        a: the images of the first domain.
        b: the images of the second domain, as many as in `a`.

    Raises:
        DataError: if one domain has more images than the other.
    """

    _streams = ("", "")

    def __post_init__(self) -> None:
        if len(self.a) != len(self.b):
            raise DataError(
                f"{self.name}: there are {len(self.a)} images of a and {len(self.b)} of b; "
                "pairs need one image of b for each image of a: add or remove images"
            )
