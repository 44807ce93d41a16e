"""Parts shared by image-to-image translation models: players, losses, conditions and sampling.

Batches hold the images of two domains as 'a' and 'b', float32 [B, H, W, C] in [-1, 1]. A model that
translates in both directions has the players `GENERATORS` and `DISCRIMINATORS`.
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
from jaxgan.games import builder, objectives, signatures
from jaxgan.games.builder import Network
from jaxgan.losses import AdversarialLoss
from jaxgan.random import Keys
from jaxgan.types import GAN, Array

Shape = tuple[int, int, int]
"""Shape (H, W, C) of a domain's images."""

GENERATORS = ("generator_ab", "generator_ba")
DISCRIMINATORS = ("discriminator_a", "discriminator_b")


def halved(loss: AdversarialLoss) -> AdversarialLoss:
    """Returns the loss with the discriminator's loss divided by 2.

    This slows down the discriminator relative to the generator.

    References:
        Isola et al. 2017, "Image-to-Image Translation with Conditional Adversarial Networks",
        section 3.3.
    """
    return loss._replace(discriminator=lambda real, fake: loss.discriminator(real, fake) / 2)


def require_one_size(shape_a: Shape, shape_b: Shape) -> None:
    """Raises ValueError if images of the two domains differ in height or width.

    Args:
        shape_a: Shape of the images of domain 'a'.
        shape_b: Shape of the images of domain 'b'.
    """
    if shape_a[:2] != shape_b[:2]:
        sizes = " and ".join(f"{height}x{width}" for height, width, _ in (shape_a, shape_b))
        raise ValueError(
            f"the images of the two domains are {sizes}; the generator keeps the size: "
            "resize one domain to the other's"
        )


def source(conditions: Mapping[str, Any], shapes: Mapping[str, Shape], count: int) -> Any:
    """Returns the source domain of a translation and its images.

    Args:
        conditions: The conditions given to `sample`: images [B, H, W, C] by domain. If there are
            none, the source is the first domain in `shapes`, and its images are gray (all 0).
        shapes: Shapes of the domains that the model translates from.
        count: Number of gray images.

    Raises:
        ValueError: If a condition is not one of these domains, or if there are several.
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
    """Translates images of one domain with the model: float32 [N, H', W', C'].

    The images are translated in batches. The last batch is filled up with images of the batch
    before it. If there are fewer images than `batch_size`, they are one batch.

    Args:
        gan: The model.
        state: The state whose players translate, such as `state.averaged()`.
        images: Images [N, H, W, C] in [-1, 1] of the source domain.
        source: The source domain.
        key: Random key. The noise of image i depends only on the key and i.
        batch_size: Images per batch. If the model uses batch statistics in inference, results
            depend on it: use the batch size of training.

    Raises:
        ValueError: If there are no images.
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
    """Yields the translations of a stream of images; a lazy version of `translated`.

    At most two batches are held in memory.

    Args:
        gan: The model.
        state: The state whose players translate, such as `state.averaged()`.
        images: Images [H, W, C] in [-1, 1] of the source domain.
        source: The source domain.
        key: Random key. The noise of image i depends only on the key and i.
        batch_size: Images per batch, as in `translated`.

    Yields:
        Translated images, float32 [H', W', C'], in order.
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


# --- translation in both directions ---------------------------------------------------------------

simultaneously = functools.partial(
    builder.simultaneously, discriminators=DISCRIMINATORS, generators=GENERATORS
)
"""The schedule of CycleGAN's authors: all players are updated from the same state.

The authors update the generators first. The discriminators are then trained on the fakes generated
before that update, so the result is a simultaneous update.
"""


def keys_at(domain: str, keys: Keys) -> tuple[Keys, Keys]:
    """Returns the keys of a discriminator's calls with real and with generated images.

    Args:
        domain: The discriminator's domain, 'a' or 'b'.
        keys: Keys [B] of the objective.
    """
    return random.fold(keys, f"real {domain}"), random.fold(keys, f"fake {domain}")


def both_ways(
    shapes: Mapping[str, Shape],
    generator: Callable[[int], linen.Module],
    discriminator: linen.Module,
    optimizers: Mapping[str, optax.GradientTransformation],
    *,
    output: signatures.Output = signatures.LOGITS,
) -> dict[str, Network]:
    """Returns the four networks of translation between domains 'a' and 'b' in both directions.

    Args:
        shapes: Shapes of the images of 'a' and 'b'.
        generator: `generator(channels) -> module`, with the channels of the target domain.
        discriminator: The discriminator's module, used for each domain with its own parameters.
        optimizers: The optimizers 'generator' and 'discriminator'.
        output: What the discriminator returns, to be checked. None: anything.

    Returns:
        A `Network` for each player in `GENERATORS` and `DISCRIMINATORS`.
    """
    (a, b), (to_b, to_a), (of_a, of_b) = (shapes["a"], shapes["b"]), GENERATORS, DISCRIMINATORS
    return {
        to_b: Network(generator(b[2]), optimizers["generator"], [a], b),
        to_a: Network(generator(a[2]), optimizers["generator"], [b], a),
        of_a: Network(discriminator, optimizers["discriminator"], [a], output),
        of_b: Network(discriminator, optimizers["discriminator"], [b], output),
    }


def both_ways_sample(shapes: Mapping[str, Shape]) -> Callable[..., Array]:
    """Returns the `sample` function of a model that translates in both directions.

    `sample(state, keys, a=images)` returns images of b. `sample(state, keys, b=images)` returns
    images of a.
    """
    to = dict(zip("ab", GENERATORS, strict=True))

    def sample(state: state.GANState, keys: Keys, **conditions: Any) -> Array:
        domain, images = source(conditions, shapes, keys.count)
        noise = random.fold(keys, objectives.GENERATOR_NOISE)
        return state[to[domain]](images, keys=noise)

    return sample
