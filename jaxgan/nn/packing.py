"""PacGAN: a discriminator that sees several examples at once and so detects a lack of variety."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as linen
import jax.numpy as jnp

from jaxgan.random import Keys
from jaxgan.types import Array


def pack(x: Array, size: int) -> Array:
    """Joins consecutive examples on the channel axis.

    A pack is a run of `size` examples. It lies on one device if `size` divides the examples of
    every device.

    Args:
        x: Examples [B, ..., C].
        size: Examples per pack.

    Returns:
        Packs [B / size, ..., size * C].

    Raises:
        ValueError: `size` does not divide the batch size.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan.nn.packing import pack, unpack
        >>> x = jnp.arange(8.0).reshape(4, 2)
        >>> pack(x, 2).tolist()
        [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]]
        >>> bool((unpack(pack(x, 2), 2) == x).all())
        True
    """
    if x.shape[0] % size:
        raise ValueError(
            f"{x.shape[0]} examples on a device cannot be packed by {size}; "
            f"use a batch size that {size} divides on every device"
        )
    joined = jnp.moveaxis(x.reshape(-1, size, *x.shape[1:]), 1, -2)
    return joined.reshape(*joined.shape[:-2], -1)


def unpack(packs: Array, size: int) -> Array:
    """Returns the examples of packs: the inverse of `pack`.

    Args:
        packs: Packs [B / size, ..., size * C].
        size: Examples per pack.

    Returns:
        Examples [B, ..., C].
    """
    parted = packs.reshape(*packs.shape[:-1], size, -1)
    rows = jnp.moveaxis(parted, -2, 1)
    return rows.reshape(-1, *rows.shape[2:])


def _first_of_packs(keys: Keys, size: int) -> Keys:
    return keys.replace(base=keys.base[::size])


class Packed(linen.Module):
    """Discriminator on packs of examples: maps [B, ..., C] to logits [B / size].

    Real and generated packs are drawn independently. Only the first layer of `network` changes: its
    input has `size` times the channels. To get as many logits as without packing, use `size` times
    the batch size. For a gradient penalty see `packed_penalty`. Conditions are not supported,
    because the examples of a pack may have different ones.

    Packs are runs of consecutive examples. Slices of a batch (`steps.split_rows`) are taken by
    stride and contain other packs than the batch. Accumulated gradients therefore differ from those
    of the whole batch. On several devices, each device packs its own examples.

    Attributes:
        network: The discriminator. Its inputs are packs [B / size, ..., size * C].
        size: Examples per pack. Must divide the examples of every device.

    References:
        Lin et al. 2018 (PacGAN), section 2.
    """

    network: linen.Module
    size: int

    @linen.compact
    def __call__(self, images: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        """Returns one logit for each pack: [B / size].

        Args:
            images: Examples [B, ..., C].
            keys: One key per example, for noise layers. A pack uses the key of its first example.
            train: Passed on to `network`.

        Raises:
            ValueError: `size` does not divide the batch size.
        """
        if self.is_initializing():
            # One example is enough to initialize: the pack holds copies of it.
            images = jnp.repeat(images[:1], self.size, axis=0)
            keys = None
        if keys is not None:
            keys = _first_of_packs(keys, self.size)
        return self.network(pack(images, self.size), keys=keys, train=train)


def packed_penalty(penalty: Callable[..., Array], size: int) -> Callable[..., Array]:
    """Returns the gradient penalty of a `Packed` discriminator, with gradients by whole packs.

    Args:
        penalty: `(discriminator, real, fake, keys) -> [B]`, one of `jaxgan.penalties`. It is
            written for a discriminator of single examples.
        size: Examples per pack.

    Returns:
        The penalty `(discriminator, real, fake, keys) -> [B / size]`.
    """

    def of_packs(
        discriminator: Callable[[Array], Array], real: Array, fake: Array, keys: Keys
    ) -> Array:
        def judge(packs: Array) -> Array:
            return discriminator(unpack(packs, size))

        return penalty(judge, pack(real, size), pack(fake, size), _first_of_packs(keys, size))

    return of_packs
