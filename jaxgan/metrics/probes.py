"""How much features tell of classes that they were not learned from: by the nearest training
example, and by a linear map.

Both predict the labels of held-out rows from labeled training rows. A number means little alone:
set it beside those of the raw pixels and of an untrained network's features.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.optimize
import scipy.special


def nearest_neighbor(
    train: np.ndarray, labels: np.ndarray, features: np.ndarray, *, piece: int = 500
) -> np.ndarray:
    """The label [M] of the training row [N, F] that is nearest to each row of the features [M, F]
    by Euclidean distance; of rows equally near, the first.

    The distances of `piece` rows are held at once. Raises ValueError where shapes do not fit.
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
    """The labels [M] that multinomial logistic regression on the training rows [N, F] predicts for
    the rows of the features [M, F].

    Features are standardized by the training rows. `strength` / 2 times the squared weights, biases
    aside, is added to the mean cross-entropy, whose one minimum L-BFGS finds. Raises ValueError
    where shapes do not fit or the strength is not positive.
    """
    if strength <= 0:
        raise ValueError(f"the strength of the penalty is {strength}; expected a positive number")
    train, labels, features = _checked(train, labels, features)
    mean, deviation = np.mean(train, axis=0), np.std(train, axis=0)
    deviation[deviation == 0] = 1  # a constant feature tells nothing, whatever its scale
    weights = logistic_weights((train - mean) / deviation, labels, strength=strength)
    return np.argmax((features - mean) / deviation @ weights[:-1] + weights[-1], axis=1)


def logistic_weights(rows: np.ndarray, labels: np.ndarray, *, strength: float) -> np.ndarray:
    """The weights of `linear_probe` on the rows [N, F] as they are: [F + 1, classes], biases
    last.
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
    """The features in float64, in which distances of near rows do not cancel, and the labels."""
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
