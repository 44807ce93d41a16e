"""The columns and measures that tables of GANs on the plane share."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from . import frame

MODES = {"ring": 8, "grid": 25}

REACH = {"ring": 1.6, "grid": 5.2}
"""Half the side of the square that pictures show, by data."""

PANELS = 5


def columns(data: str) -> tuple[frame.Column, ...]:
    """Returns the columns of a table on the mixture."""
    return (
        frame.Column("captured", f"modes of {MODES[data]}", "{:.1f}".format),
        frame.Column("filled", "filled", "{:.1f}".format),
        frame.Column("high_quality", "high quality %", "{:.1f}".format, 100.0),
        frame.Column("reverse_kl", "reverse KL", "{:.3f}".format),
    )


def control(data: str, samples: int) -> frame.Piece:
    """Returns the row of points drawn from the mixture itself.

    Args:
        data: Name of the mixture.
        samples: Number of points.
    """
    settings = {"data": data, "samples": samples, "seeds": 10}
    return frame.Piece(f"{data}-real", "the data themselves", settings, measure_control)


def measure_control(settings: frame.Settings, folder: Path) -> frame.Measured:
    """Measures the coverage of fresh draws, by seed.

    Args:
        settings: The row's settings.
        folder: The row's folder.
    """
    from jaxgan.data import mixtures

    mixture = mixtures.held_out(mixtures.MIXTURES[settings["data"]]())
    sets = [
        mixture.batch(seed=seed, step=0, size=settings["samples"])["image"]
        for seed in range(settings["seeds"])
    ]
    return frame.Measured(_coverage(sets, mixture))


def train(experiment: str, settings: frame.Settings, folder: Path) -> frame.Measured:
    """Trains or resumes a row's models, which train together, and measures their points.

    The strip shows the first seed's points at every fifth of the run.

    Args:
        experiment: Name of the experiment.
        settings: `samples` points are measured for each of `seeds` models; all other settings are
            fields of the experiment's configuration.
        folder: The row's folder.
    """
    import numpy as np

    import jaxgan
    from jaxgan.data import mixtures
    from jaxgan.plotting import plane_points

    from . import runs

    steps, count = settings["steps"], settings["samples"]
    marks = _marks(steps, settings["steps_per_call"])
    flags = {name: value for name, value in settings.items() if name != "samples"}
    # All are kept: a run that is stopped saves one more, which must not push out the first mark.
    flags |= {"checkpoint_every": marks[0], "keep": steps, "log_every": marks[0]}
    models = runs.trained(experiment, flags, folder)
    ends = [np.asarray(model.sample(0, count)) for model in models]
    first = models[0].config
    way = [jaxgan.load(folder / "run", seed=first.seed, checkpoint=mark) for mark in marks[:-1]]
    shown = [*(np.asarray(model.sample(0, count)) for model in way), ends[0]]
    mixture = mixtures.MIXTURES[settings["data"]]()
    strip = plane_points.points(shown, reach=REACH[settings["data"]])
    return frame.Measured(_coverage(ends, mixture), strip)


def marks_of(steps: int, steps_per_call: int) -> tuple[str, ...]:
    """Returns the headings of a strip's panels.

    Args:
        steps: Train steps of the run.
        steps_per_call: Train steps in one compiled call.
    """
    return tuple(f"{mark:,} steps" for mark in _marks(steps, steps_per_call))


def _marks(steps: int, steps_per_call: int) -> list[int]:
    """The steps at which points are shown: evenly spread ends of calls, the last step included."""
    every = math.ceil(steps / steps_per_call / PANELS) * steps_per_call
    return sorted({*range(every, steps, every), steps})


def _coverage(sets: list[Any], mixture: Any) -> dict[str, list[float]]:
    from jaxgan.metrics import modes

    found = [modes.coverage(points, mixture) for points in sets]
    names = ("captured", "filled", "high_quality", "reverse_kl")
    return {name: [float(getattr(one, name)) for one in found] for name in names}
