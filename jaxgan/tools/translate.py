"""Image files through a trained model that turns images into images, or captions through one that
draws them.

    jaxgan translate RUN INPUT... --out DIR
    jaxgan translate RUN --captions "a red bird" "a blue one" --out DIR

Each INPUT is an image or a folder of them; what becomes of cat.jpg is DIR/cat.png, and the sub-
folders of a folder are kept. An image keeps its size: where the network does not take it, it is
filled up with its own reflection and what comes out is cut back. Colors are converted to those the
model knows. All of that is said. A model with noise or batch statistics is used as it was trained:
images of one size go through in batches of the run's batch size. Photos of any size through a model
whose configuration says how far its pixels see (`margin`, as super-resolution's does) are computed
tile by tile, without seams.

A caption becomes a picture of its name: a-red-bird.png.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import tyro

from jaxgan.runs.errors import RunError
from jaxgan.tools import command

if TYPE_CHECKING:
    import numpy as np

    from jaxgan.data.readers import image_file
    from jaxgan.runs.trained_model import TrainedModel

Say = Callable[[str], None]
Size = tuple[int, int]

_STRIDES = (1, 4, 8, 16, 32)
"""Sides are filled up to a multiple of the first of these that the network takes."""


@dataclasses.dataclass(frozen=True)
class Config(command.OfRun):
    """What to translate, and where to."""

    inputs: Annotated[tuple[pathlib.Path, ...], tyro.conf.Positional]
    """Images, and folders of images."""
    out: pathlib.Path
    """The folder to write to."""
    source: Literal["a", "b"] = "a"
    """The domain of the inputs; b for the other way of a model that translates both."""
    resolution: str | None = None
    """Size to bring the inputs to first, like 64 or 64x96 (height x width); default: none."""
    resize: Literal["crop", "pad", "stretch"] = "crop"
    """How inputs are brought to the resolution."""
    tile: int = 256
    """Side of the tiles in which photos are computed, in their pixels."""
    captions: tuple[str, ...] = ()
    """What to draw, in the place of inputs."""
    each: int = 1
    """Pictures of each caption."""
    seed: int = 0
    """Of the model's noise, if it has any."""


