"""Fidelity and coverage of generated images by nearest neighbors in feature space: precision and
recall (Kynkaanniemi et al. 2019, arXiv 1904.06991), density and coverage (Naeem et al. 2020, arXiv
2002.09797).

Around every row of a set lies the ball that reaches to its k-th nearest neighbor in that set, and
the balls together are the set's manifold. Distances are Euclidean in float64, and only a block of
them exists at a time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxgan.metrics import distances, streaming
from jaxgan.metrics.streaming import Metric, Rows


class PrecisionRecall(NamedTuple):
    """The share of generated rows on the real manifold, and of real rows on the generated one."""

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """How many real balls hold a generated row, over k, on average; and the share of real balls
    that hold any.
    """

    density: float
    coverage: float


def precision_recall(
    generated: np.ndarray, real: np.ndarray, *, neighbors: int = 3
) -> PrecisionRecall:
    """Precision and recall of features [N, F] against real ones [M, F] (eq. 1 and 2: a ball holds
    its surface).

    Raises ValueError where a set has no more rows than `neighbors`, or the sets differ in F.
    """
    generated, real = _checked(generated, real, neighbors)
    of_real, of_generated = (_squared_radii(side, neighbors) for side in (real, generated))
    precise, recalled = np.zeros(len(generated), bool), np.zeros(len(real), bool)
    for at, squared in distances.blocks(real, generated):
        precise |= np.any(squared <= of_real[at, None], axis=0)
        recalled[at] = np.any(squared <= of_generated, axis=1)
    return PrecisionRecall(float(np.mean(precise)), float(np.mean(recalled)))


def density_coverage(
    generated: np.ndarray, real: np.ndarray, *, neighbors: int = 5
) -> DensityCoverage:
    """Density and coverage of features [N, F] against real ones [M, F] (eq. 3 and 4, as the
    authors' code has them: a ball ends before its surface, so that a set has density 1 against
    itself).

    Raises ValueError where the real set has no more rows than `neighbors`, or the sets differ in
    F.
    """
    generated, real = _checked(generated, real, neighbors, both=False)
    of_real = _squared_radii(real, neighbors)
    held, covered = 0, np.zeros(len(real), bool)
    for at, squared in distances.blocks(real, generated):
        inside = squared < of_real[at, None]
        held += np.count_nonzero(inside)
        covered[at] = np.any(inside, axis=1)
    return DensityCoverage(held / (neighbors * len(generated)), float(np.mean(covered)))


def _squared_radii(features: np.ndarray, neighbors: int) -> np.ndarray:
    """The squared distance of every row of features [N, F] to its k-th nearest other row, [N]."""
    found = np.empty(len(features))
    for at, squared in distances.blocks(features, features):
        itself = np.arange(at.start, at.stop)
        squared[itself - at.start, itself] = np.inf  # no row is its own neighbor
        found[at] = np.partition(squared, neighbors - 1, axis=1)[:, neighbors - 1]
    return found


def metric(*, manifold: int = 3, density: int = 5) -> Metric:
    """All four as a metric; `manifold` neighbors for precision and recall, `density` for density
    and coverage. Coverage says which of two generators is better, as it takes both quality and
    variety.
    """

    def compute(generated: Rows, real: Rows) -> dict[str, float]:
        first = precision_recall(generated.rows, real.rows, neighbors=manifold)
        second = density_coverage(generated.rows, real.rows, neighbors=density)
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
    )


def _checked(
    generated: np.ndarray, real: np.ndarray, neighbors: int, *, both: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Both sets in float64, about the real mean: distances lose no digits to a common offset."""
    if neighbors < 1:
        raise ValueError(f"neighbors is {neighbors}; expected 1 or more")
    least = neighbors + 1
    real = streaming.matrix(real, name="real features", least=least)
    generated = streaming.matrix(generated, name="generated features", least=least if both else 1)
    streaming.alike(generated, real, name="features")
    center = np.mean(real, axis=0)
    return generated - center, real - center
