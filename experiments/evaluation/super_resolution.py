"""Evaluates a run of `experiments.srgan` on held-out images, next to bicubic interpolation.

    python -m experiments.evaluation.super_resolution RUN
    # and on whole photos of any size
    python -m experiments.evaluation.super_resolution RUN --photos FOLDER

Each held-out image is downscaled and then enlarged by bicubic interpolation, by the pre-trained
generator (SRResNet), and by the generator of the adversarial stage (SRGAN). PSNR and SSIM are
computed on the luminance without the outermost 4 pixels, in 256 levels, and averaged over images.
`spectrum apart` is the difference of the mean log power from the originals', over all frequencies.
`reduced again` is the PSNR, over all channels and pixels, of the enlarged image downscaled again
against the small one: the mean over images, and the minimum. The picture shows the enlarged images
and the original, in columns.
"""

from __future__ import annotations

import dataclasses
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from jaxgan.tools import command

from .. import srgan

Enlargers = Mapping[str, Callable[[np.ndarray], np.ndarray]]
"""Enlarges small images [N, h, w, C] in [-1, 1], by name of the method."""


@dataclasses.dataclass(frozen=True)
class Config(command.OfRunAndData):
    """What to evaluate."""

    picture: pathlib.Path | None = None
    """File of the picture (default: super_resolution.png in the run directory)."""
    rows: int = 6
    """Rows of the picture."""
    photos: pathlib.Path | None = None
    """A folder of photos to evaluate whole, each in its own size."""
    tile: int = 256
    """Side of the tiles in which photos are enlarged, in small pixels."""


def report(config: Config) -> str:
    """Returns the report on the run, as text, and writes the picture.

    Raises:
        ValueError: If the run's model does not enlarge images.
    """
    from jaxgan import data
    from jaxgan.data import super_resolution_pairs

    trained = config.load()
    if not isinstance(trained.config, srgan.Config):
        raise ValueError(f"{config.run} is not a run of experiments.srgan")
    held_out = super_resolution_pairs.pairs(config.splits(trained).held_out, trained.config.factor)
    enlargers = enlargers_of(trained)
    small, large = held_out.a.float_images(), held_out.b.pictures()
    made = {name: data.to_uint8(enlarge(small)) for name, enlarge in enlargers.items()}
    title = f"{len(held_out)} images of {trained.config.data}, {trained.step} steps"
    score = scorer(held_out.a.pictures(), large)
    lines = table(title, {name: score(images) for name, images in made.items()})
    place = config.picture or config.run / "super_resolution.png"
    in_columns({**made, "original": large}, rows=config.rows).save(place)
    lines.append(f"in the picture {place}: {', '.join(made)}, original")
    if config.photos is not None:
        lines += of_photos(trained, config.photos, tile=config.tile)
    return "\n".join(lines)


def enlargers_of(trained: Any, *, rows: int = 16) -> Enlargers:
    """Returns bicubic interpolation and the run's generators.

    Args:
        trained: The trained model.
        rows: Batch size of the generators.
    """
    import jax

    from jaxgan.games import domain_translation
    from jaxgan.kernels import bicubic
    from jaxgan.models import srgan as model

    def by(state: Any) -> Callable[[np.ndarray], np.ndarray]:
        def enlarge(small: np.ndarray) -> np.ndarray:
            return domain_translation.translated(
                trained.gan, state, small, key=jax.random.key(0), batch_size=rows
            )

        return enlarge

    def plain(small: np.ndarray) -> np.ndarray:
        height, width = (side * trained.config.factor for side in small.shape[1:3])
        return bicubic.resized(small, (height, width))

    found = {"bicubic": plain, "SRResNet": by(model.as_pretrained(trained.state))}
    if trained.step > trained.config.pretraining:
        found["SRGAN"] = by(trained.state.averaged())
    return found


# --- scores ---------------------------------------------------------------------------------------


def scorer(small: np.ndarray, large: np.ndarray) -> Callable[[np.ndarray], dict[str, str]]:
    """Returns a function that scores enlarged images, uint8 [N, H, W, C], by name of the score.

    Args:
        small: Small images, uint8 [N, h, w, C].
        large: The originals, uint8 [N, H, W, C].
    """
    from jaxgan.metrics import psnr_ssim, spectrum

    real = spectrum.radial_log_spectrum(large)

    def score(images: np.ndarray) -> dict[str, str]:
        again = reduced_again(images, small)
        apart = spectrum.distance(spectrum.radial_log_spectrum(images), real)
        return {
            "PSNR, dB": f"{np.mean(psnr_ssim.psnr(images, large)):.2f}",
            "SSIM": f"{np.mean(psnr_ssim.ssim(images, large)):.4f}",
            "spectrum apart, dB": f"{apart:.2f}",
            "reduced again, dB": f"{np.mean(again):.1f}",
            "  least": f"{np.min(again):.1f}",
        }

    return score


