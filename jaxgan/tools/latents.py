"""Pictures of a run's latent space: interpolations, arithmetic, single entries, and noise.

    jaxgan latents RUN
    jaxgan latents RUN --pictures arithmetic --arithmetic boot - sneaker + sandal
    jaxgan latents RUN --pictures arithmetic --arithmetic 3,7,42 - 5,6,9 + 12,30,31

    interpolation.png  paths from one latent to another, linear and spherical
    arithmetic.png     a sum of concepts, each the mean latent of a few samples that show it
    walk.png           a latent with one entry changed, another one in each row
    noise.png          latents, each with a little uniform noise

For garments, concepts are classes, and the embedded classifier picks the samples that it classifies
most confidently. For other images name the concepts in a file: `numpy.savez("concepts.npz",
smile=[3, 17, 52], ...)` lists the samples of `jaxgan.load(RUN).sample(SEED, n)` that show each
concept. Or name seeds of `jaxgan sample RUN`: 3,7,42 is the mean of their latents, and three or
more are better than one.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

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
"""The smallest number of samples of a concept.

The mean of fewer depends too much on the individual samples (Radford et al. 2016, section 6.3.2).
"""

MOST = 500
"""The largest number of rows of a picture and of images in a row."""

EXPRESSION = ("boot", "-", "sneaker", "+", "sandal")


@dataclasses.dataclass(frozen=True)
class Config(command.OfRun):
    """The run to explore, and its pictures."""

    out: pathlib.Path | None = None
    """Output folder. Default: latents/ in the run directory."""
    pictures: tuple[Literal["interpolation", "arithmetic", "walk", "noise"], ...] = ()
    """The pictures to make. Default: all that the run allows."""
    arithmetic: tuple[str, ...] = ()
    """Concepts, or seeds like 3,7,42, to add and subtract. Default: boot - sneaker + sandal."""
    concepts: pathlib.Path | None = None
    """An .npz file with the indices of the samples that show each concept, by its name."""
    confidence: float = 0.9
    """The smallest class probability of a sample that shows a class."""
    exemplars: int = LEAST
    """Number of samples that the classifier picks for a concept, the most confident ones."""
    samples: int = 2000
    """Number of samples that it picks from."""
    dimensions: tuple[int, ...] = ()
    """Entries of the latent to vary. Default: those that change the images most."""
    noise: float = 0.25
    """The largest noise added to an entry."""
    label: Annotated[str | None, command.CLASS] = None
    """The class to generate, for a conditional model. Default: the first."""
    rows: int = 8
    """Rows of a picture."""
    columns: int = 9
    """Images in a row."""
    seed: int = 0
    """Seed of the samples and of the noise."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code of the command; an error is one sentence on stderr."""
    return command.answer(
        Config,
        functools.partial(explore, say=print),
        program="jaxgan latents",
        description=__doc__,
        arguments=arguments,
    )


def explore(config: Config, *, say: Say) -> list[pathlib.Path]:
    """Writes the pictures and returns their paths.

    Args:
        config: The run to explore, and its pictures.
        say: Receives sentences about what was written.

    Raises:
        RunError: If the run has no such latents, or a requested picture cannot be made. Nothing is
            written then.
    """
    from jaxgan.plotting import image_grids
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
    written = [folder / f"{name}.png" for name in drawn]
    for path, rows in zip(written, drawn.values(), strict=True):
        command.write_image(path, image_grids.png(image_grids.named_rows(rows, show=model.show)))
    say(f"{', '.join(path.name for path in written)}: in {folder}")
    config.suggest(say, "which directions change something?", "directions")
    return written


def asked(config: Config) -> bool:
    """Returns whether arithmetic was requested explicitly."""
    return "arithmetic" in config.pictures or bool(config.arithmetic or config.concepts)


def check_numbers(config: Config) -> None:
    """Checks the numbers of the configuration.

    Raises:
        RunError: If a number is out of range.
    """
    from jaxgan.tools import latent_concepts

    ranges = {
        "rows": (1, MOST),
        "columns": (2, MOST),
        "exemplars": (LEAST, latent_concepts.MOST),
        "samples": (1, latent_concepts.MOST),
        "seed": (0, command.SEEDS[1] - config.rows),  # each row's noise has its own seed
    }
    command.require_ranges(config, ranges)
    if not 0 <= config.noise < float("inf"):
        raise RunError(f"--noise is {config.noise}; expected a finite number of 0 or more")
    if len(config.dimensions) > MOST:
        raise RunError(f"--dimensions are {len(config.dimensions)}; expected {MOST} or fewer")


