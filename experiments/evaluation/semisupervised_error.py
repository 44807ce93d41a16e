"""Evaluates the error of a semi-supervised run on held-out images, next to two controls.

    python -m experiments.evaluation.semisupervised_error runs/semisupervised-DATE

It reports the fraction of the held-out images that the averaged discriminator misclassifies,
without noise. The controls are the same with its last weights, and the same network trained only on
the run's labeled examples, with the same optimizer and average.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import Annotated, Any

import tyro

from jaxgan.tools import command

from .. import semisupervised


@dataclasses.dataclass(frozen=True)
class Config(command.OfRunAndData):
    """What to evaluate."""

    model_seed: Annotated[int | None, tyro.conf.arg(aliases=("--seed",))] = dataclasses.field(
        default=None, kw_only=True
    )
    """Seed of the model, if the run holds several."""
    control_steps: int = 2000
    """Train steps of the network that sees only the labeled examples; 0: leave it out."""


def report(config: Config) -> str:
    """Returns the report on the run, as text.

    Raises:
        RunError: If the run is not a semi-supervised one.
    """
    from jaxgan import data
    from jaxgan.runs.errors import RunError

    trained = config.load()
    if not isinstance(trained.config, semisupervised.Config):
        raise RunError(f"{config.run} is not a run of the experiment semisupervised")
    splits = config.splits(trained)
    held_out = splits.held_out
    assert isinstance(splits.train, data.PartlyLabeled) and isinstance(held_out, data.Dataset)
    labeled = splits.train.labeled(trained.config.seed)
    lines = [
        f"error on {len(held_out)} held-out images after {trained.step} steps "
        f"with {len(labeled)} labels"
    ]
    if trained.state.ema:
        lines.append(line("averaged discriminator", trained.state.averaged(), held_out))
    lines.append(line("its last weights", trained.state, held_out))
    if config.control_steps:
        control = supervised(trained, labeled, steps=config.control_steps)
        lines.append(line("the network by the labeled images alone", control, held_out))
    return "\n".join(lines)


def line(name: str, state: Any, dataset: Any) -> str:
    """Returns a line with the error of the state's discriminator.

    Args:
        name: Name of the line.
        state: The state.
        dataset: The labeled images.
    """
    wrong = mistakes(state, dataset)
    return f"{name:42s}{wrong / len(dataset):8.2%}  ({wrong})"


def mistakes(state: Any, dataset: Any, *, batch: int = 500) -> int:
    """Returns the number of misclassified images.

    Args:
        state: The state, whose discriminator classifies.
        dataset: The labeled images.
        batch: Images per batch.
    """
    import numpy as np

    from jaxgan.models import semisupervised as model
    from jaxgan.runs.trained_model import in_pieces

    found = in_pieces(model.classify, state, dataset.float_images(), size=batch)
    return int(np.sum(found != dataset.labels))


def supervised(trained: Any, labeled: Any, *, steps: int) -> Any:
    """Returns the averaged state of a discriminator trained only on the labeled examples.

    Args:
        trained: The run's model, for the kind of network and its settings.
        labeled: The labeled examples.
        steps: Number of train steps.
    """
    import jax

    from jaxgan import parallel
    from jaxgan.models import semisupervised as model

    config = trained.config
    step = parallel.compile_step(model.supervised_step(ema_half_life=config.ema_half_life or 1.0))
    fresh = trained.gan.init(jax.random.key(config.seed))
    state = semisupervised.begin(fresh, labeled)
    for index in range(steps):
        batch = labeled.batch(seed=config.seed, step=index, size=config.batch_size)
        state, _ = step(state, batch)
    return state.averaged()


main = command.printing(
    Config, report, module="experiments.evaluation.semisupervised_error", description=__doc__
)

if __name__ == "__main__":
    sys.exit(main())
