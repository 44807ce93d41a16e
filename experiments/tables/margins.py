"""Linear support vector machines on the layers of a DCGAN's discriminator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as linen
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from jaxgan.games import regularizers
from jaxgan.models import dcgan
from jaxgan.nn import layers
from jaxgan.state import GANState
from jaxgan.types import Array

SIDE = 4


def pooled_layers(state: GANState, images: Array) -> Array:
    """Returns the max-pooled convolutional layers of DCGAN's discriminator, concatenated: [B, F].

    Each layer is pooled to 4x4.

    Args:
        state: The state, with the discriminator of `models.dcgan`.
        images: Images [B, H, W, C].

    References:
        Radford et al. 2016, section 5.1.
    """
    height, width = images.shape[1:3]
    seen = []
    for index in range(dcgan.stages((height, width))):
        name = f"BatchNorm_{index - 1}" if index else "Conv_0"
        sides = (height >> (index + 1), width >> (index + 1))
        maps = regularizers.features(state["discriminator"], name, images)
        maps = layers.leaky_relu(maps.reshape(len(images), *sides, -1))
        window = (-(-sides[0] // SIDE), -(-sides[1] // SIDE))
        pooled = linen.max_pool(maps, window, window, "SAME")
        seen.append(pooled.reshape(len(images), -1))
    return jnp.concatenate(seen, axis=1)


def classify(
    train: np.ndarray, labels: np.ndarray, features: np.ndarray, costs: Sequence[float]
) -> np.ndarray:
    """Returns the labels [M] that support vector machines predict.

    The cost is the one with which four fifths of the training examples best predict the last fifth
    (every fifth example). Features are standardized by the training examples.

    Args:
        train: Features of the training examples [N, F].
        labels: Labels of the training examples [N].
        features: Features of the examples to classify [M, F].
        costs: Costs of the slack to choose from.
    """
    mean, deviation = np.mean(train, axis=0), np.std(train, axis=0)
    deviation[deviation == 0] = 1
    rows, basis = in_their_span(((train - mean) / deviation).astype(np.float64))
    aside = np.arange(len(rows)) % 5 == 4

    def right(cost: float) -> float:
        weights = machines(rows[~aside], labels[~aside], cost=cost)
        return float(np.mean(decided(weights, rows[aside]) == labels[aside]))

    best = machines(rows, labels, cost=max(costs, key=right))
    weights = np.vstack([basis @ best[:-1], best[-1:]])
    return decided(weights, (features - mean) / deviation)


def in_their_span(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns coordinates [N, R] of the examples in an orthonormal basis [F, R] of their span.

    R is the smaller of N and F. The weights of `machines` lie in the span of the examples, whatever
    the cost, so few examples with many features need only few coordinates.
    """
    basis, coordinates = np.linalg.qr(rows.T)
    return coordinates.T, basis


def decided(weights: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns the class [N] whose machine gives each example the largest value.

    Args:
        weights: Weights of `machines`, [F + 1, classes].
        rows: Features of the examples [N, F].
    """
    return np.argmax(rows @ weights[:-1] + weights[-1], axis=1)


def machines(rows: np.ndarray, labels: np.ndarray, *, cost: float) -> np.ndarray:
    """Returns the weights [F + 1, classes] of one-against-all support vector machines.

    The biases are last. Each machine minimizes |w|^2 / 2 + cost * the sum of the squared slacks
    max(0, 1 - y f(x))^2.

    Args:
        rows: Features of the examples [N, F].
        labels: Labels of the examples [N].
        cost: Weight of the squared slacks.
    """
    shape = (rows.shape[1] + 1, int(labels.max()) + 1)
    signs = 2 * np.eye(shape[1])[labels] - 1

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(shape)
        slack = np.maximum(0, 1 - signs * (rows @ weights[:-1] + weights[-1]))
        slopes = -2 * cost * signs * slack
        gradient = np.vstack([weights[:-1] + rows.T @ slopes, np.sum(slopes, axis=0)])
        value = np.sum(weights[:-1] ** 2) / 2 + cost * np.sum(slack**2)
        return float(value), gradient.ravel()

    found: Any = scipy.optimize.minimize(
        loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 300}
    )
    return found.x.reshape(shape)
