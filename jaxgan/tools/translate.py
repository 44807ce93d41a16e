"""Translates image files with a trained model, or draws captions with a text-to-image model.

    jaxgan translate RUN INPUT... --out DIR
    jaxgan translate RUN --captions "a red bird" "a blue one" --out DIR

Each INPUT is an image or a folder of images. The translation of cat.jpg is DIR/cat.png, and
subfolders are kept. A model of 16-bit images takes and writes these (PNG), in its own range of
values. A model of floats, or of other numbers of channels than 1, 3 and 4, writes TIFF. An image
keeps its size: if the network does not accept it, the image is padded with its own reflection and
the result is cropped. Colors are converted to the model's. Transparency is kept, around a model
whose images have none. All of this is reported. Images that were translated or drawn before are not
translated again.

A model with noise or batch statistics, such as Pix2Pix, is used as it was trained: images of one
size are processed in batches of the run's batch size, and large ones in smaller batches. A batch is
written before the next is read. A model whose configuration has a `margin`, the radius of its
receptive field, as in super-resolution, processes photos of any size tile by tile, without seams.

The image of a caption is named after it: a-red-bird.png.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import pathlib
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import tyro

from jaxgan import files
from jaxgan.runs.errors import RunError
from jaxgan.tools import command

if TYPE_CHECKING:
    import numpy as np

    from jaxgan.data import ValueRange
    from jaxgan.data.readers import image_file
    from jaxgan.runs.trained_model import TrainedModel

Say = Callable[[str], None]
Size = tuple[int, int]

_TRANSPARENT = "transparent"
"""A trait of headers (see `image_file.Header`)."""

_STRIDES = (1, 4, 8, 16, 32)
"""Sides are padded to a multiple of the first of these that the network accepts."""

TILE = 256
"""Default height and width of a tile, in pixels."""

MOST_PIXELS = 2**20
"""The largest number of pixels of a batch, unless training batches have more."""

MOST_EACH = 1000
"""The largest number of images per caption, as they are drawn together."""


@dataclasses.dataclass(frozen=True)
class Config(command.OfRun):
    """The inputs to translate, and the output folder."""

    inputs: Annotated[tuple[pathlib.Path, ...], tyro.conf.Positional]
    """Images, and folders of images."""
    out: pathlib.Path
    """Output folder."""
    source: Literal["a", "b"] = "a"
    """Domain of the inputs; b for the other direction of a model that translates both ways."""
    resolution: str | None = None
    """Size that inputs are resized to, like 64 or 64x96 (height x width). Default: none."""
    resize: Literal["crop", "pad", "stretch"] = "crop"
    """How inputs are resized to the resolution."""
    tile: int | None = None
    """Height and width of the tiles of photos, in their pixels. Default: 256."""
    captions: tuple[str, ...] = ()
    """Captions to draw, instead of inputs."""
    each: int = 1
    """Number of images per caption."""
    seed: int = 0
    """Seed of the model's noise, if it has any."""


