"""Signals of samples next to real examples: a generator that has collapsed or has lost modes.

All take arrays [N, ...] drawn at random: points, or images as `thumbnails`, which keep only the
coarse content. `fidelity` also takes as many real examples that the generator was not trained on:
their scores are the best that can be reached.
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
"""Samples whose mean distance is below this fraction of that of real examples have collapsed.

At half the distance, three quarters of the variance are lost.
"""

PART = 0.5
"""Fraction of held-out examples' scores: coverage below it is poor, precision above it good."""

FAR = 0.2
"""Fraction of held-out examples' precision below which samples are poor.

Four of five samples then lie where there are no real examples.
"""

SELDOM = 0.3
"""Fraction of held-out examples' precision below which samples are easy to recognize as fake.

Samples of a healthy game are, too, early in training.
"""

TENTH = 0.1
"""A mode with less than this fraction of its expected points is lost; chance alone leaves more."""

KINDS = 20
"""The largest number of kinds (clusters) that real examples are divided into."""

EACH = 50
"""The smallest mean number of real examples per kind, so that frequencies are more than chance."""

LEAST_LOST = 0.05
"""The smallest fraction of real examples in kinds without samples that counts as a lost mode."""

AT_MODES = 0.25
"""Fraction of points within three standard deviations of a mode below which samples are poor.

Three of four points then lie at no mode.
"""

SIDE = 8  # the largest height and width of a thumbnail, in pixels


class Sides(NamedTuple):
    """What samples are compared with.

    Attributes:
        known: Real examples that the generator was trained on, [N, F].
        unknown: As many held-out examples, [N, F].
        mixture: The mixture of known modes, if the data are such points.
    """

    known: np.ndarray
    unknown: np.ndarray
    mixture: Mixture | None = None


class Fidelity(NamedTuple):
    """Precision and coverage of samples (`metrics.prdc`), and those of held-out real examples.

    Attributes:
        precision: Precision of the samples.
        coverage: Coverage of the samples.
        real_precision: Precision of real examples that the generator was not trained on.
        real_coverage: Coverage of these.
    """

    precision: float
    coverage: float
    real_precision: float
    real_coverage: float

    @property
    def far(self) -> bool:
        """Whether samples are easy to recognize, as few of them lie where there are data."""
        return self.precision < SELDOM * self.real_precision

    @property
    def poor(self) -> bool:
        """Whether most samples lie where there are no data."""
        return self.precision < FAR * self.real_precision


def rows(examples: np.ndarray) -> np.ndarray:
    """Returns images as thumbnails, and points unchanged, as float64 [N, F]."""
    wide = np.asarray(examples, np.float64)
    return thumbnails(wide) if wide.ndim == 4 else wide


def failing(generated: np.ndarray, sides: Sides) -> Finding | None:
    """Returns the most severe problem of the samples, if any.

    Args:
        generated: The samples, [N, F].
        sides: The real examples.
    """
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
    if found.poor:  # samples far from the data belong to no kind
        return None
    return kinds_lost(generated, sides.known) or uncovered(found)


def poor(generated: np.ndarray, sides: Sides) -> bool:
    """Returns whether most samples lie where there are no data, or are not finite.

    Args:
        generated: The samples, [N, F].
        sides: The real examples.
    """
    if not np.isfinite(generated).all():
        return True
    if sides.mixture is not None:
        return scattered(generated, sides.mixture)
    return fidelity(generated, sides.known, sides.unknown).poor


def far(generated: np.ndarray, sides: Sides) -> bool:
    """Returns whether samples are far from the data, less strictly than `poor`, or not finite.

    Args:
        generated: The samples, [N, F].
        sides: The real examples.
    """
    if sides.mixture is not None or not np.isfinite(generated).all():
        return poor(generated, sides)
    return fidelity(generated, sides.known, sides.unknown).far


def astray(generated: np.ndarray, sides: Sides) -> Finding:
    """Returns the finding that samples are `poor`.

    Args:
        generated: The samples, finite, [N, F].
        sides: The real examples.
    """
    seen = numbers(generated, sides)
    shares = ("share of samples at a mode", "precision", "real_precision")
    return Finding(
        "far",
        "The samples are far from the data: most of them lie where no real examples are.",
        None,
        {name: seen[name] for name in shares if name in seen},
    )


