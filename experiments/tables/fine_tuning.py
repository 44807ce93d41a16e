"""Table of what fine-tuning gains: a garment from few photographs, after the other garments."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from . import frame, records, runs

if TYPE_CHECKING:
    from jaxgan.runs.trained_model import TrainedModel

NETWORK = {"width": 16, "batch_size": 32}

BUDGETS: dict[str, dict[str, Any]] = {
    "quick": {
        "source": {"width": 4, "batch_size": 8, "seeds": 1, "steps": 2},
        "flags": {"width": 4, "batch_size": 8, "seeds": 1, "steps": 2},
        "long": 3,
        "samples": 64,
    },
    "default": {
        "source": {**NETWORK, "seeds": 1, "steps": 1500},
        "flags": {**NETWORK, "seeds": 3, "steps": 300},
        "long": 1800,
        "samples": 1000,
    },
}


class Row(NamedTuple):
    """A way to train with few images.

    Attributes:
        name: Name of the row.
        title: Its title.
        images: Number of images.
        tuned: Whether the run begins from the source.
        flags: Further flags.
    """

    name: str
    title: str
    images: int
    tuned: bool
    flags: Mapping[str, Any] = frame.NOTHING


FEW = (
    Row("scratch-100", "100 images, from scratch", 100, False),
    Row("tuned-100", "100 images, fine-tuned", 100, True),
)
FROZEN = Row(
    "frozen-100",
    "100 images, fine-tuned, 1 of 3 layers frozen",
    100,
    True,
    {"freeze": ["discriminator:1"]},
)
ADAPTIVE = Row(
    "adaptive-100",
    "100 images, fine-tuned with ADA",
    100,
    True,
    {"augment": "ada", "ada_images": 10_000.0},
)
MORE = (
    Row("scratch-300", "300 images, from scratch", 300, False),
    Row("tuned-300", "300 images, fine-tuned", 300, True),
)
ALL = (
    Row("scratch-1000", "1,000 images, from scratch", 1000, False),
    Row("tuned-1000", "1,000 images, fine-tuned", 1000, True),
)

COLUMNS = (
    frame.Column("proxy_fid", "proxy FID"),
    frame.Column("proxy_kid", "proxy KID x 1000", "{:.1f}".format, 1000.0),
    frame.Column("proxy_coverage", "coverage %", "{:.0f}".format, 100.0),
)

SHOWN = 12
"""Samples of the first seed in a row's picture."""


def parts(budget: str) -> tuple[frame.Part, ...]:
    """Returns tables of coats, of coats trained for longer, and of bags."""
    chosen = BUDGETS[budget]
    after = "after the nine other classes"
    return (
        _part("coat", f"Coats {after}", chosen, (*FEW, FROZEN, ADAPTIVE, *MORE, *ALL)),
        _part(
            "coat-long",
            f"Coats {after}, for {chosen['long']} steps",
            chosen,
            (*FEW, FROZEN, ADAPTIVE, *ALL),
            steps=chosen["long"],
            note=(
                "As many steps as the source and the short runs have together: what training from "
                "scratch could do in the same time."
            ),
        ),
        _part("bag", f"Bags {after}", chosen, FEW, note="No other class looks like a bag."),
    )


def _part(
    name: str,
    title: str,
    chosen: Mapping[str, Any],
    rows: Sequence[Row],
    *,
    steps: int | None = None,
    note: str = "",
) -> frame.Part:
    """A table of one garment; with `steps`, of these alone, without the source and the control."""
    garment = name.partition("-")[0].capitalize()
    common = {"garment": garment, "samples": chosen["samples"]}
    source = {**common, "source": chosen["source"]}
    pieces = []
    for row in rows:
        flags = {**chosen["flags"], "limit_images": row.images, **row.flags}
        flags |= {} if steps is None else {"steps": steps}
        settings = {**(source if row.tuned else common), "flags": flags}
        pieces.append(frame.Piece(f"{name}-{row.name}", row.title, settings, measure))
    if steps is None:
        before = frame.Piece(f"{name}-source", "the source as it is", source, measure_source)
        real = frame.Piece(
            f"{name}-photographs", "training photographs (control)", common, measure_real
        )
        pieces = [before, *pieces, real]
    shown = (f"the first {SHOWN} samples of seed 0",)
    return frame.Part(name, title, COLUMNS, tuple(pieces), note=note, figure=shown)


def measure(settings: frame.Settings, folder: Path) -> frame.Measured:
    """Measures the models of all seeds, which train together.

    Args:
        settings: The row's settings.
        folder: The row's folder; the source lies next to it, for all rows.
    """
    flags = {**settings["flags"], "data": _place(settings["garment"], folder, others=False)}
    if "source" in settings:
        flags["init_from"] = str(_source(settings, folder) / "run")
    return _scored(settings, runs.trained("dcgan", flags, folder))


