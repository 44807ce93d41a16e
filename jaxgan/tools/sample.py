"""Draws images with a trained model and writes them to files.

    jaxgan sample RUN
    jaxgan sample RUN --seeds 1-64 --truncation 0.7 --out grid.png
    jaxgan sample RUN --label boot --n 1000 --out boots.npz
    jaxgan sample RUN --condition mass=1.5 --out heavy.npz

Each image has a seed: the same seed (of one class) gives the same image, whichever others are drawn
with it, and it is that of `jaxgan.load(RUN).sample(SEED, 1)`. A class-conditional model draws the
classes in turn, seed by seed, unless --label names one, several, or all for every seed. A model
with continuous conditions draws typical ones in turn, unless --condition gives one, in the units of
the data.

    --out DIR         a PNG file per image, named by its seed and class: 000042_ankle-boot.png
    --out FILE.npz    arrays: image (float32 [N, H, W, C] in [-1, 1], or of --data arrays:PATH in
                      the units of the data), seed, and label and conditions if there are
    --out FILE.png    one picture of all; with several classes a row per seed

Pictures have 8 bits, and of many channels they show those of --show in training. With --values,
FILE.npz holds images in the values and the type of the training data, such as uint16 or float32.

Nothing is overwritten without --overwrite.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import pathlib
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from jaxgan import files
from jaxgan.runs import invocation
from jaxgan.runs.errors import RunError
from jaxgan.tools import command

if TYPE_CHECKING:
    import numpy as np

    from jaxgan.data.transforms import Transform
    from jaxgan.runs.trained_model import TrainedModel

Say = Callable[[str], None]

MOST = 100_000
"""The largest number of images of a call."""

MOST_IN_PICTURE = 10_000
"""The largest number of images in one picture."""

PIECE = 1024
"""Number of images held in memory at a time when each gets a file."""

EVERY = "all"
"""The label that stands for every class."""

_FILES = (".npz", ".png")
"""The suffixes of a file that holds all images."""

_SEEDS = re.compile(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", re.ASCII)
_OTHER_FILES = (".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".npy", ".zip", ".pt")


@dataclasses.dataclass(frozen=True)
class Config(command.OfRun):
    """The images to draw, and where to write them."""

    out: pathlib.Path | None = None
    """A folder, FILE.npz or FILE.png. Default: seeds/ in the run directory."""
    n: int | None = None
    """Number of images: those of the seeds 0 to n - 1. Default: 64."""
    seeds: str | None = None
    """The seeds instead, like 1-64 or 3,7,9-12."""
    label: Annotated[tuple[str, ...], command.CLASS] = ()
    """Classes to draw for every seed, by name or number, or `all`. Default: in turn."""
    condition: tuple[str, ...] = ()
    """Continuous conditions of all images, in the units of the data: mass=1.5 for the array
    condition_mass, or several numbers: wind=0.2,3. Default: typical ones in turn.
    """
    truncation: float = 1.0
    """Factor of the latents, from 0 to 1: less is more typical and less diverse."""
    values: bool = False
    """In FILE.npz, images in the values and the type of the training data, not in [-1, 1]."""
    overwrite: bool = False
    """Replace files that exist."""


class Asked(NamedTuple):
    """The images to draw, one entry per image.

    Attributes:
        seeds: Seeds, int64 [N].
        labels: Numbers of the classes, int32 [N], or None if the model takes no class.
        several: Number of classes that every seed is drawn for.
        conditions: By name, continuous conditions [N, ...] in the units of the model.
    """

    seeds: np.ndarray
    labels: np.ndarray | None
    several: int = 1
    conditions: Mapping[str, np.ndarray] = MappingProxyType({})


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code of the command; an error is one sentence on stderr."""
    return command.answer(
        Config,
        functools.partial(sample, say=print),
        program="jaxgan sample",
        description=__doc__,
        arguments=arguments,
    )


