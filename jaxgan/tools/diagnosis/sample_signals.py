"""Signals of samples beside real examples: a generator that has collapsed, or lost modes.

All take arrays [N, ...] of any shape, drawn at random: points, or images, of which `thumbnails`
keeps what a glance sees. `fidelity` needs as many real examples that the generator did not learn
from: what they score is what there is to reach.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from scipy.cluster import vq

from jaxgan.data import Mixture
from jaxgan.metrics import distances, modes, prdc
from jaxgan.metrics.garments import mean_pairwise_distance
from jaxgan.tools.diagnosis.finding import Finding

LIKENESS = 0.5
"""Samples that lie, on average, less than half as far apart as real examples do have lost three
quarters of the variance.
"""

PART = 0.5
"""The share of what unknown real examples reach below which coverage is poor, and above which
precision is good.
"""

FAR = 0.2
"""The share of their precision below which samples are poor: four of five lie where no real example
is.
"""

SELDOM = 0.3
"""The share of their precision below which samples are easily told from real examples, as a healthy
game's are early.
"""

TENTH = 0.1
"""A mode with less than a tenth of the points that are its share is lost: chance leaves it more."""

KINDS = 20
"""Into so many kinds real examples are divided, at most."""

EACH = 50
"""Real examples of a kind, on average, that make a share of them more than chance."""

LEAST_LOST = 0.05
"""The share of real examples, all kinds without samples together, below which none is missed."""

AT_MODES = 0.25
"""The share of points within three standard deviations of a mode below which samples are poor:
three of four are nowhere.
"""

SIDE = 8  # pixels of a thumbnail's side


class Sides(NamedTuple):
    """What samples are compared with, all rows [N, F].

    known:   real examples that the generator learned from.
    unknown: as many that it did not.
    mixture: where the data are points of known modes.
    """

    known: np.ndarray
    unknown: np.ndarray
    mixture: Mixture | None = None


class Fidelity(NamedTuple):
    """Where samples lie beside real examples (`metrics.prdc`), and what other real ones reach.

    precision, coverage:           of the samples.
    real_precision, real_coverage: of real examples that the generator did not learn from.
    """

    precision: float
    coverage: float
    real_precision: float
    real_coverage: float

    @property
    def far(self) -> bool:
        """Whether samples are easily told: seldom do they lie where data are."""
        return self.precision < SELDOM * self.real_precision

    @property
    def poor(self) -> bool:
        """Whether most samples lie where there are no data."""
        return self.precision < FAR * self.real_precision


def rows(examples: np.ndarray) -> np.ndarray:
    """Images as thumbnails, points as they are: float64 [N, F]."""
    wide = np.asarray(examples, np.float64)
    return thumbnails(wide) if wide.ndim == 4 else wide


def failing(generated: np.ndarray, sides: Sides) -> Finding | None:
    """What is wrong with samples [N, F], if anything: the gravest of this module's signals."""
    broken = int(np.sum(~np.isfinite(generated).all(axis=1)))
    if broken:
        evidence = {"samples that are not finite": float(broken)}
        return Finding("not finite", "Samples are not finite.", None, evidence)
    found = collapsed(generated, sides.known)
    if found is not None:
        return found
    if sides.mixture is not None:
        return modes_lost(generated, sides.mixture)
    found = fidelity(generated, sides.known, sides.unknown)
    if found.poor:  # what lies where no data are is of no kind
        return None
    return kinds_lost(generated, sides.known) or uncovered(found)


def poor(generated: np.ndarray, sides: Sides) -> bool:
    """Whether most samples [N, F] lie where there are no data, or are not finite."""
    if not np.isfinite(generated).all():
        return True
    if sides.mixture is not None:
        return scattered(generated, sides.mixture)
    return fidelity(generated, sides.known, sides.unknown).poor


def far(generated: np.ndarray, sides: Sides) -> bool:
    """Whether samples [N, F] are far from the data, or not finite: by less than `poor`."""
    if sides.mixture is not None or not np.isfinite(generated).all():
        return poor(generated, sides)
    return fidelity(generated, sides.known, sides.unknown).far


def astray(generated: np.ndarray, sides: Sides) -> Finding:
    """That finite samples [N, F] are `poor`."""
    seen = numbers(generated, sides)
    shares = ("share of samples at a mode", "precision", "real_precision")
    return Finding(
        "far",
        "The samples are far from the data: most of them lie where no real examples are.",
        None,
        {name: seen[name] for name in shares if name in seen},
    )


