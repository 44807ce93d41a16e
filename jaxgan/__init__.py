"""Generative adversarial networks as pure functions in JAX."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxgan.runs.trained_model import TrainedModel

__version__ = "0.1.0"


def load(
    run: str | os.PathLike[str], *, checkpoint: str | int = "latest", seed: int | None = None
) -> TrainedModel:
    """The trained model in the run directory `run`; `load(run).sample(key, n)` draws from it.

    `checkpoint` is 'latest', 'best' (by the metric that the run watched) or a number of steps.
    `seed` says which model of a run of several seeds. Raises `RunError` where there is no such run,
    checkpoint or seed. Needs no data.
    """
    from jaxgan.runs import trained_model  # imports JAX, which `import jaxgan` must not

    return trained_model.load(run, checkpoint=checkpoint, seed=seed)