def numbers(generated: np.ndarray, sides: Sides) -> dict[str, float]:
    """Computes the scores of samples and of real examples.

    Args:
        generated: The samples, [N, F].
        sides: The real examples.
    """
    if not np.isfinite(generated).all():
        return {}
    ratio = mean_pairwise_distance(generated) / mean_pairwise_distance(sides.known)
    apart = {"distance of two samples over that of real ones": ratio}
    if sides.mixture is not None:
        found = modes.coverage(generated, sides.mixture)
        return {**apart, "share of samples at a mode": found.high_quality}
    return {**apart, **fidelity(generated, sides.known, sides.unknown)._asdict()}


def thumbnails(images: np.ndarray) -> np.ndarray:
    """Averages images [N, H, W, C] over at most `SIDE` x `SIDE` fields, without noise or texture.

    Returns:
        The thumbnails as vectors, float64 [N, F].
    """
    wide = np.asarray(images, np.float64)
    for axis in (1, 2):
        length = wide.shape[axis]
        starts = np.arange(min(SIDE, length)) * length // min(SIDE, length)
        sizes = np.diff([*starts, length]).reshape([-1 if a == axis else 1 for a in range(4)])
        wide = np.add.reduceat(wide, starts, axis=axis) / sizes
    return wide.reshape(len(wide), -1)


def collapsed(generated: np.ndarray, real: np.ndarray) -> Finding | None:
    """Detects samples that are much more alike than real examples.

    Args:
        generated: The samples, [N, F].
        real: Real examples, [M, F].
    """
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
    """Computes precision and coverage of samples and of other real examples.

    Args:
        generated: The samples, [N, F].
        real: Real examples that the generator was trained on, [N, F].
        others: Held-out real examples, [N, F].

    Raises:
        ValueError: If there are no more than five real examples.
    """
    found = []
    for rows in (generated, others):
        found.append(prdc.precision_recall(rows, real).precision)
        found.append(prdc.density_coverage(rows, real).coverage)
    return Fidelity(*found)


def uncovered(found: Fidelity) -> Finding | None:
    """Detects good samples that cover only part of the data, so that modes are lost.

    Coverage is not meaningful for poor samples.
    """
    good = found.precision >= PART * found.real_precision
    if not good or found.coverage >= PART * found.real_coverage:
        return None
    return Finding(
        "modes lost",
        "The generator covers only part of the data: its samples are realistic, but most real "
        "examples have none near them.",
        None,
        {
            "coverage": found.coverage,
            "coverage by other real examples": found.real_coverage,
            "precision": found.precision,
        },
    )


def kinds_lost(generated: np.ndarray, real: np.ndarray) -> Finding | None:
    """Detects kinds of real examples that have almost no samples.

    Kinds are clusters by k-means, and each sample belongs to the nearest one, as for the bins of
    Richardson and Weiss 2018 (On GANs and GMMs, section 3).

    Args:
        generated: The samples, [N, F].
        real: Real examples, [M, F].
    """
    count = min(KINDS, len(real) // EACH, len(np.unique(real, axis=0)))
    if count < 2:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a cluster that becomes empty
        centers, _ = vq.kmeans2(real, count, iter=50, minit="++", rng=np.random.default_rng(0))
    of_real = shares(real, centers)
    lost = shares(generated, centers) < TENTH * of_real
    missed = float(np.sum(of_real[lost]))
    if missed < LEAST_LOST:
        return None
    kinds = int(np.sum(of_real > 0))
    return Finding(
        "modes lost",
        "The generator covers only part of the data: almost no samples are of "
        f"{int(np.sum(lost))} of {kinds} kinds of real examples.",
        None,
        {
            "kinds without samples": float(np.sum(lost)),
            "kinds": float(kinds),
            "real examples that are of them": missed,
        },
    )


def shares(rows: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Computes the fraction of examples for which each center is the nearest, [K].

    Args:
        rows: Examples, [N, F].
        centers: Centers, [K, F].
    """
    return np.bincount(distances.nearest(rows, centers), minlength=len(centers)) / len(rows)


def scattered(points: np.ndarray, mixture: Mixture) -> bool:
    """Returns whether most points lie at no mode of the mixture.

    Args:
        points: Points, [N, D].
        mixture: The mixture.
    """
    return modes.coverage(points, mixture).high_quality < AT_MODES


def modes_lost(points: np.ndarray, mixture: Mixture) -> Finding | None:
    """Detects modes with almost no points; each point counts for its nearest mode, however far.

    Args:
        points: Points, [N, D].
        mixture: The mixture.
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
