"""The steps of every GAN: an objective lifted to a step, and the ways steps compose.

A step maps `(state, batch, keys)` to `(state, metrics)`. `update` makes one from an objective;
`chain`, `then`, `alternate`, `rotate`, `simultaneous`, `succession` and `every` make steps of
steps; `unrolled` and `consensus` make objectives of objectives; `extragradient` looks ahead before
it moves; `make_train_step` closes a step over the step counter and the randomness. Nothing here
knows which GAN it trains. May use the ground files and kernels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxgan import _lazy
from jaxgan.steps.combinators import alternate, chain, every, rotate, simultaneous, succession, then
from jaxgan.steps.common import split_rows
from jaxgan.steps.gradient_update import update
from jaxgan.steps.lookahead import consensus, extragradient, unrolled
from jaxgan.steps.train_step import make_train_step, project, repeat, track_ema

if TYPE_CHECKING:
    from jaxgan.steps import shared_forward

__all__ = [
    "alternate",
    "chain",
    "consensus",
    "every",
    "extragradient",
    "make_train_step",
    "project",
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
    return _lazy.submodule(__name__, __all__, name)
