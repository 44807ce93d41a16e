"""Precision, recall, density and coverage, by nearest neighbors in feature space.

Every example of a set is the center of a ball whose radius is the distance to its k-th nearest
neighbor in that set. The union of the balls estimates the set's manifold. Distances are Euclidean,
in float64. Only a block of them is held in memory at a time.

References:
    Precision and recall: Kynkaanniemi et al. 2019 (arXiv 1904.06991).
    Density and coverage: Naeem et al. 2020 (arXiv 2002.09797).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jax.sharding import Mesh

from jaxgan.metrics import distances, streaming
from jaxgan.metrics.streaming import Metric, Rows


class PrecisionRecall(NamedTuple):
    """Precision and recall.

    Attributes:
        precision: Fraction of generated examples on the real manifold.
        recall: Fraction of real examples on the generated manifold.
    """

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """Density and coverage.

    Attributes:
        density: Number of real balls that contain a generated example, over k, averaged over the
            generated examples.
        coverage: Fraction of real balls that contain at least one generated example.
    """

    density: float
    coverage: float


def precision_recall(
    generated: np.ndarray, real: np.ndarray, *, neighbors: int = 3, mesh: Mesh | None = None
) -> PrecisionRecall:
    """Computes precision and recall.

    Args:
        generated: Generated features, [N, F].
        real: Real features, [M, F].
        neighbors: The k of the k-th nearest neighbor.
        mesh: Devices to share the work; None for one.

    Raises:
        ValueError: If a set has no more than `neighbors` examples, or the numbers of features
            differ.

    References:
        Kynkaanniemi et al. 2019, eq. 1 and 2: a ball includes its surface.
    """
    generated, real = _checked(generated, real, neighbors)
    of_real, of_generated = (_squared_radii(side, neighbors, mesh) for side in (real, generated))
    precise, recalled = np.zeros(len(generated), bool), np.zeros(len(real), bool)
    for at, squared in distances.blocks(real, generated, mesh=mesh):
        precise |= np.any(squared <= of_real[at, None], axis=0)
        recalled[at] = np.any(squared <= of_generated, axis=1)
    return PrecisionRecall(float(np.mean(precise)), float(np.mean(recalled)))


def density_coverage(
    generated: np.ndarray, real: np.ndarray, *, neighbors: int = 5, mesh: Mesh | None = None
) -> DensityCoverage:
    """Computes density and coverage.

    Args:
        generated: Generated features, [N, F].
        real: Real features, [M, F].
        neighbors: The k of the k-th nearest neighbor.
        mesh: Devices to share the work; None for one.

    Raises:
        ValueError: If the real set has no more than `neighbors` examples, or the numbers of
            features differ.

    References:
        Naeem et al. 2020, eq. 3 and 4, as in the authors' code: a ball excludes its surface, so
        that a set has density 1 against itself.
    """
    generated, real = _checked(generated, real, neighbors, both=False)
    of_real = _squared_radii(real, neighbors, mesh)
    held, covered = 0, np.zeros(len(real), bool)
    for at, squared in distances.blocks(real, generated, mesh=mesh):
        inside = squared < of_real[at, None]
        held += np.count_nonzero(inside)
        covered[at] = np.any(inside, axis=1)
    return DensityCoverage(held / (neighbors * len(generated)), float(np.mean(covered)))


def _squared_radii(features: np.ndarray, neighbors: int, mesh: Mesh | None) -> np.ndarray:
    """Computes the squared distance [N] of each example to its k-th nearest other example."""
    found = np.empty(len(features))
    for at, squared in distances.blocks(features, features, mesh=mesh):
        itself = np.arange(at.start, at.stop)
        squared[itself - at.start, itself] = np.inf  # no example is its own neighbor
        found[at] = np.partition(squared, neighbors - 1, axis=1)[:, neighbors - 1]
    return found


def metric(*, manifold: int = 3, density: int = 5, mesh: Mesh | None = None) -> Metric:
    """Returns all four numbers as a metric.

    Coverage ranks generators, as it depends on both quality and diversity.

    Args:
        manifold: The k of precision and recall.
        density: The k of density and coverage.
        mesh: Devices to share the work; None for one.
    """

    def compute(generated: Rows, real: Rows) -> dict[str, float]:
        first = precision_recall(generated.rows, real.rows, neighbors=manifold, mesh=mesh)
        second = density_coverage(generated.rows, real.rows, neighbors=density, mesh=mesh)
        return {**first._asdict(), **second._asdict()}

    settings = {
        "neighbors of precision and recall": manifold,
        "neighbors of density and coverage": density,
    }
    return Metric(
        streaming.FEATURES,
        compute,
        settings,
        least=manifold + 1,
        aim=streaming.Aim("coverage", "highest"),
        of_values=True,
    )


def _checked(
    generated: np.ndarray, real: np.ndarray, neighbors: int, *, both: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Returns both sets in float64, minus the real mean: a common offset would cost digits."""
    if neighbors < 1:
        raise ValueError(f"neighbors is {neighbors}; expected 1 or more")
    least = neighbors + 1
    real = streaming.matrix(real, name="real features", least=least)
    generated = streaming.matrix(generated, name="generated features", least=least if both else 1)
    streaming.alike(generated, real, name="features")
    center = np.mean(real, axis=0)
    return generated - center, real - center
