"""Changes of texture: the strengths of four bands of frequencies.

References:
    Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", appendix B.
"""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np

from jaxgan.games.augmentation import geometry
from jaxgan.types import Array

SYM2 = (-0.12940952255092145, 0.22414386804185735, 0.836516303737469, 0.48296291314469025)
"""Low-pass filter of the wavelet sym2, orthonormal at shifts by 2 (Daubechies 1992)."""

BANDS = 4
"""Number of bands: the lowest frequencies, up to an eighth, then octave by octave."""

EXPECTED = (10 / 13, 1 / 13, 1 / 13, 1 / 13)
"""Fractions of the power of photographs in the bands."""


def amplified(images: Array, gains: Array) -> Array:
    """Returns images whose bands of frequencies are amplified. Images are mirrored at their edges.

    Args:
        images: Images [B, H, W, C].
        gains: Factor of each band, from the lowest, [B, 4]. Ones leave an image as it is, up to
            rounding.
    """
    vertical, horizontal = (
        jnp.einsum("bk,kij->bij", gains, jnp.asarray(_matrices(size), gains.dtype))
        for size in images.shape[1:3]
    )
    return geometry.of_lines(images, vertical, horizontal)


def normalized(gains: Array) -> Array:
    """Returns gains that keep the expected power of an image.

    Args:
        gains: Factor of each band [B, 4].
    """
    power = jnp.sum(jnp.asarray([EXPECTED]) * jnp.square(gains), axis=1, keepdims=True)
    return gains / jnp.sqrt(power)


@functools.cache
def filters() -> np.ndarray:
    """Returns the filters [4, 43] of the bands, symmetric, which add up to a unit impulse."""
    low, high = (
        np.convolve(taps, taps[::-1]) / 2
        for taps in (np.asarray(SYM2), np.asarray(SYM2) * (-1) ** np.arange(len(SYM2)))
    )
    bands = np.eye(BANDS, 1)
    for band in range(1, BANDS):
        spread = np.zeros((BANDS, 2 * bands.shape[1] - 1))
        spread[:, ::2] = bands
        bands = np.stack([np.convolve(one, low) for one in spread])
        margin = (bands.shape[1] - len(high)) // 2
        bands[band, margin : margin + len(high)] += high
    return bands


@functools.cache
def _matrices(size: int) -> np.ndarray:
    """Weights [4, size, size] of the bands' filters on a line of pixels."""
    middle = filters().shape[1] // 2
    return np.stack([geometry.filtering(size, taps, first=-middle) for taps in filters()])
