"""The first input of the generator, usually the latents: read or changed.

Whatever a model does around its generator (labels, codes, a second network) stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxgan.state import GANState
from jaxgan.types import Array

_BOUND = 2.0  # deviations: a uniform draw ends at sqrt(3), some of 512 normal draws lie beyond


def changed(state: GANState, change: Callable[[Array], Array]) -> GANState:
    """Returns the state with a generator whose first input is changed.

    Args:
        state: The state of a model with a player 'generator'.
        change: A function of the first input.
    """
    player = state["generator"]
    network = player.apply_fn

    def apply(variables: Any, inputs: Array, *rest: Any, **options: Any) -> Any:
        return network(variables, change(inputs), *rest, **options)

    return state.replace(players={**state.players, "generator": player.replace(apply_fn=apply)})


def read(state: GANState, run: Callable[[GANState], Any]) -> Array:
    """Returns the latents [B, Z] that the generator receives when a function runs on the state.

    Args:
        state: The state.
        run: A function of the state, such as a model's `sample` of given keys.

    Raises:
        ValueError: If the model has no generator that takes one vector per image, once.
    """
    met: list[Array] = []

    def note(inputs: Array) -> Array:
        met.append(inputs)
        return inputs

    if "generator" in state.players:
        run(changed(state, note))
    if len(met) != 1 or met[0].ndim != 2:
        raise ValueError(
            "this model does not draw its images from noise, so it has no latents to explore"
        )
    return met[0]


def are_normal(latents: Array | np.ndarray) -> bool:
    """Returns whether latents look like draws of a normal distribution around 0.

    A uniform prior has a bound, and codes (one-hot or uniform) have another mean or a bound.

    Args:
        latents: Latents [N, Z] of the prior, 512 or more.
    """
    draws = np.asarray(latents)
    deviation = np.maximum(np.std(draws, axis=0), 1e-12)
    centered = np.abs(np.mean(draws, axis=0)) < 6 * deviation / len(draws) ** 0.5
    unbounded = np.max(np.abs(draws), axis=0) > _BOUND * deviation
    return bool(np.all(centered & unbounded))
