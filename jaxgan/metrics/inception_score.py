"""The Inception score, and the same score on the class probabilities of any other network.

It is exp of the mean KL divergence of each image's class probabilities from the mean probabilities
of all images. It lies between 1 (all images alike) and the number of classes. It does not compare
with real images, so the score of the real images is reported next to it.

References:
    Salimans et al. 2016 (arXiv 1606.03498).
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from jaxgan.metrics import streaming
from jaxgan.metrics.streaming import Metric, Rows


class Score(NamedTuple):
    """The scores of several splits.

    Attributes:
        mean: Their mean.
        deviation: Their standard deviation, which is not a deviation over seeds.
    """

    mean: float
    deviation: float


def score(probabilities: np.ndarray) -> float:
    """Computes exp(E_x KL(p(y|x) || p(y))) of class probabilities [N, K], in float64.

    Raises:
        ValueError: If the values are not probabilities.

    References:
        Salimans et al. 2016, section 4.
    """
    conditional = streaming.matrix(probabilities, name="probabilities")
    if np.any(conditional < 0) or np.any(np.abs(np.sum(conditional, axis=1) - 1) > 1e-3):
        raise ValueError("the probabilities of an image are not positive or do not sum to 1")
    entropy = _entropy(np.mean(conditional, axis=0))
    return float(np.exp(entropy - np.mean(_entropy(conditional))))


def inception_score(probabilities: np.ndarray, *, splits: int = 10, seed: int = 0) -> Score:
    """Computes the score over random splits of the images.

    The splits are random because images may be sorted by class: splits in stored order would then
    each have the marginal distribution of a few classes.

    Args:
        probabilities: Class probabilities, [N, K].
        splits: Number of splits.
        seed: Seed of the random splits.

    Raises:
        ValueError: If there are fewer images than splits, or the values are not probabilities.
    """
    count = len(probabilities)
    if not 1 <= splits <= count:
        raise ValueError(f"{count} images in {splits} splits; expected at least one image a split")
    shuffled = np.asarray(probabilities)[np.random.default_rng(seed).permutation(count)]
    edges = [index * count // splits for index in range(splits + 1)]
    scores = [score(shuffled[start:end]) for start, end in itertools.pairwise(edges)]
    return Score(float(np.mean(scores)), float(np.std(scores)))


def metric(*, splits: int = 10, seed: int = 0) -> Metric:
    """Returns the score as a metric: of the generated images, and of the real ones as a reference.

    Args:
        splits: Number of splits.
        seed: Seed of the random splits.
    """

    def compute(generated: Rows, real: Rows) -> dict[str, float]:
        found = inception_score(generated.rows, splits=splits, seed=seed)
        return {
            "inception_score": found.mean,
            "inception_score_deviation": found.deviation,
            "inception_score_of_real": inception_score(real.rows, splits=splits, seed=seed).mean,
        }

    aim = streaming.Aim("inception_score", "highest")
    settings = {"splits": splits, "seed of the splits": seed}
    return Metric(streaming.PROBABILITIES, compute, settings, least=splits, aim=aim)


def _entropy(probabilities: np.ndarray) -> np.ndarray:
    """Computes -sum p log p over the last axis; entries of probability 0 add nothing."""
    positive = np.where(probabilities > 0, probabilities, 1.0)
    return -np.sum(probabilities * np.log(positive), axis=-1)
