"""Codes: entries of a latent that its images are to tell (Chen et al. 2016).

A network q that reads them off an image bounds the mutual information of the codes and the images
from below by its log-likelihood; whoever raises that bound makes the images tell the codes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgan import random
from jaxgan.random import Keys
from jaxgan.state import Mean
from jaxgan.types import Array


class Codes(NamedTuple):
    """The codes' prior: one uniform class of `categories[i]` for each categorical code, then
    `continuous` codes from U(-1, 1).

    They are called c1, c2, ... in this order. Values of codes are a dict by name: int32 [B] of a
    categorical code, float32 [B] of a continuous one.
    """

    categories: tuple[int, ...] = (10,)
    continuous: int = 2

    @property
    def categorical_names(self) -> tuple[str, ...]:
        return tuple(f"c{index + 1}" for index in range(len(self.categories)))

    @property
    def continuous_names(self) -> tuple[str, ...]:
        first = len(self.categories) + 1
        return tuple(f"c{index}" for index in range(first, first + self.continuous))

    @property
    def names(self) -> tuple[str, ...]:
        return self.categorical_names + self.continuous_names

    @property
    def size(self) -> int:
        """Entries of a latent that hold the codes."""
        return sum(self.categories) + self.continuous


def drawn(codes: Codes, keys: Keys) -> dict[str, Array]:
    """Values of the codes from their prior: a function of the keys, so that whoever has the keys of
    an image has its codes.
    """
    values = {
        name: random.labels(random.fold(keys, name), classes)
        for name, classes in zip(codes.categorical_names, codes.categories, strict=True)
    }
    for name in codes.continuous_names:
        values[name] = random.uniform(random.fold(keys, name), (), low=-1.0, high=1.0)
    return values


def joined(codes: Codes, noise: Array, values: Mapping[str, Array]) -> Array:
    """Latents [B, Z]: the noise, then the codes, categorical ones one-hot."""
    parts = [noise]
    for name, classes in zip(codes.categorical_names, codes.categories, strict=True):
        parts.append(jax.nn.one_hot(values[name], classes, dtype=noise.dtype))
    for name in codes.continuous_names:
        parts.append(values[name].astype(noise.dtype)[:, None])
    return jnp.concatenate(parts, axis=-1)


class Posterior(NamedTuple):
    """What q tells of the codes of B images: logits [B, K] for each categorical code, and means and
    standard deviations [B, n] of the continuous ones, which it holds to be normal.
    """

    logits: tuple[Array, ...]
    mean: Array
    std: Array


def bounds(codes: Codes, posterior: Posterior, values: Mapping[str, Array]) -> dict[str, Array]:
    """log q(c | x) + H(c) in nats, [B] for each code by name: its mean over a batch is the bound
    on the mutual information of that code and the images (Chen et al. 2016, eq. 4 and 5).

    It is at most log K for one of K classes. For a continuous code it may be negative: a wide
    normal density is a loose bound.
    """
    told = {}
    for name, logits in zip(codes.categorical_names, posterior.logits, strict=True):
        log_q = jax.nn.log_softmax(logits)
        likelihood = jnp.take_along_axis(log_q, values[name][:, None], axis=-1)[:, 0]
        told[name] = likelihood + math.log(logits.shape[-1])
    for index, name in enumerate(codes.continuous_names):
        mean, std = posterior.mean[:, index], posterior.std[:, index]
        likelihood = jax.scipy.stats.norm.logpdf(values[name], mean, std)
        told[name] = likelihood + math.log(2)
    return told


Information = Callable[[Posterior, Keys], tuple[Array, dict[str, Mean]]]
"""`information(posterior, keys) -> (value [], metrics)`, which the players raise."""


class Weights(NamedTuple):
    """How much a nat of information counts, by the kind of code (lambda in eq. 6)."""

    categorical: float = 1.0
    continuous: float = 1.0


EQUAL_WEIGHTS = Weights()


def weighted(codes: Codes, weights: Weights = EQUAL_WEIGHTS) -> Information:
    """The bound on the information of the codes that these keys drew, each kind by its weight, and
    its summands as metrics, in nats.
    """

    def information(posterior: Posterior, keys: Keys) -> tuple[Array, dict[str, Mean]]:
        value, metrics = jnp.zeros(()), {}
        for name, nats in bounds(codes, posterior, drawn(codes, keys)).items():
            categorical = name in codes.categorical_names
            weight = weights.categorical if categorical else weights.continuous
            value += weight * jnp.mean(nats)
            metrics[f"information_{name}"] = Mean.of(nats)
        return value, metrics

    return information
