"""Mode coverage, sample quality and mode balance of a generator trained on a mixture of Gaussians.

The definitions are those of VEEGAN (Srivastava et al. 2017) and PacGAN (Lin et al. 2018). In two
dimensions a perfect generator has 1 - exp(-9 / 2) = 98.889 % high-quality samples, not 100 %. A
larger fraction means that its modes are narrower than those of the data.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from jaxgan.data import mixtures
from jaxgan.types import Array

RADIUS = 3.0


class Coverage(NamedTuple):
    """How generated points cover the modes of a mixture.

    Attributes:
        counts: Number of high-quality points nearest to each mode, int64 [K]. A point is of high
            quality if it is closer than `RADIUS` standard deviations to its nearest mode.
        total: Number of all points.
    """

    counts: np.ndarray
    total: int

    @property
    def captured(self) -> int:
        """Number of modes with at least one high-quality point."""
        return int(np.sum(self.counts > 0))

    @property
    def filled(self) -> int:
        """Number of modes with at least a tenth of their expected number of points.

        The expected number is that of equally probable modes. A single stray point captures a mode
        but does not fill it.
        """
        return int(np.sum(self.counts >= 0.1 * self.total / len(self.counts)))

    @property
    def high_quality(self) -> float:
        """Fraction of all points that are of high quality."""
        return float(np.sum(self.counts) / self.total)

    @property
    def reverse_kl(self) -> float:
        """KL(p || uniform) in nats, with p the distribution of high-quality points over modes.

        It is log K if all lie at one mode, and infinite if there are none. For n points drawn from
        the mixture itself it is (K - 1) / 2n on average.
        """
        found = self.counts[self.counts > 0] / max(np.sum(self.counts), 1)
        if not len(found):
            return math.inf
        return float(math.log(len(self.counts)) + np.sum(found * np.log(found)))


def coverage(points: Array | np.ndarray, mixture: mixtures.Mixture) -> Coverage:
    """Computes the coverage of a mixture by points.

    A point that is not finite is not of high quality.

    Args:
        points: Points, [N, D]; the papers draw 2,500.
        mixture: The mixture.

    Raises:
        ValueError: If there are no points, or their dimension is not the mixture's.
    """
    wide = np.asarray(points, np.float64)
    if wide.ndim != 2 or not len(wide) or wide.shape[1:] != mixture.shape:
        raise ValueError(
            f"the points have shape {wide.shape}; expected [N, {mixture.shape[0]}], N at least 1"
        )
    offsets = wide[:, None, :] - mixture.centers
    distances = np.sqrt(np.sum(np.square(offsets), axis=2))
    nearest = np.argmin(distances, axis=1)
    close = distances[np.arange(len(wide)), nearest] < RADIUS * mixture.std
    return Coverage(np.bincount(nearest[close], minlength=len(mixture.centers)), len(wide))
