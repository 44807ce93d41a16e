"""Interpolation between latents: linear and spherical."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array


def lerp(starts: Array | np.ndarray, ends: Array | np.ndarray, t: Array | np.ndarray) -> Array:
    """Interpolates linearly between latents.

    The result equals `starts` at t = 0 and `ends` at t = 1 exactly. Warning: halfway between
    independent latents of many entries the norm is smaller by a factor of sqrt(2). A Gaussian prior
    practically never generates such latents; `slerp` avoids this.

    Args:
        starts: Latents [B, Z], or one latent [Z] for all points.
        ends: Latents [B, Z], or one latent [Z] for all points.
        t: Interpolation parameter [B] of each point, from 0 (start) to 1 (end).

    Returns:
        Latents [B, Z].
    """
    share, left, right = _aligned(starts, ends, t)
    return (1 - share) * left + share * right


def slerp(starts: Array | np.ndarray, ends: Array | np.ndarray, t: Array | np.ndarray) -> Array:
    """Interpolates spherically between latents: uniform rotation of the direction, linear norm.

    The result equals `starts` at t = 0 and `ends` at t = 1 exactly. For latents of equal norm it is
    the shortest path on their sphere. If start and end lie on one line through 0, there is no
    unique such path and the interpolation is linear.

    Args:
        starts: Latents [B, Z], or one latent [Z] for all points.
        ends: Latents [B, Z], or one latent [Z] for all points.
        t: Interpolation parameter [B] of each point, from 0 (start) to 1 (end).

    Returns:
        Latents [B, Z].

    References:
        Shoemake 1985, "Animating Rotation with Quaternion Curves". White 2016, "Sampling Generative
        Networks", section 2.1 (for Gaussian latents).
    """
    share, left, right = _aligned(starts, ends, t)
    lengths = [jnp.maximum(_norm(x), 1e-30) for x in (left, right)]
    toward = [x / length for x, length in zip((left, right), lengths, strict=True)]
    apart, joined = (_norm(toward[0] + sign * toward[1]) for sign in (-1, 1))
    angle = 2 * jnp.arctan2(apart, joined)  # unlike arccos, accurate near 0 and pi
    turned = jnp.sin((1 - share) * angle) * toward[0] + jnp.sin(share * angle) * toward[1]
    length = (1 - share) * lengths[0] + share * lengths[1]
    one_line = (jnp.sin(angle) < 1e-4) | (jnp.minimum(*lengths) <= 1e-30)
    way = length * turned / jnp.maximum(jnp.sin(angle), 1e-4)
    way = jnp.where(one_line, lerp(starts, ends, t), way)
    return jnp.where(share == 0, left, jnp.where(share == 1, right, way))


def _aligned(starts, ends, t) -> tuple[Array, Array, Array]:
    """Returns the interpolation parameters [B, 1] and both ends, each [B, Z] or [1, Z]."""
    return jnp.asarray(t)[:, None], jnp.atleast_2d(starts), jnp.atleast_2d(ends)


def _norm(vectors: Array) -> Array:
    return jnp.linalg.norm(vectors, axis=-1, keepdims=True)