def measure_source(settings: frame.Settings, folder: Path) -> frame.Measured:
    """Measures the runs on the other garments, which training with few images begins from.

    Args:
        settings: The row's settings.
        folder: The row's folder; the source lies next to it, for all rows.
    """
    import jaxgan

    run = _source(settings, folder) / "run"
    seeds = range(settings["source"]["seeds"])
    return _scored(settings, [jaxgan.load(run, seed=seed) for seed in seeds])


def measure_real(settings: frame.Settings, folder: Path) -> frame.Measured:
    """Measures the training photographs of the garment in place of samples.

    Args:
        settings: The row's settings.
        folder: The row's folder.
    """
    images = iter(_splits(settings["garment"]).train.float_images())
    scores = _scorer(settings)(lambda key, count: [next(images) for _ in range(count)])
    return frame.Measured(
        {column.measure: [scores.numbers[column.measure]] for column in COLUMNS},
        by=scores.settings,
    )


def _source(settings: frame.Settings, folder: Path) -> Path:
    """Trains the source, or resumes it, and returns its folder."""
    named = {"garment": settings["garment"], "source": settings["source"]}
    place = folder.parent / f"source-{records.digest(named)}"
    place.mkdir(exist_ok=True)
    data_flag = _place(settings["garment"], folder, others=True)
    runs.trained("dcgan", {**settings["source"], "data": data_flag}, place)
    return place


def _scored(settings: frame.Settings, models: list[TrainedModel]) -> frame.Measured:
    import numpy as np

    from jaxgan.plotting import image_grids

    score = _scorer(settings)
    scores = [score(model.sample) for model in models]
    return frame.Measured(
        {column.measure: [one.numbers[column.measure] for one in scores] for column in COLUMNS},
        image_grids.grid(np.asarray(models[0].sample(0, SHOWN)), columns=SHOWN),
        by=scores[0].settings,
    )


def _scorer(settings: frame.Settings) -> Any:
    """Returns a function that scores samples as `jaxgan evaluate --split held_out` does."""
    from jaxgan.metrics import evaluation, features, selection, statistics_cache

    return evaluation.evaluator(
        selection.chosen(("fid", "kid", "prdc")),
        _splits(settings["garment"]).held_out,
        extractor=features.proxy(),
        samples=settings["samples"],
        cache=statistics_cache.folder(),
    )


@functools.cache
def _splits(garment: str) -> Any:
    """The photographs of a garment."""
    return _chosen(garment, others=False)


def _chosen(garment: str, *, others: bool) -> Any:
    """The photographs of a garment, or those of all others, without labels."""
    import numpy as np

    from jaxgan import data

    def part(images: Any) -> Any:
        kept = (images.labels == images.classes.index(garment)) != others
        return data.Dataset("fashion", images.images[np.flatnonzero(kept)])

    embedded: Any = data.load("fashion")
    return data.Splits(part(embedded.train), part(embedded.held_out))


def _place(garment: str, folder: Path, *, others: bool) -> str:
    """Writes photographs as PNG files next to the row's folder, and returns the flag `--data`."""
    from PIL import Image

    place = folder.parent / f"{'without-' if others else ''}{garment.lower()}"
    if not place.exists():
        splits = _chosen(garment, others=others)
        with tempfile.TemporaryDirectory(dir=folder.parent) as begun:
            for name, images in (("train", splits.train), ("test", splits.held_out)):
                (Path(begun) / "whole" / name).mkdir(parents=True)
                for index, image in enumerate(images.images):
                    file = Path(begun) / "whole" / name / f"{index:05d}.png"
                    Image.fromarray(image[..., 0]).save(file)
            (Path(begun) / "whole").rename(place)
    return f"folder:{place}"


TABLE = frame.Table(
    title="What fine-tuning gains",
    paper=(
        "No paper's table: starting from a trained GAN is that of Wang et al. 2018 (Transferring "
        "GANs), freezing the discriminator's first layers that of Mo et al. 2020 (FreezeD)."
    ),
    protocol=(
        "The embedded garments of one class, from folders of PNG files: 100, 300 or all 1,000 "
        "training photographs. The source is trained on the 9,000 photographs of the nine other "
        "classes and never saw this one. DCGAN of 16 channels next to the image, steps of 32 "
        "images, the experiment's learning rates everywhere; the averaged generator. All ways of "
        "training have the same number of steps on the few images; one source begins all seeds. As "
        "`jaxgan evaluate RUN --split held_out --samples 1000`: the Frechet and the kernel "
        "distance on the embedded classifier of garments (proxies, which compare only with each "
        "other) to the 200 held-out photographs of the class, and how many of these have a sample "
        "near (coverage, 5 neighbors)."
    ),
    scope={
        "default": (
            "1500 steps for the source and 300 on the few images, of small networks: minutes, not "
            "the days of the papers."
        )
    },
    parts=parts,
)
