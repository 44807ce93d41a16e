"""A network that reads captions character by character: convolutions, then a recurrence."""

from __future__ import annotations

import flax.linen as linen
import jax
import jax.numpy as jnp
from jax import lax

from jaxgan import collectives
from jaxgan.nn import layers
from jaxgan.random import Keys
from jaxgan.types import Array

HALVINGS = 2


class CharacterEncoder(linen.Module):
    """Captions [B, L] of character codes below `codes`, 0 being nothing, to embeddings [B, size].

    The char-CNN-RNN of Reed et al. 2016 (Learning deep representations of fine-grained visual
    descriptions), smaller: convolutions over 3 characters and maxima of 2, twice, from `width` to
    twice as many channels; a gated recurrence of `hidden` units; the mean of its states where there
    are characters. What fills a caption up does not change its embedding.
    """

    codes: int
    size: int = 128
    width: int = 64
    hidden: int = 128

    @linen.compact
    def __call__(self, captions: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        read = captions.astype(jnp.int32)
        fill = -read.shape[1] % 2**HALVINGS
        read = jnp.pad(read, ((0, 0), (0, fill)))
        # Nothing is a row of zeros, as beyond the ends.
        x = jax.nn.one_hot(read - 1, self.codes - 1)
        there = (read > 0)[:, :, None]
        x = linen.Dense(self.width, use_bias=False)(x)
        for index in range(HALVINGS):
            conv = layers.Conv(self.width << index, (1, 3))
            x = jax.nn.relu(conv(x[:, None])[:, 0]) * there
            x, there = _maxima(x), _maxima(there)
        states = GatedRecurrence(self.hidden)(x)
        mean = jnp.sum(states * there, axis=1) / jnp.maximum(jnp.sum(there, axis=1), 1)
        return linen.Dense(self.size)(mean)


class GatedRecurrence(linen.Module):
    """Steps [B, T, F] to the states [B, T, size] of gated recurrent units (Cho et al. 2014, the
    reset gate after the product, as in cuDNN), the first from a state of zeros.
    """

    size: int

    @linen.compact
    def __call__(self, x: Array) -> Array:
        inputs = linen.Dense(3 * self.size)(x)
        shape = (self.size, 3 * self.size)
        kernel = self.param("kernel", layers.orthogonal(), shape)

        def advance(state: Array, given: Array) -> tuple[Array, Array]:
            reset, update, new = jnp.split(given, 3, axis=1)
            by_reset, by_update, by_new = jnp.split(state @ kernel, 3, axis=1)
            keep = jax.nn.sigmoid(update + by_update)
            candidate = jnp.tanh(new + jax.nn.sigmoid(reset + by_reset) * by_new)
            state = keep * state + (1 - keep) * candidate
            return state, state

        start = jnp.zeros((x.shape[0], self.size), inputs.dtype)
        for axis in collectives.varying_axes(
            inputs
        ):  # under shard_map a loop's types must not change
            start = collectives.vary(start, axis)
        return lax.scan(advance, start, inputs.swapaxes(0, 1))[1].swapaxes(0, 1)


def _maxima(x: Array) -> Array:
    """The larger of each two steps: [B, L, C] to [B, L / 2, C]."""
    return jnp.max(x.reshape(x.shape[0], -1, 2, x.shape[2]), axis=2)
