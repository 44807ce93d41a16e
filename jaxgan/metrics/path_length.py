"""Perceptual path length: how far an image moves when its latent takes a small step toward another.

The paper's image distance is LPIPS on VGG16. Any distance that is quadratic in a small change
works. Numbers of different distances do not compare.

References:
    Karras et al. 2019 (arXiv 1812.04948), section 4.1.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.games import latent_interpolation
from jaxgan.types import Array

Distance = Callable[[Array, Array], Array]
"""Images [B, ...] and [B, ...] to distances [B]: zero for equal images, quadratic near zero."""


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
    """Computes d(g(p(t)), g(p(t + epsilon))) / epsilon^2 for paths p between pairs of latents, [B].

    Matrix products in `generate` and `distance` have the highest precision.

    Args:
        generate: A function of latents [N, Z] to images [N, ...]. It is called once with all
            latents, so each image must depend on its own latent only.
        starts: Latents at the start of each path, [B, Z].
        ends: Latents at the end of each path, [B, Z].
        key: Key of t, uniform in [0, 1). If None, t is 0 (the paper's path ends).
        distance: Distance of images. Default: `squared_error`.
        interpolate: `interpolate(starts, ends, t)`: the paths. Default: `on_sphere`, for latents of
            a normal prior; use `latent_interpolation.lerp` for a mapped space.
        epsilon: Step along the path.

    Raises:
        ValueError: If epsilon is not positive.

    References:
        Karras et al. 2019, equation 2.
    """
    if not epsilon > 0:
        raise ValueError(f"epsilon is {epsilon}; expected a positive number, in the paper 1e-4")
    shape = starts.shape[:1]
    t = jnp.zeros(shape) if key is None else jax.random.uniform(key, shape)
    path = on_sphere if interpolate is None else interpolate
    measure = squared_error if distance is None else distance
    points = jnp.concatenate([path(starts, ends, t), path(starts, ends, t + epsilon)])
    # The two images differ in their last digits. The rounding of TF32, the default of recent GPUs,
    # is larger than that and would dominate the length.
    with jax.default_matmul_precision("highest"):
        here, there = jnp.split(generate(points), 2)
        return measure(here, there) / epsilon**2


def mean_length(lengths: Array | np.ndarray) -> float:
    """Computes the mean of the lengths between their 1st and 99th percentile, as the authors do.

    Args:
        lengths: Path lengths, [N].

    Raises:
        ValueError: If there are no lengths.
    """
    values = np.asarray(lengths, np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"the lengths have shape {values.shape}; expected [N], not zero")
    low = np.percentile(values, 1, method="lower")
    high = np.percentile(values, 99, method="higher")
    return float(np.mean(values[(low <= values) & (values <= high)]))


def on_sphere(starts: Array, ends: Array, t: Array) -> Array:
    """Returns the points on the great circles between the directions of latents, [B, Z].

    Args:
        starts: Latents, [B, Z].
        ends: Latents, [B, Z].
        t: Positions on the paths in [0, 1], [B].
    """
    return latent_interpolation.slerp(_unit(starts), _unit(ends), t)


def squared_error(left: Array, right: Array) -> Array:
    """Computes the mean squared difference of images, [B]: a distance without a network.

    Args:
        left: Images, [B, ...].
        right: Images, [B, ...].
    """
    return jnp.mean(jnp.square(left - right), axis=tuple(range(1, left.ndim)))


def _unit(vectors: Array) -> Array:
    return vectors / jnp.linalg.norm(vectors, axis=-1, keepdims=True)