def numbers(generated: np.ndarray, sides: Sides) -> dict[str, float]:
    """What samples [N, F] score beside what real examples do."""
    if not np.isfinite(generated).all():
        return {}
    ratio = mean_pairwise_distance(generated) / mean_pairwise_distance(sides.known)
    apart = {"distance of two samples over that of real ones": ratio}
    if sides.mixture is not None:
        found = modes.coverage(generated, sides.mixture)
        return {**apart, "share of samples at a mode": found.high_quality}
    return {**apart, **fidelity(generated, sides.known, sides.unknown)._asdict()}


def thumbnails(images: np.ndarray) -> np.ndarray:
    """Images [N, H, W, C] as the means of at most `SIDE` x `SIDE` fields, [N, F]: neither noise nor
    texture counts.
    """
    wide = np.asarray(images, np.float64)
    for axis in (1, 2):
        length = wide.shape[axis]
        starts = np.arange(min(SIDE, length)) * length // min(SIDE, length)
        sizes = np.diff([*starts, length]).reshape([-1 if a == axis else 1 for a in range(4)])
        wide = np.add.reduceat(wide, starts, axis=axis) / sizes
    return wide.reshape(len(wide), -1)


def collapsed(generated: np.ndarray, real: np.ndarray) -> Finding | None:
    """Samples [N, F] that are much more alike than real examples [M, F] are."""
    of_samples, of_real = map(mean_pairwise_distance, (generated, real))
    if of_samples >= LIKENESS * of_real:
        return None
    return Finding(
        "collapsed",
        "The generator has collapsed: its samples are nearly all alike.",
        None,
        {"mean distance of two samples": of_samples, "of two real examples": of_real},
    )


def fidelity(generated: np.ndarray, real: np.ndarray, others: np.ndarray) -> Fidelity:
    """Where samples, and other real examples, lie beside the real ones, all [N, F].

    Raises ValueError where there are not more than five real ones.
    """
    found = []
    for rows in (generated, others):
        found.append(prdc.precision_recall(rows, real).precision)
        found.append(prdc.density_coverage(rows, real).coverage)
    return Fidelity(*found)


def uncovered(found: Fidelity) -> Finding | None:
    """Samples that are good but leave most of the data without any: part of its modes are lost.

    Of poor samples, coverage says nothing.
    """
    good = found.precision >= PART * found.real_precision
    if not good or found.coverage >= PART * found.real_coverage:
        return None
    return Finding(
        "modes lost",
        "The generator draws only part of the data: its samples are as real as any, and most real "
        "examples have none near them.",
        None,
        {
            "coverage": found.coverage,
            "coverage by other real examples": found.real_coverage,
            "precision": found.precision,
        },
    )


def kinds_lost(generated: np.ndarray, real: np.ndarray) -> Finding | None:
    """Samples [N, F] of which some kinds of the real examples [M, F] have next to none, each sample
    being of the kind that it is nearest to: kinds are clusters by k-means, as the bins of
    Richardson and Weiss 2018 (On GANs and GMMs, section 3).
    """
    count = min(KINDS, len(real) // EACH, len(np.unique(real, axis=0)))
    if count < 2:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a kind that nothing is left of
        centers, _ = vq.kmeans2(real, count, iter=50, minit="++", rng=np.random.default_rng(0))
    of_real = shares(real, centers)
    lost = shares(generated, centers) < TENTH * of_real
    missed = float(np.sum(of_real[lost]))
    if missed < LEAST_LOST:
        return None
    kinds = int(np.sum(of_real > 0))
    return Finding(
        "modes lost",
        "The generator draws only part of the data: next to no samples are of "
        f"{int(np.sum(lost))} of {kinds} kinds of real examples.",
        None,
        {
            "kinds without samples": float(np.sum(lost)),
            "kinds": float(kinds),
            "real examples that are of them": missed,
        },
    )


def shares(rows: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """The share of the rows [N, F] that each center [K, F] is the nearest to, [K]."""
    return np.bincount(distances.nearest(rows, centers), minlength=len(centers)) / len(rows)


def scattered(points: np.ndarray, mixture: Mixture) -> bool:
    """Whether most points [N, D] lie at no mode of the mixture."""
    return modes.coverage(points, mixture).high_quality < AT_MODES


def modes_lost(points: np.ndarray, mixture: Mixture) -> Finding | None:
    """Points [N, D] of which some modes have next to none: each point counts for the mode that it
    is nearest to, however far.
    """
    count = len(mixture.centers)
    kept = int(np.sum(shares(points, mixture.centers) >= TENTH / count))
    if kept == count:
        return None
    return Finding(
        "modes lost",
        f"The generator has lost {count - kept} of {count} modes.",
        None,
        {"modes with samples": float(kept), "modes": float(count)},
    )
