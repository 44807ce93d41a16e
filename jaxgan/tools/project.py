"""Finds the latents whose images are nearest to photographs (inversion).

    jaxgan project RUN
    jaxgan project RUN cat.jpg dog.jpg --out projected/

Without photographs of yours, some of those that the run held out are projected.

Adam changes the latent until the generated image is near to the photograph, by pixels on several
scales and by the feature maps of the network that metrics use. It starts from the encoder's latent,
if the model has an encoder, from the nearest of many samples, and from random ones; the best result
is kept. A latent stays where the prior draws.

    pairs.png   photograph, projection, nearest sample; in a row per photograph
    cat.npz     latent [Z], image (the projection), distance, and label if the model takes classes

The distances are printed next to those of held-out photographs, and of generated images, which a
good inversion reproduces nearly exactly. `jaxgan.tools.latent_space.space_of(model).show(latents)`
draws the images of latents.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from jaxgan import files
from jaxgan.runs import progress
from jaxgan.runs.errors import RunError
from jaxgan.tools import command

if TYPE_CHECKING:
    import numpy as np

    from jaxgan.metrics.streaming import Show
    from jaxgan.runs.trained_model import TrainedModel
    from jaxgan.tools.inversion import Inverted, Prior

Say = Callable[[str], None]

USUAL = 4
"""Number of held-out photographs that are projected if the user names none."""

MOST = 64
"""The largest number of photographs of a call."""

_RANGES = {
    "steps": (1, 100_000),
    "restarts": (1, 100),
    "samples": (1, 100_000),
    "compared": (0, 100),
    "seed": (0, 2**32 - 2),  # generated images have the seed after it
}


@dataclasses.dataclass(frozen=True)
class Config(command.OfRun):
    """The photographs to project, and how."""

    photos: Annotated[tuple[pathlib.Path, ...], tyro.conf.Positional] = ()
    """The photographs. Default: four that the run held out."""
    out: pathlib.Path | None = None
    """Output folder. Default: projected/ in the run directory."""
    steps: int = 300
    """Steps of each descent."""
    restarts: int = 4
    """Descents for each photograph."""
    samples: int = 2000
    """Number of samples, the nearest of which are starts."""
    label: Annotated[str | None, command.CLASS] = None
    """The class to project to, by name or number. Default: the best of all."""
    compared: int = 4
    """Number of held-out and of generated images that are projected for comparison; 0: none."""
    seed: int = 0
    """Seed of the samples and of the random starts."""
    data: str | None = None
    """New location of the run's data, in the syntax of the training flag --data (default: as
    recorded).
    """
    overwrite: bool = False
    """Replace files that exist."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code of the command; an error is one sentence on stderr."""
    return command.answer(
        Config,
        functools.partial(project, say=print, show=progress.counted),
        program="jaxgan project",
        description=__doc__,
        arguments=arguments,
    )


def project(config: Config, *, say: Say, show: Show | None = None) -> list[pathlib.Path]:
    """Projects the photographs and returns the paths of the files written.

    Args:
        config: The photographs to project, and how.
        say: Receives sentences about what was found.
        show: Reports progress (`progress.counted`). Default: no report.

    Raises:
        RunError: If the model draws no images from noise, a photograph cannot be read, or a file
            exists. Nothing is written then.
    """
    import numpy as np

    from jaxgan.metrics import perceptual, streaming
    from jaxgan.runs import run_directory
    from jaxgan.tools import inversion

    command.require_ranges(config, _RANGES)
    show = show or streaming.unseen
    out = config.out or config.run / "projected"
    if config.out is None:
        run_directory.require_no_link(out)
    own = [path.stem for path in config.photos]
    names = inversion.unique(own or [f"held-out-{number}" for number in range(USUAL)])
    targets = [out / "pairs.png", *(out / f"{name}.npz" for name in names)]
    command.require_free(targets, overwrite=config.overwrite)
    model = config.load()
    label = label_of(model, config)
    photos = photographs(config, model, say) if own else _usual_photographs(config, model, label)
    others = compared(config, model, label)
    images = np.concatenate([photos, *others.values()])
    measure = perceptual.of_channels(images.shape[3])
    prior = inversion.drawn(
        model, images, measure, count=config.samples, seed=config.seed, label=label, show=show
    )
    found = inversion.invert(
        model,
        images,
        measure,
        prior,
        restarts=config.restarts,
        steps=config.steps,
        seed=config.seed,
        show=show,
    )
    count = len(photos)
    names, targets = names[:count], targets[: 1 + count]
    _write_arrays(targets[1:], found)
    _write_pairs(targets[0], names, photos, found, _nearest(model, prior, count), model.show)
    classes = model.spec.classes
    kinds = {name: len(images) for name, images in others.items()}
    for line in text(names, found, prior, kinds, classes=classes, measured=measure.name):
        say(line)
    say(f"{targets[0].name} and the latents are in {files.printable(out)}")
    config.suggest(say, "what do its latents mean?", "latents")
    config.suggest_export(say)
    return targets