class Found(NamedTuple):
    """An image to translate.

    Attributes:
        path: Its file.
        name: Name of the translation, relative to the output folder.
        header: The header of the file.
    """

    path: pathlib.Path
    name: pathlib.PurePath
    header: image_file.Header


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code of the command; an error is one sentence on stderr."""
    return command.answer(
        Config,
        functools.partial(translate, say=print),
        program="jaxgan translate",
        description=__doc__,
        arguments=arguments,
    )


def translate(config: Config, *, say: Say) -> list[pathlib.Path]:
    """Translates the inputs and returns the paths of the files written.

    There is one file per readable image, or `each` files per caption.

    Args:
        config: The inputs to translate, and the output folder.
        say: Receives sentences about what was done to the images.

    Raises:
        RunError: If the run does not translate such images, or does not take captions. Nothing is
            written then.
        DataError: If there are no images. Nothing is written then.
    """
    from jaxgan.data import resizing
    from jaxgan.data.readers import common_form

    require_use(config)
    model = config.load()
    if config.captions:
        return _illustrated(model, config, say)
    channels, opaque = channels_of(model, config)
    _require_tiles(model, config)
    found = _found(config, model, channels, say)
    fit = resizing.make_fit(config.resolution, config.resize, channels)
    by_size: dict[Size, list[Found]] = {}
    for one in found:
        by_size.setdefault(fit.resolution or one.header.size, []).append(one)
    headers = [one.header for one in found]
    passing = {size: nearest_size(model, config, size, channels) for size in by_size}
    written = []
    for size, group in by_size.items():
        target = common_form.leveled(resizing.resolve(fit, size, channels), headers)._replace(
            dtype=_ranges(model, config)[0].dtype, paged=common_form.are_pages(headers, channels)
        )
        kept = frozenset(one.name for one in group if opaque and _TRANSPARENT in one.header.traits)
        _say_what_is_done(group, target, passing[size], kept, say)
        for name, pixels in _translated(model, config, group, target, passing[size], kept, say):
            written.append(_write(config.out / name, pixels))
    if not written:
        raise RunError("none of the images can be read; nothing was written")
    say(_where(written, config))
    config.suggest_export(say)
    return written


def require_use(config: Config) -> None:
    """Checks the flags of the configuration.

    Raises:
        RunError: If a flag has no effect, or a number is out of range.
    """
    idle = {
        "each": not config.captions,
        "source": bool(config.captions),
        "resolution": bool(config.captions),
        "tile": bool(config.captions),
        "resize": config.resolution is None,
    }
    why = {"each": "--captions", "resize": "--resolution"}
    for field in dataclasses.fields(config):
        if idle.get(field.name) and getattr(config, field.name) != field.default:
            without = f"without {why[field.name]}" if field.name in why else "with --captions"
            raise RunError(f"--{field.name} does nothing {without}: leave it out")
    command.require_ranges(config, {"each": (1, MOST_EACH), "seed": command.SEEDS})


def _where(written: Sequence[pathlib.Path], config: Config) -> str:
    return f"{len(written)} images are in {files.printable(config.out)}"


# --- captions -------------------------------------------------------------------------------------


def _illustrated(model: TrainedModel, config: Config, say: Say) -> list[pathlib.Path]:
    """Writes the images of the captions and returns their paths."""
    from jaxgan.tools import caption_to_image

    if config.inputs:
        raise RunError("images and captions were given; give either")
    drawn = list(
        caption_to_image.pictures(model, config.captions, each=config.each, seed=config.seed)
    )
    kind = _suffix(model, "image")
    written = [_write(config.out / f"{name}{kind}", pixels) for name, pixels in drawn]
    say(_where(written, config))
    config.suggest_export(say)
    return written


# --- the model ------------------------------------------------------------------------------------


def channels_of(model: TrainedModel, config: Config) -> tuple[int, bool]:
    """Returns the inputs' number of channels, and whether files of the images made lack opacity.

    They may have it then.

    Args:
        model: The trained model.
        config: The inputs to translate, and the output folder.

    Raises:
        RunError: If the model does not translate them.
    """
    shapes = shapes_of(model)
    if config.source not in model.gan.conditions or len(shapes[config.source]) != 3:
        takes = ", ".join(model.gan.conditions) or "nothing"
        raise RunError(
            f"{config.run} does not translate images of {config.source}: its model takes {takes}"
        )
    made = _made_of(config)
    return shapes[config.source][2], shapes[made][2] < 4 and _suffix(model, made) == ".png"


def shapes_of(model: TrainedModel) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of images of the domains a and b; both are the data's if there is one."""
    return {"a": model.spec.inputs.get("a", model.spec.shape), "b": model.spec.shape}


def _made_of(config: Config) -> str:
    """Returns the domain of the translations."""
    return "b" if config.source == "a" else "a"


def _ranges(model: TrainedModel, config: Config) -> tuple[ValueRange, ValueRange]:
    """Returns the ranges of the values of the inputs and of the translations."""
    return model.spec.range_of(config.source), model.spec.range_of(_made_of(config))


def _suffix(model: TrainedModel, role: str) -> str:
    """Returns the suffix of files that hold images of a role."""
    from jaxgan.data import value_files

    shape = shapes_of(model).get(role, model.spec.shape)
    return value_files.suffix(shape[2], model.spec.range_of(role).dtype)


