"""Perceptual path length (Karras et al. 2019, arXiv 1812.04948, section 4.1): how far an image
moves, by some distance, when its latent takes a small step towards another.

The papers' distance is LPIPS on VGG16; any function that grows with the square of a small change
will do, and numbers of different distances do not compare.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.games import latent_interpolation
from jaxgan.types import Array

Distance = Callable[[Array, Array], Array]
"""Images [B, ...] and [B, ...] to distances [B]: zero of equal ones, quadratic near it."""


def path_lengths(
    generate: Callable[[Array], Array],
    starts: Array,
    ends: Array,
    *,
    key: Array | None,
    distance: Distance | None = None,
    interpolate: Callable[[Array, Array, Array], Array] | None = None,
    epsilon: float = 1e-4,
) -> Array:
    """d(g(p(t)), g(p(t + epsilon))) / epsilon^2, [B], for the paths p between latents [B, Z]
    (equation 2).

    `t` is uniform in [0, 1) by `key`, or 0 where the key is None (the paper's path ends). The
    default path is `on_sphere`, for latents of a normal prior (`latent_interpolation.lerp` for a
    mapped space), and the default distance `squared_error`. `generate` must treat each latent by
    itself: it is called once, on all of them, and like the distance in the highest precision of
    products. Raises ValueError on an epsilon that is not positive.
    """
    if not epsilon > 0:
        raise ValueError(f"epsilon is {epsilon}; expected a positive number, the paper's is 1e-4")
    shape = starts.shape[:1]
    t = jnp.zeros(shape) if key is None else jax.random.uniform(key, shape)
    path = on_sphere if interpolate is None else interpolate
    measure = squared_error if distance is None else distance
    points = jnp.concatenate([path(starts, ends, t), path(starts, ends, t + epsilon)])
    # The two images differ in their last digits: what TF32, the default of recent GPUs, rounds off
    # is more than that, and would be most of the length.
    with jax.default_matmul_precision("highest"):
        here, there = jnp.split(generate(points), 2)
        return measure(here, there) / epsilon**2


def mean_length(lengths: Array | np.ndarray) -> float:
    """The mean of the lengths [N] from their 1st to their 99th percentile, as the authors' code
    takes it; ValueError where there are none.
    """
    values = np.asarray(lengths, np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"the lengths have shape {values.shape}; expected [N], not zero")
    low = np.percentile(values, 1, method="lower")
    high = np.percentile(values, 99, method="higher")
    return float(np.mean(values[(low <= values) & (values <= high)]))


def on_sphere(starts: Array, ends: Array, t: Array) -> Array:
    """The points at `t` [B] of the great circles between the directions of latents [B, Z]."""
    return latent_interpolation.slerp(_unit(starts), _unit(ends), t)


def squared_error(left: Array, right: Array) -> Array:
    """The mean squared difference of images [B, ...], [B]: a distance without any network."""
    return jnp.mean(jnp.square(left - right), axis=tuple(range(1, left.ndim)))


def _unit(vectors: Array) -> Array:
    return vectors / jnp.linalg.norm(vectors, axis=-1, keepdims=True)
