"""Text encoder on characters: convolutions, then a recurrent layer."""

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
"""Number of max poolings, each of which halves the length."""


class CharacterEncoder(linen.Module):
    """Maps captions [B, L] of character codes to embeddings [B, size]: a small char-CNN-RNN.

    The layers are two convolutions over 3 characters, each followed by max pooling of 2, then gated
    recurrent units. The embedding is a linear map of the mean of their states, taken where there
    are characters. Padding at the end of a caption does not change its embedding.

    Attributes:
        codes: Number of character codes. Captions hold integers in [0, codes), 0 being padding.
        size: Size of the embeddings.
        width: Channels of the first convolution. The second has twice as many.
        hidden: Units of the recurrent layer.

    References:
        Reed et al. 2016, Learning deep representations of fine-grained visual descriptions, section
            4.
    """

    codes: int
    size: int = 128
    width: int = 64
    hidden: int = 128

    @linen.compact
    def __call__(self, captions: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        """Returns the embeddings [B, size] of captions.

        Args:
            captions: Character codes [B, L], of any number type.
            keys: Unused; every network takes it.
            train: Unused; every network takes it.
        """
        read = captions.astype(jnp.int32)
        fill = -read.shape[1] % 2**HALVINGS
        read = jnp.pad(read, ((0, 0), (0, fill)))
        # Padding (code 0) becomes a row of zeros, like the convolutions' own padding.
        x = jax.nn.one_hot(read - 1, self.codes - 1, dtype=bool)  # the type is that of the weights
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
    """Gated recurrent units: maps sequences [B, T, F] to states [B, T, size].

    The initial state is zero. The reset gate is applied after the matrix product, as in cuDNN.

    Attributes:
        size: Size of the state.

    References:
        Cho et al. 2014, section 2.3.
    """

    size: int

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """Returns the states [B, T, size] of sequences `x` [B, T, F]."""
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
        ):  # under shard_map, a scan's carry must vary from the start
            start = collectives.vary(start, axis)
        return lax.scan(advance, start, inputs.swapaxes(0, 1))[1].swapaxes(0, 1)


def _maxima(x: Array) -> Array:
    """Returns the maximum of each two steps: [B, L, C] to [B, L / 2, C]."""
    return jnp.max(x.reshape(x.shape[0], -1, 2, x.shape[2]), axis=2)
