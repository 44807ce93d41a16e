"""Goes along one thing that decides the images of a run: a direction, a latent's entry, or a code.

    jaxgan traverse RUN --direction sefa-0
    jaxgan traverse RUN --entry 17 --out entry.png
    jaxgan traverse RUN --code c2 --seeds 1-4 --out code.mp4

A direction is one that jaxgan directions has found, by its name; an entry is one of the latent, by
its number. Both move the latent by multiples of the standard deviation of the latents, to both
sides. A code is one of InfoGAN's: a categorical one takes its classes, a continuous one values.

    --out FILE.png             a sheet: a row for each seed, whose own image is in the middle
    --out FILE.gif, .webp, .mp4  a film there and back, of all seeds next to each other
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from jaxgan import files
from jaxgan.runs.errors import RunError
from jaxgan.tools import command

if TYPE_CHECKING:
    import numpy as np

    from jaxgan.runs.trained_model import TrainedModel
    from jaxgan.tools.latent_directions import Directions

Say = Callable[[str], None]

MOST_SEEDS = 100
"""The largest number of seeds."""

MOST = 1000
"""The largest number of images in a row, or of frames."""

NOT_CODES = ("label", "caption", "text", "a", "b", "image")
"""The conditions of models that are not codes of theirs; neither are those of the data."""

_RANGES = {"columns": (2, MOST), "frames": (2, MOST), "fps": (1, 50)}


@dataclasses.dataclass(frozen=True)
class Config(command.OfRun):
    """What to go along, from where, and how far."""

    out: pathlib.Path | None = None
    """A .png file for a sheet, or a .gif, .webp or .mp4 file for a film. Default: traversal.png in
    the run directory.
    """
    direction: str | None = None
    """Name of a direction, such as sefa-0, of those in directions/ of the run."""
    directions: pathlib.Path | None = None
    """File of directions to look in instead, as jaxgan directions wrote it."""
    entry: int | None = None
    """Number of an entry of the latent."""
    code: str | None = None
    """Name of a code of InfoGAN, such as c1."""
    seeds: str = "0-3"
    """The seeds to start from, like 1-8 or 3,7,42."""
    label: Annotated[str | None, command.CLASS] = None
    """The class to draw, by name or number, for a conditional model. Default: the first."""
    reach: float | None = None
    """How far to go to both sides: in standard deviations of the latents (default: 3), or for a
    continuous code its largest value (default: 2).
    """
    columns: int = 9
    """Images in a row of a sheet."""
    frames: int = 60
    """Frames of a film."""
    fps: int = 20
    """Frames a second."""
    overwrite: bool = False
    """Replace a file that exists."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code of the command; an error is one sentence on stderr."""
    return command.answer(
        Config,
        functools.partial(traverse, say=print),
        program="jaxgan traverse",
        description=__doc__,
        arguments=arguments,
    )


def traverse(config: Config, *, say: Say) -> pathlib.Path:
    """Writes the sheet or the film and returns its path.

    Args:
        config: What to go along, from where, and how far.
        say: Receives sentences about what was written.

    Raises:
        RunError: If there is no such direction, entry or code, the model draws no images from
            noise, or the file exists. Nothing is written then.
    """
    import numpy as np

    from jaxgan.runs import run_directory
    from jaxgan.tools import latent_space, sample

    require_use(config)
    out = config.out or config.run / "traversal.png"
    form = None if out.suffix.lower() == ".png" else command.film_form(out)
    if config.out is None:
        run_directory.require_no_link(out)
    command.require_free([out], overwrite=config.overwrite)
    seeds = sample.parsed(config.seeds)
    sample.require_few(len(seeds), "seeds", MOST_SEEDS)
    model = config.load()
    given = latent_space.conditions_of(model, config.run, config.label)
    count = config.columns if form is None else config.frames
    steps = (
        np.linspace(-1, 1, count) if form is None else np.cos(np.arange(count) * 2 * np.pi / count)
    )
    if config.code is not None:
        images, what = _of_code(model, config, seeds, steps, film=form is not None)
    else:
        space = latent_space.space_of_run(model, config.run, **given)
        starts = latent_space.of_seeds(model, seeds, **given)
        found, index = _direction(config, space.draw(0, 1000))
        reach = 3.0 if config.reach is None else config.reach
        images = space.show(found.along(starts, index, reach * steps))
        what = found.names[index]
    rows = images.reshape(len(seeds), -1, *images.shape[1:])
    command.write_image(out, _encoded(rows, seeds, form, config.fps, model.show))
    say(f"{what}, of {len(seeds)} seeds, is in {files.printable(out)}")
    config.suggest(say, "move along several, by sliders:", "explore")
    return out


