"""Pictures of a run's latents: ways between them, sums of them, and what lies around them.

    jaxgan latents RUN
    jaxgan latents RUN --pictures arithmetic --arithmetic boot - sneaker + sandal

    interpolation.png  the way from one latent to another, straight and on the sphere
    arithmetic.png     a sum of concepts, each the mean latent of a few samples that show it
    walk.png           one latent of which, in each row, one entry changes
    noise.png          latents, each with a little uniform noise

Concepts are classes of garments, in samples that the embedded classifier is sure of. For all other
images name them yourself, in a file: `numpy.savez("concepts.npz", smile=[3, 17, 52], ...)` says
which samples, of `jaxgan.load(RUN).sample(SEED, n)`, show a concept.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from jaxgan.runs.errors import RunError
from jaxgan.tools import command

if TYPE_CHECKING:
    import numpy as np

    from jaxgan.runs.trained_model import TrainedModel
    from jaxgan.tools.latent_space import Space

Say = Callable[[str], None]
Rows = dict[str, "np.ndarray"]
"""Latents [columns, Z] by the name of the row of a picture that shows them."""

LEAST = 3
"""How many samples of a concept are needed at least: the mean of fewer is what they happen to be
(Radford et al. 2016, section 6.3.2).
"""

MOST = 500
"""Rows of a picture, and images in a row."""

EXPRESSION = ("boot", "-", "sneaker", "+", "sandal")


@dataclasses.dataclass(frozen=True)
class Config(command.OfRun):
    """Which run to explore, and how."""

    out: pathlib.Path | None = None
    """The folder to write to; default: latents/ in the run directory."""
    pictures: tuple[Literal["interpolation", "arithmetic", "walk", "noise"], ...] = ()
    """Which pictures; default: all that can be had of this run."""
    arithmetic: tuple[str, ...] = ()
    """Concepts to add and subtract; default: boot - sneaker + sandal."""
    concepts: pathlib.Path | None = None
    """An .npz file with, by the name of each concept, the numbers of samples that show it."""
    confidence: float = 0.9
    """How sure the classifier must be of a sample that is to show a class."""
    exemplars: int = LEAST
    """How many samples the classifier picks for a concept: those that it is surest of."""
    samples: int = 2000
    """How many samples it picks from."""
    dimensions: tuple[int, ...] = ()
    """Entries of the latent to walk along; default: those that change the images most."""
    noise: float = 0.25
    """The most that is added to an entry."""
    label: str | None = None
    """The class to draw, of a model that is conditioned on it; default: the first."""
    rows: int = 8
    """Rows of a picture."""
    columns: int = 9
    """Images in a row."""
    seed: int = 0
    """Of the samples and of the noise."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of a call with these arguments; what went wrong is one sentence on stderr."""
    return command.answer(
        Config,
        functools.partial(explore, say=print),
        program="jaxgan latents",
        description=__doc__,
        arguments=arguments,
    )


def explore(config: Config, *, say: Say) -> list[pathlib.Path]:
    """The pictures written; `say` is told what they show.

    Raises RunError where the run has no such latents, or a picture that is asked for cannot be had;
    then nothing is written.
    """
    from jaxgan.runs import run_directory
    from jaxgan.tools import latent_concepts

    check_numbers(config)
    folder = config.out or config.run / "latents"
    if config.out is None:
        run_directory.require_no_link(folder)
    model = config.load()
    space = explored(model, config)
    drawn: dict[str, dict[str, np.ndarray]] = {}
    for name in config.pictures or _ROWS:
        try:
            rows = _ROWS[name](space, model, config)
            drawn[name] = {label: space.show(latents) for label, latents in rows.items()}
        except RunError as error:
            if name != "arithmetic" or asked(config):
                raise
            say(f"left out {name}.png: {error}")
    if "arithmetic" in drawn and latent_concepts.are_garments(model):
        say(latent_concepts.verdict(list(drawn["arithmetic"].values())[-1]))
    written = [_write(folder / f"{name}.png", rows) for name, rows in drawn.items()]
    say(f"{', '.join(path.name for path in written)}: in {folder}")
    return written


def asked(config: Config) -> bool:
    """Whether arithmetic is wanted, and not only where it can be had."""
    return "arithmetic" in config.pictures or bool(config.arithmetic or config.concepts)


def check_numbers(config: Config) -> None:
    """Raises RunError on numbers that make no picture, or one that does not end."""
    from jaxgan.tools import latent_concepts

    ranges = {
        "rows": (1, MOST),
        "columns": (2, MOST),
        "exemplars": (LEAST, latent_concepts.MOST),
        "samples": (1, latent_concepts.MOST),
        "seed": (0, command.SEEDS[1] - config.rows),  # each row's noise has a seed of its own
    }
    command.require_ranges(config, ranges)
    if not 0 <= config.noise < float("inf"):
        raise RunError(f"--noise is {config.noise}; expected 0 or more, and no infinity")
    if len(config.dimensions) > MOST:
        raise RunError(f"--dimensions are {len(config.dimensions)}; expected {MOST} or fewer")


def explored(model: TrainedModel, config: Config) -> Space:
    """The latents of the model, whose images are of the class that is asked for.

    Raises RunError where it does not draw images from noise.
    """
    from jaxgan.tools import latent_concepts, latent_space

    if len(model.spec.shape) != 3:
        raise RunError(f"{config.run} draws points, where pictures need a model that draws images")
    conditions: dict[str, Any] = {}
    if "label" in model.gan.conditions:
        classes = model.spec.classes
        name = latent_concepts.named(config.label, classes) if config.label else classes[0]
        conditions["label"] = classes.index(name)
    elif config.label is not None:
        raise RunError(f"the model of {config.run} is not told its class: leave --label out")
    try:
        return latent_space.space_of(model, **conditions)
    except ValueError as error:
        raise RunError(f"{config.run}: {error}") from error


