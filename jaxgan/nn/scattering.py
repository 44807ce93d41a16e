"""A fixed network of wavelets, for perceptual losses without learned weights.

Where a picture has how much detail of which size and direction, and not at which phase: the moduli
of wavelet coefficients, averaged over small cells, the first two orders of a scattering transform
(Bruna and Mallat 2013). Bruna, Sprechmann and LeCun 2016 enlarge images by them beside VGG's maps.
"""

from __future__ import annotations

import functools
import math

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgan import nn
from jaxgan.nn import resampling
from jaxgan.types import Array

ORIENTATIONS = 8
CELL = 4
"""Side, in pixels of the image, of the squares that moduli are averaged over."""

_SIDE = 9
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_LEAST = 1e-6  # of a squared modulus: its root has no gradient at zero


@functools.cache
def wavelets() -> np.ndarray:
    """Morlet wavelets as a kernel float32 [9, 9, 1, 16]: the real parts of eight orientations, then
    the imaginary ones.

    Each has mean 0 and gives a modulus of 1 for a wave of amplitude 1 at its own frequency, 3/8 of
    a cycle a pixel; across its waves it is half as long as along them.
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
    """The moduli [B, H, W, 8] of the wavelet coefficients of images [B, H, W, 1]."""
    real, imaginary = jnp.split(nn.conv(images, jnp.asarray(wavelets())), 2, axis=-1)
    return jnp.sqrt(jnp.square(real) + jnp.square(imaginary) + _LEAST)


def maps(images: Array, *, octaves: int = 2) -> dict[str, Array]:
    """Of images [B, H, W, C] in [-1, 1]: 'mean' [B, H / 4, W / 4, C], the average of each cell, and
    for each octave j 'octave j' [B, H / 4, W / 4, 8], the average modulus of the details of the
    luminance whose waves are about 2.7 * 2^j pixels long, by direction.

    Raises ValueError on more octaves than a cell has, or where the image has no whole cell.
    """
    if not 0 <= octaves <= int(math.log2(CELL)) + 1:
        raise ValueError(
            f"{octaves} octaves were asked for; expected 0 to {int(math.log2(CELL)) + 1}"
        )
    height, width = (side // CELL * CELL for side in images.shape[1:3])
    if 0 in (height, width):
        raise ValueError(f"images of {images.shape[1:3]} pixels have no cell of {CELL}x{CELL}")
    images = images[:, :height, :width]
    found, octave, cell = {"mean": _averaged(images, CELL)}, luminance(images), CELL
    for index in range(octaves):
        if index:
            octave, cell = resampling.reduced(octave, 2), cell // 2
        found[f"octave {index}"] = _averaged(moduli(octave), cell)
    return found


def luminance(images: Array) -> Array:
    """The luma of color images, and the mean of any other number of channels: [B, H, W, 1]."""
    channels = images.shape[-1]
    shares = _LUMA if channels == 3 else (1.0 / channels,) * channels
    return jnp.sum(images * jnp.reshape(jnp.array(shares), (1, 1, 1, -1)), axis=-1, keepdims=True)


def _averaged(images: Array, cell: int) -> Array:
    if cell == 1:
        return images
    window = (1, cell, cell, 1)
    return lax.reduce_window(images, 0.0, lax.add, window, window, "VALID") / cell**2
