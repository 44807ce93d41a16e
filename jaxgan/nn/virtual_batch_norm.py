"""Virtual batch normalization: statistics of a fixed reference batch and the example itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgan import random
from jaxgan.random import Keys
from jaxgan.state import GANState
from jaxgan.types import Array

COLLECTION = "reference"


class VirtualBatchNorm(linen.Module):
    """Virtual batch normalization of features [R + B, ..., F], R being the reference batch's size.

    The first R examples are the reference batch, which `Reference` prepends. They are normalized by
    their own statistics. Every other example is normalized by the statistics of the R + 1 examples
    that it forms with them. No example depends on the others of its batch. The result is the same
    in training and inference, and on any number of devices.

    Attributes:
        reference: Size R of the reference batch.
        epsilon: Added to the variance.

    References:
        Salimans et al. 2016, section 3.5.
    """

    reference: int
    epsilon: float = 1e-5

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """Returns the normalized features [R + B, ..., F] of `x`, with learned gain and bias."""
        fixed, rest = x[: self.reference], x[self.reference :]
        axes = tuple(range(x.ndim - 1))
        mean = jnp.mean(fixed, axis=axes, keepdims=True)
        variance = jnp.var(fixed, axis=axes, keepdims=True)
        own_mean = jnp.mean(rest, axis=axes[1:], keepdims=True)
        own_variance = jnp.var(rest, axis=axes[1:], keepdims=True)
        share = 1 / (self.reference + 1)
        joint_mean = mean + share * (own_mean - mean)
        # The variance of a mixture is the mean of the variances plus the variance of the means.
        # Unlike E[x^2] - E[x]^2, this form does not lose precision.
        joint_variance = (1 - share) * (variance + share * jnp.square(own_mean - mean))
        joint_variance = joint_variance + share * own_variance
        normal = jnp.concatenate(
            [
                (fixed - mean) * jax.lax.rsqrt(variance + self.epsilon),
                (rest - joint_mean) * jax.lax.rsqrt(joint_variance + self.epsilon),
            ]
        )
        scale = self.param("scale", linen.initializers.ones_init(), x.shape[-1:])
        bias = self.param("bias", linen.initializers.zeros_init(), x.shape[-1:])
        broadcast = (1,) * (x.ndim - 1) + x.shape[-1:]
        return normal * scale.reshape(broadcast) + bias.reshape(broadcast)


def standard_normal(key: Array, shape: Sequence[int]) -> Array:
    """Returns a reference batch of standard normal latents.

    Args:
        key: PRNG key.
        shape: Shape of the batch.
    """
    return jax.random.normal(key, tuple(shape))


class Reference(linen.Module):
    """Wraps a network of `VirtualBatchNorm` layers and prepends the reference batch to its inputs.

    The reference batch is drawn once, at initialization, and kept in the player's collection
    'reference'. For a generator it consists of latents. For a discriminator, set it to real images
    with `with_reference`. Its examples draw the same noise in every pass. Conditions are not
    supported.

    Attributes:
        network: The network, with `VirtualBatchNorm(size)` layers.
        size: Size of the reference batch.
        draw: `(key, shape) -> inputs`, the initial reference batch.

    References:
        Salimans et al. 2016, section 3.5.
    """

    network: linen.Module
    size: int
    draw: Callable[[Array, Sequence[int]], Array] = standard_normal

    @linen.compact
    def __call__(self, inputs: Array, *, keys: Keys | None = None, train: bool = False) -> Any:
        """Returns the network's outputs [B, ...], without those of the reference batch.

        Args:
            inputs: Inputs [B, ...].
            keys: One key per example, for noise layers, or None.
            train: Passed on to `network`.
        """
        shape = (self.size, *inputs.shape[1:])
        fixed = self.variable(
            COLLECTION, "inputs", lambda: self.draw(self.make_rng("params"), shape)
        ).value
        if keys is not None:
            own = random.row_keys(jax.random.key(0), self.size).base
            keys = keys.replace(base=jnp.concatenate([own, keys.base]))
        joined = jnp.concatenate([fixed.astype(inputs.dtype), inputs])
        outputs = self.network(joined, keys=keys, train=train)
        return outputs[self.size :]


def with_reference(state: GANState, name: str, inputs: Array) -> GANState:
    """Returns the state with another reference batch for one player and its average.

    Args:
        state: State of the game.
        name: Name of the player.
        inputs: Reference batch [R, ...].

    Raises:
        ValueError: The player has no reference batch, or one of another shape.
    """
    held = state[name].variables.get(COLLECTION, {}).get("inputs")
    if held is None:
        raise ValueError(f"the player {name!r} has no reference batch; build it as a Reference")
    if held.shape != inputs.shape:
        raise ValueError(
            f"the reference batch of {name!r} has shape {held.shape}; got {inputs.shape}"
        )
    new = {COLLECTION: {"inputs": jnp.asarray(inputs, held.dtype)}}
    ema = state.ema
    if name in ema:
        # Copied, because a donated state must not hold one array twice.
        ema = {**ema, name: {**ema[name], **jax.tree.map(jnp.copy, new)}}
    return state.with_variables({name: {**state[name].variables, **new}}).replace(ema=ema)
