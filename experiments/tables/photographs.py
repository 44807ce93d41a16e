"""Table of models on the embedded photographs of flowers, after equal times on two CPU cores."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import r3gan
from . import frame, records, runs

if TYPE_CHECKING:
    from jaxgan.data import Dataset
    from jaxgan.runs.trained_model import TrainedModel

ANY = {"seed": 0, "precision": "auto"}
COMMON = {**ANY, "data": "flowers", "flip": True, "width": 32}


class Model(NamedTuple):
    """A model of the table.

    Attributes:
        name: Its name.
        title: Its title.
        experiment: Its experiment.
        flags: Fields of the experiment's `Config`.
        steps: Train steps that two cores make in ten minutes, by the quiet steps of a first minute.
        batch: Training images of a step.
    """

    name: str
    title: str
    experiment: str
    flags: Mapping[str, Any]
    steps: int
    batch: int

    def after(self, minutes: int) -> int:
        """Returns the train steps of so many minutes."""
        return self.steps * minutes // 10


MODELS = (
    Model("dcgan", "DCGAN", "dcgan", COMMON, 3400, 64),
    Model(
        "rpgan-dcgan",
        "DCGAN's networks, RpGAN with R1 and R2",
        "dcgan",
        {
            **COMMON,
            "loss": "relativistic_paired",
            "penalty": "r1_r2",
            "discriminator_norm": "none",
            "beta1": 0.0,
            "beta2": 0.99,
            "augment": "diff",
        },
        1700,
        64,
    ),
    Model("fastgan", "FastGAN", "fastgan", {"seed": 0}, 2960, 16),
    Model("r3gan", "R3GAN", "r3gan", {**r3gan.PRESETS["flowers"], **ANY}, 480, 32),
    Model("projected", "Projected GAN, FastGAN's generator", "projected", {"seed": 0}, 2000, 16),
)

TINY = {"width": 4, "batch_size": 8, "steps": 2, "checkpoint_every": 1, "log_every": 1}

BUDGETS: dict[str, dict[str, Any]] = {
    "quick": {"minutes": (10,), "samples": 64, "photographs": 64},
    "default": {"minutes": (10,), "samples": 1024, "photographs": None},
    "full": {"minutes": (20, 40, 60), "samples": 1024, "photographs": None},
}

COLUMNS = (
    frame.Column("frechet", "Frechet", "{:.0f}".format),
    frame.Column("kernel", "kernel x 1000", "{:.0f}".format, 1000.0),
    frame.Column("precision", "precision"),
    frame.Column("recall", "recall"),
    frame.Column("swd", "sliced Wasserstein", "{:.0f}".format),
    frame.Column("spectrum", "spectrum"),
    frame.Column("copies", "near copies %", "{:.1f}".format, 100.0),
)

SHOWN = 12
"""Samples in a row's picture."""


def parts(budget: str) -> tuple[frame.Part, ...]:
    """Returns a table for each time, with a row for each model and one for photographs."""
    chosen = BUDGETS[budget]
    small = TINY if budget == "quick" else {}
    return tuple(_part(minutes, chosen, small) for minutes in chosen["minutes"])


def _part(minutes: int, chosen: Mapping[str, Any], small: Mapping[str, Any]) -> frame.Part:
    compared = {"samples": chosen["samples"], "photographs": chosen["photographs"]}
    pieces = [
        frame.Piece(
            f"{model.name}-{minutes}",
            model.title,
            {
                **compared,
                "experiment": model.experiment,
                "flags": {
                    **model.flags,
                    "checkpoint_every": model.steps,
                    "keep": 6,
                    **small,
                },
                "steps": small.get("steps", model.after(minutes)),
            },
            measure,
        )
        for model in MODELS
    ]
    pieces.append(
        frame.Piece(
            f"photographs-{minutes}", "training photographs (control)", compared, measure_real
        )
    )
    return frame.Part(
        f"minutes-{minutes}",
        f"Flowers after {minutes} minutes",
        COLUMNS,
        tuple(pieces),
        note="Train steps: " + "; ".join(_trained(model, minutes) for model in MODELS) + ".",
        figure=(f"the first {SHOWN} samples",),
    )


def _trained(model: Model, minutes: int) -> str:
    return f"{model.title}: {model.after(minutes):,} of {model.batch} images"


def measure(settings: frame.Settings, folder: Path) -> frame.Measured:
    """Measures the model after its steps.

    Args:
        settings: The row's settings.
        folder: The row's folder. The run lies next to it, as the rows of a model share it.
    """
    import numpy as np

    from jaxgan.plotting import image_grids

    model = reached(settings, folder)
    shown = image_grids.grid(np.asarray(model.sample(0, SHOWN)), columns=SHOWN)
    return _measured(settings, model.sample, shown)