def sample(config: Config, *, say: Say) -> list[pathlib.Path]:
    """Draws the images and returns the paths of the files written.

    Args:
        config: The images to draw, and where to write them.
        say: Receives sentences about what was written, and what to do next.

    Raises:
        RunError: If the run draws no such images, or a file exists. Nothing is written then.
        ValueError: If there is no such class, or the model's latents cannot be truncated.
    """
    from jaxgan.data import bands
    from jaxgan.runs import run_directory

    seeds = chosen_seeds(config.n, config.seeds)
    out = config.out or config.run / "seeds"
    if config.out is None:
        run_directory.require_no_link(out)
    _require_known(out)
    if config.values and out.suffix.lower() != ".npz":
        raise RunError("--values does nothing to pictures, which have 8 bits; give --out FILE.npz")
    model = config.load()
    require_noise(model, config.run)
    if config.values and model.spec.transforms:
        raise RunError(
            f"--values does nothing to samples of {config.run}, which are written in the units of "
            "its arrays anyway; leave it out"
        )
    asked = of_classes(model, seeds, config.label)
    asked = asked._replace(conditions=of_conditions(model, asked.seeds, config.condition))
    require_few(len(asked.seeds), "images", MOST)
    names = file_names(asked, model.spec.classes)
    kind = out.suffix.lower()
    targets = [out] if kind in _FILES else [out / name for name in names]
    if kind != ".npz":
        _require_picture(model, config.run)
    if kind == ".png":
        require_few(len(asked.seeds), "images in one picture", MOST_IN_PICTURE)
    command.require_free(targets, overwrite=config.overwrite)
    pieces = drawn(model, asked, truncation=config.truncation)
    if config.values:
        pieces = map(model.in_values, pieces)
    if kind == ".npz":
        _write_arrays(out, list(pieces), asked, model.spec.transforms)
    elif kind == ".png":
        _write_picture(out, list(pieces), asked, model.show)
    if kind in _FILES:
        say(f"{len(names)} images are in {files.printable(out)}")
    else:
        _write_files(targets, pieces, model.show)
        say(
            f"{len(names)} images are in {files.printable(out)}, from {targets[0].name} to "
            f"{targets[-1].name}"
        )
    if config.values:
        say(f"their range is {model.spec.range_of('image')}")
    if kind != ".npz" and (note := bands.note(model.spec.shape[2], model.show)):
        say(note)
    if len(model.spec.shape) == 3 and not model.spec.transforms:
        config.suggest(say, "are they copies of training images?", "nearest")
    return targets


# --- what is asked for ----------------------------------------------------------------------------


def chosen_seeds(n: int | None, seeds: str | None) -> list[int]:
    """Returns the seeds that the flags --n or --seeds name.

    Args:
        n: Number of seeds, from 0 on; None for 64 if no seeds are given.
        seeds: The seeds, like '3,7,9-12'.

    Raises:
        RunError: If both are given, or they are not seeds.
    """
    if seeds is None:
        if n is not None and not 1 <= n <= MOST:
            raise RunError(f"--n is {n}; expected 1 to {MOST}")
        return list(range(64 if n is None else n))
    if n is not None:
        raise RunError("--n and --seeds were given; give either")
    return parsed(seeds)


def are_seeds(word: str) -> bool:
    """Returns whether a word is written like seeds, such as '3,7,9-12'."""
    return all(_SEEDS.fullmatch(part) for part in word.split(","))


def parsed(seeds: str) -> list[int]:
    """Returns the seeds of a list like '3,7,9-12', each once, in its order.

    Raises:
        RunError: If they are not seeds, or there are more than `MOST`.
    """
    from jaxgan.runs.trained_model import SEEDS

    found: dict[int, None] = {}
    for part in seeds.split(","):
        matched = _SEEDS.fullmatch(part)
        if matched is None:
            raise RunError(f"--seeds is {seeds!r}; expected seeds like 1-64 or 3,7,9-12")
        first = int(matched[1])
        last = first if matched[2] is None else int(matched[2])
        if last < first or last > SEEDS:
            raise RunError(
                f"--seeds has {part.strip()}; expected the smaller first, and at most {SEEDS}"
            )
        require_few(len(found) + last - first + 1, "seeds", MOST)
        found |= dict.fromkeys(range(first, last + 1))
    return list(found)


def require_few(count: int, what: str, most: int) -> None:
    """Raises RunError if more than `most` of something are asked for."""
    if count > most:
        raise RunError(f"{count} {what} were asked for; expected {most} or fewer")


def require_noise(model: TrainedModel, run: pathlib.Path) -> None:
    """Checks that the model draws its images from noise alone, or from noise and a class.

    Raises:
        RunError: If it needs images or captions.
    """
    words = translated(model)
    if words:
        source = "captions" if "--captions" in words else "other images"
        use = invocation.called("translate", run, *words)
        raise RunError(f"the model of {run} draws from {source}; use {use}")


