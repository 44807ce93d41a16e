"""PacGAN: a discriminator that judges several examples at once and so sees a lack of variety."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as linen
import jax.numpy as jnp

from jaxgan.random import Keys
from jaxgan.types import Array


def pack(x: Array, size: int) -> Array:
    """Rows [B, ..., C] as packs [B / size, ..., size * C]: runs of `size` rows joined on the last
    axis, so that a pack lies within one shard wherever `size` divides a shard's rows.

    Raises ValueError where the size does not divide the rows.
    """
    if x.shape[0] % size:
        raise ValueError(
            f"{x.shape[0]} rows on a device cannot be packed by {size}; "
            f"use a batch size that {size} divides on every device"
        )
    joined = jnp.moveaxis(x.reshape(-1, size, *x.shape[1:]), 1, -2)
    return joined.reshape(*joined.shape[:-2], -1)


def unpack(packs: Array, size: int) -> Array:
    """The rows [B, ..., C] of packs [B / size, ..., size * C]."""
    parted = packs.reshape(*packs.shape[:-1], size, -1)
    rows = jnp.moveaxis(parted, -2, 1)
    return rows.reshape(-1, *rows.shape[2:])


def _first_of_packs(keys: Keys, size: int) -> Keys:
    return keys.replace(base=keys.base[::size])


class Packed(linen.Module):
    """The discriminator on packs of `size` examples (PacGAN, Lin et al. 2018, section 2): examples
    [B, ...] to logits [B / size], one a pack; real and generated packs are drawn independently.

    Only the first layer of `network` changes, whose input has `size` times the channels. For as
    many logits as without packing, a batch has `size` times the rows. What a penalty sees is
    `packed_penalty`. Conditions are not taken: a pack may hold several.

    Packs are runs of rows. Slices of a batch, by stride (`steps.split_rows`), hold other packs than
    the batch: accumulated gradients are not those of the whole batch. Shards hold the packs of one
    device; a size that does not divide their rows is refused, as by `pack`.
    """

    network: linen.Module
    size: int

    @linen.compact
    def __call__(self, images: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        if self.is_initializing():
            # One example is enough to initialize: a pack of copies of it.
            images = jnp.repeat(images[:1], self.size, axis=0)
            keys = None
        if keys is not None:
            keys = _first_of_packs(keys, self.size)
        return self.network(pack(images, self.size), keys=keys, train=train)


def packed_penalty(penalty: Callable[..., Array], size: int) -> Callable[..., Array]:
    """The penalty on the slope by a whole pack, [B / size], for a `Packed` discriminator.

    `penalty(discriminator, real, fake, keys) -> [B]` is one of `jaxgan.penalties`, made for a
    discriminator that judges one example by itself.
    """

    def of_packs(
        discriminator: Callable[[Array], Array], real: Array, fake: Array, keys: Keys
    ) -> Array:
        def judge(packs: Array) -> Array:
            return discriminator(unpack(packs, size))

        return penalty(judge, pack(real, size), pack(fake, size), _first_of_packs(keys, size))

    return of_packs