def require_use(config: Config) -> None:
    """Checks that one thing to go along is named, and that numbers are in their ranges.

    Raises:
        RunError: If not.
    """
    from jaxgan.tools import directions

    named = [x for x in (config.direction, config.entry, config.code) if x is not None]
    if len(named) != 1:
        many = "none" if not named else f"{len(named)}"
        raise RunError(f"{many} of --direction, --entry and --code was given; give one of them")
    if config.directions is not None and config.direction is None:
        raise RunError("--directions does nothing without --direction: leave it out")
    command.require_ranges(config, _RANGES)
    if config.reach is not None:
        directions.require_reach(config.reach)


# --- what is gone along ---------------------------------------------------------------------------


def _direction(config: Config, latents: np.ndarray) -> tuple[Directions, int]:
    """Returns directions and the number of the one to go along.

    Raises:
        RunError: If there is none of this name, or no such entry.
    """
    from jaxgan.tools import latent_concepts, latent_directions

    size = latents.shape[1]
    if config.entry is not None:
        if not 0 <= config.entry < size:
            raise RunError(
                f"there is no entry {config.entry} of a latent; there are 0 to {size - 1}"
            )
        return latent_directions.of_entries(latents), config.entry
    assert config.direction is not None  # `require_use` has seen to it
    paths = [config.directions] if config.directions else in_run(config.run)
    if not paths:
        raise RunError(
            f"{files.printable(config.run)} has no directions yet; find some with "
            f"{config.again('directions')}"
        )
    every = [latent_directions.read(path, size=size) for path in paths]
    places = {name: (found, i) for found in every for i, name in enumerate(found.names)}
    return places[latent_concepts.named(config.direction, places)]


def in_run(run: pathlib.Path) -> list[pathlib.Path]:
    """Returns the files of directions in a run directory."""
    from jaxgan.tools import directions, latent_directions

    paths = [run / directions.FOLDER / f"{method}.npz" for method in latent_directions.METHODS]
    return [path for path in paths if files.exists(path)]


def codes_of(model: TrainedModel) -> dict[str, int | None]:
    """Returns the model's codes: the number of classes of a categorical one, None of others."""
    classes, others = dict(model.gan.categories), (*NOT_CODES, *model.spec.typical)
    return {name: classes.get(name) for name in model.gan.conditions if name not in others}


def _of_code(
    model: TrainedModel, config: Config, seeds: Sequence[int], steps: np.ndarray, *, film: bool
) -> tuple[np.ndarray, str]:
    """Returns images [seeds * values, H, W, C] along a code, and words that name it."""
    import numpy as np

    from jaxgan.tools import latent_concepts

    codes = codes_of(model)
    if not codes:
        raise RunError(f"the model of {config.run} has no codes; give --entry or --direction")
    name = latent_concepts.named(str(config.code), codes)
    classes = codes[name]
    if classes is not None and config.reach is not None:
        raise RunError(f"--reach does nothing for {name}, whose values are {classes} classes")
    reach = 2.0 if config.reach is None else config.reach
    values: Any = (reach * steps).astype(np.float32)
    if classes is not None:  # a film shows each class for a while
        values = np.arange(classes).repeat(max(1, len(steps) // classes) if film else 1)
    every: dict[str, Any] = {name: np.tile(values, len(seeds))}
    drawn = model.sample_seeds(np.repeat(seeds, len(values)), **every)
    return np.asarray(drawn), f"the code {name}"


def _encoded(
    rows: np.ndarray, seeds: Sequence[int], form: str | None, fps: int, show: Sequence[int]
) -> bytes:
    """Returns the images [seeds, steps, H, W, C] as a sheet, or as a film of all seeds."""
    import numpy as np

    from jaxgan.plotting import films, image_grids

    if form is None:
        named = {f"seed {seed}": row for seed, row in zip(seeds, rows, strict=True)}
        return image_grids.png(image_grids.named_rows(named, show=show))
    columns = -int(-(len(seeds) ** 0.5) // 1)
    frames = (image_grids.grid(each, columns=columns, show=show) for each in rows.swapaxes(0, 1))
    pixels = np.stack([np.asarray(frame) for frame in frames])
    return films.encoded(pixels if pixels.ndim == 4 else pixels[..., None], form, fps)


if __name__ == "__main__":
    sys.exit(main())