def translated(model: TrainedModel) -> tuple[str, ...]:
    """Returns the arguments of `jaxgan translate`; none for a model that draws from noise.

    Args:
        model: The trained model.
    """
    conditions = set(model.gan.conditions)
    if {"caption", "text"} & conditions:
        return "--captions", "TEXT", "--out", "DIR"
    return ("IMAGES", "--out", "DIR") if {"a", "b"} & conditions else ()


def require_images(model: TrainedModel, run: pathlib.Path) -> None:
    """Checks that the model draws from noise, and images, not arrays in units of their own.

    Raises:
        RunError: If it needs images or captions, or draws points, videos or arrays in units of
            their own.
    """
    require_noise(model, run)
    if model.spec.transforms:
        page = invocation.called("explore", run)
        values = invocation.called("sample", run, "--out", "FILE.npz")
        raise RunError(
            f"{run} draws numbers in units of their own and this command shows images; use "
            f"{page}, or {values}"
        )
    if len(model.spec.shape) != 3:
        what = kind_of(model.spec.shape)
        raise RunError(f"{run} draws {what}; this command needs a model that draws images")


def kind_of(shape: Sequence[int]) -> str:
    """Returns what examples of this shape are called: points, images or videos.

    Args:
        shape: Shape of an example.
    """
    return {3: "images", 4: "videos"}.get(len(shape), "points")


def of_classes(model: TrainedModel, seeds: Sequence[int], label: Sequence[str] = ()) -> Asked:
    """Returns the images to draw: each seed once, or once for each class.

    Args:
        model: The trained model.
        seeds: The seeds.
        label: Names or numbers of classes, or 'all'. Default: the classes in turn, by the seed.

    Raises:
        ValueError: If the model takes no class, or there is no such class.
    """
    import numpy as np

    from jaxgan.data import class_names

    every, classes = np.asarray(seeds, np.int64), model.spec.classes
    if "label" not in model.gan.conditions or not classes:
        if label:
            raise ValueError("the model takes no class; leave --label out")
        return Asked(every, None)
    if not label:
        return Asked(every, (every % len(classes)).astype(np.int32))
    if tuple(label) == (EVERY,) and EVERY not in classes:
        numbers = np.arange(len(classes))
    else:
        named = class_names.numbers(list(label), classes)
        numbers = np.asarray(list(dict.fromkeys(named.tolist())))
    count = len(numbers)
    return Asked(np.repeat(every, count), np.tile(numbers.astype(np.int32), len(every)), count)


