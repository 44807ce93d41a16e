"""Inversion of a generator: the latents whose images are nearest to given images.

References:
    Zhu et al. 2016, "Generative Visual Manipulation on the Natural Image Manifold", section 3:
    gradient descent from several starts, one of them an encoder's.
    Creswell and Bharath 2016, "Inverting the Generator of a Generative Adversarial Network".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan import random
from jaxgan.games import bidirectional, latent_access
from jaxgan.metrics import perceptual
from jaxgan.metrics.perceptual import Perceptual
from jaxgan.metrics.streaming import Show, unseen
from jaxgan.runs.trained_model import TrainedModel, batch_size
from jaxgan.types import Array, PyTree

LEARNING_RATE = 0.1
"""First learning rate of Adam, in standard deviations of the latents; it decays to 0 (cosine)."""

_BATCH = 32  # descents at a time


class Prior(NamedTuple):
    """Draws from the prior, with their images' distances to the images to invert.

    Attributes:
        latents: Latents [N, Z].
        labels: The class of each draw, int32 [N], or None if the model takes none.
        distances: Distance of each image to invert to each draw, [T, N].
    """

    latents: np.ndarray
    labels: np.ndarray | None
    distances: np.ndarray


class Inverted(NamedTuple):
    """The best latents found.

    Attributes:
        latents: Latents [T, Z].
        labels: Classes, int32 [T], or None if the model takes none.
        images: Their images [T, H, W, C].
        distances: Distances of these to the images inverted, [T].
    """

    latents: np.ndarray
    labels: np.ndarray | None
    images: np.ndarray
    distances: np.ndarray


def drawn(
    model: TrainedModel,
    targets: np.ndarray,
    measure: Perceptual,
    *,
    count: int,
    seed: int,
    label: int | None = None,
    show: Show = unseen,
) -> Prior:
    """Draws latents from the prior and compares their images with the images to invert.

    Args:
        model: The trained model.
        targets: Images to invert, [T, H, W, C] in [-1, 1].
        measure: The distance.
        count: Number of draws.
        seed: Seed of the draws.
        label: The class of all draws; None for the classes in turn.
        show: Reports progress.
    """
    size = batch_size(len(model.spec.classes))
    sample, key = model.gan.sample, jax.random.key(seed)

    @jax.jit
    def compare(state: Any, variables: PyTree, parts: Any, start: Array, given: Any) -> Any:
        keys = random.row_keys(key, size, start=start)
        averaged = state.averaged()
        latents = latent_access.read(averaged, lambda s: sample(s, keys, **given))
        seen = measure.parts(variables, sample(averaged, keys, **given))
        return latents, perceptual.all_distances(parts, seen)

    cut = jax.jit(lambda variables, images: measure.parts(variables, images))
    parts = cut(measure.variables, jnp.asarray(targets))
    every = None
    if "label" in model.gan.conditions:
        turns = np.arange(-(-count // size) * size) % max(1, len(model.spec.classes))
        every = (turns if label is None else np.full_like(turns, label)).astype(np.int32)
    found = []
    for start in show(
        range(0, count, size), count, f"drawing {count} samples", size=lambda _: size
    ):
        given = {} if every is None else {"label": every[start : start + size]}
        found.append(compare(model.state, measure.variables, parts, start, given))
    latents, apart = zip(*found, strict=True)
    return Prior(
        np.concatenate(latents)[:count],
        None if every is None else every[:count],
        np.concatenate(apart, axis=1)[:, :count],
    )


def starts(
    model: TrainedModel, targets: np.ndarray, prior: Prior, *, restarts: int, seed: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns the latents to start from: the encoder's, those of the nearest draws, random ones.

    If the model has an encoder of images (BiGAN), its latent is the first. The nearest draws are
    half of the others, rounded up.

    Args:
        model: The trained model.
        targets: Images to invert, [T, H, W, C] in [-1, 1].
        prior: Draws from the prior.
        restarts: Number R of starts per image.
        seed: Seed of the random choice.

    Returns:
        Latents [T, R, Z], and their classes [T, R], or None.
    """
    encoded = encodings(model, targets)
    nearest = np.argsort(prior.distances, axis=1, kind="stable")
    near = nearest[:, : -(-(restarts - (encoded is not None)) // 2)]
    if encoded is not None:  # its class, if the model takes one, is that of the nearest draw
        near = np.concatenate([nearest[:, :1], near], axis=1)
    draws = np.random.default_rng(seed)
    others = draws.integers(0, len(prior.latents), (len(targets), restarts - near.shape[1]))
    chosen = np.concatenate([near, others], axis=1)
    latents = prior.latents[chosen]
    if encoded is not None:
        latents[:, 0] = encoded
    return latents, None if prior.labels is None else prior.labels[chosen]


def encodings(model: TrainedModel, images: np.ndarray) -> np.ndarray | None:
    """Returns the latents [N, Z] of a model's encoder, or None if it has none.

    Args:
        model: The trained model.
        images: Images [N, H, W, C] in [-1, 1].
    """
    if "image" not in model.gan.conditions or "encoder" not in model.state.players:
        return None
    encode = jax.jit(lambda state, x: bidirectional.encode(state.averaged(), x).latents)
    return np.asarray(encode(model.state, jnp.asarray(images)))


def invert(
    model: TrainedModel,
    targets: np.ndarray,
    measure: Perceptual,
    prior: Prior,
    *,
    restarts: int,
    steps: int,
    seed: int,
    show: Show = unseen,
) -> Inverted:
    """Returns the latents whose images are nearest to the targets, by gradient descent (Adam).

    A latent stays where the prior draws: its entries and its norm do not leave the range of the
    draws. A class is that of the start.

    Args:
        model: The trained model.
        targets: Images to invert, [T, H, W, C] in [-1, 1].
        measure: The distance.
        prior: Draws from the prior, with their distances to the targets.
        restarts: Number of starts per image, 1 or more; the best result is kept.
        steps: Number of steps of each descent.
        seed: Seed of the random starts.
        show: Reports progress.
    """
    first, labels = starts(model, targets, prior, restarts=restarts, seed=seed)
    total, size = len(targets) * restarts, min(_BATCH, len(targets) * restarts)
    rows = np.minimum(np.arange(-(-total // size) * size), total - 1)
    latents = first.reshape(total, -1)[rows]
    given = {} if labels is None else {"label": labels.reshape(total)[rows]}
    aims = np.repeat(targets, restarts, axis=0)[rows]
    descend = _descent(model, measure, prior.latents, steps=steps)
    found = []
    what = f"{total} descents of {steps} steps"
    for at in show(range(0, total, size), total, what, size=lambda _: size):
        here = slice(at, at + size)
        part = {name: values[here] for name, values in given.items()}
        found.append(descend(model.state, measure.variables, latents[here], aims[here], part))
    best, images, apart = (np.concatenate(x)[:total] for x in zip(*found, strict=True))
    winners = apart.reshape(-1, restarts).argmin(axis=1) + np.arange(0, total, restarts)
    chosen = None if labels is None else labels.reshape(total)[winners]
    return Inverted(best[winners], chosen, images[winners], apart[winners])


def _descent(
    model: TrainedModel, measure: Perceptual, draws: np.ndarray, *, steps: int
) -> Callable[..., tuple[Array, Array, Array]]:
    """Returns the compiled descent of a batch of latents, to (latents, images, distances)."""
    low, high = draws.min(axis=0), draws.max(axis=0)
    longest = np.linalg.norm(draws, axis=1).max()
    rate = optax.cosine_decay_schedule(LEARNING_RATE * float(draws.std()), max(1, steps))
    adam, sample = optax.adam(rate), model.gan.sample

    def kept(latents: Array) -> Array:
        clipped = jnp.clip(latents, low[None], high[None])
        norm = jnp.linalg.norm(clipped, axis=1, keepdims=True)
        return clipped * jnp.minimum(1.0, longest / jnp.maximum(norm, 1e-12))

    @jax.jit
    def descend(
        state: Any, variables: PyTree, latents: Array, targets: Array, given: Mapping[str, Array]
    ) -> tuple[Array, Array, Array]:
        averaged = state.averaged()
        keys = random.row_keys(jax.random.key(0), len(latents))
        aims = measure.parts(variables, targets)

        def images(latents: Array) -> Array:
            return sample(latent_access.changed(averaged, lambda _: latents), keys, **given)

        def loss(latents: Array) -> tuple[Array, Array]:
            apart = perceptual.distances(measure.parts(variables, images(latents)), aims)
            return jnp.sum(apart), apart

        def one(_: Array, carry: Any) -> Any:
            latents, optimizer, best, least = carry
            gradient, apart = jax.grad(loss, has_aux=True)(latents)
            better = apart < least
            best = jnp.where(better[:, None], latents, best)
            updates, optimizer = adam.update(gradient, optimizer, latents)
            return kept(latents + updates), optimizer, best, jnp.minimum(apart, least)

        begin = kept(latents)
        carry = (begin, adam.init(begin), begin, jnp.full(len(latents), jnp.inf))
        # One more than the steps: the last latents are compared too.
        _, _, best, least = jax.lax.fori_loop(0, steps + 1, one, carry)
        return best, images(best), least

    return descend


def unique(names: Sequence[str]) -> list[str]:
    """Returns the names, each once: a second 'cat' becomes 'cat-2'."""
    taken: dict[str, None] = {}
    for name in names:
        number, free = 1, name
        while free in taken:
            number += 1
            free = f"{name}-{number}"
        taken[free] = None
    return list(taken)
