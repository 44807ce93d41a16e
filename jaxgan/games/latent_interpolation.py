"""Ways between latents: straight, and on a sphere."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array


def lerp(starts: Array | np.ndarray, ends: Array | np.ndarray, t: Array | np.ndarray) -> Array:
    """Returns the points [B, Z] at `t` [B] of the straight ways from `starts` to `ends`, exactly
    these at 0 and at 1.

    Half-way between independent draws of many entries its norm is less by a factor of sqrt(2):
    latents that a Gaussian prior never gives.

    Args:
        starts: latents [B, Z], or one [Z] for all points.
        ends: latents [B, Z], or one [Z] for all points.
        t: where on its way each point lies, [B], from 0 (start) to 1 (end).
    """
    share, left, right = _aligned(starts, ends, t)
    return (1 - share) * left + share * right


def slerp(starts: Array | np.ndarray, ends: Array | np.ndarray, t: Array | np.ndarray) -> Array:
    """Returns the points [B, Z] at `t` [B] of the ways from `starts` to `ends` on which the
    direction turns evenly and the norm changes linearly; exactly these at 0 and at 1.

    Of latents with one norm it is the shortest way on their sphere (Shoemake 1985; for Gaussian
    latents White 2016, section 2.1). Where the ends lie on one line through 0 there is no such way,
    and it is the straight one.

    Args:
        starts: latents [B, Z], or one [Z] for all points.
        ends: latents [B, Z], or one [Z] for all points.
        t: where on its way each point lies, [B], from 0 (start) to 1 (end).
    """
    share, left, right = _aligned(starts, ends, t)
    lengths = [jnp.maximum(_norm(x), 1e-30) for x in (left, right)]
    towards = [x / length for x, length in zip((left, right), lengths, strict=True)]
    apart, joined = (_norm(towards[0] + sign * towards[1]) for sign in (-1, 1))
    angle = 2 * jnp.arctan2(apart, joined)  # exact where an arc cosine is not, near 0 and pi
    turned = jnp.sin((1 - share) * angle) * towards[0] + jnp.sin(share * angle) * towards[1]
    length = (1 - share) * lengths[0] + share * lengths[1]
    one_line = (jnp.sin(angle) < 1e-4) | (jnp.minimum(*lengths) <= 1e-30)
    way = length * turned / jnp.maximum(jnp.sin(angle), 1e-4)
    way = jnp.where(one_line, lerp(starts, ends, t), way)
    return jnp.where(share == 0, left, jnp.where(share == 1, right, way))


def _aligned(starts, ends, t) -> tuple[Array, Array, Array]:
    """The shares of the ways [B, 1] and their two ends, [B, Z] or [1, Z]."""
    return jnp.asarray(t)[:, None], jnp.atleast_2d(starts), jnp.atleast_2d(ends)


def _norm(vectors: Array) -> Array:
    return jnp.linalg.norm(vectors, axis=-1, keepdims=True)
