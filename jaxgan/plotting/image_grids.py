"""Pictures of what a generator draws: a grid of images, or a plot of points (`plots`)."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from PIL import Image, ImageDraw

from jaxgan import data, random
from jaxgan.games import domain_translation, ensemble
from jaxgan.types import GAN, Array

ROWS, COLUMNS = 8, 10
ACROSS = 4  # panels side by side
POINTS = 2048
GAP = 2  # pixels between the images of a grid, before they are enlarged
_SEEN = 64  # pixels of a side that small images are enlarged to, at most

Picture = Callable[[Any], Image.Image]
"""A picture of a state."""


def picture_of(
    gan: GAN,
    splits: data.Splits,
    *,
    seed: int,
    say: Callable[[str], None],
    rows: int = ROWS,
    batch_size: int = 64,
) -> Picture | None:
    """The picture for the data: the same latents at every call, drawn by the averaged generator.

    Images make a grid of `rows`, two domains the columns of `of_domains`, points a plot; None, and
    a sentence to `say`, where plots are not installed.
    """
    key = jax.random.fold_in(jax.random.key(seed), 0x5A)
    if isinstance(splits.held_out, data.Domains):
        return of_domains(gan, splits.held_out, key=key, rows=rows, batch_size=batch_size)
    if isinstance(splits.train, data.Dataset):
        columns = columns_for(len(splits.train.classes))
        draw = sampler(gan, rows * columns)
        return lambda state: grid(np.asarray(draw(state, key)), columns=columns)
    if importlib.util.find_spec("matplotlib") is None:
        say("no pictures of points: they need matplotlib, pip install 'jaxgan[plots]'")
        return None
    from jaxgan.plotting import toy_densities

    assert isinstance(splits.train, data.Mixture)
    draw = sampler(gan, POINTS)
    return toy_densities.picture_of(splits.train, lambda state: np.asarray(draw(state, key)))


def of_real(source: data.Source, *, seed: int, rows: int = ROWS) -> Image.Image | None:
    """Returns a sheet of the first training images, or None if the data are no images.

    They are as many as `picture_of` draws, or as there are, as the batches of a run hold them.

    Args:
        source: The training data. Two domains alternate if their images are of one size; if not,
            the sheet shows 'b', which is what is to be drawn.
        seed: The seed of the run, which decides the order of the images.
        rows: Rows of the sheet.
    """
    if isinstance(source, data.Domains):
        columns = COLUMNS // 2 * 2
        alike = source.a.shape[:2] == source.b.shape[:2]
        count = rows * (columns // 2 if alike else columns)
        batch = source.batch(seed=seed, step=0, size=min(count, len(source.a), len(source.b)))
        parts = _alike([batch["a"], batch["b"]]) if alike else [batch["b"]]
        images = np.stack(parts, axis=1)
        return grid(images.reshape(-1, *images.shape[2:]), columns=columns)
    if not isinstance(source, data.Dataset):
        return None
    columns = columns_for(len(source.classes))
    size = min(rows * columns, len(source))
    # Of the class itself: kinds of it add other roles, in which an image may be another one.
    images = data.Dataset.batch(source, seed=seed, step=0, size=size)["image"]
    return grid(images, columns=columns)


def of_domains(
    gan: GAN, domains: data.Domains, *, key: Array, rows: int = ROWS, batch_size: int = 64
) -> Picture:
    """Images beside what the model makes of them, in columns: input, output and, of pairs, truth.

    They are spread evenly over the data; a model that translates both ways shows a to b on the left
    and b to a on the right.
    """
    ways = [(way, other) for way, other in ("ab", "ba") if way in gan.conditions]
    available = min(len(domains.a), len(domains.b))
    rows = min(rows, available)
    chosen = domains.take(rows * min(ACROSS // len(ways), available // rows))
    images = {"a": chosen.a.float_images(), "b": chosen.b.float_images()}

    def picture(state: Any) -> Image.Image:
        blocks = []
        for way, other in ways:
            made = domain_translation.translated(
                gan, state.averaged(), images[way], source=way, key=key, batch_size=batch_size
            )
            truth = [images[other]] if isinstance(chosen, data.Pairs) else []
            blocks.append(_beside([images[way], made, *truth], rows))
        sheet = np.concatenate(_alike(blocks), axis=1)
        return grid(sheet.reshape(-1, *sheet.shape[2:]), columns=sheet.shape[1])

    return picture


def _beside(images: Sequence[np.ndarray], rows: int) -> np.ndarray:
    """Sets of images [N, H, W, C], each beside its likes in the others: [rows, columns, ...]."""
    together = np.stack(_alike(images), axis=1)
    return together.reshape(rows, -1, *together.shape[2:])


def _alike(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Images of 1, 3 and 4 channels with as many as those that have the most."""
    most = max(part.shape[-1] for part in images)
    return [
        part
        if part.shape[-1] == most
        else data.to_float(data.convert_channels(data.to_uint8(part), most))
        for part in images
    ]


def sampler(gan: GAN, count: int) -> Callable[[Any, Array], Array]:
    """`(state, key) -> samples [count, ...]` by the averaged players, compiled."""

    @jax.jit
    def draw(state: Any, key: Array) -> Array:
        return gan.sample(state.averaged(), random.row_keys(key, count))

    return draw


def columns_for(classes: int) -> int:
    """Columns of a grid: a multiple of the classes if one fits, so that each shows one class."""
    if 2 <= classes <= COLUMNS:
        return COLUMNS // classes * classes
    return classes if COLUMNS < classes <= 2 * COLUMNS else COLUMNS


def enlargement(height: int, width: int) -> int:
    """How often a grid repeats each pixel of images of this size."""
    return max(1, _SEEN // max(height, width))


def grid(images: np.ndarray, *, columns: int, gap: int = GAP) -> Image.Image:
    """Images float [N, H, W, C] in [-1, 1] as one picture, row by row, small ones enlarged.

    1 channel is gray, 3 are RGB, 4 are RGBA; of any other number the mean is shown.
    """
    count, height, width, channels = images.shape
    if channels not in (1, 3, 4):
        images, channels = images.mean(axis=3, keepdims=True), 1
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
    return Image.fromarray(sheet[:, :, 0] if channels == 1 else sheet)


def of_seeds(picture: Picture, seeds: Sequence[int]) -> Picture:
    """The pictures of a ensemble's members in one, each under the name of its seed."""

    def together(state: Any) -> Image.Image:
        # On the host: a member may lie on another device than the one that draws.
        state = jax.device_get(state)
        members = [ensemble.select(state, index) for index in range(len(seeds))]
        named = {f"seed {s}": picture(m) for s, m in zip(seeds, members, strict=True)}
        return panels(named)

    return together


def panels(pictures: Mapping[str, Image.Image], *, gap: int = 8, strip: int = 16) -> Image.Image:
    """Pictures of one size in one, each under its name; wide ones lie below one another."""
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


def png(picture: Image.Image) -> bytes:
    """The picture as a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()
