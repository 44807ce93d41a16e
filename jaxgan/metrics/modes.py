"""How much of a mixture of Gaussians a generator has learned: modes, quality and balance.

The definitions are those of VEEGAN (Srivastava et al. 2017) and PacGAN (Lin et al. 2018). A perfect
generator on the plane scores 1 - exp(-9 / 2) = 98.889 % of high quality, not 100 %: a higher share
means modes narrower than the data's.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from jaxgan.data import mixtures
from jaxgan.types import Array

RADIUS = 3.0


class Coverage(NamedTuple):
    """What generated points say of the modes of a mixture.

    counts: int64 [K], the points of high quality nearest to each mode: closer to it than `RADIUS`
            standard deviations.
    total:  the number of all points.
    """

    counts: np.ndarray
    total: int

    @property
    def captured(self) -> int:
        """Modes with at least one point of high quality."""
        return int(np.sum(self.counts > 0))

    @property
    def filled(self) -> int:
        """Modes with at least a tenth of the points that an even share would be: one stray point
        captures a mode, and does not fill it.
        """
        return int(np.sum(self.counts >= 0.1 * self.total / len(self.counts)))

    @property
    def high_quality(self) -> float:
        """The share of all points that are of high quality."""
        return float(np.sum(self.counts) / self.total)

    @property
    def reverse_kl(self) -> float:
        """KL(p || uniform) in nats, p the shares of the modes among the points of high quality.

        It is log K where all lie at one mode, and infinite where there are none. Of n points drawn
        from the mixture itself it is (K - 1) / 2n on average.
        """
        found = self.counts[self.counts > 0] / max(np.sum(self.counts), 1)
        if not len(found):
            return math.inf
        return float(math.log(len(self.counts)) + np.sum(found * np.log(found)))


def coverage(points: Array | np.ndarray, mixture: mixtures.Mixture) -> Coverage:
    """The coverage of the mixture by points [N, D]; the papers draw 2,500.

    A point that is not finite is of no quality. Raises ValueError where there are no points or they
    have not the mixture's dimension.
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
