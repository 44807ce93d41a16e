"""Pictures of generated samples: grids of images, translations, or plots of points."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from PIL import Image, ImageDraw

from jaxgan import data, random
from jaxgan.games import domain_translation
from jaxgan.types import GAN, Array

ROWS, COLUMNS = 8, 10
ACROSS = 4  # panels next to each other
POINTS = 2048
GAP = 2  # pixels between the images of a grid, before they are enlarged
_SEEN = 64  # small images are enlarged to at most this many pixels a side

Picture = Callable[[Any], Image.Image]
"""`picture(state) -> image`: draws generated samples of a state."""


def picture_of(
    gan: GAN,
    splits: data.Splits,
    *,
    seed: int,
    say: Callable[[str], None],
    rows: int = ROWS,
    columns: int | None = None,
    batch_size: int = 64,
) -> Picture | None:
    """Returns the picture that suits the data, with samples of the averaged generator.

    Every call uses the same latents. Images become a grid, two domains the grid of `of_domains`,
    and points a plot.

    Args:
        gan: The model.
        splits: The data.
        seed: Seed of the latents.
        say: Receives a message if the samples cannot be drawn.
        rows: Rows of the grid.
        columns: Columns of a grid of images. None: `columns_for` the classes.
        batch_size: Batch size of image translation.

    Returns:
        The picture, or None if the samples cannot be drawn.
    """
    key = jax.random.fold_in(jax.random.key(seed), 0x5A)
    if isinstance(splits.held_out, data.Domains):
        return of_domains(gan, splits.held_out, key=key, rows=rows, batch_size=batch_size)
    if isinstance(splits.train, data.Dataset) or len(splits.train.shape) == 3:
        columns = columns or columns_for(len(splits.train.classes))
        draw, reach = sampler(gan, rows * columns), reach_of(splits.train)
        show = getattr(splits.train, "show", ())
        return lambda state: grid(np.asarray(draw(state, key)) / reach, columns=columns, show=show)
    if not isinstance(splits.train, data.Mixture):
        say(
            f"samples of the shape {splits.train.shape} are not drawn; a function "
            "picture(gan, splits) in the experiment can draw them"
        )
        return None
    if importlib.util.find_spec("matplotlib") is None:
        say("points are not plotted: matplotlib is missing; pip install 'jaxgan[plots]'")
        return None
    from jaxgan.plotting import toy_densities

    draw = sampler(gan, POINTS)
    return toy_densities.picture_of(splits.train, lambda state: np.asarray(draw(state, key)))


def of_real(
    source: data.Source, *, seed: int, rows: int = ROWS, columns: int | None = None
) -> Image.Image | None:
    """Returns a sheet of the first training images, or None if the data are no images.

    They are as many as `picture_of` draws, or as there are, as the batches of a run hold them.

    Args:
        source: The training data. Two domains alternate if their images are of one size; if not,
            the sheet shows 'b', which is what is to be drawn.
        seed: The seed of the run, which decides the order of the images.
        rows: Rows of the sheet.
        columns: Columns of a sheet of single images. None: `columns_for` the classes.
    """
    if isinstance(source, data.Domains):
        columns = COLUMNS // 2 * 2
        alike = source.a.shape[:2] == source.b.shape[:2]
        count = rows * (columns // 2 if alike else columns)
        batch = source.batch(seed=seed, step=0, size=min(count, len(source.a), len(source.b)))
        a, b = (data.bands.shown(batch[side], getattr(source, side).show) for side in "ab")
        parts = _alike([a, b]) if alike else [b]
        images = np.stack(parts, axis=1)
        return grid(images.reshape(-1, *images.shape[2:]), columns=columns)
    if isinstance(source, data.Arrays) and len(source.shape) == 3:
        size = min(rows * (columns or COLUMNS), len(source))
        images = source.batch(seed=seed, step=0, size=size)["image"]
        return grid(images / reach_of(source), columns=columns or COLUMNS)
    if not isinstance(source, data.Dataset):
        return None
    columns = columns or columns_for(len(source.classes))
    size = min(rows * columns, len(source))
    # Of the class itself: kinds of it add other roles, in which an image may be another one.
    images = data.Dataset.batch(source, seed=seed, step=0, size=size)["image"]
    return grid(images, columns=columns, show=source.show)


def reach_of(source: data.Source) -> float:
    """Returns the value of an image that is drawn white: of arrays their own, of all others 1."""
    return source.reach if isinstance(source, data.Arrays) else 1.0


def of_domains(
    gan: GAN, domains: data.Domains, *, key: Array, rows: int = ROWS, batch_size: int = 64
) -> Picture:
    """Returns a grid of translations: columns of inputs, outputs and, for paired data, targets.

    The images are evenly spaced over the data. A model that translates in both directions shows a
    to b on the left and b to a on the right.

    Args:
        gan: The model.
        domains: Images of domains 'a' and 'b'.
        key: Random key of the generator's noise.
        rows: Rows of the grid, at most.
        batch_size: Batch size of the translation.
    """
    ways = [(way, other) for way, other in ("ab", "ba") if way in gan.conditions]
    available = min(len(domains.a), len(domains.b))
    rows = min(rows, available)
    chosen = domains.take(rows * min(ACROSS // len(ways), available // rows))
    images = {"a": chosen.a.float_images(), "b": chosen.b.float_images()}
    show = {"a": chosen.a.show, "b": chosen.b.show}

    def picture(state: Any) -> Image.Image:
        blocks = []
        for way, other in ways:
            made = domain_translation.translated(
                gan, state.averaged(), images[way], source=way, key=key, batch_size=batch_size
            )
            parts = [(images[way], show[way]), (made, show[other])]
            if isinstance(chosen, data.Pairs):
                parts.append((images[other], show[other]))
            blocks.append(_beside([data.bands.shown(*part) for part in parts], rows))
        sheet = np.concatenate(_alike(blocks), axis=1)
        return grid(sheet.reshape(-1, *sheet.shape[2:]), columns=sheet.shape[1])

    return picture


def _beside(images: Sequence[np.ndarray], rows: int) -> np.ndarray:
    """Puts the images [N, H, W, C] of several sets next to each other: [rows, columns, H, W, C]."""
    together = np.stack(_alike(images), axis=1)
    return together.reshape(rows, -1, *together.shape[2:])


def _alike(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Converts images of 1, 3 and 4 channels to the largest number of channels that occurs."""
    most = max(part.shape[-1] for part in images)
    return [
        part
        if part.shape[-1] == most
        else data.to_float(data.convert_channels(data.to_uint8(part), most))
        for part in images
    ]


