"""Generative adversarial networks as pure functions in JAX.

    import jax, jaxgan

    model = jaxgan.load("runs/mine")
    images = model.sample(jax.random.key(0), 64)

`jaxgan.steps`, `jaxgan.losses`, `jaxgan.penalties` and the other names of `__all__` are imported
on first use. Importing jaxgan alone does not import JAX.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

    from jaxgan import (
        data,
        games,
        losses,
        metrics,
        models,
        nn,
        optimizers,
        parallel,
        penalties,
        plotting,
        random,
        runs,
        state,
        steps,
        tools,
        types,
    )
    from jaxgan.runs.trained_model import TrainedModel

__version__ = "0.1.0"

__all__ = [
    "data",
    "games",
    "load",
    "losses",
    "metrics",
    "models",
    "nn",
    "optimizers",
    "parallel",
    "penalties",
    "plotting",
    "random",
    "runs",
    "state",
    "steps",
    "tools",
    "types",
]


def load(
    run: str | os.PathLike[str],
    *,
    checkpoint: str | int = "latest",
    seed: int | None = None,
    member: str | int | None = None,
    experiment: ModuleType | str | os.PathLike[str] | None = None,
) -> TrainedModel:
    """Returns the trained model in a run directory or an export; the data are not needed.

    Args:
        run: The run directory, or the folder or a file that `jaxgan export` wrote.
        checkpoint: 'latest', 'best' (by the metric of the evaluation in training) or a number of
            steps.
        seed: Seed of the model in a run of several seeds.
        member: The model in a run of several: its number from 0, or its settings, such as
            'beta1=0.5' or 'beta1=0.5,seed=3'.
        experiment: Module or file of your own experiment that made the run; not needed for the
            experiments of this package. Warning: its code is executed. A run directory alone never
            causes that.

    Returns:
        The model; `load(run).sample(key, n)` samples n images.

    Raises:
        RunError: If there is no such run, checkpoint, seed or member.
    """
    trained_model = importlib.import_module("jaxgan.runs.trained_model")  # imports JAX
    return trained_model.load(
        run, checkpoint=checkpoint, seed=seed, member=member, experiment=experiment
    )


def _submodule(package: str, names: Collection[str], name: str) -> ModuleType:
    """Imports a public submodule when it is first used; for the `__getattr__` of every package."""
    if name not in names:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    return importlib.import_module(f"{package}.{name}")


def __getattr__(name: str) -> Any:
    return _submodule(__name__, __all__, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