# --- what is projected ----------------------------------------------------------------------------


def label_of(model: TrainedModel, config: Config) -> int | None:
    """Returns the number of the class to project to; None for all.

    Args:
        model: The trained model.
        config: The photographs to project, and how.

    Raises:
        RunError: If the model draws no images from noise alone, or takes no class.
    """
    from jaxgan.data import class_names
    from jaxgan.tools import latent_space, sample

    sample.require_images(model, config.run)
    try:
        latent_space.space_of(model)
    except ValueError as error:
        raise RunError(f"{config.run}: {error}") from error
    if config.label is None:
        return None
    if "label" not in model.gan.conditions:
        raise RunError(f"the model of {config.run} takes no class: leave --label out")
    return int(class_names.numbers(config.label, model.spec.classes))


def photographs(config: Config, model: TrainedModel, say: Say) -> np.ndarray:
    """Returns the photographs in the shape of the model's images, [N, H, W, C] in [-1, 1].

    Args:
        config: The photographs to project.
        model: The trained model.
        say: Receives sentences about what was converted.

    Raises:
        RunError: If there are too many, or one cannot be read.
    """
    import numpy as np

    from jaxgan.data import resizing
    from jaxgan.data.readers import common_form, image_file

    if len(config.photos) > MOST:
        raise RunError(f"{len(config.photos)} photographs were given; expected {MOST} or fewer")
    height, width, channels = model.spec.shape

    def each(read: Callable[[pathlib.Path], Any]) -> list[Any]:
        return [_read(path, read) for path in config.photos]

    headers, values = each(image_file.inspect), model.spec.range_of("image")
    for path, header in zip(config.photos, headers, strict=True):
        unsuited = common_form.unsuited(header, channels, values)
        if unsuited:
            raise RunError(f"{files.printable(path)} {unsuited}")
    target = resizing.Target((height, width), "crop", channels)
    target = common_form.leveled(target, headers)._replace(dtype=values.dtype)
    pixels = each(functools.partial(image_file.decode, target=target))
    for note in common_form.conversions(headers, target):
        say(note)
    return values.to_float(np.stack(pixels))


def _read(path: pathlib.Path, read: Callable[[pathlib.Path], Any]) -> Any:
    """Returns what `read` returns for an image file; raises RunError if it cannot be read."""
    from jaxgan.data.readers import image_file

    if files.is_folder(path):
        raise RunError(f"{files.printable(path)} is a folder; name the images in it")
    try:
        return read(path)
    except Exception as error:  # PIL's decoders raise exceptions of any type
        said = f"{files.printable(path)} cannot be read: {image_file.damage(error)}"
        raise RunError(said) from error


HELD_OUT, GENERATED = "held-out photographs", "generated images"

LOST = 0.25
"""Generated images count as not found again if this fraction of the nearest sample's distance is
left.
"""


def held_out(
    config: Config, model: TrainedModel, label: int | None, count: int
) -> np.ndarray | None:
    """Returns the first held-out photographs of the run, or of the class, if one is asked for.

    Args:
        config: Where the data are.
        model: The trained model.
        label: The class to project to, or None.
        count: The largest number of photographs.

    Returns:
        Photographs [N, H, W, C] in [-1, 1], or None if the run held none out.

    Raises:
        RunError: If the data cannot be loaded, or are no longer those of the run.
    """
    import numpy as np

    from jaxgan import data

    splits = command.data_of(config.run, model, config.data)
    found = splits.held_out
    if found.digest == splits.train.digest or not isinstance(found, data.Dataset):
        return None
    rows = np.arange(len(found))
    if label is not None and found.labels is not None:
        rows = np.flatnonzero(found.labels == label)
    return found.subset(rows).take(min(count, len(rows))).float_images() if len(rows) else None


