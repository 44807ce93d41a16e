"""Mixtures of Gaussians in one and two dimensions: toy data of known density.

References:
    The ring and the grid: VEEGAN (Srivastava et al., arXiv 1705.07761).
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib

import numpy as np

from jaxgan.data import counter_rng
from jaxgan.data.dataset import Rows, positions
from jaxgan.data.errors import DataError


@dataclasses.dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of K isotropic Gaussians of equal weight.

    Batches hold fresh draws, so there is no epoch and no length. Nothing is labeled.

    Attributes:
        name: what the user asked for; used in messages.
        centers: the means, float64 [K, D].
        std: the standard deviation of every Gaussian, positive.
        stream: name of the stream of draws. The held-out data of a mixture are another stream of
            the same density.
        classes: always (): there are no labels.

    Raises:
        DataError: if the centers are not [K, D] or the standard deviation is not positive.
    """

    name: str
    centers: np.ndarray
    std: float
    stream: str = "train"
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.centers.ndim != 2 or 0 in self.centers.shape or not self.std > 0.0:
            raise DataError(
                f"{self.name}: the centers have shape {self.centers.shape} and the standard "
                f"deviation is {self.std}; expected centers of shape [K, D] and a positive "
                "standard deviation"
            )

    @property
    def shape(self) -> tuple[int]:
        """The shape (D,) of one point."""
        return (self.centers.shape[1],)

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """The shape of each further input of an example, by its name: here none."""
        return {}

    @functools.cached_property
    def digest(self) -> str:
        """The sha256, in hex, of the density and the stream: equal digests mean equal draws."""
        described = f"{self.centers.shape} {self.centers.tolist()} {self.std} {self.stream}"
        return hashlib.sha256(described.encode()).hexdigest()

    def batch(self, *, seed: int, step: int, size: int, rows: Rows = None) -> dict[str, np.ndarray]:
        """Returns the batch of a step, 'image' float32 [B, D], a pure function of the arguments.

        Args:
            seed: seed of the run.
            step: training step, 0 or more.
            size: batch size.
            rows: which examples of the batch to build (B = R); they equal the same examples of the
                full batch. None builds all of them (B = size).
        """
        at = positions(step, size, rows)
        choice = counter_rng.uniform(seed, f"{self.stream}/mode", at)
        mode = (choice * len(self.centers)).astype(np.int64)
        noise = [
            counter_rng.normal(seed, f"{self.stream}/{axis}", at) for axis in range(*self.shape)
        ]
        points = self.centers[mode] + self.std * np.stack(noise, axis=1)
        return {"image": points.astype(np.float32)}

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Returns the log-density, float64 [N], at `points` [N, D]; finite everywhere."""
        offsets = np.asarray(points, np.float64)[:, None, :] - self.centers
        exponents = -0.5 * np.square(offsets / self.std).sum(axis=2)
        highest = exponents.max(axis=1)
        total = np.log(np.exp(exponents - highest[:, None]).sum(axis=1))
        modes, dimensions = self.centers.shape
        normalizer = np.log(modes) + dimensions * np.log(self.std * np.sqrt(2.0 * np.pi))
        return highest + total - normalizer

    def density(self, points: np.ndarray) -> np.ndarray:
        """Returns the density, float64 [N], at `points` [N, D]."""
        return np.exp(self.log_density(points))


def ring() -> Mixture:
    """Returns eight Gaussians of standard deviation 0.01, every 45 degrees on the unit circle."""
    # Not by np.cos: its last digit, and so the digest, differs between machines.
    half = np.sqrt(0.5)
    cosines = np.array([1.0, half, 0.0, -half, -1.0, -half, 0.0, half])
    return Mixture("ring", np.stack([cosines, np.roll(cosines, 2)], axis=1), 0.01)


def grid() -> Mixture:
    """Returns 25 Gaussians of standard deviation 0.05 on {-4, -2, 0, 2, 4}^2."""
    axis = np.arange(-4.0, 5.0, 2.0)
    return Mixture("grid", np.stack(np.meshgrid(axis, axis), axis=-1).reshape(25, 2), 0.05)


def gauss1d() -> Mixture:
    """Returns the one-dimensional normal distribution N(4, 0.5^2).

    An untrained generator draws near 0, eight standard deviations away. Training first moves its
    density to the data. Then it shows whether the generator keeps the width of the data: one that
    collapses does not.
    """
    return Mixture("gauss1d", np.array([[4.0]]), 0.5)


MIXTURES = {"ring": ring, "grid": grid, "gauss1d": gauss1d}
"""The mixtures by name."""


def held_out(mixture: Mixture) -> Mixture:
    """Returns the same density with an independent stream of draws, for evaluation."""
    return dataclasses.replace(mixture, stream="held out")