def reduced_again(images: np.ndarray, small: np.ndarray) -> np.ndarray:
    """Returns the PSNR [N], in dB, of images downscaled again against the small ones.

    Args:
        images: Enlarged images, uint8 [N, H, W, C].
        small: Small images, uint8 [N, h, w, C].
    """
    from jaxgan.kernels import bicubic
    from jaxgan.metrics import psnr_ssim

    found = bicubic.resized(images.astype(np.float32), small.shape[1:3])
    return psnr_ssim.decibels(np.mean(np.square(found - small), axis=(1, 2, 3)))


def table(title: str, scores: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Returns the lines of a table: scores by row, methods by column.

    Args:
        title: Title of the table.
        scores: By method, the scores by name.
    """
    rows = [title, " " * 22 + "".join(f"{name:>12s}" for name in scores)]
    for name in next(iter(scores.values())):
        rows.append(f"{name:22s}" + "".join(f"{column[name]:>12s}" for column in scores.values()))
    return rows


def in_columns(images: Mapping[str, np.ndarray], *, rows: int) -> Any:
    """Returns a picture of some images: one image per row, one method per column.

    The images are evenly chosen.

    Args:
        images: By method, images uint8 [N, H, W, C].
        rows: Number of rows.
    """
    from jaxgan import data
    from jaxgan.plotting import image_grids

    sets = list(images.values())
    count = len(sets[0])
    chosen = np.arange(min(rows, count)) * count // min(rows, count)
    sheet = np.stack([data.to_float(part[chosen]) for part in sets], axis=1)
    return image_grids.grid(sheet.reshape(-1, *sheet.shape[2:]), columns=len(sets))


# --- whole photos ---------------------------------------------------------------------------------


def of_photos(trained: Any, folder: pathlib.Path, *, tile: int) -> list[str]:
    """Returns the PSNR on the luminance of each photo and method, as the lines of a table.

    Args:
        trained: The trained model.
        folder: The folder of photos.
        tile: Side of the tiles, in small pixels.
    """
    from jaxgan import data
    from jaxgan.kernels import bicubic
    from jaxgan.metrics import psnr_ssim
    from jaxgan.tools import tiling

    enlargers, margin = enlargers_of(trained, rows=1), trained.config.margin
    rows = ["", f"{'PSNR, dB':28s}" + "".join(f"{name:>12s}" for name in enlargers)]
    for path, photo in photos(folder, trained.spec.shape[2], trained.config.factor):
        small = bicubic.smaller(photo[None], trained.config.factor)[0]
        cells = []
        for enlarge in enlargers.values():
            made = tiling.enlarged(enlarge, data.to_float(small), margin=margin, tile=tile)
            cells.append(f"{psnr_ssim.psnr(made[None], photo[None])[0]:12.2f}")
        name = f"{path.stem[:15]} {photo.shape[0]}x{photo.shape[1]}"
        rows.append(f"{name:28s}" + "".join(cells))
    return rows


def photos(
    folder: pathlib.Path, channels: int, factor: int
) -> Iterator[tuple[pathlib.Path, np.ndarray]]:
    """Yields path and pixels, uint8 [H, W, C], of the images directly in the folder.

    Args:
        folder: The folder.
        channels: Number of channels.
        factor: Sides are cropped to multiples of it.
    """
    from jaxgan.data import resizing
    from jaxgan.data.readers import common_form, file_listing, image_file

    for path in sorted(filter(file_listing.is_image, folder.iterdir())):
        header = image_file.inspect(path)
        target = resizing.Target(header.size, "crop", channels)
        target = common_form.leveled(target, [header])._replace(dtype="uint8")
        pixels = image_file.decode(path, target)
        height, width = (side // factor * factor for side in header.size)
        yield path, pixels[:height, :width]


main = command.printing(
    Config, report, module="experiments.evaluation.super_resolution", description=__doc__
)

if __name__ == "__main__":
    sys.exit(main())
