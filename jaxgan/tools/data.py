"""Shows what data hold, as training would read them, or prepares a large set for it.

    jaxgan data show folder:photos --resolution 64
    jaxgan data prepare folder:photos --resolution 64
    jaxgan data show npz:faces.npz --out faces.png
    jaxgan data show unpaired:horses --no-sheet
    jaxgan data show --source photos/horses --target photos/zebras

Prints the numbers of training and held-out images, their shape, classes and values, what was
converted or left out, and the digest that a run records. Writes a contact sheet of training images,
evenly chosen: a row per class if there are classes, and pairs next to each other.

A set of image files that needs more than half of the free memory is decoded once into files in the
user's cache folder, when it is first used or ahead of that by `prepare`. A set that has been
prepared, of any size, is read from there as long as its source stays as it is.

The flags are those of training. Nothing is overwritten without --overwrite.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import pathlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from jaxgan import files
from jaxgan.runs import config as run_config
from jaxgan.runs import flags, ranges
from jaxgan.runs.errors import RunError
from jaxgan.tools import command

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from jaxgan import data
    from jaxgan.data import Dataset, image_stores

Say = Callable[[str], None]

ROWS, COLUMNS = 20, 10
"""The largest numbers of rows and columns of a contact sheet."""

MOST_CLASSES = 40
"""The largest number of classes that are printed, a line each."""

_CAPTIONS = 3  # that are printed as examples
_POINTS = 2048


@dataclasses.dataclass(frozen=True)
class Action:
    """What to do."""

    action: Annotated[
        Literal["show", "prepare"], tyro.conf.Positional, tyro.conf.arg(metavar="{show,prepare}")
    ]
    """show: print what the data hold and draw a contact sheet; prepare: decode a large set ahead of
    training.
    """


@dataclasses.dataclass(frozen=True)
class Config(run_config.DataFlags, Action):
    """The data to show, read as in training."""

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")] = ""
    """The data, such as fashion, folder:PATH or npz:PATH: what --data of training names."""
    source: str | None = None
    """Folder of domain a, with --target instead of DATA; --kind pairs if its images have partners.
    """
    target: str | None = None
    """Folder of domain b."""
    kind: Literal["images", "pairs", "domains", "captions"] | None = None
    """Kind of examples; default: that of the data."""
    direction: Literal["AtoB", "BtoA"] | None = None
    """BtoA exchanges two domains."""
    limit_images: Annotated[int | None, ranges.Range(1)] = None
    """Show a training subset of this many images."""
    out: pathlib.Path | None = None
    """FILE.png for the contact sheet. Default: data.png, or data-2.png, ... if that exists."""
    sheet: bool = True
    """Write a contact sheet."""
    overwrite: bool = False
    """Replace the file --out if it exists."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code of the command; an error is one sentence on stderr."""
    return command.answer(
        Config,
        functools.partial(act, say=print),
        program="jaxgan data",
        description=__doc__,
        arguments=arguments,
    )


def act(config: Config, *, say: Say) -> pathlib.Path | None:
    """Shows or prepares the data.

    Args:
        config: The data, and what to do.
        say: Receives the lines to print.

    Raises:
        RunError: If the request cannot be met.
        DataError: If the data cannot be loaded.
    """
    return (prepare if config.action == "prepare" else show)(_of_folders(config), say=say)


def _of_folders(config: Config) -> Config:
    """Returns the configuration with the data that the flags name; raises RunError if none do."""
    form = "paired" if config.kind == "pairs" else "unpaired"
    named = flags.of_two_folders(form, config.source, config.target)
    if bool(named) == bool(config.data):
        raise RunError(
            "expected either DATA, such as folder:PATH or npz:PATH, or --source DIR --target DIR"
        )
    return dataclasses.replace(config, data=named or config.data)


