"""Normalization layers by name: batch, instance or none."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgan.types import Array

KINDS = ("batch", "instance", "none")


def instance_norm(x: Array, *, epsilon: float = 1e-5) -> Array:
    """Normalizes each channel of each image to mean 0 and variance 1 over its pixels.

    There are no gain and bias. The result is the same in training and in inference, and does not
    depend on the batch. A constant channel becomes zero.

    Args:
        x: Images or features [B, H, W, C].
        epsilon: Added to the variance.

    Returns:
        Normalized features [B, H, W, C].

    References:
        Ulyanov et al. 2016, Instance normalization.
    """
    # Centers first: E[x^2] - E[x]^2 saves a pass over the pixels, but loses precision if the mean
    # is large, and is no faster once the gradient is computed.
    centered = x - jnp.mean(x, axis=(1, 2), keepdims=True)
    variance = jnp.mean(jnp.square(centered), axis=(1, 2), keepdims=True)
    return centered * jax.lax.rsqrt(variance + epsilon)


def batch_norm(train: bool, axis_name: str | None) -> linen.Module:
    """Returns a batch normalization layer with gains initialized from N(1, 0.02).

    Momentum is 0.9 and epsilon 1e-5.

    Args:
        train: Normalizes by the batch's statistics if True, by the running averages if False.
        axis_name: Name of the batch's axis under shard_map or pmap, over which batch statistics are
            taken. None under jit.
    """
    return linen.BatchNorm(
        use_running_average=not train,
        momentum=0.9,
        epsilon=1e-5,
        axis_name=axis_name,
        scale_init=_near_one,
    )


def normalize(kind: str, *, train: bool, axis_name: str | None = None) -> Callable[[Array], Array]:
    """Returns the normalization of that name. Call it inside a compact module.

    Args:
        kind: 'batch', 'instance' or 'none'.
        train: Normalizes by the batch's statistics if True, by the running averages if False.
        axis_name: Name of the batch's axis under shard_map or pmap, over which batch statistics are
            taken. None under jit.

    Returns:
        The function or layer `x -> normalized x`.

    Raises:
        ValueError: `kind` is another name.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan.nn import normalization
        >>> x = jnp.array([1.0, 3.0]).reshape(1, 1, 2, 1)
        >>> normalization.normalize("instance", train=True)(x).round(3).ravel().tolist()
        [-1.0, 1.0]
    """
    if kind == "batch":
        return batch_norm(train, axis_name)
    return {"instance": instance_norm, "none": lambda x: x}[known(kind)]


def known(kind: str) -> str:
    """Returns the name of the normalization if `normalize` knows it.

    Raises:
        ValueError: `normalize` does not know the name.
    """
    if kind not in KINDS:
        raise ValueError(f"the normalization is {kind!r}; expected one of {', '.join(KINDS)}")
    return kind


def _near_one(key: Array, shape: tuple[int, ...], dtype=jnp.float32) -> Array:
    return 1.0 + 0.02 * jax.random.normal(key, shape, dtype)
