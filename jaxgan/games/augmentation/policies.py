"""DiffAugment: color, translation and cutout, which every image undergoes.

Pixels that enter from outside the image are 0.

References:
    Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training".
"""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp

from jaxgan import random
from jaxgan.games.augmentation import geometry, transformations
from jaxgan.games.input_transforms import View
from jaxgan.random import Keys
from jaxgan.types import Array


@transformations.sparing_transparency
def brightness(images: Array, keys: Keys, *, most: float = 0.5) -> Array:
    """Adds one uniform number from [-most, most) to each image.

    Args:
        images: Images [B, H, W, C] in [-1, 1].
        keys: Per-example keys [B].
        most: Largest change of brightness.
    """
    return images + _uniform(keys, "brightness", -most, most)


@transformations.sparing_transparency
def saturation(images: Array, keys: Keys, *, most: float = 1.0) -> Array:
    """Scales each image's distance from its gray version by a number from [1 - most, 1 + most).

    Args:
        images: Images [B, H, W, C] in [-1, 1].
        keys: Per-example keys [B].
        most: Largest deviation of the factor from 1.
    """
    gray = jnp.mean(images, axis=3, keepdims=True)
    return gray + (images - gray) * _uniform(keys, "saturation", 1 - most, 1 + most)


@transformations.sparing_transparency
def contrast(images: Array, keys: Keys, *, most: float = 0.5) -> Array:
    """Scales each image's distance from its mean by a number from [1 - most, 1 + most).

    Args:
        images: Images [B, H, W, C] in [-1, 1].
        keys: Per-example keys [B].
        most: Largest deviation of the factor from 1.
    """
    mean = jnp.mean(images, axis=(1, 2, 3), keepdims=True)
    return mean + (images - mean) * _uniform(keys, "contrast", 1 - most, 1 + most)


def color(images: Array, keys: Keys) -> Array:
    """Changes brightness, saturation and contrast: the 'color' policy of DiffAugment.

    Args:
        images: Images [B, H, W, C] in [-1, 1].
        keys: Per-example keys [B].
    """
    return contrast(saturation(brightness(images, keys), keys), keys)


def translation(images: Array, keys: Keys, *, most: float = 1 / 8) -> Array:
    """Translates each image by whole pixels.

    Args:
        images: Images [B, H, W, C] in [-1, 1].
        keys: Per-example keys [B].
        most: Largest translation, as a fraction of the height and of the width.
    """
    weights = []
    for axis in (1, 2):
        limit = int(images.shape[axis] * most + 0.5)
        own = random.fold(keys, f"translation {axis}")
        shift = jnp.floor(random.uniform(own, (), low=-limit, high=limit + 1))
        weights.append(_lines(images, axis, shift=shift))
    return geometry.of_lines(images, *weights)


def cutout(images: Array, keys: Keys, *, share: float = 1 / 2) -> Array:
    """Sets a random rectangle of each image to 0.

    The center of the rectangle may be any pixel, so a part of it may lie outside the image.

    Args:
        images: Images [B, H, W, C] in [-1, 1].
        keys: Per-example keys [B].
        share: Size of the rectangle, as a fraction of the height and of the width.
    """
    inside = []
    for axis, size in enumerate(images.shape[1:3]):
        length = int(size * share + 0.5)
        centers = size + 1 - length % 2
        draw = random.uniform(random.fold(keys, f"cutout {axis}"), (1,), high=centers)
        start = jnp.floor(draw) - length // 2
        pixels = jnp.arange(size, dtype=jnp.float32).reshape(1, size)
        inside.append((pixels >= start) & (pixels < start + length))
    hole = inside[0][:, :, None, None] & inside[1][:, None, :, None]
    return jnp.where(hole, 0.0, images)


def _lines(images: Array, axis: int, *, shift: Array) -> Array:
    """Returns weights [B, N, N] that move lines by `shift` [B] whole pixels along the axis."""
    places = jnp.arange(images.shape[axis], dtype=jnp.float32)
    sources = places[None, :] - shift[:, None]
    return (sources[:, :, None] == places[None, None, :]).astype(images.dtype)


def _uniform(keys: Keys, name: str, low: float, high: float) -> Array:
    return random.uniform(random.fold(keys, name), (1, 1, 1), low=low, high=high)


POLICIES = {"color": color, "translation": translation, "cutout": cutout}
"""The transformations of DiffAugment by the name of their policy."""


def diff_augment(policy: Sequence[str] = tuple(POLICIES)) -> View:
    """Returns the view of DiffAugment: every policy is applied to every image.

    Args:
        policy: Names of policies, in order: any of 'color', 'translation' and 'cutout'. All three
            by default.

    Raises:
        ValueError: If a name is not one of these.

    References:
        Zhao et al. 2020, section 3.
    """
    unknown = [name for name in policy if name not in POLICIES]
    if unknown:
        raise ValueError(f"the policy is {unknown[0]!r}; expected {', '.join(POLICIES)}")
    transform = transformations.sequence([POLICIES[name] for name in policy])
    return lambda state, images, keys: transform(images, keys)