def prepare(config: Config, *, say: Say) -> pathlib.Path:
    """Decodes the data into files that training then reads, unless that has been done; says where.

    Args:
        config: The data to prepare.
        say: Receives the lines to print.

    Returns:
        The folder of the files; of two domains that are not paired, that of the second.

    Raises:
        RunError: If the data are not files of images, or a number is out of range.
        DataError: If the data cannot be loaded, or the disk has no room.
    """
    from jaxgan.data import image_stores, memory, prepared
    from jaxgan.runs import progress

    flags.require_in_range(config)
    if config.out is not None:
        raise RunError("--out is the file of a sheet, which prepare does not draw: leave it out")
    begun: list[str] = []

    def watch(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
        begun.append(what)
        return progress.counted(items, total, what)

    splits, _ = _loaded(config, image_stores.Storing(always=True, watch=watch, say=say))
    parts = [splits.train, splits.held_out]
    sides = [side for part in parts for side in _sides(part)]
    found = [prepared.folder_of(side.images) for side in sides]
    places = list(dict.fromkeys(place for place in found if place is not None))
    if not places:
        raise RunError(
            f"{config.data} needs no preparation: it is read as it is; expected files of images, "
            "such as folder:PATH"
        )
    digest = splits.train.digest  # takes as long as reading all images, and is kept with them
    for place in places:
        size = memory.size(prepared.size_of(place))
        say(f"prepared{'' if begun else ' already'}: {size} in {files.printable(place)}")
    say(f"digest: {digest}")
    return places[-1]


def _sides(source: data.Source) -> list[Dataset]:
    """Returns the images of a source: its own, or those of its domains."""
    from jaxgan import data

    if isinstance(source, data.Domains):
        return [source.a, source.b]
    return [source] if isinstance(source, data.Dataset) else []


def show(config: Config, *, say: Say) -> pathlib.Path | None:
    """Reports on the data, writes the contact sheet, and returns its path.

    Args:
        config: The data to show.
        say: Receives the lines of the report.

    Returns:
        The path of the sheet, or None if none was written.

    Raises:
        RunError: If a number is out of range, or the file exists. Nothing is written then.
        DataError: If the data cannot be loaded.
    """
    from jaxgan.data import image_stores
    from jaxgan.runs import progress

    flags.require_in_range(config)
    out = _out(config.out)
    if config.sheet:
        command.require_free([out], overwrite=config.overwrite)
    splits, kind = _loaded(config, image_stores.Storing(watch=progress.counted, say=say))
    for line in report(splits, kind):
        say(line)
    if not config.sheet:
        return None
    if _is_no_picture(splits.train):
        say(f"sheet      none: examples of shape {splits.train.shape} are no images")
        return None
    from jaxgan.plotting import image_grids

    picture, caption = contact_sheet(splits.train)
    command.write_image(out, image_grids.png(picture))
    say(f"sheet      {files.printable(out)}: {caption}")
    return out


def _is_no_picture(source: data.Source) -> bool:
    from jaxgan import data

    return isinstance(source, data.Arrays) and len(source.shape) != 3


def _out(asked: pathlib.Path | None) -> pathlib.Path:
    """Returns the path of the sheet: by default one that is free."""
    if asked is None:
        numbered = (pathlib.Path(f"data-{number}.png") for number in itertools.count(2))
        return next(p for p in itertools.chain([pathlib.Path("data.png")], numbered) if _free(p))
    if asked.suffix.lower() != ".png":
        raise RunError(f"--out is {files.printable(asked)}; expected FILE.png")
    return asked


def _free(path: pathlib.Path) -> bool:
    return not files.exists(path) and not path.is_symlink()


def _loaded(config: Config, storing: image_stores.Storing) -> tuple[data.Splits, str]:
    """Returns the data and the kind of their examples."""
    from jaxgan.data import sources

    kind = config.kind or sources.kind_of(config.data)
    splits = sources.load(
        config.data,
        kind=kind,
        **config.reading_options,
        direction=config.direction,
        limit=config.limit_images,
        storing=storing,
    )
    return splits, kind


# --- the report -----------------------------------------------------------------------------------


def report(splits: data.Splits, kind: str) -> Iterator[str]:
    """Yields the lines of the report on the data.

    Args:
        splits: The data.
        kind: The kind of their examples, a key of `data.sources.KINDS`.
    """
    from jaxgan import data
    from jaxgan.data import resizing, sources

    train, held_out = splits.train, splits.held_out
    if isinstance(train, data.Mixture):
        yield f"{train.name}: points, fresh draws in every batch"
        size = train.shape[0]
        yield f"modes      {len(train.centers)} Gaussians of standard deviation {train.std:g}"
        yield f"shape      {size} {'number' if size == 1 else 'numbers'} per point"
    elif isinstance(train, data.Arrays) and isinstance(held_out, data.Arrays):
        yield f"{files.printable(train.name)}: arrays"
        yield from _arrays(train, held_out)
    else:
        yield f"{files.printable(train.name)}: {sources.KINDS[kind]}"
        parts = {"": (train, held_out)}
        if isinstance(train, data.Domains):
            assert isinstance(held_out, data.Domains)
            parts = {f" {side}": (getattr(train, side), getattr(held_out, side)) for side in "ab"}
        for side, (images, held) in parts.items():
            assert isinstance(images, data.Dataset) and isinstance(held, data.Dataset)
            kept = (
                "none: training images take their place"
                if held.images is images.images
                else f"{len(held)}"
            )
            yield f"{'training' + side:11s}{len(images)}"
            yield f"{'held out' + side:11s}{kept}"
            shape = resizing.describe(images.shape)
            yield f"{'shape' + side:11s}{shape} (height x width x channels)"
            yield f"{'values' + side:11s}{_values(images)}"
        yield from _classes(train, held_out)
        yield from _captions(train)
    yield f"digest     {train.digest}"
    yield from (f"note       {note}" for note in splits.notes)


def _arrays(train: data.Arrays, held_out: data.Arrays) -> Iterator[str]:
    """Yields the numbers of examples, and a line for each entry."""
    from jaxgan.data import transforms

    yield f"training   {len(train)}"
    yield f"held out   {'none' if held_out is train else len(held_out)}"
    wide = max(10, *map(len, train.entries))
    for key, array in train.entries.items():
        ends = [(piece.min(), piece.max()) for piece in train.pieces(key)]
        low, high = min(low for low, _ in ends), max(high for _, high in ends)
        sides = " x ".join(map(str, array.shape[1:]))
        by = transforms.described(train.transforms[key])
        yield f"{key:{wide}s} {sides} {array.dtype}, {low:.4g} to {high:.4g}, transform {by}"


def _values(images: Dataset) -> str:
    """Returns the range and the mean of the pixels of the training images, as text."""
    from jaxgan.data import value_range

    levels = images.images
    low, high, mean = levels.min().item(), levels.max().item(), float(levels.mean(dtype=float))
    flat = "; warning: all pixels are alike" if low == high else ""
    if images.values[:3] == value_range.BYTES[:3]:
        return f"{low} to {high} (of 255), {mean:.1f} on average{flat}"
    least, most = images.values[:2]
    given = f"{images.values.dtype}, range {least:g} to {most:g}"
    return f"{low:g} to {high:g} ({given}), {mean:g} on average{flat}"


def _classes(train: data.Source, held_out: data.Source) -> Iterator[str]:
    """Yields the classes with the numbers of their images, most of them a line each."""
    if not train.classes:
        yield "classes    none"
        return
    yield f"classes    {len(train.classes)}, with their training and held-out images:"
    numbers = zip(_counts(train), _counts(held_out), strict=True)
    width = max(map(len, train.classes[:MOST_CLASSES]))
    for name, (count, held) in list(zip(train.classes, numbers, strict=True))[:MOST_CLASSES]:
        yield f"  {name:{width}s}  {count} and {held}"
    if len(train.classes) > MOST_CLASSES:
        yield f"  and {len(train.classes) - MOST_CLASSES} more"


def _counts(source: data.Source) -> list[int]:
    """Returns the number of images of each class."""
    from jaxgan import data

    assert isinstance(source, data.Dataset)
    return source.class_counts().tolist()


def _captions(train: data.Source) -> Iterator[str]:
    from jaxgan import data

    if not isinstance(train, data.Captioned):
        return
    if train.role != "caption":
        yield f"captions   {len(train.texts)} embeddings of {train.texts.shape[1]} numbers"
        return
    rows = train.evenly(min(_CAPTIONS, len(train)))
    some = "; ".join(files.shortened(train.captions_of(row)[0]) for row in rows)
    yield f"captions   {len(train.texts)}, such as: {some}"


# --- the contact sheet ----------------------------------------------------------------------------


def contact_sheet(source: data.Source) -> tuple[Image, str]:
    """Returns a picture of evenly chosen training data, and a clause on how it is arranged.

    Args:
        source: The training data.

    Returns:
        The picture (`PIL.Image.Image`), and the clause.
    """
    import numpy as np

    from jaxgan import data
    from jaxgan.plotting import image_grids, plane_points

    if isinstance(source, data.Mixture):
        points = source.batch(seed=0, step=0, size=_POINTS)["image"]
        if points.shape[1] == 1:  # on the line: at random heights, so that no point hides another
            heights = np.random.default_rng(0).uniform(-1.0, 1.0, points.shape)
            points = np.concatenate([points, heights], axis=1)
        reach = 1.1 * float(np.abs(points).max())
        return plane_points.points([points], reach=reach, size=256), f"{_POINTS} points"
    if isinstance(source, data.Arrays):
        count = min(ROWS * COLUMNS // 2, len(source))
        images = source.batch(seed=0, step=0, size=count)["image"] / source.reach
        return image_grids.grid(images, columns=COLUMNS), f"{count} examples, transformed"
    if isinstance(source, data.Domains):
        images = _alternating(source)
        picture = image_grids.grid(images, columns=COLUMNS)
        return picture, f"{len(images) // 2} images of each domain, a next to b"
    assert isinstance(source, data.Dataset)
    if source.classes:
        images, rows = _by_class(source)
        picture = image_grids.grid(images, columns=COLUMNS, show=source.show)
        return picture, f"a row per class, {_named(source.classes, rows)}"
    chosen = source.take(min(ROWS * COLUMNS // 2, len(source)))
    picture = image_grids.grid(chosen.float_images(), columns=COLUMNS, show=source.show)
    return picture, f"{len(chosen)} images"


def _alternating(domains: data.Domains) -> np.ndarray:
    """Returns images of a and b in turn, float32 [N, H, W, C], in the shape of those of b."""
    import numpy as np

    from jaxgan import data
    from jaxgan.data import resizing

    count = min(ROWS * COLUMNS // 4, len(domains.a), len(domains.b))
    chosen = domains.take(count)
    shown = [data.bands.shown(part.pictures(), part.show) for part in (chosen.a, chosen.b)]
    most = max(pixels.shape[3] for pixels in shown)
    sides = []
    for pixels in shown:
        if pixels.shape[3] != most:
            pixels = data.convert_channels(pixels, most)
        sides.append(resizing.stretched(pixels, domains.b.shape[:2]))
    images = np.stack(sides, axis=1)
    return data.to_float(images.reshape(-1, *images.shape[2:]))


def _by_class(dataset: Dataset) -> tuple[np.ndarray, list[int]]:
    """Returns a row of evenly chosen images for each class, or for `ROWS` of the classes.

    Returns:
        float32 [R * COLUMNS, H, W, C], white where a class has too few images, and the numbers of
        the R classes.
    """
    import numpy as np

    count = len(dataset.classes)
    rows = (np.arange(min(ROWS, count)) * count // min(ROWS, count)).tolist()
    images = np.ones((len(rows), COLUMNS, *dataset.shape), np.float32)
    for row, label in enumerate(rows):
        own = dataset.rows_of(label)
        shown = min(COLUMNS, len(own))
        images[row, :shown] = dataset.float_images(own[np.arange(shown) * len(own) // shown])
    return images.reshape(-1, *dataset.shape), rows


def _named(classes: Sequence[str], rows: Sequence[int]) -> str:
    """Returns which classes are in the rows, as text."""
    if len(rows) == len(classes):
        return "in the order above"
    first, last = classes[rows[0]], classes[rows[-1]]
    return f"for {len(rows)} of the {len(classes)} classes, from {first} to {last}"


if __name__ == "__main__":
    sys.exit(main())