def sampler(gan: GAN, count: int) -> Callable[[Any, Array], Array]:
    """Returns `draw(state, key) -> samples [count, ...]`, compiled, with the averaged players.

    Args:
        gan: The model.
        count: Number of samples.
    """

    @jax.jit
    def draw(state: Any, key: Array) -> Array:
        return gan.sample(state.averaged(), random.row_keys(key, count))

    return draw


def columns_for(classes: int) -> int:
    """Returns the number of columns of a grid of labeled images.

    It is a multiple of the number of classes if one fits, so that each column shows one class.
    """
    if 2 <= classes <= COLUMNS:
        return COLUMNS // classes * classes
    return classes if COLUMNS < classes <= 2 * COLUMNS else COLUMNS


def enlargement(height: int, width: int) -> int:
    """Returns the integer factor by which a grid enlarges images of this size.

    Args:
        height: Height of an image in pixels.
        width: Width of an image in pixels.
    """
    return max(1, _SEEN // max(height, width))


def grid(
    images: np.ndarray, *, columns: int, gap: int = GAP, show: Sequence[int] = ()
) -> Image.Image:
    """Arranges images in a grid, row by row, and enlarges small images.

    Args:
        images: Images [N, H, W, C] in [-1, 1].
        columns: Columns of the grid.
        gap: Pixels between the images, before they are enlarged.
        show: Indices of the channels that are shown: one, or three as red, green and blue. Default:
            all if C is 1 (gray), 3 (RGB) or 4 (RGBA), or else the first ones (see `bands.usual`).
    """
    images = data.bands.shown(images, show)
    count, height, width, channels = images.shape
    pixels = data.to_uint8(images)
    rows = -(-count // columns)
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, channels), 255)
    sheet = sheet.astype(np.uint8)
    for index, image in enumerate(pixels):
        top = gap + index // columns * (height + gap)
        left = gap + index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = image
    factor = enlargement(height, width)
    sheet = sheet.repeat(factor, axis=0).repeat(factor, axis=1)
    return image_of(sheet)


def image_of(pixels: np.ndarray) -> Image.Image:
    """Returns pixels [H, W, C], uint8, as an image: gray (C = 1), RGB (3) or RGBA (4)."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def panels(pictures: Mapping[str, Image.Image], *, gap: int = 8, strip: int = 16) -> Image.Image:
    """Arranges pictures of the same size in a grid, each under its name.

    Pictures wider than three times their height are arranged in one column.

    Args:
        pictures: Pictures by name.
        gap: Pixels between the pictures.
        strip: Height of a name's line in pixels.
    """
    width, height = next(iter(pictures.values())).size
    columns = 1 if width > 3 * height else min(ACROSS, len(pictures))
    rows = -(-len(pictures) // columns)
    size = (columns * (width + gap) + gap, rows * (height + strip + gap) + gap)
    sheet = Image.new("RGB", size, "white")
    write = ImageDraw.Draw(sheet)
    for index, (name, panel) in enumerate(pictures.items()):
        left = gap + index % columns * (width + gap)
        top = gap + index // columns * (height + strip + gap)
        write.text((left, top), name, fill="black")
        opaque = panel.convert("RGBA")
        sheet.paste(opaque, (left, top + strip), mask=opaque)
    return sheet


def named_rows(images: Mapping[str, np.ndarray], *, show: Sequence[int] = ()) -> Image.Image:
    """Arranges images in rows, each under its name.

    Args:
        images: Images [N, H, W, C] in [-1, 1] of each row, by its name.
        show: Indices of the channels that are shown (see `grid`).
    """
    columns = max(map(len, images.values()))
    return panels({name: grid(row, columns=columns, show=show) for name, row in images.items()})


def png(picture: Image.Image) -> bytes:
    """Encodes the picture as a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()
