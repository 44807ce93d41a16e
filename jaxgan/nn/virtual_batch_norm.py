"""Virtual batch normalization: each example by the statistics of a batch chosen once and itself."""

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
    """Virtual batch normalization (Salimans et al. 2016, section 3.5) of features [R + B, ..., F].

    The first `reference` rows are the reference batch, as `Reference` puts them; they are
    normalized by their own statistics, and every other row by those of the R + 1 rows that it makes
    with them. So no example depends on another: the statistics are those of no batch and of no
    shard, the same in training and in use.
    """

    reference: int
    epsilon: float = 1e-5

    @linen.compact
    def __call__(self, x: Array) -> Array:
        fixed, rest = x[: self.reference], x[self.reference :]
        axes = tuple(range(x.ndim - 1))
        mean = jnp.mean(fixed, axis=axes, keepdims=True)
        variance = jnp.var(fixed, axis=axes, keepdims=True)
        own_mean = jnp.mean(rest, axis=axes[1:], keepdims=True)
        own_variance = jnp.var(rest, axis=axes[1:], keepdims=True)
        share = 1 / (self.reference + 1)
        joint_mean = mean + share * (own_mean - mean)
        # The variance of a mixture is the mean variance and the variance of the means: nothing
        # cancels, as it would between the mean square and the squared mean.
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
    """A reference batch of standard normal latents."""
    return jax.random.normal(key, tuple(shape))


class Reference(linen.Module):
    """A network of `VirtualBatchNorm` layers, which sees its reference batch before every batch.

    The batch, of `size` rows, is drawn once by `draw(key, shape)` and kept in the player's
    collection 'reference': latents for a generator; for a discriminator put real images there by
    `with_reference`. Its rows draw the same noise every time. Conditions are not taken.
    """

    network: linen.Module
    size: int
    draw: Callable[[Array, Sequence[int]], Array] = standard_normal

    @linen.compact
    def __call__(self, inputs: Array, *, keys: Keys | None = None, train: bool = False) -> Any:
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
    """The state in which the named player's reference batch, and its average's, is `inputs`.

    Raises ValueError where the player has none, or one of another shape.
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
        # A copy: a donated state must not hold one array twice.
        ema = {**ema, name: {**ema[name], **jax.tree.map(jnp.copy, new)}}
    return state.with_variables({name: {**state[name].variables, **new}}).replace(ema=ema)