def nearest_size(model: TrainedModel, config: Config, size: Size, channels: int) -> Size:
    """Returns the smallest size, at least the given one, that the network accepts.

    Args:
        model: The trained model.
        config: The inputs to translate, and the output folder.
        size: Height and width of the images.
        channels: Number of channels of the images.

    Raises:
        RunError: If there is none.
    """
    known = shapes_of(model)[config.source][:2]
    filled = [tuple(-(-side // stride) * stride for side in size) for stride in _STRIDES]
    for height, width in [*filled, (max(size[0], known[0]), max(size[1], known[1]))]:
        if _goes_through(model, config.source, (height, width, channels)):
            return height, width
    height, width = known
    raise RunError(
        f"images of {size[0]}x{size[1]} pixels do not go through the model of {config.run}, which "
        f"was trained on {height}x{width}: give --resolution {height}x{width}"
    )


def _goes_through(model: TrainedModel, source: str, shape: tuple[int, ...]) -> bool:
    import flax.errors
    import jax
    import jax.numpy as jnp

    from jaxgan import random

    def sample(state: Any, image: Any) -> Any:
        return model.gan.sample(state, random.row_keys(jax.random.key(0), 1), **{source: image})

    try:
        jax.eval_shape(sample, model.state.averaged(), jnp.zeros((1, *shape)))
    except (ValueError, TypeError, flax.errors.FlaxError):
        return False
    return True


def _require_tiles(model: TrainedModel, config: Config) -> None:
    """Raises RunError if tiles are requested but not supported by the model, or are too small."""
    from jaxgan.tools import tiling

    margin = _margin(model)
    if margin is not None:
        tiling.require_room(margin=margin, tile=config.tile or TILE)
    elif config.tile is not None:
        raise RunError(
            f"--tile does nothing: the model of {config.run} does not say how far its pixels "
            "depend on others, so images are computed whole; leave it out"
        )


def _margin(model: TrainedModel) -> int | None:
    """Returns the radius of the receptive field; None if the configuration has no `margin`."""
    return getattr(model.config, "margin", None)


def _translated(
    model: TrainedModel,
    config: Config,
    group: list[Found],
    target: Any,
    passing: Size,
    kept: Collection[pathlib.PurePath],
    say: Say,
) -> Iterator[tuple[pathlib.PurePath, np.ndarray]]:
    """Yields the names and the translations of the readable images of a group.

    Those of the names `kept` have the transparency of the images.
    """
    rest: collections.deque[tuple[pathlib.PurePath, np.ndarray | None]] = collections.deque()

    def inputs() -> Iterator[np.ndarray]:
        for one, pixels in _decoded(group, target, say):
            rest.append((one.name, _opacity(one, target) if one.name in kept else None))
            yield _filled(pixels, passing)

    height, width = target.resolution
    for made in _made(model, config, inputs(), size=batch_size(model, config, passing)):
        factor = made.shape[0] // passing[0]
        name, opacity = rest.popleft()
        made = made[: factor * height, : factor * width]
        yield name, made if opacity is None else _with_opacity(made, opacity)


def _opacity(one: Found, target: Any) -> np.ndarray:
    """Returns the opacity of the image [H, W, 1], in its own type and the target's size."""
    from jaxgan.data.readers import image_file

    own = target._replace(channels=4, dtype=one.header.dtype)
    return image_file.decode(one.path, own)[..., 3:]


def _with_opacity(made: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Returns a translation [H, W, C] as color with the opacity [h, w, 1], in its size and type."""
    import numpy as np

    from jaxgan import data
    from jaxgan.data import resizing

    colors = data.convert_channels(made, 3)
    scale = resizing.white_of(made.dtype) / resizing.white_of(opacity.dtype)
    opacity = np.rint(resizing.stretched(opacity[None], made.shape[:2])[0] * scale)
    return np.concatenate([colors, opacity.astype(made.dtype)], axis=2)


def _filled(pixels: np.ndarray, passing: Size) -> np.ndarray:
    """Pads the image [H, W, C] to the size `passing` with its own reflection."""
    import numpy as np

    margins = [(0, side - own) for side, own in zip(passing, pixels.shape, strict=False)]
    return np.pad(pixels, [*margins, (0, 0)], mode="symmetric")


def batch_size(model: TrainedModel, config: Config, size: Size) -> int:
    """Returns the number of images of a size that are processed together.

    It is the batch size of training, or less if these would have more than `MOST_PIXELS` pixels and
    more than a batch of training.

    Args:
        model: The trained model.
        config: The inputs to translate, and the output folder.
        size: Height and width of the images.
    """
    usual, known = model.config.batch_size, shapes_of(model)[config.source]
    most = max(MOST_PIXELS, usual * known[0] * known[1])
    return max(1, min(usual, most // (size[0] * size[1])))


def _made(
    model: TrainedModel, config: Config, images: Iterable[np.ndarray], *, size: int
) -> Iterator[np.ndarray]:
    """Yields the translations of images [H, W, C], in batches or each in tiles.

    Both are in the values and the types of the training data.
    """
    import jax
    import numpy as np

    from jaxgan.games import domain_translation
    from jaxgan.tools import tiling

    options: dict[str, Any] = {"source": config.source, "key": jax.random.key(config.seed)}
    state, margin = model.state.averaged(), _margin(model)
    taken, given = _ranges(model, config)
    if margin is None:
        floats = map(taken.to_float, images)
        made = domain_translation.one_by_one(model.gan, state, floats, batch_size=size, **options)
        yield from map(given.to_values, made)
        return

    def enlarge(tile: np.ndarray) -> np.ndarray:
        tile = taken.to_float(tile)
        made = domain_translation.translated(model.gan, state, tile, batch_size=1, **options)
        return given.to_values(np.asarray(made))

    for image in images:
        yield tiling.enlarged(enlarge, image, margin=margin, tile=config.tile or TILE)


# --- files ----------------------------------------------------------------------------------------


def _found(config: Config, model: TrainedModel, channels: int, say: Say) -> list[Found]:
    """Returns the images to translate, after checking that their outputs do not collide."""
    from jaxgan.data import DataError
    from jaxgan.data.readers import common_form, file_listing, image_file

    found, taken = [], {}
    kind, values = _suffix(model, _made_of(config)), _ranges(model, config)[0]
    for path, name in _named(config, kind, say):
        printed, out = files.printable(path), files.printable(config.out / name)
        if name in taken:
            raise DataError(
                f"{files.printable(taken[name])} and {printed} would both become {out}; "
                "translate them one after the other, to two folders"
            )
        taken[name] = path
        if (config.out / name).resolve() == path.resolve():
            raise DataError(
                f"{printed} would be overwritten by its translation; choose another --out"
            )
        try:
            header = image_file.inspect(path)
        except Exception as error:  # PIL's decoders raise exceptions of any type
            say(f"left out {printed}: {image_file.damage(error)}")
            continue
        unsuited = common_form.unsuited(header, channels, values)
        if unsuited:
            say(f"left out {printed}: it {unsuited}")
        else:
            found.append(Found(path, name, header))
    if not found:
        given = file_listing.some(list(map(files.printable, config.inputs))) or "nothing"
        raise DataError(f"there are no images to translate in {given}")
    return found


def _named(
    config: Config, suffix: str, say: Say
) -> Iterator[tuple[pathlib.Path, pathlib.PurePath]]:
    """Yields every file of the inputs and the name of its translation, with its suffix."""
    from jaxgan.data.readers import file_listing

    for path in config.inputs:
        if not path.is_dir():
            yield path, pathlib.PurePath(path.name).with_suffix(suffix)
            continue
        below = file_listing.images_below(path, name=files.printable(path), also_made=True)
        kept, made = (
            [name for name in names if not _is_output(path / name, path, config.out)]
            for names in (below.images, below.made)
        )
        many = len(below.images) + len(below.made) - len(kept) - len(made)
        if many:
            say(f"left out {many} images of {files.printable(config.out)}, the output folder")
        if made:
            shown = file_listing.some(made)
            say(f"left out {len(made)} images that jaxgan wrote before: {shown}")
        for name in kept:
            yield path / name, pathlib.PurePath(name).with_suffix(suffix)


def _is_output(path: pathlib.Path, folder: pathlib.Path, out: pathlib.Path) -> bool:
    """Returns whether a file of the folder lies in `out`, if that is inside the folder."""
    out = out.resolve()
    return folder.resolve() in out.parents and out in path.resolve().parents


def _say_what_is_done(
    group: list[Found], target: Any, passing: Size, kept: Collection[pathlib.PurePath], say: Say
) -> None:
    from jaxgan.data import resizing
    from jaxgan.data.readers import common_form

    around = kept and target.channels != 4
    headers = [
        one.header._replace(traits=one.header.traits - {_TRANSPARENT}) if around else one.header
        for one in group
    ]
    for note in common_form.conversions(headers, target):
        say(note)
    if kept:
        white = "placed on white for the model, and " if around else ""
        say(
            f"{len(kept)} of {len(group)} images have transparency: {white}kept around the model, "
            "in the translations."
        )
    if passing != target.resolution:
        size, filled = resizing.describe(target.resolution), resizing.describe(passing)
        say(f"{len(group)} images of {size} are padded to {filled} and cropped back.")


def _decoded(group: list[Found], target: Any, say: Say) -> Iterator[tuple[Found, np.ndarray]]:
    """Yields the readable images and their values [H, W, C]."""
    from jaxgan.data.readers import image_file

    for one in group:
        try:
            yield one, image_file.decode(one.path, target)
        except Exception as error:  # PIL's decoders raise exceptions of any type
            say(f"left out {files.printable(one.path)}: {image_file.damage(error)}")


def _write(path: pathlib.Path, values: np.ndarray) -> pathlib.Path:
    from jaxgan.data import value_files
    from jaxgan.plotting import image_grids

    if values.dtype == "uint8" and path.suffix == ".png":  # as sample writes them
        command.write_image(path, image_grids.png(image_grids.image_of(values)))
    else:
        command.write_image(path, value_files.encoded(values))
    return path


if __name__ == "__main__":
    sys.exit(main())
