"""The models the laws run over: a new model adds its line to `CASES`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan import losses, steps, two_player
from jaxgan.models import conditional, dcgan, vanilla
from jaxgan.types import GAN

BATCH = 16


class Case(NamedTuple):
    """A model small enough for every law.

    build:   `build(axis_name=..., **changes) -> GAN`; `changes` override arguments of the model's
             own build.
    shape:   of an example.
    classes: of the labels in its batches; 0 for none.
    rows:    examples one train step takes.
    exempt:  laws that do not hold for it, each with the reason.
    """

    name: str
    build: Callable[..., GAN]
    shape: tuple[int, ...]
    classes: int = 0
    rows: int = BATCH
    exempt: dict[str, str] = {}  # noqa: RUF012


def descent() -> dict[str, optax.GradientTransformation]:
    """Plain gradient descent: in directions that BatchNorm removes Adam would scale rounding up
    (laws compare numbers).
    """
    return {"generator": optax.sgd(0.05), "discriminator": optax.sgd(0.05)}


def batch_of(case: Case, seed: int = 0, dtype: Any = np.float32) -> dict[str, Any]:
    """A batch for the case, a function of the seed."""
    draws = np.random.default_rng(seed)
    batch = {"image": jnp.asarray(draws.uniform(-1, 1, (case.rows, *case.shape)).astype(dtype))}
    if case.classes:
        batch["label"] = jnp.asarray(draws.integers(0, case.classes, case.rows).astype(np.int32))
    return batch


def at_double_precision(state: Any) -> Any:
    """The state with its float leaves in float64."""

    def widen(leaf: Any) -> Any:
        return leaf.astype(jnp.float64) if leaf.dtype == jnp.float32 else leaf

    return jax.tree.map(widen, state)


_NORM = {"L4": "batch statistics are those of a slice, not of the batch"}

_common = {"loss": losses.non_saturating(), "optimisers": descent()}
_perceptrons = partial(
    vanilla.build,
    shape=(2,),
    latent_size=3,
    generator=vanilla.Generator((2,), (8,)),
    discriminator=vanilla.Discriminator((8, 8), pieces=2, input_dropout=0.2, dropout=0.3),
    **_common,
)
_convolutional = partial(
    dcgan.build, shape=(16, 16, 1), latent_size=3, width=2, ema_half_life=100.0, **_common
)
_conditional = partial(
    conditional.build, shape=(16, 16, 1), classes=3, latent_size=3, width=2, **_common
)

CASES = [
    Case("vanilla", _perceptrons, (2,)),
    Case(
        "vanilla-3-critic-steps",
        partial(_perceptrons, schedule=partial(steps.alternate, n_critic=3)),
        (2,),
        rows=3 * BATCH,
    ),
    Case("vanilla-simultaneous", partial(_perceptrons, schedule=two_player.simultaneously), (2,)),
    Case(
        "vanilla-relativistic",
        lambda axis_name=None, **changes: _perceptrons(
            **{
                "loss": losses.relativistic_average(axis_name=axis_name),
                "axis_name": axis_name,
                **changes,
            }
        ),
        (2,),
        exempt={
            "L1": "in part: the loss sees no shift of all logits, so the last bias stays",
            "L4": "the loss compares with the mean logit of a slice, not of the batch",
        },
    ),
    Case("dcgan", _convolutional, (16, 16, 1), exempt=_NORM),
    Case(
        "dcgan-shared-noise",
        partial(_convolutional, shared_noise=True),
        (16, 16, 1),
        exempt={"L4": "a shared forward pass is not sliced"},
    ),
    Case("conditional", _conditional, (16, 16, 1), classes=3, exempt=_NORM),
    Case(
        "conditional-perceptron",
        partial(_conditional, architecture="perceptron"),
        (16, 16, 1),
        classes=3,
    ),
]

BY_NAME = {case.name: case for case in CASES}


def names_except(law: str) -> list[str]:
    """Names of the cases for which the law holds."""
    return [case.name for case in CASES if law not in case.exempt]
