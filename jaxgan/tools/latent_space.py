"""The latent space of a trained model: its latents, their images, and sets of latents."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgan import random
from jaxgan.data import class_names
from jaxgan.games import latent_access
from jaxgan.random import Keys
from jaxgan.runs.errors import RunError
from jaxgan.runs.trained_model import TrainedModel
from jaxgan.state import GANState
from jaxgan.tools import sample
from jaxgan.types import Array

# --- sets of latents ------------------------------------------------------------------------------


def combined(terms: Sequence[tuple[int, np.ndarray]]) -> np.ndarray:
    """Returns the sum of the means of sets of latents, each with its sign, [Z].

    Three sets of three independent latents each give a latent with the norm of a single draw.

    Args:
        terms: Sign and latents [K, Z] of each set.

    References:
        Radford et al. 2016, section 6.3.2.
    """
    means = [sign * np.mean(latents, axis=0, dtype=np.float64) for sign, latents in terms]
    return np.sum(means, axis=0).astype(np.float32)


def around(latent: np.ndarray, count: int, *, most: float, seed: int) -> np.ndarray:
    """Returns the latent, followed by `count` - 1 copies with noise, [count, Z].

    Args:
        latent: The latent, [Z].
        count: Number of latents returned.
        most: The noise is uniform in (-most, most) for every entry.
        seed: Seed of the noise.
    """
    noise = jax.random.uniform(
        jax.random.key(seed), (count - 1, len(latent)), minval=-most, maxval=most
    )
    return np.concatenate([latent[None], latent[None] + np.asarray(noise)])


def walked(latent: np.ndarray, entry: int, values: np.ndarray) -> np.ndarray:
    """Returns copies of the latent whose entry has each of the values, [N, Z].

    Args:
        latent: The latent, [Z].
        entry: Index of the entry.
        values: The values, [N].
    """
    walk = np.repeat(latent[None], len(values), axis=0)
    walk[:, entry] = values
    return walk


# --- of a trained model ---------------------------------------------------------------------------


class Space(NamedTuple):
    """The latent space of a trained model.

    Attributes:
        draw: `draw(seed, n) -> latents [n, Z]`: the latents of `model.sample(seed, n)`.
        show: `show(latents [n, Z]) -> images [n, H, W, C]`, by the averaged players. What else the
            generator draws is the same for all images.
    """

    draw: Callable[[int, int], np.ndarray]
    show: Callable[[np.ndarray], np.ndarray]


def space_of(model: TrainedModel, **conditions: Any) -> Space:
    """Returns the latent space of the model.

    A latent is the first input of the generator.

    Args:
        model: The trained model.
        **conditions: The conditions under which all images are drawn.

    Raises:
        ValueError: If the model has no generator that takes one vector per image.
    """
    sample, drawn = model.gan.sample, _drawn(model)

    def shown(state: GANState, keys: Keys, *, latents: Array, **given: Any) -> Array:
        return sample(latent_access.changed(state, lambda inputs: latents), keys, **given)

    one = random.row_keys(jax.random.key(0), 1)
    jax.eval_shape(lambda state: drawn(state, one), model.state)
    drawing, showing = (
        dataclasses.replace(model, gan=model.gan._replace(sample=function))
        for function in (drawn, shown)
    )
    return Space(
        lambda seed, n: np.asarray(drawing.sample(seed, n, **conditions)),
        lambda latents: np.asarray(
            showing.sample_seeds(np.zeros(len(latents), int), latents=latents, **conditions)
        ),
    )


def space_of_run(model: TrainedModel, run: pathlib.Path, **conditions: Any) -> Space:
    """Returns the latent space of a run's model, as `space_of`.

    Args:
        model: The trained model.
        run: The run directory, for messages.
        **conditions: The conditions under which all images are drawn.

    Raises:
        RunError: If the model has no generator that takes one vector per image.
    """
    try:
        return space_of(model, **conditions)
    except ValueError as error:
        raise RunError(f"{run}: {error}") from error


def conditions_of(model: TrainedModel, run: pathlib.Path, label: str | None) -> dict[str, Any]:
    """Returns the conditions under which a run draws images of one class, or of noise alone.

    Args:
        model: The trained model.
        run: The run directory, for messages.
        label: Name or number of the class. None: the first, if the model takes one.

    Raises:
        RunError: If the model does not draw images from noise, or takes no class.
        ValueError: If there is no such class.
    """
    sample.require_images(model, run)
    if model.spec.shape[2] not in (1, 3, 4):
        raise RunError(f"{run} does not draw images of 1, 3 or 4 channels")
    if "label" in model.gan.conditions:
        return {"label": int(class_names.numbers(label or 0, model.spec.classes))}
    if label is not None:
        raise RunError(f"the model of {run} takes no class: leave --label out")
    return {}


def of_seeds(model: TrainedModel, seeds: Sequence[int], **conditions: Any) -> np.ndarray:
    """Returns the latents [N, Z] of `model.sample_seeds(seeds)`.

    Args:
        model: The trained model.
        seeds: The seeds [N].
        **conditions: The conditions under which the images are drawn.

    Raises:
        ValueError: If the model has no generator that takes one vector per image.
    """
    drawing = dataclasses.replace(model, gan=model.gan._replace(sample=_drawn(model)))
    return np.asarray(drawing.sample_seeds(seeds, **conditions))


def _drawn(model: TrainedModel) -> Callable[..., Array]:
    """Returns the model's `sample(state, keys, **conditions)` with the latents as its result."""
    sample = model.gan.sample

    def drawn(state: GANState, keys: Keys, **given: Any) -> Array:
        return latent_access.read(state, lambda state: sample(state, keys, **given))

    return drawn


def liveliest(
    space: Space, latents: np.ndarray, low: np.ndarray, high: np.ndarray, *, count: int
) -> list[int]:
    """Returns the entries of the latent that change the images most, the strongest first.

    The change is the mean square over the images when the entry moves from its low to its high
    value.

    Args:
        space: The latent space.
        latents: The latents to change, [N, Z].
        low: Low value of each entry, [Z].
        high: High value of each entry, [Z].
        count: Number of entries returned.
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
