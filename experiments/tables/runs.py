"""Runs of the experiments for the pieces of the tables. Imports no JAX."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxgan.runs import command_line
from jaxgan.runs.config import DataSpec

if TYPE_CHECKING:
    from jaxgan.runs.trained_model import TrainedModel


def trained(experiment: str, flags: Mapping[str, Any], folder: Path) -> list[TrainedModel]:
    """Trains or resumes a run, and returns its models, one for each seed.

    Args:
        experiment: Name of the experiment.
        flags: Fields of its `Config`.
        folder: The piece's folder.

    Raises:
        RunError: If the run cannot start or be resumed.
        Interrupted: If the process is told to stop.
    """
    import jaxgan

    module = importlib.import_module(f"..{experiment}", __package__)
    fewest = {"sample_every": 0, "keep": 1, "cache": False, "workdir": str(folder / "run")}
    config = module.Config(**{**fewest, **{name: _tuples(flag) for name, flag in flags.items()}})
    path = command_line.train(module, config)
    return [jaxgan.load(path, seed=seed) for seed in config.model_seeds]


def untrained(experiment: str, flags: Mapping[str, Any], seed: int) -> TrainedModel:
    """Returns the untrained model with which such a run begins.

    Args:
        experiment: Name of the experiment.
        flags: Fields of its `Config`.
        seed: Seed of the run.

    Raises:
        RunError: If the data cannot be had.
    """
    import jax

    from jaxgan.runs import experiments, setup
    from jaxgan.runs.errors import RunError
    from jaxgan.runs.trained_model import TrainedModel

    module = importlib.import_module(f"..{experiment}", __package__)
    config = module.Config(**{name: _tuples(flag) for name, flag in flags.items()}, seed=seed)
    try:
        train = setup.load_data(config).train
    except ValueError as error:
        raise RunError(str(error)) from error
    spec = DataSpec.of(train)
    gan = module.build(config, spec)
    state = experiments.of(module).begin(gan.init(jax.random.key(seed)), train)
    return TrainedModel(gan, state, config, spec, 0)


def _tuples(flag: Any) -> Any:
    return tuple(flag) if isinstance(flag, list) else flag