def measure_real(settings: frame.Settings, folder: Path) -> frame.Measured:
    """Measures training photographs in place of samples. All of them are copies.

    Args:
        settings: The row's settings.
        folder: The row's folder.
    """
    import numpy as np

    from jaxgan.plotting import image_grids

    images = _photographs(settings)[0].float_images()
    # Every second or third one, as neighbors in the list are of one kind.
    spread = images[np.linspace(0, len(images) - 1, settings["samples"]).astype(int)]
    shown = image_grids.grid(spread[:: max(1, len(spread) // SHOWN)][:SHOWN], columns=SHOWN)
    left = iter(spread)
    return _measured(
        settings, lambda key, count: np.stack([next(left) for _ in range(count)]), shown
    )


def reached(settings: frame.Settings, folder: Path) -> TrainedModel:
    """Returns the model after its steps, and trains it if it has not come that far.

    Args:
        settings: The row's settings.
        folder: The row's folder.
    """
    import jaxgan
    from jaxgan.runs.errors import RunError

    named = {"experiment": settings["experiment"], "flags": dict(settings["flags"])}
    place = folder.parent / f"run-{records.digest(named)}"
    place.mkdir(exist_ok=True)
    with contextlib.suppress(RunError):  # a later row of the model has trained it further
        return jaxgan.load(place / "run", checkpoint=settings["steps"])
    runs.trained(named["experiment"], {**named["flags"], "steps": settings["steps"]}, place)
    return jaxgan.load(place / "run", checkpoint=settings["steps"])


def _measured(settings: frame.Settings, sample: Any, shown: Any) -> frame.Measured:
    import numpy as np

    from jaxgan.metrics import (
        evaluation,
        features,
        memorization,
        selection,
        statistics_cache,
        streaming,
    )

    train, held_out = _photographs(settings)
    extractor = features.of_efficientnet("lite1")
    assert extractor is not None
    drawn: list[np.ndarray] = []

    def kept(key: Any, count: int) -> Any:
        drawn.append(np.asarray(sample(key, count)))
        return drawn[-1]

    scores = evaluation.evaluator(
        selection.chosen(("fid", "kid", "prdc", "swd", "spectrum")),
        held_out,
        extractor=extractor,
        samples=settings["samples"],
        cache=statistics_cache.folder(),
    )(kept)

    def seen(images: Dataset) -> np.ndarray:
        known = statistics_cache.statistics(
            [streaming.FEATURES],
            images,
            extractor=extractor,
            piece=evaluation.PIECE,
            folder=statistics_cache.folder(),
        )
        return known[streaming.FEATURES.name].rows

    training = seen(train)
    pieces = features.pieces(drawn, extractor, ["features"])
    samples = np.concatenate([piece["features"] for piece in pieces])
    generated, unseen = (
        memorization.neighbors(rows, training, count=1)[1][:, 0]
        for rows in (samples, seen(held_out))
    )
    numbers = {
        "frechet": scores.numbers["efficientnet_lite1_frechet"],
        "kernel": scores.numbers["efficientnet_lite1_kernel"],
        "precision": scores.numbers["efficientnet_lite1_precision"],
        "recall": scores.numbers["efficientnet_lite1_recall"],
        "swd": scores.numbers["swd"],
        "spectrum": scores.numbers["spectrum"],
        "copies": memorization.memorization(generated, unseen).copies,
    }
    return frame.Measured(
        {name: [number] for name, number in numbers.items()}, shown, by=scores.settings
    )


def _photographs(settings: frame.Settings) -> tuple[Dataset, Dataset]:
    """Returns the training and the held-out photographs, or the first of both."""
    from jaxgan import data

    flowers: Any = data.load("flowers")
    count = settings["photographs"]
    if count is None:
        return flowers.train, flowers.held_out
    return flowers.train.take(count), flowers.held_out.take(count)


TABLE = frame.Table(
    title="Photographs after equal times",
    paper=(
        "No paper's table: DCGAN is that of Radford et al. 2016, RpGAN with R1 and R2 and R3GAN of "
        "Huang et al. 2024, FastGAN of Liu et al. 2021, the projected GAN of Sauer et al. 2021."
    ),
    protocol=(
        "The embedded 2,934 photographs of flowers, 64 pixels, mirrored at random, one seed. Each "
        "model trains for as many steps as two CPU cores make in the time, with products rounded "
        "to bfloat16 (`--precision auto`), but for FastGAN, which they make 6 % faster. The other "
        "settings are its experiment's defaults, or its preset `flowers`. Some runs had a single "
        "core, and took longer. 1,024 samples "
        "of the averaged generator next to the 736 held-out photographs. The features are those of "
        "EfficientNet-Lite1, which no model trained with: the projected GAN's discriminators look "
        "through EfficientNet-Lite0. Sliced Wasserstein distance and spectrum (dB) need no "
        "network. Near copies: the share of samples that are nearer to a training photograph than "
        "the nearest hundredth of the held-out photographs are."
    ),
    scope={
        "default": "One seed, ten minutes.",
        "full": "One seed, up to an hour; five hours for all.",
    },
    parts=parts,
)
