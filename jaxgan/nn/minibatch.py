"""Minibatch statistics as features: they let a discriminator detect a lack of variety.

A group is a run of consecutive examples. Slices of a batch (`steps.split_rows`) are taken by stride
and contain other groups than the batch. Accumulated gradients therefore differ from those of the
whole batch. The statistics couple the examples of a group: the logit of one depends on the images
of all. A gradient penalty then takes the gradient of the group's summed logits by each image.
"""

from __future__ import annotations

import flax.linen as linen
import jax.numpy as jnp

from jaxgan.types import Array

EPSILON = 1e-8


def minibatch_stddev(x: Array, *, group: int) -> Array:
    """Appends a channel with the standard deviation of the features within each group.

    The statistic is the standard deviation over the examples of a group, averaged over all
    features. It is constant over a group. Groups are runs of `group` examples, so that each lies on
    one device if `group` divides the examples of every device. The authors' code groups by stride,
    which would spread groups over devices.

    Args:
        x: Features [B, ..., C].
        group: Examples per group. Must divide the examples of every device.

    Returns:
        Features [B, ..., C + 1].

    Raises:
        ValueError: `group` does not divide the batch size.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan.nn.minibatch import minibatch_stddev
        >>> x = jnp.array([[0.0], [2.0], [5.0], [5.0]])
        >>> minibatch_stddev(x, group=2).round(3).tolist()
        [[0.0, 1.0], [2.0, 1.0], [5.0, 0.0], [5.0, 0.0]]

    References:
        Karras et al. 2018, section 3.
    """
    grouped = _grouped(x, group, "the minibatch's standard deviation")
    centered = grouped - jnp.mean(grouped, axis=1, keepdims=True)
    deviation = jnp.sqrt(jnp.mean(jnp.square(centered), axis=1) + EPSILON)
    statistic = jnp.mean(deviation, axis=tuple(range(1, x.ndim))).reshape(-1, *[1] * x.ndim)
    plane = jnp.broadcast_to(statistic, (*grouped.shape[:-1], 1))
    return jnp.concatenate([grouped, plane], axis=-1).reshape(*x.shape[:-1], -1)


class MinibatchStddev(linen.Module):
    """Layer that applies `minibatch_stddev`: maps [B, ..., C] to [B, ..., C + 1].

    One example is enough to initialize the layer.

    Attributes:
        group: Examples per group. Must divide the examples of every device.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan.nn.minibatch import MinibatchStddev
        >>> MinibatchStddev(group=4).apply({}, jnp.ones((8, 4, 4, 16))).shape
        (8, 4, 4, 17)

    References:
        Karras et al. 2018, section 3.
    """

    group: int = 4

    def __call__(self, x: Array) -> Array:
        """Returns `x` [B, ..., C] with the statistic as an additional channel."""
        return minibatch_stddev(x, group=1 if self.is_initializing() else self.group)


class MinibatchDiscrimination(linen.Module):
    """Minibatch discrimination: appends each example's similarity to the others of its group.

    Maps [B, F] to [B, F + kernels]. Each kernel projects the features to M = x T in `size`
    dimensions. Its output for example i is the sum of exp(-|M_i - M_j|_1) over the other examples j
    of the group. As in the authors' code, j = i is left out. One example is enough to initialize
    the layer.

    Attributes:
        kernels: Number of similarities per example.
        size: Dimensions in which a kernel compares examples.
        group: Examples per group, consecutive as in `minibatch_stddev`. The paper uses the whole
            batch of 100.

    References:
        Salimans et al. 2016, section 3.2.
    """

    kernels: int = 100
    size: int = 5
    group: int = 4

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """Returns `x` [B, F] with the similarities as additional features: [B, F + kernels].

        Raises:
            ValueError: `group` does not divide the batch size.
        """
        group = 1 if self.is_initializing() else self.group
        projected = linen.Dense(
            self.kernels * self.size,
            use_bias=False,
            kernel_init=linen.initializers.normal(0.05),
        )(x)
        rows = _grouped(
            projected.reshape(-1, self.kernels, self.size), group, "minibatch discrimination"
        )
        apart = jnp.sum(jnp.abs(rows[:, :, None] - rows[:, None, :]), axis=-1)
        others = 1 - jnp.eye(group, dtype=x.dtype).reshape(1, group, group, 1)
        nearness = jnp.sum(jnp.exp(-apart) * others, axis=2)
        return jnp.concatenate([x, nearness.reshape(-1, self.kernels)], axis=-1)


def _grouped(x: Array, group: int, purpose: str) -> Array:
    """Returns examples [B, ...] as groups [B / group, group, ...] of consecutive ones."""
    if x.shape[0] % group:
        raise ValueError(
            f"{x.shape[0]} examples on a device cannot be split into groups of {group} for "
            f"{purpose}; use a batch size that {group} divides on every device"
        )
    return x.reshape(x.shape[0] // group, group, *x.shape[1:])
