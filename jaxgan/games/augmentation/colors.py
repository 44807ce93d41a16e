"""Changes of color: matrices, and how to apply them.

A matrix [B, 4, 4] maps a color (red, green, blue, 1) to another. The neutral axis is that of the
grays, (1, 1, 1).

References:
    Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", appendix B.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
from jax import lax

from jaxgan.types import Array

_GRAY = 1 / 3
"""Every entry of the projection of colors on the neutral axis."""


def _eye() -> Array:
    return jnp.eye(3)[None]


def adding(amounts: Array) -> Array:
    """Returns the matrices [B, 4, 4] that add to all channels: a change of brightness.

    Args:
        amounts: What is added [B].
    """
    return _affine(jnp.broadcast_to(_eye(), (len(amounts), 3, 3)), amounts)


def scaling(factors: Array) -> Array:
    """Returns the matrices [B, 4, 4] that scale all channels about 0: a change of contrast.

    Args:
        factors: The factors [B].
    """
    return _affine(factors[:, None, None] * _eye())


def inverting(chosen: Array) -> Array:
    """Returns the matrices [B, 4, 4] that negate the mean of the channels and keep the chroma.

    Args:
        chosen: Which images are inverted, bool [B].
    """
    return _affine(_eye() - jnp.where(chosen[:, None, None], 2 * _GRAY, 0.0))


def rotating(angles: Array) -> Array:
    """Returns the matrices [B, 4, 4] that rotate colors about the neutral axis: a change of hue.

    Args:
        angles: Angles in radians [B]. A third of a circle makes red green, green blue, blue red.
    """
    cosine, sine = (value[:, None, None] for value in (jnp.cos(angles), jnp.sin(angles)))
    # The product of the unit vector of the axis with a color: a quarter turn of its chroma.
    turn = jnp.asarray([[[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]]) / math.sqrt(3)
    return _affine(cosine * (_eye() - _GRAY) + sine * turn + _GRAY)


def saturating(factors: Array) -> Array:
    """Returns the matrices [B, 4, 4] that scale the distance of colors from the neutral axis.

    Args:
        factors: The factors [B]; 0 makes images gray.
    """
    return _affine(factors[:, None, None] * (_eye() - _GRAY) + _GRAY)


def recolored(images: Array, matrices: Array) -> Array:
    """Returns images whose colors are mapped by the matrices.

    Images that are not of three channels, or four of which the last is transparency, have no
    colors: their channels are scaled and shifted as grays are.

    Args:
        images: Images [B, H, W, C].
        matrices: Matrices [B, 4, 4].
    """
    if images.shape[3] != 3:
        of_gray = jnp.mean(matrices[:, :3], axis=1)
        gain, shift = jnp.sum(of_gray[:, :3], axis=1), of_gray[:, 3]
        return (images * gain[:, None, None, None] + shift[:, None, None, None]).astype(
            images.dtype
        )
    mixed = jnp.einsum(
        "bhwc,bdc->bhwd", images, matrices[:, :3, :3], precision=lax.Precision.HIGHEST
    )
    return (mixed + matrices[:, None, None, :3, 3]).astype(images.dtype)


def _affine(linear: Array, shift: Array | None = None) -> Array:
    """Matrices [B, 4, 4] of a linear map [B, 3, 3] and of a shift [B] of all channels."""
    count, dtype = len(linear), linear.dtype
    column = jnp.zeros(count, dtype) if shift is None else shift.astype(dtype)
    upper = jnp.concatenate(
        [linear, jnp.broadcast_to(column[:, None, None], (count, 3, 1))], axis=2
    )
    last = jnp.broadcast_to(jnp.asarray([[0, 0, 0, 1]], dtype), (count, 1, 4))
    return jnp.concatenate([upper, last], axis=1)
