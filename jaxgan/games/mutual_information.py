"""InfoGAN's latent codes and the variational lower bound on their mutual information.

The generator's input is noise z and codes c. A network Q predicts the codes from the generated
image. The mean of log Q(c | x), plus the entropy H(c), is a lower bound on the mutual information
I(c; G(z, c)). Maximizing this bound makes the codes recoverable from the images.

References:
    Chen et al. 2016, "InfoGAN: Interpretable Representation Learning by Information Maximizing
    Generative Adversarial Nets".
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
    """The latent codes and their prior: categorical codes first, then continuous ones.

    The codes are named c1, c2, ... in this order. Code values are a dict by name: int32 [B] for a
    categorical code, float32 [B] for a continuous code.

    Attributes:
        categories: Number of classes of each categorical code. Its prior is uniform over them.
        continuous: Number of continuous codes. Their prior is U(-1, 1).
    """

    categories: tuple[int, ...] = (10,)
    continuous: int = 2

    @property
    def categorical_names(self) -> tuple[str, ...]:
        """Names of the categorical codes."""
        return tuple(f"c{index + 1}" for index in range(len(self.categories)))

    @property
    def continuous_names(self) -> tuple[str, ...]:
        """Names of the continuous codes."""
        first = len(self.categories) + 1
        return tuple(f"c{index}" for index in range(first, first + self.continuous))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all codes, categorical ones first."""
        return self.categorical_names + self.continuous_names

    @property
    def size(self) -> int:
        """Number of latent entries that hold the codes, with categorical codes one-hot."""
        return sum(self.categories) + self.continuous


def drawn(codes: Codes, keys: Keys) -> dict[str, Array]:
    """Samples the codes from their prior.

    The values are a function of the keys: the same keys give the codes that an image was generated
    from.

    Args:
        codes: The codes and their prior.
        keys: Per-example keys [B].

    Returns:
        Values [B] of each code by name.
    """
    values = {
        name: random.labels(random.fold(keys, name), classes)
        for name, classes in zip(codes.categorical_names, codes.categories, strict=True)
    }
    for name in codes.continuous_names:
        values[name] = random.uniform(random.fold(keys, name), (), low=-1.0, high=1.0)
    return values


def joined(codes: Codes, noise: Array, values: Mapping[str, Array]) -> Array:
    """Concatenates noise and codes into the generator's latents [B, Z].

    Args:
        codes: The codes.
        noise: Incompressible noise [B, N].
        values: Values [B] of each code by name.

    Returns:
        Latents [B, N + codes.size]: the noise, the categorical codes one-hot, the continuous codes.
    """
    parts = [noise]
    for name, classes in zip(codes.categorical_names, codes.categories, strict=True):
        parts.append(jax.nn.one_hot(values[name], classes, dtype=noise.dtype))
    for name in codes.continuous_names:
        parts.append(values[name].astype(noise.dtype)[:, None])
    return jnp.concatenate(parts, axis=-1)


class Posterior(NamedTuple):
    """The approximate posterior Q(c | x) for B images.

    Attributes:
        logits: Class logits [B, K], one array for each categorical code.
        mean: Means [B, n] of the n continuous codes, which Q models as normal.
        std: Standard deviations [B, n] of the continuous codes.
    """

    logits: tuple[Array, ...]
    mean: Array
    std: Array


def bounds(codes: Codes, posterior: Posterior, values: Mapping[str, Array]) -> dict[str, Array]:
    """Computes log Q(c | x) + H(c) in nats, [B] for each code by name.

    The mean over a batch is the variational lower bound on the mutual information of that code and
    the images. It is at most log K for a categorical code of K classes. It may be negative for a
    continuous code, because a wide normal density is a loose bound.

    Args:
        codes: The codes.
        posterior: Prediction of Q for the generated images.
        values: Values [B] by name of the codes that the images were generated from.

    References:
        Chen et al. 2016, equations 4 and 5.
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
"""`information(posterior, keys) -> (value [], metrics)`: the bound that the players maximize."""


class Weights(NamedTuple):
    """Weights of the mutual information terms (lambda in Chen et al. 2016, equation 6).

    Attributes:
        categorical: Weight of each categorical code's bound.
        continuous: Weight of each continuous code's bound.
    """

    categorical: float = 1.0
    continuous: float = 1.0


EQUAL_WEIGHTS = Weights()


def weighted(codes: Codes, weights: Weights = EQUAL_WEIGHTS) -> Information:
    """Returns the mutual information term: the weighted sum of the bounds of all codes.

    The term reads the true codes from the keys (`drawn`), so pass the keys that the images were
    generated with. It reports each code's bound, unweighted and in nats, as 'information_<name>'.

    Args:
        codes: The codes.
        weights: Weights of categorical and continuous codes.
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
