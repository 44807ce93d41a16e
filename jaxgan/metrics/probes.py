"""Probes of features: how well they predict classes that they were not trained on.

One probe takes the nearest training example, the other is a linear classifier. Both predict the
labels of held-out examples from labeled training examples. A number means little by itself: report
it next to those of raw pixels and of an untrained network's features.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.optimize
import scipy.special


def nearest_neighbor(
    train: np.ndarray, labels: np.ndarray, features: np.ndarray, *, piece: int = 500
) -> np.ndarray:
    """Predicts the label of the nearest training example by Euclidean distance, [M].

    Ties go to the first.

    Args:
        train: Training features, [N, F].
        labels: Training labels, [N].
        features: Features of the examples to classify, [M, F].
        piece: Number of examples whose distances are held in memory at a time.

    Raises:
        ValueError: If the shapes do not match.
    """
    train, labels, features = _checked(train, labels, features)
    lengths = np.sum(train**2, axis=1)
    found = [
        labels[np.argmin(lengths - 2 * features[start : start + piece] @ train.T, axis=1)]
        for start in range(0, len(features), piece)
    ]
    return np.concatenate(found) if found else labels[:0]


def linear_probe(
    train: np.ndarray, labels: np.ndarray, features: np.ndarray, *, strength: float = 1e-3
) -> np.ndarray:
    """Predicts labels by multinomial logistic regression on the training features, [M].

    Features are standardized with the mean and deviation of the training features. The objective is
    convex: L-BFGS finds its unique minimum.

    Args:
        train: Training features, [N, F].
        labels: Training labels, [N].
        features: Features of the examples to classify, [M, F].
        strength: Weight of the L2 penalty. The mean cross-entropy plus `strength` / 2 times the
            squared weights, without the biases, is minimized.

    Raises:
        ValueError: If the shapes do not match, or the strength is not positive.
    """
    if strength <= 0:
        raise ValueError(f"the strength of the penalty is {strength}; expected a positive number")
    train, labels, features = _checked(train, labels, features)
    mean, deviation = np.mean(train, axis=0), np.std(train, axis=0)
    deviation[deviation == 0] = 1  # a constant feature carries no information at any scale
    weights = logistic_weights((train - mean) / deviation, labels, strength=strength)
    return np.argmax((features - mean) / deviation @ weights[:-1] + weights[-1], axis=1)


def logistic_weights(rows: np.ndarray, labels: np.ndarray, *, strength: float) -> np.ndarray:
    """Fits the weights of `linear_probe` to features without standardizing them.

    Args:
        rows: Training features, [N, F].
        labels: Training labels, [N].
        strength: Weight of the L2 penalty.

    Returns:
        The weights, [F + 1, classes], with the biases last.
    """
    count, size = rows.shape
    shape = (size + 1, int(labels.max()) + 1)
    targets = np.eye(shape[1])[labels]

    def cost(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(shape)
        logits = rows @ weights[:-1] + weights[-1]
        errors = scipy.special.softmax(logits, axis=1) - targets
        surprise = scipy.special.logsumexp(logits, axis=1) - logits[np.arange(count), labels]
        slopes = rows.T @ errors / count + strength * weights[:-1]
        value = np.mean(surprise) + strength / 2 * np.sum(weights[:-1] ** 2)
        return float(value), np.concatenate([slopes.ravel(), np.mean(errors, axis=0)])

    found: Any = scipy.optimize.minimize(
        cost, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 1000}
    )
    return found.x.reshape(shape)


def _checked(
    train: np.ndarray, labels: np.ndarray, features: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the features in float64, as distances of near examples may cancel, and labels."""
    train, features = np.asarray(train, np.float64), np.asarray(features, np.float64)
    labels = np.asarray(labels)
    if train.ndim != 2 or features.ndim != 2 or train.shape[1] != features.shape[1]:
        raise ValueError(
            f"the training rows have shape {train.shape} and the features {features.shape}; "
            "expected [N, F] and [M, F]"
        )
    if labels.shape != train.shape[:1] or not len(labels):
        raise ValueError(
            f"there are labels of shape {labels.shape} for {len(train)} training rows; "
            "expected one for each, and one row at least"
        )
    return train, labels, features
