"""The latents of a trained model: those it draws, what it makes of any, and sets of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgan import random
from jaxgan.random import Keys
from jaxgan.runs.trained_model import TrainedModel
from jaxgan.state import GANState
from jaxgan.types import Array

# --- sets of latents ------------------------------------------------------------------------------


def combined(terms: Sequence[tuple[int, np.ndarray]]) -> np.ndarray:
    """The latent [Z] that is the sum of the means of sets of latents [K, Z], each by its sign
    (Radford et al. 2016, section 6.3.2).

    Three sets of three independent draws each give a latent of the norm of a draw.
    """
    means = [sign * np.mean(latents, axis=0, dtype=np.float64) for sign, latents in terms]
    return np.sum(means, axis=0).astype(np.float32)


def around(latent: np.ndarray, count: int, *, most: float, seed: int) -> np.ndarray:
    """The latent [Z], and `count` - 1 with noise from U(-most, most) on every entry: [count, Z]."""
    noise = jax.random.uniform(
        jax.random.key(seed), (count - 1, len(latent)), minval=-most, maxval=most
    )
    return np.concatenate([latent[None], latent[None] + np.asarray(noise)])


def walked(latent: np.ndarray, entry: int, values: np.ndarray) -> np.ndarray:
    """The latent [Z] with each of the values [N] as its entry: [N, Z]."""
    walk = np.repeat(latent[None], len(values), axis=0)
    walk[:, entry] = values
    return walk


# --- of a trained model ---------------------------------------------------------------------------


class Space(NamedTuple):
    """The latents of a trained model.

    draw: `draw(seed, n) -> latents [n, Z]`: those of `model.sample(seed, n)`.
    show: `show(latents [n, Z]) -> images [n, H, W, C]`, by the averaged players.
    """

    draw: Callable[[int, int], np.ndarray]
    show: Callable[[np.ndarray], np.ndarray]


def space_of(model: TrainedModel, **conditions: Any) -> Space:
    """The latents of the model, whose images are drawn under the conditions.

    A latent is what the generator is called with first. Raises ValueError where the model has no
    generator that is called with one vector for each image.
    """
    sample = model.gan.sample

    def drawn(state: GANState, keys: Keys, **given: Any) -> Array:
        return _met(state, lambda state: sample(state, keys, **given))

    def shown(state: GANState, keys: Keys, *, latents: Array, **given: Any) -> Array:
        return sample(_calling(state, lambda inputs: latents), keys, **given)

    one = random.row_keys(jax.random.key(0), 1)
    jax.eval_shape(lambda state: drawn(state, one), model.state)
    drawing, showing = (
        dataclasses.replace(model, gan=model.gan._replace(sample=function))
        for function in (drawn, shown)
    )
    return Space(
        lambda seed, n: np.asarray(drawing.sample(seed, n, **conditions)),
        lambda latents: np.asarray(showing.sample(0, len(latents), latents=latents, **conditions)),
    )


def liveliest(
    space: Space, latents: np.ndarray, low: np.ndarray, high: np.ndarray, *, count: int
) -> list[int]:
    """The `count` entries that, moved from their low value [Z] to their high one, change the images
    of the latents [N, Z] most, in the mean square; the first one most.
    """
    size = latents.shape[1]
    change = np.zeros(size)
    for latent in latents:
        ends = [
            space.show(np.where(np.eye(size, dtype=bool), values[None], latent[None]))
            for values in (low, high)
        ]
        change += np.mean(np.square(ends[1] - ends[0]).reshape(size, -1), axis=1)
    return [int(entry) for entry in np.argsort(-change, kind="stable")[:count]]


def _met(state: GANState, run: Callable[[GANState], Any]) -> Array:
    """The latents that the generator is called with as the function runs on the state."""
    met: list[Array] = []

    def note(inputs: Array) -> Array:
        met.append(inputs)
        return inputs

    if "generator" in state.players:
        run(_calling(state, note))
    if len(met) != 1 or met[0].ndim != 2:
        raise ValueError(
            "this model does not draw its images from noise: it has no latents to explore"
        )
    return met[0]


def _calling(state: GANState, change: Callable[[Array], Array]) -> GANState:
    """The state whose generator is called with its first input changed."""
    player = state["generator"]
    network = player.apply_fn

    def apply(variables: Any, inputs: Array, *rest: Any, **options: Any) -> Any:
        return network(variables, change(inputs), *rest, **options)

    return state.replace(players={**state.players, "generator": player.replace(apply_fn=apply)})