def _usual_photographs(config: Config, model: TrainedModel, label: int | None) -> np.ndarray:
    """Returns the photographs that are projected if the user names none."""
    found = held_out(config, model, label, USUAL)
    if found is None:
        raise RunError(
            f"{files.printable(config.run)} held no such photograph out; name one of yours: "
            f"{config.again('project', 'PHOTO')}"
        )
    return found


def compared(config: Config, model: TrainedModel, label: int | None) -> dict[str, np.ndarray]:
    """Returns the images that are projected for comparison, [N, H, W, C] in [-1, 1], by kind.

    Held-out photographs are among them if the user named photographs, and the run held some out.

    Args:
        config: How many, and where the data are.
        model: The trained model.
        label: The class to project to, or None.

    Raises:
        RunError: If the data cannot be loaded, or are no longer those of the run.
    """
    import numpy as np

    if not config.compared:
        return {}
    given: dict[str, Any] = {} if label is None else {"label": label}
    images = {GENERATED: np.asarray(model.sample(config.seed + 1, config.compared, **given))}
    unseen = held_out(config, model, label, config.compared) if config.photos else None
    return images if unseen is None else {**images, HELD_OUT: unseen}


# --- what was found -------------------------------------------------------------------------------


def text(
    names: Sequence[str],
    found: Inverted,
    prior: Prior,
    kinds: dict[str, int],
    *,
    classes: Sequence[str] = (),
    measured: str,
) -> list[str]:
    """Returns the distances in sentences: each photograph's, then those compared.

    Args:
        names: Names of the photographs.
        found: The projections of the photographs, then of the images compared.
        prior: The samples, with their distances to all of these.
        kinds: Numbers of the images compared, by kind, in their order.
        classes: Names of the classes.
        measured: What distances are measured by, in words.
    """
    import numpy as np

    near, count = prior.distances.min(axis=1), len(prior.latents)
    lines = [f"distances by {measured}; in brackets those of the nearest of {count} samples"]
    width = max(map(len, [*names, *kinds])) + 2
    for row, name in enumerate(names):
        label = "" if found.labels is None else f"  {classes[found.labels[row]]}"
        lines.append(f"  {name:{width}s}{found.distances[row]:.4f}  ({near[row]:.4f}){label}")
    start, lost = len(names), ""
    for kind, number in kinds.items():
        here = slice(start, start + number)
        mean, nearest = np.mean(found.distances[here]), np.mean(near[here])
        lines.append(f"  {kind:{width}s}{mean:.4f}  ({nearest:.4f})  mean of {number}")
        start += number
        if kind == GENERATED and mean > LOST * nearest:
            lost = (
                "warning: generated images have an exact latent, and it was not found; give more "
                "--steps or --restarts"
            )
    return [*lines, lost] if lost else lines


def _nearest(model: TrainedModel, prior: Prior, count: int) -> np.ndarray:
    """Returns the nearest sample of each photograph, [N, H, W, C]."""
    from jaxgan.tools import latent_space

    rows = prior.distances[:count].argmin(axis=1)
    given = {} if prior.labels is None else {"label": prior.labels[rows]}
    return latent_space.space_of(model, **given).show(prior.latents[rows])


def _write_arrays(paths: Sequence[pathlib.Path], found: Inverted) -> None:

    for row, path in enumerate(paths):
        arrays = {
            "latent": found.latents[row],
            "image": found.images[row],
            "distance": found.distances[row],
        }
        if found.labels is not None:
            arrays["label"] = found.labels[row]
        command.write_arrays(path, arrays)


def _write_pairs(
    path: pathlib.Path,
    names: Sequence[str],
    photos: np.ndarray,
    found: Inverted,
    nearest: np.ndarray,
    show: Sequence[int],
) -> None:
    import numpy as np

    from jaxgan.plotting import image_grids

    rows = {}
    for row, name in enumerate(names):
        images = np.stack([photos[row], found.images[row], nearest[row]])
        title = f"{files.shortened(name, 20)}: {found.distances[row]:.3f}"
        rows[title] = image_grids.grid(images, columns=3, show=show)
    command.write_image(path, image_grids.png(image_grids.panels(rows)))


if __name__ == "__main__":
    sys.exit(main())