class Found(NamedTuple):
    """An image to translate: its file, the name of what it becomes, what its header says."""

    path: pathlib.Path
    name: pathlib.PurePath
    header: image_file.Header


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of a call with these arguments; what went wrong is one sentence on stderr."""
    return command.answer(
        Config,
        functools.partial(translate, say=print),
        program="jaxgan translate",
        description=__doc__,
        arguments=arguments,
    )


def translate(config: Config, *, say: Say) -> list[pathlib.Path]:
    """The files written, one for each image that can be read, or `each` for each caption; `say` is
    told what was done to them.

    Raises RunError where the run does not translate such images, or does not draw from captions,
    and DataError where there are none; then nothing is written.
    """
    from jaxgan.data import resizing

    model = config.load()
    if config.captions:
        return _illustrated(model, config, say)
    channels = _channels(model, config)
    found = _found(config, say)
    fit = resizing.make_fit(config.resolution, config.resize, channels)
    by_size: dict[Size, list[Found]] = {}
    for one in found:
        by_size.setdefault(fit.resolution or one.header.size, []).append(one)
    passing = {size: nearest_size(model, config, size, channels) for size in by_size}
    written = []
    for size, group in by_size.items():
        target = resizing.resolve(fit, size, channels)
        _say_what_is_done(group, target, passing[size], say)
        decoded = dict(_decoded(group, target, say))
        if decoded:
            outputs = _outputs(model, config, list(decoded.values()), passing[size])
            written += map(_write, (config.out / name for name in decoded), outputs)
    if not written:
        raise RunError("none of the images can be read; nothing was written")
    say(f"{len(written)} images are in {config.out}")
    return written


# --- captions -------------------------------------------------------------------------------------


def _illustrated(model: TrainedModel, config: Config, say: Say) -> list[pathlib.Path]:
    """The files written of captions."""
    from jaxgan.tools import caption_to_image

    if config.inputs:
        raise RunError("images and captions were given; give either")
    drawn = list(
        caption_to_image.pictures(model, config.captions, each=config.each, seed=config.seed)
    )
    _require_files(config, "makes", model.spec.shape)
    written = [_write(config.out / f"{name}.png", pixels) for name, pixels in drawn]
    say(f"{len(written)} images are in {config.out}")
    return written


# --- the model ------------------------------------------------------------------------------------


def _channels(model: TrainedModel, config: Config) -> int:
    """The channels of the inputs; RunError where the model does not translate them to files."""
    shapes = _shapes(model)
    if config.source not in model.gan.conditions or len(shapes[config.source]) != 3:
        takes = ", ".join(model.gan.conditions) or "nothing"
        raise RunError(
            f"{config.run} does not translate images of {config.source}: its model takes {takes}"
        )
    made = shapes["b" if config.source == "a" else "a"]
    _require_files(config, "takes", shapes[config.source])
    _require_files(config, "makes", made)
    return shapes[config.source][2]


def _shapes(model: TrainedModel) -> dict[str, tuple[int, ...]]:
    """The shapes of images of a and b; of a model of single images, of these."""
    return {"a": model.spec.inputs.get("a", model.spec.shape), "b": model.spec.shape}


def _require_files(config: Config, what: str, shape: tuple[int, ...]) -> None:
    """RunError where no image file holds images of the shape, which the model takes or makes."""
    if shape[2] not in (1, 3, 4):
        raise RunError(
            f"the model of {config.run} {what} images of {shape[2]} channels, which no image file "
            "holds; use jaxgan.load and arrays"
        )


def nearest_size(model: TrainedModel, config: Config, size: Size, channels: int) -> Size:
    """The nearest size, not below this one, that goes through the network.

    Raises RunError where there is none.
    """
    known = _shapes(model)[config.source][:2]
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


def _outputs(
    model: TrainedModel, config: Config, inputs: Sequence[np.ndarray], passing: Size
) -> Iterator[np.ndarray]:
    """What the model makes of images uint8 of one size, filled up to `passing` on the way."""
    import numpy as np

    from jaxgan import data

    height, width = inputs[0].shape[:2]
    margins = ((0, 0), (0, passing[0] - height), (0, passing[1] - width), (0, 0))
    filled = np.pad(data.to_float(np.stack(inputs)), margins, mode="symmetric")
    for made in _made(model, config, filled):
        factor = made.shape[0] // passing[0]
        yield data.to_uint8(made[: factor * height, : factor * width])


def _made(model: TrainedModel, config: Config, images: np.ndarray) -> Iterator[np.ndarray]:
    """What the model makes of images [N, H, W, C], in batches as in training or, where the
    configuration says how far its pixels see, each by itself in tiles.
    """
    import jax

    from jaxgan.games import domain_translation
    from jaxgan.tools import tiling

    translate = functools.partial(
        domain_translation.translated,
        model.gan,
        model.state.averaged(),
        source=config.source,
        key=jax.random.key(config.seed),
    )
    margin = getattr(model.config, "margin", None)
    if margin is None:
        yield from translate(images, batch_size=model.config.batch_size)
        return
    enlarge = functools.partial(translate, batch_size=1)
    for image in images:
        yield tiling.enlarged(enlarge, image, margin=margin, tile=config.tile)


# --- files ----------------------------------------------------------------------------------------


def _found(config: Config, say: Say) -> list[Found]:
    """The images to translate; DataError where there are none, or two would become one file."""
    from jaxgan.data import DataError
    from jaxgan.data.readers import file_listing, image_file

    found, taken = [], {}
    for path, name in _named(config.inputs):
        if name in taken:
            raise DataError(
                f"{taken[name]} and {path} would both become {config.out / name}; "
                "translate them one after the other, to two folders"
            )
        taken[name] = path
        if (config.out / name).resolve() == path.resolve():
            raise DataError(f"{path} would be overwritten by its translation; choose another --out")
        try:
            found.append(Found(path, name, image_file.inspect(path)))
        except Exception as error:  # PIL's decoders raise what they stumble on
            say(f"left out {path}: {image_file.damage(error)}")
    if not found:
        given = file_listing.some(list(map(str, config.inputs))) or "nothing"
        raise DataError(f"there are no images to translate in {given}")
    return found


def _named(inputs: Sequence[pathlib.Path]) -> Iterator[tuple[pathlib.Path, pathlib.PurePath]]:
    """Every file of the inputs, and the name of what it becomes."""
    from jaxgan.data.readers import file_listing

    for path in inputs:
        if path.is_dir():
            for name in file_listing.images_below(path, name=str(path))[0]:
                yield path / name, pathlib.PurePath(name).with_suffix(".png")
        else:
            yield path, pathlib.PurePath(path.name).with_suffix(".png")


def _say_what_is_done(group: list[Found], target: Any, passing: Size, say: Say) -> None:
    from jaxgan.data import resizing
    from jaxgan.data.readers import decoding

    for note in decoding.conversions([one.header for one in group], target):
        say(note)
    if passing != target.resolution:
        size, filled = resizing.describe(target.resolution), resizing.describe(passing)
        say(f"{len(group)} images of {size} are filled up to {filled} and cut back.")


def _decoded(
    group: list[Found], target: Any, say: Say
) -> Iterator[tuple[pathlib.PurePath, np.ndarray]]:
    """The pixels of what can be read, uint8 [H, W, C], by the name of what it becomes."""
    from jaxgan.data.readers import image_file

    for one in group:
        try:
            yield one.name, image_file.decode(one.path, target)
        except Exception as error:  # PIL's decoders raise what they stumble on
            say(f"left out {one.path}: {image_file.damage(error)}")


def _write(path: pathlib.Path, pixels: np.ndarray) -> pathlib.Path:
    from PIL import Image

    from jaxgan import files
    from jaxgan.plotting import image_grids

    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    files.write_whole(path, image_grids.png(image))
    return path


if __name__ == "__main__":
    sys.exit(main())
