"""The steps every GAN is made of: an objective lifted to a step, and the ways steps compose.

A step maps `(state, batch, keys)` to `(state, metrics)`. `update` makes one from an objective;
`chain`, `alternate`, `rotate`, `simultaneous` and `every` make steps of steps; `unrolled` and
`consensus` make objectives of objectives; `make_train_step` closes a step over the step counter and
the randomness. Nothing here knows which GAN it trains.
"""

from jaxgan.steps.combinators import alternate, chain, every, rotate, simultaneous, succession, then
from jaxgan.steps.common import split_rows
from jaxgan.steps.gradient_update import update
from jaxgan.steps.lookahead import consensus, extragradient, unrolled
from jaxgan.steps.train_step import make_train_step, project, repeat, track_ema

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
    "simultaneous",
    "split_rows",
    "succession",
    "then",
    "track_ema",
    "unrolled",
    "update",
]