def of_conditions(
    model: TrainedModel, seeds: np.ndarray, given: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """Returns the continuous conditions of the images by name, [N, ...] in the model's units.

    Args:
        model: The trained model.
        seeds: Seeds [N] of the images. They decide which of the typical conditions an image has.
        given: Conditions of all images instead, as the user writes them: 'mass=1.5'.

    Raises:
        RunError: If a condition is not one of the model, or has other than its numbers.
    """
    import numpy as np

    from jaxgan.data import transforms

    spec, conditions = model.spec, {}
    for name, values in spec.typical.items():
        if name in model.gan.conditions:
            typical = np.asarray(values, np.float32)
            conditions[name] = typical[np.asarray(seeds) % len(typical)]
    for part in given:
        short, _, text = part.partition("=")
        name = entry_of(short, conditions)
        if name not in conditions:
            have = ", ".join(conditions) or "none"
            raise RunError(f"--condition has {part}; the model's continuous conditions are: {have}")
        value = _numbers(part, text, spec.inputs[name])
        value = transforms.apply(spec.transforms[name], value).astype(np.float32)
        conditions[name] = np.broadcast_to(value, conditions[name].shape)
    return conditions


def entry_of(name: str, entries: Collection[str]) -> str:
    """Returns the name of the entry of a condition, which may be named without its beginning.

    Args:
        name: The name of the condition, such as 'mass' for 'condition_mass'.
        entries: The names of the entries.
    """
    from jaxgan.data import arrays

    return name if name in entries else f"{arrays.CONDITION}_{name}"


def short_of(entry: str) -> str:
    """Returns the name of a condition without its beginning: 'mass' of 'condition_mass'."""
    from jaxgan.data import arrays

    return entry.removeprefix(f"{arrays.CONDITION}_")


def _numbers(part: str, text: str, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the numbers of a condition that the user wrote, in its shape."""
    import numpy as np

    count = math.prod(shape)
    try:
        numbers = np.array([float(number) for number in text.split(",")])
    except ValueError:
        numbers = np.array([])
    if numbers.size != count or not np.isfinite(numbers).all():
        wanted = "one number" if count == 1 else f"{count} numbers separated by commas"
        raise RunError(f"--condition has {part}; expected NAME=NUMBERS with {wanted}")
    return numbers.reshape(shape)


def drawn(model: TrainedModel, asked: Asked, *, truncation: float = 1.0) -> Iterator[np.ndarray]:
    """Yields the images, float32 [N, H, W, C] in the model's units, in pieces of up to `PIECE`.

    Args:
        model: The trained model.
        asked: The images to draw.
        truncation: Factor of the latents.
    """
    import numpy as np

    for start in range(0, len(asked.seeds), PIECE):
        here = slice(start, start + PIECE)
        given: dict[str, Any] = {name: of[here] for name, of in asked.conditions.items()}
        if asked.labels is not None:
            given["label"] = asked.labels[here]
        yield np.asarray(model.sample_seeds(asked.seeds[here], truncation=truncation, **given))


# --- files ----------------------------------------------------------------------------------------


def file_names(asked: Asked, classes: Sequence[str]) -> list[str]:
    """Returns the file name of each image: its seed and, of several classes, its class.

    Args:
        asked: The images.
        classes: Names of the classes.
    """
    if asked.labels is None or len(set(asked.labels.tolist())) < 2:
        return [f"{seed:06d}.png" for seed in asked.seeds]
    slugs = _slugs(classes)
    return [
        f"{seed:06d}_{slugs[label]}.png"
        for seed, label in zip(asked.seeds, asked.labels, strict=True)
    ]


def _slugs(classes: Sequence[str]) -> list[str]:
    """Returns the class names as parts of file names, each another; 'T-shirt/top': t-shirt-top."""
    plain = [re.sub(r"[^\w]+|_+", "-", name.casefold()).strip("-")[:80] for name in classes]
    return [
        name if name and plain.count(name) == 1 else f"{name or 'class'}-{number}"
        for number, name in enumerate(plain)
    ]


def _require_known(out: pathlib.Path) -> None:
    if out.suffix.lower() in _OTHER_FILES and not files.is_folder(out):
        raise RunError(f"--out is {files.printable(out)}; expected a folder, FILE.npz or FILE.png")


def _require_picture(model: TrainedModel, run: pathlib.Path) -> None:
    if len(model.spec.shape) != 3:
        raise RunError(f"{run} draws points, which no picture holds; give --out FILE.npz")
    if model.spec.transforms:
        raise RunError(f"{run} draws numbers in units of their own; give --out FILE.npz")


def _write_files(
    paths: Sequence[pathlib.Path], pieces: Iterable[np.ndarray], show: Sequence[int]
) -> None:
    from jaxgan import data
    from jaxgan.plotting import image_grids

    left = iter(paths)
    for images in pieces:
        shown = data.to_uint8(data.bands.shown(images, show))
        for pixels, path in zip(shown, left, strict=False):
            command.write_image(path, image_grids.png(image_grids.image_of(pixels)))


def _write_arrays(
    path: pathlib.Path,
    pieces: Sequence[np.ndarray],
    asked: Asked,
    units: Mapping[str, Transform] = MappingProxyType({}),
) -> None:
    """Writes the images and their conditions, in the units of the data."""
    import numpy as np

    from jaxgan.data import transforms

    written = {"image": np.concatenate(pieces), **asked.conditions}
    for name, transform in units.items():
        if name in written:
            written[name] = transforms.invert(transform, written[name]).astype(np.float32)
    written["seed"] = asked.seeds
    if asked.labels is not None:
        written["label"] = asked.labels
    command.write_arrays(path, written)


def _write_picture(
    path: pathlib.Path, pieces: Sequence[np.ndarray], asked: Asked, show: Sequence[int]
) -> None:
    import numpy as np

    from jaxgan.plotting import image_grids

    columns = asked.several
    if columns == 1:  # as square as it gets, but no wider than needed
        columns = -int(-(len(asked.seeds) ** 0.5) // 1)
    picture = image_grids.grid(np.concatenate(pieces), columns=columns, show=show)
    command.write_image(path, image_grids.png(picture))


if __name__ == "__main__":
    sys.exit(main())
