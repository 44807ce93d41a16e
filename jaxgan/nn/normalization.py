"""Normalization: of each image by itself, or of the batch, by name."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgan.types import Array

KINDS = ("batch", "instance", "none")


def instance_norm(x: Array, *, epsilon: float = 1e-5) -> Array:
    """Each channel of each image [B, H, W, C] with mean 0 and variance 1 over its pixels (Ulyanov
    et al. 2016), without gain and bias.

    It is the same in training and in use, whatever the batch. A constant channel becomes zero.
    """
    # The variance of what is left of the mean: the difference of the mean square and the squared
    # mean is one pass over the pixels less, but cancels where the mean is large, and is no faster
    # with its gradient.
    centered = x - jnp.mean(x, axis=(1, 2), keepdims=True)
    variance = jnp.mean(jnp.square(centered), axis=(1, 2), keepdims=True)
    return centered * jax.lax.rsqrt(variance + epsilon)


def batch_norm(train: bool, axis_name: str | None) -> linen.Module:
    """Batch normalization with gains N(1, 0.02); statistics of the batch in training, running ones
    otherwise.
    """
    return linen.BatchNorm(
        use_running_average=not train,
        momentum=0.9,
        epsilon=1e-5,
        axis_name=axis_name,
        scale_init=_near_one,
    )


def normalize(kind: str, *, train: bool, axis_name: str | None = None) -> Callable[[Array], Array]:
    """The normalization of that name: 'batch', 'instance' or 'none'; call it inside a compact
    module.

    Raises ValueError on another name.
    """
    if kind == "batch":
        return batch_norm(train, axis_name)
    return {"instance": instance_norm, "none": lambda x: x}[known(kind)]


def known(kind: str) -> str:
    """The name of the normalization; ValueError on one that `normalize` does not know."""
    if kind not in KINDS:
        raise ValueError(f"the normalization is {kind!r}; expected one of {', '.join(KINDS)}")
    return kind


def _near_one(key: Array, shape: tuple[int, ...], dtype=jnp.float32) -> Array:
    return 1.0 + 0.02 * jax.random.normal(key, shape, dtype)
