"""The score of Salimans et al. 2016 (arXiv 1606.03498): exp of the mean divergence of each image's
class probabilities from those of all images together. On Inception's it is the Inception score.

It is between 1, all images alike, and the number of classes. It looks at no real image: those are
scored beside the generated ones.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from jaxgan.metrics import streaming
from jaxgan.metrics.streaming import Metric, Rows


class Score(NamedTuple):
    """The mean of the splits' scores, and their standard deviation, which is none over seeds."""

    mean: float
    deviation: float


def score(probabilities: np.ndarray) -> float:
    """exp(E_x KL(p(y|x) || p(y))) of class probabilities [N, K], in float64 (section 4 of the
    paper).

    Raises ValueError where the rows are no probabilities.
    """
    conditional = streaming.matrix(probabilities, name="probabilities")
    if np.any(conditional < 0) or np.any(np.abs(np.sum(conditional, axis=1) - 1) > 1e-3):
        raise ValueError("the probabilities of an image are not positive or do not sum to 1")
    entropy = _entropy(np.mean(conditional, axis=0))
    return float(np.exp(entropy - np.mean(_entropy(conditional))))


def inception_score(probabilities: np.ndarray, *, splits: int = 10, seed: int = 0) -> Score:
    """The score of class probabilities [N, K] over `splits` random parts of the images: parts in
    stored order would each have the marginal of few classes where images are sorted by theirs.

    Raises ValueError where there are fewer images than parts, or the rows are no probabilities.
    """
    count = len(probabilities)
    if not 1 <= splits <= count:
        raise ValueError(f"{count} images in {splits} splits; expected one image a split at least")
    shuffled = np.asarray(probabilities)[np.random.default_rng(seed).permutation(count)]
    edges = [index * count // splits for index in range(splits + 1)]
    scores = [score(shuffled[start:end]) for start, end in itertools.pairwise(edges)]
    return Score(float(np.mean(scores)), float(np.std(scores)))


def metric(*, splits: int = 10, seed: int = 0) -> Metric:
    """The score as a metric: of the generated images, and of the real ones as its control."""

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
    """-sum p log p over the last axis; what has probability 0 adds nothing."""
    positive = np.where(probabilities > 0, probabilities, 1.0)
    return -np.sum(probabilities * np.log(positive), axis=-1)
