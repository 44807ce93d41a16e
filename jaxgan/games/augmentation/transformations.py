"""Transformations of images by each example's own key, and how to compose them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp

from jaxgan import random
from jaxgan.random import Keys
from jaxgan.types import Array

Transformation = Callable[[Array, Keys], Array]
"""`transformation(images, keys) -> images`, both [B, H, W, C]."""


def sequence(transformations: Sequence[Transformation]) -> Transformation:
    """Composes transformations, each with independent random numbers."""

    def run(images: Array, keys: Keys) -> Array:
        for index, transformation in enumerate(transformations):
            images = transformation(images, random.fold(keys, index))
        return images

    return run


def sometimes(transformation: Transformation, probability: Array | float) -> Transformation:
    """Returns a transformation that is applied to each image with the given probability.

    Args:
        transformation: The transformation; images that it is not applied to stay as they are.
        probability: Probability from 0 to 1, a number or an array [].
    """

    def run(images: Array, keys: Keys) -> Array:
        chosen = random.fold(keys, "sometimes")
        draws = random.uniform(chosen, (1, 1, 1))
        return jnp.where(draws < probability, transformation(images, keys), images)

    return run


def sparing_transparency(change: Callable[..., Array]) -> Callable[..., Array]:
    """Wraps a color transformation so that it leaves an alpha channel (the fourth) unchanged."""

    @functools.wraps(change)
    def run(images: Array, *rest: Any, **options: Any) -> Array:
        if images.shape[3] != 4:
            return change(images, *rest, **options)
        colors = change(images[..., :3], *rest, **options)
        return jnp.concatenate([colors, images[..., 3:]], axis=3)

    return run
