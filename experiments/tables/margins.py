"""Linear support vector machines, and the layers of a DCGAN's discriminator for them to see."""

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
    """All convolutional layers of the discriminator of `models.dcgan` on images [B, H, W, C], each
    pooled to 4x4 by its largest values, side by side: [B, F] (Radford et al. 2016, section 5.1).
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
    """The labels [M] that machines on the training rows [N, F] give to the rows of the features
    [M, F], at that one of the costs by which four fifths of the training rows best predict the
    last; every fifth row is of that part.

    Features are standardized by the training rows.
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
    """The rows [N, F] by their coordinates [N, R] in an orthonormal basis [F, R] of a space that
    holds them all, R the smaller of N and F.

    The weights of `machines` lie in the span of the rows, whatever the cost, so that few rows of
    many features are told apart by as few coordinates.
    """
    basis, coordinates = np.linalg.qr(rows.T)
    return coordinates.T, basis


def decided(weights: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The class [N] whose machine, of `machines`, puts each row [N, F] farthest inside."""
    return np.argmax(rows @ weights[:-1] + weights[-1], axis=1)


def machines(rows: np.ndarray, labels: np.ndarray, *, cost: float) -> np.ndarray:
    """The weights [F + 1, classes], biases last, that tell each class from all others: of each,
    they minimize |w|^2 / 2 + cost * the sum of the squared slacks max(0, 1 - y f(x))^2.
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
