"""Penalties on the discriminator's gradient at given images: [B], to add to its loss.

The weight is already included. `discriminator` is a pure function from images [B, H, W, C] (or
points [B, D]) to logits [B, ...]. The logits of an example (its patches) are summed. The gradient
is taken over all its pixels and channels, in float32 or wider.

Warning: one backward pass of the sum over the batch gives every example's own gradient only if
nothing couples the examples, such as BatchNorm with batch statistics or minibatch statistics. Pass
a function that reads a player, never one that updates its collections.
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
    """R1: gamma / 2 * |grad D|^2 at real images, [B].

    Args:
        discriminator: Function from images to logits.
        real: Real images [B, H, W, C] or points [B, D].
        gamma: Weight, as in StyleGAN2 and R3GAN. GAN_stability, the code of Mescheder et al., has
            no factor 1/2: its regularization parameter 10 is gamma = 20 here.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan import penalties
        >>> def discriminator(x):
        ...     return jnp.sum(x**2, axis=1)  # the gradient is 2 x
        >>> print(penalties.r1(discriminator, jnp.array([[1.0, 0.0], [3.0, 4.0]]), gamma=10.0))
        [ 20. 500.]

    References:
        Mescheder et al. 2018, Which Training Methods for GANs do actually Converge?, eq. 9.
    """
    return gamma / 2 * _squared_slopes(discriminator, real)


def r2(discriminator: Discriminator, fake: Array, *, gamma: float | Array) -> Array:
    """R2: gamma / 2 * |grad D|^2 at generated images, [B].

    Args:
        discriminator: Function from images to logits.
        fake: Generated images [B, H, W, C] or points [B, D].
        gamma: Weight; see `r1`.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan import penalties
        >>> def discriminator(x):
        ...     return x @ jnp.array([3.0, 4.0])  # the slope is 5 everywhere
        >>> print(penalties.r2(discriminator, jnp.zeros((2, 2)), gamma=1.0))
        [12.5 12.5]

    References:
        Mescheder et al. 2018, Which Training Methods for GANs do actually Converge?, eq. 10.
    """
    return gamma / 2 * _squared_slopes(discriminator, fake)


def usual_gamma(shape: tuple[int, ...], batch_size: int) -> float:
    """Returns the weight of R1 that StyleGAN2-ADA takes by default: 0.0002 * pixels / batch size.

    Args:
        shape: Shape (H, W, C) of the images.
        batch_size: Examples in a batch.

    Raises:
        ValueError: If the shape is not that of images, or the batch is empty.

    Examples:
        >>> from jaxgan import penalties
        >>> round(penalties.usual_gamma((64, 64, 3), 16), 4)
        0.0512

    References:
        Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", appendix
        C (found by a search over resolutions).
    """
    if len(shape) != 3 or batch_size < 1:
        raise ValueError(
            f"the weight of R1 for shape {shape} in batches of {batch_size} is not known; it is "
            "for images (H, W, C) in batches of 1 or more; choose gamma yourself"
        )
    return 0.0002 * shape[0] * shape[1] / batch_size


def gradient_penalty(
    discriminator: Discriminator,
    real: Array,
    fake: Array,
    keys: Keys,
    *,
    weight: float | Array = 10.0,
    target: float | Array = 1.0,
) -> Array:
    """WGAN-GP: weight * (|grad D| - target)^2 between real and generated images, [B].

    Each example has its own point, drawn uniformly on the line between its fake and its real image.
    If the slope is exactly zero, the gradient of the penalty is zero as well.

    Args:
        discriminator: Function from images to logits.
        real: Real images [B, H, W, C] or points [B, D].
        fake: Generated images of the same shape.
        keys: Keys [B].
        weight: Weight of the penalty.
        target: Target of the gradient's norm.

    Raises:
        ValueError: If real and fake have different shapes.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jaxgan import penalties, random
        >>> def critic(x):
        ...     return x @ jnp.array([3.0, 4.0])  # the slope is 5 everywhere
        >>> keys = random.row_keys(jax.random.key(0), 2)
        >>> print(penalties.gradient_penalty(critic, jnp.ones((2, 2)), jnp.zeros((2, 2)), keys))
        [160. 160.]

    References:
        Gulrajani et al. 2017, Improved Training of Wasserstein GANs, eq. 3.
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
    """0-GP: weight * |grad D|^2 between real and generated images, [B].

    There is no factor 1/2, as in the paper. The points are those of `gradient_penalty`.

    Args:
        discriminator: Function from images to logits.
        real: Real images [B, H, W, C] or points [B, D].
        fake: Generated images of the same shape.
        keys: Keys [B].
        weight: Weight of the penalty.

    Raises:
        ValueError: If real and fake have different shapes.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jaxgan import penalties, random
        >>> def discriminator(x):
        ...     return x @ jnp.array([3.0, 4.0])  # the slope is 5 everywhere
        >>> real, fake = jnp.ones((2, 2)), jnp.zeros((2, 2))
        >>> keys = random.row_keys(jax.random.key(0), 2)
        >>> penalty = penalties.zero_centered_gradient_penalty
        >>> print(penalty(discriminator, real, fake, keys, weight=2.0))
        [50. 50.]

    References:
        Thanh-Tung et al. 2019, Improving Generalization and Stability of GANs.
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
    """DRAGAN: weight * (|grad D| - target)^2 around real images, [B].

    As in the authors' code, the point is real + u * scale * std * noise: u in [0, 1) for each
    example, noise in [0, 1) for each pixel, and the standard deviation of all pixels of the whole
    batch. The standard deviation couples the examples.

    Args:
        discriminator: Function from images to logits.
        real: Real images [B, H, W, C] or points [B, D].
        keys: Keys [B].
        weight: Weight of the penalty.
        scale: Largest change of a pixel, in standard deviations.
        target: Target of the gradient's norm.
        axis_name: Name of the batch's mesh axis, needed under shard_map and pmap.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jaxgan import penalties, random
        >>> def discriminator(x):
        ...     return x @ jnp.array([3.0, 4.0])  # the slope is 5 everywhere
        >>> keys = random.row_keys(jax.random.key(0), 2)
        >>> print(penalties.dragan(discriminator, jnp.ones((2, 2)), keys, weight=1.0))
        [16. 16.]

    References:
        Kodali et al. 2017, On Convergence and Stability of GANs.
    """
    share = _per_example(random.uniform(random.fold(keys, "dragan_share"), ()), real)
    noise = random.uniform(random.fold(keys, "dragan_noise"), real.shape[1:])
    points = real + share * scale * _batch_std(real, axis_name) * noise
    return weight * jnp.square(_slopes(discriminator, points) - target)


def clip_weights(params: PyTree, limit: float) -> PyTree:
    """Returns `params` with every leaf clipped to [-limit, limit].

    Apply it to all parameters of a Wasserstein critic after each of its updates (`steps.project`).

    Args:
        params: Tree of arrays.
        limit: Largest absolute value, positive; 0.01 in the paper.

    Raises:
        ValueError: Unless limit > 0.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan import penalties
        >>> print(penalties.clip_weights({"kernel": jnp.array([-1.0, 0.25])}, 0.5)["kernel"])
        [-0.5   0.25]

    References:
        Arjovsky et al. 2017, Wasserstein GAN, algorithm 1.
    """
    if not limit > 0:
        raise ValueError(f"the clipping limit is {limit}; expected a positive number")
    return jax.tree.map(lambda leaf: jnp.clip(leaf, -limit, limit), params)


def _gradients(discriminator: Discriminator, images: Array) -> Array:
    """Returns each example's gradient of its summed logits, flat: [B, H * W * C]."""

    def total(images: Array) -> Array:
        logits = discriminator(images)
        if logits.shape[:1] != images.shape[:1]:
            raise ValueError(
                f"the discriminator maps {images.shape[0]} images to logits of shape "
                f"{logits.shape}; expected one row of logits per image, not a mean"
            )
        return jnp.sum(logits)

    images = images.astype(jnp.promote_types(images.dtype, jnp.float32))
    return jax.grad(total)(images).reshape(images.shape[0], -1)


def _squared_slopes(discriminator: Discriminator, images: Array) -> Array:
    return jnp.sum(jnp.square(_gradients(discriminator, images)), axis=1)


def _slopes(discriminator: Discriminator, images: Array) -> Array:
    squared = _squared_slopes(discriminator, images)
    # The root has an infinite derivative at zero, and infinity times zero is NaN. So the root of
    # zero is never computed. An epsilon under the root would be finite too, but would change every
    # slope.
    flat = squared == 0
    return jnp.where(flat, 0, jnp.sqrt(jnp.where(flat, 1, squared)))


def _mixtures(real: Array, fake: Array, keys: Keys) -> Array:
    if real.shape != fake.shape:
        raise ValueError(
            f"real images have shape {real.shape} but fake ones {fake.shape}; "
            "the penalty interpolates between their examples, so give both the same shape"
        )
    share = _per_example(random.uniform(random.fold(keys, "mixture"), ()), real)
    return share * real + (1 - share) * fake


def _per_example(values: Array, images: Array) -> Array:
    """Returns values [B], shaped to multiply images [B, ...]."""
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
