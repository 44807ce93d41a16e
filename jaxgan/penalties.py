"""Penalties on a discriminator's slope at given images: [B], weights included, to add to its loss.

`discriminator` is a pure function from images [B, H, W, C] (or points [B, D]) to logits [B, ...].
The logits of an example (its patches) are summed, and the gradient is over all its pixels and
channels, in float32 at least. One backward pass of the sum over the batch gives every example's own
gradient only where nothing couples the examples: no BatchNorm on the batch's statistics, no
minibatch statistics. Pass a function that reads a player, never one that updates its collections.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgan import collectives, random
from jaxgan.random import Keys
from jaxgan.types import Array, PyTree

Discriminator = Callable[[Array], Array]


def r1(discriminator: Discriminator, real: Array, *, gamma: float | Array) -> Array:
    """gamma / 2 * |grad D|^2 at real images (Mescheder et al. 2018, eq. 9), [B].

    StyleGAN2 and R3GAN have the same convention. GAN_stability, the code of Mescheder et al., has
    no 1/2: its regularization parameter 10 is gamma = 20 here.
    """
    return gamma / 2 * _squared_slopes(discriminator, real)


def r2(discriminator: Discriminator, fake: Array, *, gamma: float | Array) -> Array:
    """gamma / 2 * |grad D|^2 at generated images (Mescheder et al. 2018, eq. 10), [B]."""
    return gamma / 2 * _squared_slopes(discriminator, fake)


def gradient_penalty(
    discriminator: Discriminator,
    real: Array,
    fake: Array,
    keys: Keys,
    *,
    weight: float | Array = 10.0,
    target: float | Array = 1.0,
) -> Array:
    """weight * (|grad D| - target)^2 between real and fake (WGAN-GP, Gulrajani et al. 2017), [B].

    Each example (keys [B]) has its own point, uniform on the line from its fake to its real image.
    Where the slope is exactly zero, the penalty's gradient is zero as well.
    Raises ValueError where real and fake have different shapes.
    """
    slopes = _slopes(discriminator, _mixtures(real, fake, keys))
    return weight * jnp.square(slopes - target)


def zero_centered_gradient_penalty(
    discriminator: Discriminator,
    real: Array,
    fake: Array,
    keys: Keys,
    *,
    weight: float | Array,
) -> Array:
    """weight * |grad D|^2 between real and fake (0-GP, Thanh-Tung et al. 2019), [B].

    No factor 1/2, as there. Points and errors are those of `gradient_penalty`.
    """
    return weight * _squared_slopes(discriminator, _mixtures(real, fake, keys))


def dragan(
    discriminator: Discriminator,
    real: Array,
    keys: Keys,
    *,
    weight: float | Array = 10.0,
    scale: float = 0.5,
    target: float | Array = 1.0,
    axis_name: str | None = None,
) -> Array:
    """weight * (|grad D| - target)^2 around real images (DRAGAN, Kodali et al. 2017), [B].

    As in the authors' code, the point is real + share * scale * std * noise: a share in [0, 1) for
    each example (keys [B]), noise in [0, 1) for each pixel, and the std of all pixels of the whole
    batch. It couples the examples: under shard_map and pmap the name of the batch's axis is needed.
    """
    share = _per_example(random.uniform(random.fold(keys, "dragan_share"), ()), real)
    noise = random.uniform(random.fold(keys, "dragan_noise"), real.shape[1:])
    points = real + share * scale * _batch_std(real, axis_name) * noise
    return weight * jnp.square(_slopes(discriminator, points) - target)


def clip_weights(params: PyTree, limit: float) -> PyTree:
    """Every leaf of `params` clipped to [-limit, limit] (Arjovsky et al. 2017, algorithm 1).

    For all parameters of a Wasserstein critic, after each of its updates; the paper's limit is
    0.01. Raises ValueError unless limit > 0.
    """
    if not limit > 0:
        raise ValueError(f"the clipping limit is {limit}; expected a positive number")
    return jax.tree.map(lambda leaf: jnp.clip(leaf, -limit, limit), params)


def _gradients(discriminator: Discriminator, images: Array) -> Array:
    """Each example's gradient of its summed logits, flat: [B, H * W * C]."""

    def total(images: Array) -> Array:
        logits = discriminator(images)
        if logits.shape[:1] != images.shape[:1]:
            raise ValueError(
                f"the discriminator maps {images.shape[0]} images to logits of shape "
                f"{logits.shape}; expected one row for each image, not a mean"
            )
        return jnp.sum(logits)

    images = images.astype(jnp.promote_types(images.dtype, jnp.float32))
    return jax.grad(total)(images).reshape(images.shape[0], -1)


def _squared_slopes(discriminator: Discriminator, images: Array) -> Array:
    return jnp.sum(jnp.square(_gradients(discriminator, images)), axis=1)


def _slopes(discriminator: Discriminator, images: Array) -> Array:
    squared = _squared_slopes(discriminator, images)
    # The root has an infinite derivative at zero, and infinity times zero is NaN: it is never taken
    # there. An epsilon under the root would be finite too, but would move every slope.
    flat = squared == 0
    return jnp.where(flat, 0, jnp.sqrt(jnp.where(flat, 1, squared)))


def _mixtures(real: Array, fake: Array, keys: Keys) -> Array:
    if real.shape != fake.shape:
        raise ValueError(
            f"real images have shape {real.shape} but fake ones {fake.shape}; "
            "the penalty mixes them row by row, so give both the same shape"
        )
    share = _per_example(random.uniform(random.fold(keys, "mixture"), ()), real)
    return share * real + (1 - share) * fake


def _per_example(values: Array, images: Array) -> Array:
    """Values [B] shaped to multiply images [B, ...]."""
    if values.shape != images.shape[:1]:
        raise ValueError(
            f"there are {values.shape[0]} keys for {images.shape[0]} images; expected one for each"
        )
    return values.reshape(-1, *[1] * (images.ndim - 1))


def _batch_std(images: Array, axis_name: str | None) -> Array:
    flat = images.reshape(images.shape[0], -1).astype(jnp.promote_types(images.dtype, jnp.float32))
    mean = collectives.batch_mean(jnp.mean(flat, axis=1), axis_name)
    variance = collectives.batch_mean(jnp.mean(jnp.square(flat - mean), axis=1), axis_name)
    return jnp.sqrt(variance)