def explored(model: TrainedModel, config: Config) -> Space:
    """Returns the latent space of the model, under the class of the configuration.

    Args:
        model: The trained model.
        config: The run to explore, and its pictures.

    Raises:
        RunError: If the model does not generate images from noise, or takes no label.
    """
    from jaxgan.tools import latent_concepts, latent_space, sample

    sample.require_images(model, config.run)
    conditions: dict[str, Any] = {}
    if "label" in model.gan.conditions:
        classes = model.spec.classes
        name = latent_concepts.named(config.label, classes) if config.label else classes[0]
        conditions["label"] = classes.index(name)
    elif config.label is not None:
        raise RunError(f"the model of {config.run} takes no class: leave --label out")
    return latent_space.space_of_run(model, config.run, **conditions)


# --- the rows of each picture ---------------------------------------------------------------------


def interpolation(space: Space, model: TrainedModel, config: Config) -> Rows:
    """Returns pairs of latents with the linear and the spherical path between them.

    Args:
        space: The latent space.
        model: The trained model.
        config: The run to explore, and its pictures.
    """
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
    """Returns one latent with an entry that goes from its 1st to its 99th percentile.

    Args:
        space: The latent space.
        model: The trained model.
        config: The run to explore, and its pictures.

    Raises:
        RunError: If a requested entry does not exist.
    """
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
    """Returns latents, each followed by copies with noise.

    Args:
        space: The latent space.
        model: The trained model.
        config: The run to explore, and its pictures.
    """
    from jaxgan.tools import latent_space

    return {
        f"sample {index}, then with noise of at most {config.noise:g}": latent_space.around(
            latent, config.columns, most=config.noise, seed=config.seed + index
        )
        for index, latent in enumerate(space.draw(config.seed, config.rows))
    }


def arithmetic(space: Space, model: TrainedModel, config: Config) -> Rows:
    """Returns the samples of each concept and their mean, then the sum with noise around it.

    Args:
        space: The latent space.
        model: The trained model.
        config: The run to explore, and its pictures.

    Raises:
        RunError: If a concept has too few samples, or a name is unknown.
    """
    import numpy as np

    from jaxgan.tools import latent_concepts, latent_space

    if config.concepts is not None and not config.arithmetic:
        raise RunError("--concepts needs --arithmetic: say what to add and subtract")
    terms = latent_concepts.parse(config.arithmetic or EXPRESSION)
    sets_of = _sets(space, model, config, [word for _, word in terms])
    rows, sets = {}, []
    for sign, word in terms:
        name, chosen = sets_of(word)
        sets.append((sign, chosen))
        mean = latent_space.combined([(1, chosen)])
        label = f"{'-+'[sign > 0]} {name}: {len(chosen)} samples, and at the end their mean"
        rows[label] = np.concatenate([chosen[: config.columns - 1], mean[None]])
    total = f"{latent_concepts.written_out(terms)}, then with noise of at most {config.noise:g}"
    rows[total] = latent_space.around(
        latent_space.combined(sets), config.columns, most=config.noise, seed=config.seed
    )
    return rows


def _sets(
    space: Space, model: TrainedModel, config: Config, words: Sequence[str]
) -> Callable[[str], tuple[str, np.ndarray]]:
    """Returns a function of a word to the name and the latents [K, Z] of what it stands for.

    Concepts are picked only if a word names one.
    """
    import numpy as np

    from jaxgan.tools import latent_concepts, latent_space, sample

    seeds = {word: sample.parsed(word) for word in words if sample.are_seeds(word)}
    named = len(seeds) < len(set(words)) or config.concepts is not None
    known = _concepts(space, model, config) if named else {}
    every = list(dict.fromkeys(seed for each in seeds.values() for seed in each))
    drawn = dict(zip(every, latent_space.of_seeds(model, every), strict=True)) if every else {}

    def of(word: str) -> tuple[str, np.ndarray]:
        if word not in known and word in seeds:
            return f"seeds {word}", np.stack([drawn[seed] for seed in seeds[word]])
        name = latent_concepts.named(word, known)
        if len(known[name]) < LEAST:
            raise RunError(
                f"only {len(known[name])} samples show {name!r}; the mean of {LEAST} or more is "
                "needed: give more --samples, a lower --confidence, or your own --concepts"
            )
        return name, known[name]

    return of


def _concepts(space: Space, model: TrainedModel, config: Config) -> Mapping[str, np.ndarray]:
    """Returns the latents [K, Z] of each concept, from the user's file or the classifier."""
    from jaxgan.tools import latent_concepts

    if config.concepts is not None:
        return latent_concepts.of_file(
            config.concepts, lambda count: space.draw(config.seed, count)
        )
    latent_concepts.require_told(model, config.run)
    latents = space.draw(config.seed, config.samples)
    shown = latent_concepts.of_garments(space.show(latents), config.confidence)
    return {name: latents[chosen[: config.exemplars]] for name, chosen in shown.items()}


_ROWS: Mapping[str, Callable[[Space, TrainedModel, Config], Rows]] = {
    "interpolation": interpolation,
    "walk": walk,
    "noise": noise,
    "arithmetic": arithmetic,
}


if __name__ == "__main__":
    sys.exit(main())
