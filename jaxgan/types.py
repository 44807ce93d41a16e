"""The vocabulary of the library: what a batch, an objective, a step and a GAN are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import jax

if TYPE_CHECKING:
    from jaxgan.random import Keys
    from jaxgan.state import GANState, Mean, Out

Array: TypeAlias = jax.Array
PyTree: TypeAlias = Any

Batch: TypeAlias = Mapping[str, Array]
"""Examples by role, each [B, ...]: 'image' (float32 [B, H, W, C] in [-1, 1], or points [B, D]),
'label' (int32 [B]), ...
"""

Metrics: TypeAlias = "dict[str, Mean]"

Objective: TypeAlias = "Callable[[GANState, Batch, Keys], tuple[Array, Out]]"
"""What a group of players wants: the scalar loss to minimize, and what comes beside it."""

Step: TypeAlias = "Callable[[GANState, Batch, Keys], tuple[GANState, Metrics]]"
"""A move of some players; steps compose (`jaxgan.steps`)."""

TrainStep: TypeAlias = "Callable[[GANState, Batch], tuple[GANState, Metrics]]"
"""A step closed over the counter and the randomness: what is compiled and run."""


class GAN(NamedTuple):
    """A model as three pure functions.

    init:   `init(key) -> GANState`.
    step:   `step(state, batch) -> (state, metrics)`, one train step.
    sample: `sample(state, keys, **conditions) -> images`, one image per key, float32 [B, H, W, C]
            in [-1, 1]; a condition left out (a label, a code) takes a stated default.
    conditions: the names of the conditions that `sample` takes.
    defaults: pairs of a condition's name and `count -> values [count]`: the default of each of so
            many samples, by its index. Who draws many in batches gives each batch its part of them,
            as `sample` begins again at index 0 every time. What has no such default, as it is drawn
            by the keys, is not in here.
    categories: pairs of a condition's name and of how many classes it is one, where that is not the
            label, which is a class of the data.
    """

    init: Callable[[Array], GANState]
    step: TrainStep
    sample: Callable[..., Array]
    conditions: tuple[str, ...] = ()
    defaults: tuple[tuple[str, Callable[[int], Array]], ...] = ()
    categories: tuple[tuple[str, int], ...] = ()
