"""Layers that take class labels: conditional batch normalization and the projection head."""

from __future__ import annotations

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgan.nn.spectral_norm import SpectralNorm
from jaxgan.types import Array


class ConditionalBatchNorm(linen.Module):
    """Batch normalization with a gain and a bias for each class.

    The statistics are those of all classes together. Gains start at 1, biases at 0.

    Attributes:
        classes: Number of classes.
        momentum: Momentum of the running averages.
        epsilon: Added to the variance.
        axis_name: Name of the batch's axis under shard_map or pmap, over which batch statistics are
            taken. None under jit.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from jaxgan import nn
        >>> layer, label = nn.ConditionalBatchNorm(3), jnp.array([0, 2])
        >>> variables = layer.init(jax.random.key(0), jnp.ones((2, 4, 4, 8)), label)
        >>> variables["params"]["scale"].shape
        (3, 8)

    References:
        Dumoulin et al. 2017, A learned representation for artistic style, section 2.
        Miyato and Koyama 2018, cGANs with projection discriminator, section 5.
    """

    classes: int
    momentum: float = 0.9
    epsilon: float = 1e-5
    axis_name: str | None = None

    @linen.compact
    def __call__(self, x: Array, label: Array, *, train: bool = False) -> Array:
        """Returns the normalized features.

        Args:
            x: Features [B, ..., C].
            label: Class labels [B], integers from 0.
            train: Normalizes by the batch's statistics if True, by the running averages if False.
        """
        shape = (self.classes, x.shape[-1])
        scale = self.param("scale", linen.initializers.ones, shape)
        bias = self.param("bias", linen.initializers.zeros, shape)
        normalized = linen.BatchNorm(
            use_running_average=not train,
            momentum=self.momentum,
            epsilon=self.epsilon,
            use_scale=False,
            use_bias=False,
            axis_name=self.axis_name,
        )(x)
        over = (x.shape[0], *(1,) * (x.ndim - 2), x.shape[-1])
        return normalized * scale[label].reshape(over) + bias[label].reshape(over)


class ProjectionHead(linen.Module):
    """The last layer of a projection discriminator: a linear logit plus <embedding of y, x>.

    Attributes:
        classes: Number of classes.
        spectral: Whether the linear layer and the embedding are spectrally normalized.
        kernel_init: Initializer of both.

    References:
        Miyato and Koyama 2018, cGANs with projection discriminator, equation 4.
    """

    classes: int
    spectral: bool = False
    kernel_init: linen.initializers.Initializer = linen.initializers.xavier_uniform()

    @linen.compact
    def __call__(self, x: Array, label: Array, *, train: bool = False) -> Array:
        """Returns the logits [B].

        Args:
            x: Features [B, F].
            label: Class labels [B], integers from 0.
            train: Whether spectral normalization keeps its new singular vectors.
        """

        def applied(layer: linen.Dense, x: Array) -> Array:
            return SpectralNorm(layer)(x, train=train) if self.spectral else layer(x)

        linear = linen.Dense(1, kernel_init=self.kernel_init)
        embedding = linen.Dense(x.shape[-1], use_bias=False, kernel_init=self.kernel_init)
        logits = applied(linear, x)[:, 0]
        embedded = applied(embedding, jax.nn.one_hot(label, self.classes, dtype=x.dtype))
        return logits + jnp.sum(embedded * x, axis=-1)
