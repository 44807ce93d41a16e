"""Fixed wavelet features, for perceptual losses without learned weights.

The features are the moduli of wavelet coefficients, averaged over small cells: the first two orders
of a scattering transform (Bruna and Mallat 2013). They describe how much detail of each size and
direction an image has at each place, but not its phase. Bruna, Sprechmann and LeCun 2016 use them
for super-resolution, next to VGG's feature maps.
"""

from __future__ import annotations

import functools
import math

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgan import color, nn
from jaxgan.nn import resampling
from jaxgan.types import Array

ORIENTATIONS = 8
CELL = 4
"""Side, in pixels of the image, of the squares over which moduli are averaged."""

_SIDE = 9
_LEAST = 1e-6  # added to squared moduli: the root has no finite gradient at zero


@functools.cache
def wavelets() -> np.ndarray:
    """Returns a bank of Morlet wavelets, as a convolution kernel.

    Each wavelet has mean 0. For a wave of amplitude 1 at its own frequency, 3/8 cycles per pixel,
    the modulus is 1. The envelope has a standard deviation of 0.8 pixels in the direction of the
    wave, and twice that perpendicular to it.

    Returns:
        The kernel, float32 [9, 9, 1, 16]: the real parts for eight orientations, then the imaginary
        parts.
    """
    line = np.arange(_SIDE) - _SIDE // 2
    y, x = np.meshgrid(line, line, indexing="ij")
    frequency, width, slant = 3 * np.pi / 4, 0.8, 0.5
    found = []
    for index in range(ORIENTATIONS):
        angle = np.pi * index / ORIENTATIONS
        along = np.cos(angle) * x + np.sin(angle) * y
        across = np.cos(angle) * y - np.sin(angle) * x
        envelope = np.exp(-(along**2 + (slant * across) ** 2) / (2 * width**2))
        wave = np.exp(1j * frequency * along)
        wavelet = envelope * (wave - np.sum(envelope * wave) / np.sum(envelope))
        found.append(2 * wavelet / np.abs(np.sum(wavelet * np.conj(wave))))
    bank = np.stack(found, axis=-1)[:, :, None]
    return np.concatenate([np.real(bank), np.imag(bank)], axis=-1).astype(np.float32)


def moduli(images: Array) -> Array:
    """Returns the moduli [B, H, W, 8] of the wavelet coefficients of images [B, H, W, 1]."""
    real, imaginary = jnp.split(nn.conv(images, jnp.asarray(wavelets())), 2, axis=-1)
    return jnp.sqrt(jnp.square(real) + jnp.square(imaginary) + _LEAST)


def maps(images: Array, *, octaves: int = 2) -> dict[str, Array]:
    """Computes the wavelet features of images.

    Args:
        images: Images [B, H, W, C] in [-1, 1]. Rows and columns that do not fill a cell of 4x4
            pixels are cropped.
        octaves: Number of scales, 0 to 3. Waves of octave j are about 2.7 * 2^j pixels long.

    Returns:
        Feature maps by name. 'mean' [B, H / 4, W / 4, C] is the mean of each cell. 'octave j' [B, H
        / 4, W / 4, 8] is the mean modulus of the luminance's wavelet coefficients, by orientation.

    Raises:
        ValueError: There are more octaves than a cell has, or the image is smaller than a cell.
    """
    if not 0 <= octaves <= int(math.log2(CELL)) + 1:
        raise ValueError(
            f"{octaves} octaves were asked for; expected 0 to {int(math.log2(CELL)) + 1}"
        )
    height, width = (side // CELL * CELL for side in images.shape[1:3])
    if 0 in (height, width):
        raise ValueError(f"images of {images.shape[1:3]} pixels have no cell of {CELL}x{CELL}")
    images = images[:, :height, :width]
    found, octave, cell = {"mean": _averaged(images, CELL)}, _brightness(images), CELL
    for index in range(octaves):
        if index:
            octave, cell = resampling.reduced(octave, 2), cell // 2
        found[f"octave {index}"] = _averaged(moduli(octave), cell)
    return found


def _brightness(images: Array) -> Array:
    """Returns the luma of color images, or the mean of another number of channels: [B, H, W, 1]."""
    channels = images.shape[-1]
    shares = color.LUMA if channels == 3 else (1.0 / channels,) * channels
    return jnp.sum(images * jnp.reshape(jnp.array(shares), (1, 1, 1, -1)), axis=-1, keepdims=True)


def _averaged(images: Array, cell: int) -> Array:
    if cell == 1:
        return images
    window = (1, cell, cell, 1)
    return lax.reduce_window(images, 0.0, lax.add, window, window, "VALID") / cell**2
