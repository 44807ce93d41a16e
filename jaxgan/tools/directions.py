"""Finds directions of the latent space along which the images of a run change.

    jaxgan directions RUN
    jaxgan directions RUN --method pca --count 12
    jaxgan directions RUN --method concepts

    sefa      without samples: what the generator's first layer amplifies most (closed form)
    pca       what varies most in the features of the generator's second layer (GANSpace)
    concepts  what separates samples of one concept from others, by a linear classifier

For garments the concepts are the classes that the embedded classifier sees in the samples; for
other images name samples in a file, as jaxgan latents --concepts takes it. METHOD.npz holds the
directions, for jaxgan traverse and jaxgan explore. METHOD.png shows them: a direction in each row,
and in the middle the image of the seed.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from jaxgan import files
from jaxgan.runs.errors import RunError
from jaxgan.tools import command

if TYPE_CHECKING:
    import numpy as np

    from jaxgan.runs.trained_model import TrainedModel
    from jaxgan.tools.latent_directions import Directions
    from jaxgan.tools.latent_space import Space

Say = Callable[[str], None]

FOLDER = "directions"
"""The folder of a run directory that holds its directions."""

CHANCE = 0.6
"""A direction that separates held-out samples no better than this says nothing."""

_RANGES = {"count": (1, 512), "samples": (100, 100_000), "columns": (3, 101)}


@dataclasses.dataclass(frozen=True)
class Config(command.OfRun):
    """How directions are found, and what is drawn of them."""

    out: pathlib.Path | None = None
    """Output folder. Default: directions/ in the run directory."""
    method: Literal["sefa", "pca", "concepts"] = "sefa"
    """How they are found."""
    count: int = 8
    """Number of directions of sefa and pca."""
    samples: int = 2000
    """Number of samples of pca and concepts."""
    concepts: pathlib.Path | None = None
    """An .npz file with the indices of the samples that show each concept, by its name."""
    confidence: float = 0.9
    """The smallest class probability of a sample that shows a class."""
    label: Annotated[str | None, command.CLASS] = None
    """The class to draw, by name or number, for a conditional model. Default: the first."""
    seed: int = 0
    """Seed of the samples, and of the image that the sheet changes."""
    columns: int = 9
    """Images in a row of the sheet."""
    reach: float = 3.0
    """How far the sheet goes to both sides, in standard deviations of the latents."""
    overwrite: bool = False
    """Replace files that exist."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code of the command; an error is one sentence on stderr."""
    return command.answer(
        Config,
        functools.partial(directions, say=print),
        program="jaxgan directions",
        description=__doc__,
        arguments=arguments,
    )


def directions(config: Config, *, say: Say) -> list[pathlib.Path]:
    """Finds the directions, and returns the paths of their file and of their sheet.

    Args:
        config: How they are found, and what is drawn of them.
        say: Receives sentences about what was found.

    Raises:
        RunError: If the model draws no images from noise, the concepts cannot be told, or a file
            exists. Nothing is written then.
    """
    import numpy as np

    from jaxgan.plotting import image_grids
    from jaxgan.runs import run_directory
    from jaxgan.runs.trained_model import SEEDS
    from jaxgan.tools import latent_directions, latent_space

    command.require_ranges(config, {**_RANGES, "seed": (0, SEEDS)})
    require_reach(config.reach)
    require_use(config)
    folder = config.out or config.run / FOLDER
    if config.out is None:
        run_directory.require_no_link(folder)
    targets = [folder / f"{config.method}{suffix}" for suffix in (".npz", ".png")]
    command.require_free(targets, overwrite=config.overwrite)
    model = config.load()
    given = latent_space.conditions_of(model, config.run, config.label)
    space = latent_space.space_of_run(model, config.run, **given)
    found = find(space, model, config)
    start = latent_space.of_seeds(model, [config.seed], **given)
    steps = np.linspace(-config.reach, config.reach, config.columns)
    rows = {
        text(found, index): space.show(found.along(start, index, steps))
        for index in range(len(found.names))
    }
    command.write_arrays(targets[0], latent_directions.arrays_of(found))
    sheet = image_grids.named_rows(rows, show=model.show)
    command.write_image(targets[1], image_grids.png(sheet))
    for line in rows:
        say(line)
    if found.method == "concepts" and found.strengths.min() < CHANCE:
        weak = [
            name
            for name, strength in zip(found.names, found.strengths, strict=True)
            if strength < CHANCE
        ]
        say(f"warning: hardly better than chance, so that they mean little: {', '.join(weak)}")
    say(f"{targets[0].name} and {targets[1].name} are in {files.printable(folder)}")
    if config.out is None:
        config.suggest(say, "go along one:", "traverse", "--direction", found.names[0])
    return targets


def require_reach(reach: float) -> None:
    """Raises RunError if the reach is no distance."""
    if not 0 < reach <= 100:
        raise RunError(f"--reach is {reach}; expected more than 0, and at most 100")


def require_use(config: Config) -> None:
    """Checks that every flag has an effect.

    Raises:
        RunError: If one has none, or the confidence is no probability.
    """
    of = {
        "count": ("sefa", "pca"),
        "samples": ("pca", "concepts"),
        "concepts": ("concepts",),
        "confidence": ("concepts",),
    }
    for field in dataclasses.fields(config):
        changed = getattr(config, field.name) != field.default
        if changed and config.method not in of.get(field.name, (config.method,)):
            raise RunError(f"--{field.name} does nothing with --method {config.method}")
    if not 0 <= config.confidence <= 1:
        raise RunError(f"--confidence is {config.confidence}; expected 0 to 1")


def text(found: Directions, index: int) -> str:
    """Returns the name of a direction and what its strength says, in a line."""
    strength = found.strengths[index]
    says = {
        "sefa": f"{strength:.1%} of the first layer's squared weight",
        "pca": f"{strength:.1%} of the features' variance",
        "concepts": f"orders {strength:.0%} of held-out pairs rightly (50% by chance)",
    }
    return f"{found.names[index]}: {says[found.method]}"


def find(space: Space, model: TrainedModel, config: Config) -> Directions:
    """Returns the directions that the configuration asks for.

    Args:
        space: The latent space of the model.
        model: The trained model.
        config: How they are found.

    Raises:
        RunError: If the concepts cannot be told.
    """
    from jaxgan.tools import latent_directions

    latents = space.draw(config.seed, max(config.samples, config.count + 1))
    if config.method == "sefa":
        return latent_directions.closed_form(model, latents, count=config.count)
    if config.method == "pca":
        return latent_directions.principal(model, latents, count=config.count)
    return latent_directions.separating(_concepts(space, model, config, latents), latents)


def _concepts(
    space: Space, model: TrainedModel, config: Config, latents: np.ndarray
) -> Mapping[str, np.ndarray]:
    """Returns the latents [K, Z] of each concept, from the user's file or the classifier."""
    from jaxgan.tools import latent_concepts

    if config.concepts is not None:
        return latent_concepts.of_file(
            config.concepts, lambda count: space.draw(config.seed, count)
        )
    latent_concepts.require_told(model, config.run)
    shown = latent_concepts.of_garments(space.show(latents), config.confidence)
    return {name: latents[chosen] for name, chosen in shown.items()}


if __name__ == "__main__":
    sys.exit(main())
