"""The types of the library: batches, objectives, steps and the `GAN` itself."""

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
"""Examples by role, each [B, ...].

Roles are 'image' (float32 [B, H, W, C] in [-1, 1], or points [B, D]), 'label' (int32 [B]), ...
"""

Metrics: TypeAlias = "dict[str, Mean]"
"""Means to report, by name."""

Objective: TypeAlias = "Callable[[GANState, Batch, Keys], tuple[Array, Out]]"
"""A group of players' objective: the scalar loss to minimize, and other outputs (`state.Out`)."""

Step: TypeAlias = "Callable[[GANState, Batch, Keys], tuple[GANState, Metrics]]"
"""An update of some players; `jaxgan.steps` composes steps."""

TrainStep: TypeAlias = "Callable[[GANState, Batch], tuple[GANState, Metrics]]"
"""A step with its own step counter and PRNG keys: the function that is compiled and run."""


class GAN(NamedTuple):
    """A model as three pure functions.

    Attributes:
        init: `init(key) -> GANState`, the state before the first train step.
        step: `step(state, batch) -> (state, metrics)`, one train step.
        sample: `sample(state, keys, **conditions) -> images`, one image per key, float32
            [B, H, W, C] in [-1, 1]. A condition that is not given (a label, a code) takes its
            default.
        conditions: Names of the conditions that `sample` accepts.
        defaults: Pairs of a condition's name and a function `count -> values [count]`, the default
            of each of `count` samples by its index. `sample` starts at index 0 in every call, so
            code that samples in batches must pass each batch its slice of the defaults. A condition
            whose default is drawn from the keys has no entry.
        categories: Pairs of a condition's name and its number of classes, for categorical
            conditions other than the label (the label's classes are those of the data).
    """

    init: Callable[[Array], GANState]
    step: TrainStep
    sample: Callable[..., Array]
    conditions: tuple[str, ...] = ()
    defaults: tuple[tuple[str, Callable[[int], Array]], ...] = ()
    categories: tuple[tuple[str, int], ...] = ()
