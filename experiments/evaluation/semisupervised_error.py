"""The error of a semi-supervised run on the held-out images, beside two controls.

    python -m experiments.evaluation.semisupervised_error runs/semisupervised-DATE

Prints the share of the held-out images that the averaged discriminator gives to another class than
theirs, without noise; the same by its last weights; and that of the same network trained by the
run's labeled examples alone, with the same optimizer and average.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import Annotated, Any

import tyro

from jaxgan.tools import command

from .. import semisupervised


@dataclasses.dataclass(frozen=True)
class Config(command.OfRun):
    """What to score."""

    model_seed: Annotated[int | None, tyro.conf.arg(aliases=("--seed",))] = dataclasses.field(
        default=None, kw_only=True
    )
    """The seed of the model, where the run holds several."""
    control_steps: int = 2000
    """Train steps of the network that has the labeled examples alone; 0: leave it out."""


def report(config: Config) -> str:
    """The report on the run, as text; RunError where it is not a semi-supervised one."""
    from jaxgan import data
    from jaxgan.runs.errors import RunError
    from jaxgan.runs.trained_model import data_of

    trained = config.load()
    if not isinstance(trained.config, semisupervised.Config):
        raise RunError(f"{config.run} is no run of the experiment semisupervised")
    splits = data_of(config.run, trained.config)
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
    """How many of the images of the data set the state's discriminator gets wrong."""
    wrong = mistakes(state, dataset)
    return f"{name:42s}{wrong / len(dataset):8.2%}  ({wrong})"


def mistakes(state: Any, dataset: Any, *, batch: int = 500) -> int:
    """How many images of the data set are given to another class than theirs."""
    import numpy as np

    from jaxgan.models import semisupervised as model
    from jaxgan.runs.trained_model import in_pieces

    found = in_pieces(model.classify, state, dataset.float_images(), size=batch)
    return int(np.sum(found != dataset.labels))


def supervised(trained: Any, labeled: Any, *, steps: int) -> Any:
    """The averaged state of a fresh discriminator of the run's kind after that many steps on the
    labeled examples.
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