# --- the rows of each picture ---------------------------------------------------------------------


def interpolation(space: Space, model: TrainedModel, config: Config) -> Rows:
    """Pairs of latents, and both ways between the two of each."""
    import numpy as np

    from jaxgan.games import latent_interpolation as between

    pairs = -(-config.rows // 2)
    ends, shares = space.draw(config.seed, 2 * pairs), np.linspace(0, 1, config.columns)
    shares = shares.astype(np.float32)
    ways = {"straight": between.lerp, "on the sphere": between.slerp}
    return {
        f"pair {pair + 1}, {name}": np.asarray(way(ends[2 * pair], ends[2 * pair + 1], shares))
        for pair in range(pairs)
        for name, way in ways.items()
    }


def walk(space: Space, model: TrainedModel, config: Config) -> Rows:
    """One latent of which an entry takes values from the lowest to the highest percent."""
    import numpy as np

    from jaxgan.tools import latent_space

    latents = space.draw(config.seed, max(config.samples, config.rows))
    low, high = np.quantile(latents, [0.01, 0.99], axis=0).astype(np.float32)
    size = latents.shape[1]
    unknown = [entry for entry in config.dimensions if not 0 <= entry < size]
    if unknown:
        raise RunError(f"there is no entry {unknown[0]} of a latent; there are 0 to {size - 1}")
    entries = config.dimensions or latent_space.liveliest(
        space, latents[:4], low, high, count=config.rows
    )
    return {
        f"entry {entry}, from {low[entry]:.1f} to {high[entry]:.1f}": latent_space.walked(
            latents[0], entry, np.linspace(low[entry], high[entry], config.columns)
        )
        for entry in entries
    }


def noise(space: Space, model: TrainedModel, config: Config) -> Rows:
    """Latents, each before others that differ from it by noise."""
    from jaxgan.tools import latent_space

    return {
        f"sample {index}, then with noise of at most {config.noise:g}": latent_space.around(
            latent, config.columns, most=config.noise, seed=config.seed + index
        )
        for index, latent in enumerate(space.draw(config.seed, config.rows))
    }


def arithmetic(space: Space, model: TrainedModel, config: Config) -> Rows:
    """The samples of each concept and their mean, and then the sum, with noise around it.

    Raises RunError where a concept has too few samples, or where there is none of that name.
    """
    import numpy as np

    from jaxgan.tools import latent_concepts, latent_space

    if config.concepts is not None and not config.arithmetic:
        raise RunError("the concepts of a file need --arithmetic: say what to add and subtract")
    terms = latent_concepts.parse(config.arithmetic or EXPRESSION)
    known = _concepts(space, model, config)
    rows, sets = {}, []
    for sign, word in terms:
        name = latent_concepts.named(word, known)
        chosen = known[name]
        if len(chosen) < LEAST:
            raise RunError(
                f"only {len(chosen)} samples show {name!r}, where the mean of {LEAST} or more is "
                "needed: give more --samples, a lower --confidence, or your own --concepts"
            )
        sets.append((sign, chosen))
        mean = latent_space.combined([(1, chosen)])
        label = f"{'-+'[sign > 0]} {name}: {len(chosen)} samples, and at the end their mean"
        rows[label] = np.concatenate([chosen[: config.columns - 1], mean[None]])
    total = f"{latent_concepts.written_out(terms)}, then with noise of at most {config.noise:g}"
    rows[total] = latent_space.around(
        latent_space.combined(sets), config.columns, most=config.noise, seed=config.seed
    )
    return rows


def _concepts(space: Space, model: TrainedModel, config: Config) -> Mapping[str, np.ndarray]:
    """The latents [K, Z] that show each concept, by its name: the user's own, or the classifier's.

    Raises RunError where neither can be had.
    """
    from jaxgan.tools import latent_concepts

    if config.concepts is not None:
        return latent_concepts.of_file(
            config.concepts, lambda count: space.draw(config.seed, count)
        )
    otherwise = "say which samples show a concept with --concepts FILE.npz"
    if not latent_concepts.are_garments(model):
        raise RunError(
            f"only for garments is there a classifier that picks concepts, and {config.run} draws "
            f"something else: {otherwise}"
        )
    if "label" in model.gan.conditions:
        raise RunError(
            f"the model of {config.run} is told its class, which its latents therefore do not "
            f"hold: {otherwise}"
        )
    latents = space.draw(config.seed, config.samples)
    shown = latent_concepts.of_garments(space.show(latents), config.confidence)
    return {name: latents[chosen[: config.exemplars]] for name, chosen in shown.items()}


_ROWS: Mapping[str, Callable[[Space, TrainedModel, Config], Rows]] = {
    "interpolation": interpolation,
    "walk": walk,
    "noise": noise,
    "arithmetic": arithmetic,
}


def _write(path: pathlib.Path, images: Mapping[str, np.ndarray]) -> pathlib.Path:
    from jaxgan import files
    from jaxgan.plotting import image_grids

    path.parent.mkdir(parents=True, exist_ok=True)
    columns = max(map(len, images.values()))
    rows = {name: image_grids.grid(row, columns=columns) for name, row in images.items()}
    files.write_whole(path, image_grids.png(image_grids.panels(rows)))
    return path


if __name__ == "__main__":
    sys.exit(main())
