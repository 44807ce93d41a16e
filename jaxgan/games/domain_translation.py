"""What models that turn images into images share: the players between two domains, and the images
that `sample` is given.

Batches hold images by domain: 'a' and 'b', float32 [B, H, W, C] in [-1, 1]. A model that translates
both ways has the players of `GENERATORS` and `DISCRIMINATORS`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan import random, state
from jaxgan.games import builder, objectives
from jaxgan.games.builder import Network
from jaxgan.losses import AdversarialLoss
from jaxgan.random import Keys
from jaxgan.types import GAN, Array

Shape = tuple[int, int, int]

GENERATORS = ("generator_ab", "generator_ba")
DISCRIMINATORS = ("discriminator_a", "discriminator_b")


def halved(loss: AdversarialLoss) -> AdversarialLoss:
    """The loss with the discriminator's part halved, which slows it down against the generator
    (Isola et al. 2017, section 3.3).
    """
    return loss._replace(discriminator=lambda real, fake: loss.discriminator(real, fake) / 2)


def require_one_size(shape_a: Shape, shape_b: Shape) -> None:
    """ValueError where images of the two domains differ in height or width."""
    if shape_a[:2] != shape_b[:2]:
        sizes = " and ".join(f"{height}x{width}" for height, width, _ in (shape_a, shape_b))
        raise ValueError(
            f"the images of the two domains are {sizes}; the generator keeps the size: "
            "resize one domain to the other's"
        )


def source(conditions: Mapping[str, Any], shapes: Mapping[str, Shape], count: int) -> Any:
    """The domain that is to be translated, and its `count` images.

    `shapes` has the domains that the model translates from. Without a condition it is the first of
    them, and its images are gray (all 0). Raises ValueError on another condition, or on several.
    """
    objectives.require_known(conditions, shapes)
    if len(conditions) > 1:
        raise ValueError(
            f"images of {' and '.join(sorted(conditions))} were given; "
            "one call translates from one domain"
        )
    if not conditions:
        domain = next(iter(shapes))
        return domain, jnp.zeros((count, *shapes[domain]))
    domain, images = next(iter(conditions.items()))
    return domain, jnp.asarray(images)


def translated(
    gan: GAN,
    state: Any,
    images: Array | np.ndarray,
    *,
    source: str = "a",
    key: Array,
    batch_size: int,
) -> np.ndarray:
    """What the model makes of images [N, H, W, C] of the domain `source`: float32 [N, H', W', C'].

    `state` is the one whose players translate, such as `state.averaged()`. The noise of image i
    depends on the key and on i alone. Images go through in batches of `batch_size`, the last of
    which takes in images before it; fewer are one batch. The size matters where batch statistics
    do: give that of training. Raises ValueError where there are no images.
    """
    if len(images) == 0:
        raise ValueError("there are no images to translate")
    made = one_by_one(gan, state, images, source=source, key=key, batch_size=batch_size)
    return np.stack(list(made))


def one_by_one(
    gan: GAN,
    state: Any,
    images: Iterable[Array | np.ndarray],
    *,
    source: str = "a",
    key: Array,
    batch_size: int,
) -> Iterator[np.ndarray]:
    """What `translated` gives, image by image, of images [H, W, C] that come one after another; at
    most two batches of them are held.
    """
    coming, before, done = iter(images), [], 0
    while coming_now := list(itertools.islice(coming, batch_size)):
        batch = [*before[len(coming_now) :], *coming_now]
        start = done - (len(batch) - len(coming_now))
        stacked = jnp.asarray(np.stack(batch))
        made = np.asarray(_translate(state, stacked, key, start, sample=gan.sample, source=source))
        yield from made[-len(coming_now) :]
        before, done = coming_now, done + len(coming_now)


@functools.partial(jax.jit, static_argnames=("sample", "source"))
def _translate(
    state: Any,
    images: Array,
    key: Array,
    start: Array,
    *,
    sample: Callable[..., Array],
    source: str,
) -> Array:
    return sample(state, random.row_keys(key, len(images), start=start), **{source: images})


# --- both ways ------------------------------------------------------------------------------------

simultaneously = functools.partial(
    builder.simultaneously, discriminators=DISCRIMINATORS, generators=GENERATORS
)
"""The order of CycleGAN's authors: the generators move first, but the discriminators then judge the
fakes made before that move, so both sides move from the same state.
"""


def both_ways(
    shapes: Mapping[str, Shape],
    generator: Callable[[int], linen.Module],
    discriminator: linen.Module,
    optimizers: Mapping[str, optax.GradientTransformation],
) -> dict[str, Network]:
    """The four players between domains 'a' and 'b': `generator(channels of its target)` each way,
    and a discriminator for each domain.
    """
    (a, b), (to_b, to_a), (of_a, of_b) = (shapes["a"], shapes["b"]), GENERATORS, DISCRIMINATORS
    return {
        to_b: Network(generator(b[2]), optimizers["generator"], [a]),
        to_a: Network(generator(a[2]), optimizers["generator"], [b]),
        of_a: Network(discriminator, optimizers["discriminator"], [a]),
        of_b: Network(discriminator, optimizers["discriminator"], [b]),
    }


def both_ways_sample(shapes: Mapping[str, Shape]) -> Callable[..., Array]:
    """`sample(state, keys, a=images)` gives images of b, `sample(state, keys, b=images)` images of
    a.
    """
    to = dict(zip("ab", GENERATORS, strict=True))

    def sample(state: state.GANState, keys: Keys, **conditions: Any) -> Array:
        domain, images = source(conditions, shapes, len(keys))
        return state[to[domain]](images)

    return sample
