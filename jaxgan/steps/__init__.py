"""Training steps: an objective becomes a step, and steps are composed.

A step maps `(state, batch, keys)` to `(state, metrics)`. `update` makes a step from an objective.
`chain`, `then`, `alternate`, `simultaneous`, `rotate`, `succession`, `every` and `extragradient`
compose steps. `unrolled` and `consensus` transform objectives. `make_train_step` adds the step
counter and the PRNG keys. `in_bfloat16` and `rematerialized` change how a train step calls its
networks. Nothing here depends on the model that is trained. May use the
ground files and kernels.

Examples:
    The Dirac-GAN (Mescheder et al. 2018): the data are at 0, the generator is a point, and the
    critic is a line through the origin.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> import optax
    >>> from jaxgan import steps
    >>> from jaxgan.state import Out, Player, create
    >>> def player(value):
    ...     params = {"x": jnp.float32(value)}
    ...     return Player.create(apply_fn=None, params=params, tx=optax.sgd(0.5))
    >>> def critic_loss(state, batch, keys):
    ...     return state["critic"].params["x"] * state["generator"].params["x"], Out()
    >>> def generator_loss(state, batch, keys):
    ...     return -state["critic"].params["x"] * state["generator"].params["x"], Out()
    >>> train_step = steps.make_train_step(
    ...     steps.alternate(
    ...         steps.update("critic", critic_loss), steps.update("generator", generator_loss)
    ...     )
    ... )
    >>> start = create(jax.random.key(0), {"critic": player(0.0), "generator": player(1.0)})
    >>> state, metrics = train_step(start, {"image": jnp.zeros((4, 1))})
    >>> float(state["critic"].params["x"]), float(state["generator"].params["x"])
    (-0.5, 0.75)
    >>> sorted(metrics)
    ['critic/gradient_norm', 'critic/loss', 'generator/gradient_norm', 'generator/loss']
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxgan import _submodule
from jaxgan.steps.combinators import alternate, chain, every, rotate, simultaneous, succession, then
from jaxgan.steps.common import split_rows
from jaxgan.steps.gradient_update import update
from jaxgan.steps.lookahead import consensus, extragradient, unrolled
from jaxgan.steps.networks import in_bfloat16, rematerialized
from jaxgan.steps.train_step import make_train_step, project, repeat, track_ema

if TYPE_CHECKING:
    from jaxgan.steps import shared_forward

__all__ = [
    "alternate",
    "chain",
    "consensus",
    "every",
    "extragradient",
    "in_bfloat16",
    "make_train_step",
    "project",
    "rematerialized",
    "repeat",
    "rotate",
    "shared_forward",
    "simultaneous",
    "split_rows",
    "succession",
    "then",
    "track_ema",
    "unrolled",
    "update",
]


def __getattr__(name: str) -> Any:
    return _submodule(__name__, __all__, name)
