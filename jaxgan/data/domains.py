"""Images of two domains, 'a' and 'b': paired, or each drawn by itself."""

from __future__ import annotations

import dataclasses
import functools
import hashlib

import numpy as np

from jaxgan.data.dataset import Dataset, Rows
from jaxgan.data.errors import DataError


@dataclasses.dataclass(frozen=True, eq=False)
class Domains:
    """Images of two domains, as many of each as there are, not paired.

    Batches hold no labels, whose `classes` are therefore (); the datasets keep theirs.
    """

    a: Dataset
    b: Dataset

    _streams = ("a/", "b/")

    def __len__(self) -> int:
        return max(len(self.a), len(self.b))

    @property
    def name(self) -> str:
        """What the user asked for, for messages."""
        return self.b.name

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the labels of a batch: none."""
        return ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape (H, W, C) of an image of b."""
        return self.b.shape

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """The shapes of what else an example holds, by role: of an image of a."""
        return {"a": self.a.shape}

    @functools.cached_property
    def digest(self) -> str:
        """The sha256, in hex, of both domains and of whether they are paired."""
        described = f"{type(self).__name__} {self.a.digest} {self.b.digest}"
        return hashlib.sha256(described.encode()).hexdigest()

    def batch(self, *, seed: int, step: int, size: int, rows: Rows = None) -> dict[str, np.ndarray]:
        """The batch of step `step`: 'a' and 'b', float32 [B, H, W, C] in [-1, 1], a pure function
        of the arguments (see `Dataset.batch`).

        Each domain has epochs, an order and random mirroring of its own; of pairs they are one.
        """
        return {
            role: domain.batch(seed=seed, step=step, size=size, rows=rows, stream=stream)["image"]
            for role, domain, stream in zip("ab", (self.a, self.b), self._streams, strict=True)
        }

    def augmented(self, *, flip: bool, jitter: int) -> Domains:
        """The same whose batches are mirrored and cut out at random as asked."""
        return self._of_each(lambda domain: domain.augmented(flip=flip, jitter=jitter))

    def take(self, count: int) -> Domains:
        """The same of `count` images of each domain, spread evenly over it.

        Raises DataError where a domain has fewer.
        """
        return self._of_each(lambda domain: domain.take(count))

    def swapped(self) -> Domains:
        """The same with the names of the domains exchanged."""
        return dataclasses.replace(self, a=self.b, b=self.a)

    def unpaired(self) -> Domains:
        """The same images, each domain drawn by itself."""
        return Domains(self.a, self.b)

    def _of_each(self, change) -> Domains:
        return dataclasses.replace(self, a=change(self.a), b=change(self.b))


@dataclasses.dataclass(frozen=True, eq=False)
class Pairs(Domains):
    """Pairs of images: row i of `a` belongs to row i of `b`, also in every batch, mirrored and cut
    out alike.

    Raises DataError where one domain has more images than the other.
    """

    _streams = ("", "")

    def __post_init__(self) -> None:
        if len(self.a) != len(self.b):
            raise DataError(
                f"{self.name}: there are {len(self.a)} images of a and {len(self.b)} of b; "
                "give one of b for each of a"
            )
