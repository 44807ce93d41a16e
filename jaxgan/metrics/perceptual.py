"""A distance of images that gradients go through: pixels on several scales, and network features.

Inverting a generator needs both: pixels alone are satisfied by blur, features alone by wrong
colors. Features are compared as in LPIPS (Zhang et al. 2018, eq. 1) with equal weights: maps of
several layers, of which every place has unit length.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgan import files
from jaxgan.metrics import garments
from jaxgan.nn import efficientnet
from jaxgan.types import Array, PyTree

SMALLEST = 4
"""The smallest side, in pixels, of the scales on which pixels are compared."""

_LEAST_SIDE = 64  # pixels of EfficientNet's input: its last maps have a side of 1/32

Parts = tuple[tuple[Array, ...], tuple[Array, ...]]
"""What is compared of images: their pixels [B, h, w, C] by scale, and their maps [B, h, w, F]."""


class Perceptual(NamedTuple):
    """A perceptual distance.

    Attributes:
        name: What images are compared by, in words.
        variables: Variables of the network; None without one.
        maps: `maps(variables, images) -> feature maps`, each [B, h, w, F].
    """

    name: str
    variables: PyTree
    maps: Callable[[PyTree, Array], tuple[Array, ...]]

    def parts(self, variables: PyTree, images: Array) -> Parts:
        """Returns what is compared of the images.

        Args:
            variables: The distance's own variables, an argument of their own under `jax.jit`.
            images: Images [B, H, W, C] in [-1, 1].
        """
        return _scales(images), tuple(map(_directions, self.maps(variables, images)))


def distances(left: Parts, right: Parts) -> Array:
    """Returns the distance [B] of each image to another.

    It is the mean over the scales of the mean absolute difference of pixels, plus the mean over the
    maps of the mean squared distance of the features' directions.

    Args:
        left: Parts of B images.
        right: Parts of B images.
    """
    return jax.vmap(_distance)(left, right)


def all_distances(left: Parts, right: Parts) -> Array:
    """Returns the distances [N, M] of N images to M others.

    Args:
        left: Parts of N images.
        right: Parts of M images.
    """
    return jax.vmap(lambda one: jax.vmap(lambda other: _distance(one, other))(right))(left)


def of_channels(channels: int) -> Perceptual:
    """Returns the distance with the network that metrics use for images of so many channels.

    That is the embedded classifier of garments for gray images, and EfficientNet-Lite0 for color
    images if the extra `features` is installed. For other images only pixels are compared.

    Args:
        channels: Number of channels.
    """
    if channels == 1:
        return Perceptual("pixels and maps of the classifier of garments", *_of_garments())
    if channels == 3:
        variables = efficientnet.packaged(folder=files.cache_folder("weights"))
        if variables is not None:
            return Perceptual("pixels and maps of EfficientNet-Lite0", variables, _color_maps)
    return of_pixels()


def of_pixels() -> Perceptual:
    """Returns the distance that compares pixels alone."""
    return Perceptual("pixels on several scales", None, lambda variables, images: ())


def _of_garments() -> tuple[PyTree, Callable[[PyTree, Array], tuple[Array, ...]]]:
    return garments.embedded(), _gray_maps


def _gray_maps(variables: PyTree, images: Array) -> tuple[Array, ...]:
    resized = jax.image.resize(images, (len(images), *garments.SHAPE), "bilinear")
    output: Any = garments.Classifier().apply(
        variables, resized, capture_intermediates=lambda module, _: _is_norm(module)
    )
    found = output[1]["intermediates"]
    return tuple(jax.nn.relu(found[name]["__call__"][0]) for name in sorted(found))


def _is_norm(module: linen.Module) -> bool:
    return isinstance(module, linen.BatchNorm)


def _color_maps(variables: PyTree, images: Array) -> tuple[Array, ...]:
    count, height, width, channels = images.shape
    factor = max(1.0, _LEAST_SIDE / min(height, width))
    size = (count, round(factor * height), round(factor * width), channels)
    seen: efficientnet.Seen = efficientnet.EfficientNetLite().apply(  # type: ignore[assignment]
        variables, jax.image.resize(images, size, "bilinear")
    )
    return seen.maps


def _scales(images: Array) -> tuple[Array, ...]:
    """Returns the images, halved again and again by averaging."""
    found = [images]
    while min(found[-1].shape[1:3]) >= 2 * SMALLEST:
        found.append(linen.avg_pool(found[-1], (2, 2), strides=(2, 2)))
    return tuple(found)


def _directions(maps: Array) -> Array:
    """Returns the maps with features of unit length at every place."""
    squares = jnp.sum(jnp.square(maps), axis=-1, keepdims=True)
    return maps * jax.lax.rsqrt(squares + 1e-6)


def _distance(left: Parts, right: Parts) -> Array:
    pixels = [jnp.mean(jnp.abs(a - b)) for a, b in zip(left[0], right[0], strict=True)]
    maps = [
        jnp.mean(jnp.sum(jnp.square(a - b), axis=-1))
        for a, b in zip(left[1], right[1], strict=True)
    ]
    features = jnp.mean(jnp.stack(maps)) if maps else 0.0
    return jnp.mean(jnp.stack(pixels)) + features
