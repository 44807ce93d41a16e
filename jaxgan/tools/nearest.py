"""Shows the training images nearest to a model's samples, and says whether it memorizes them.

    jaxgan nearest RUN
    jaxgan nearest RUN --samples 2000 --features pixels --out sheet.png

The picture has the samples that are nearest to training images, each followed by these images.
Nearness is that of the features which jaxgan evaluate uses (gray images: the embedded classifier of
garments; color: EfficientNet), or of pixels. The yardstick is how near the held-out
photographs are, which the model never saw: a sample that is nearer than these is suspicious, and
if many are, the model memorizes.

The image of a seed is that of jaxgan sample RUN --seeds SEED.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from jaxgan import files
from jaxgan.runs import progress
from jaxgan.runs.errors import RunError
from jaxgan.tools import command

if TYPE_CHECKING:
    import numpy as np

    from jaxgan.data import Dataset
    from jaxgan.metrics.features import Extractor
    from jaxgan.metrics.memorization import Memorization
    from jaxgan.metrics.streaming import Show
    from jaxgan.runs.trained_model import TrainedModel
    from jaxgan.tools.sample import Asked

Say = Callable[[str], None]

_RANGES = {"samples": (1, 100_000), "rows": (1, 100), "neighbors": (1, 20), "seed": command.SEEDS}
_PIECE = 1000


@dataclasses.dataclass(frozen=True)
class Config(command.OfRun):
    """The samples to compare with the training images."""

    out: pathlib.Path | None = None
    """The picture, a .png file. Default: nearest.png in the run directory."""
    samples: int = 1000
    """Number of samples: those of the seeds from --seed on."""
    features: Literal["network", "pixels"] = "network"
    """What nearness is measured by."""
    neighbors: int = 5
    """Training images shown for each sample."""
    rows: int = 10
    """Samples shown, the nearest first."""
    seed: int = 0
    """The first seed."""
    data: str | None = None
    """New location of the run's data, in the syntax of the training flag --data (default: as
    recorded).
    """
    cache: bool = True
    """Cache the features of the real images in the user's cache folder."""
    overwrite: bool = False
    """Replace a picture that exists."""


class Found(NamedTuple):
    """The nearest training images of some images.

    Attributes:
        indices: Indices of the training images, the nearest first, int [N, K].
        distances: Their distances, [N, K].
    """

    indices: np.ndarray
    distances: np.ndarray


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code of the command; an error is one sentence on stderr."""
    return command.answer(
        Config,
        functools.partial(nearest, say=print, show=progress.counted),
        program="jaxgan nearest",
        description=__doc__,
        arguments=arguments,
    )


def nearest(config: Config, *, say: Say, show: Show | None = None) -> Memorization | None:
    """Writes the picture and says whether the model memorizes.

    Args:
        config: The samples to compare with the training images.
        say: Receives sentences about what was found.
        show: Reports progress (`progress.counted`). Default: no report.

    Returns:
        The comparison with held-out photographs, or None if the run held none out.

    Raises:
        RunError: If there is no such run, its model does not draw from seeds, its data have
            changed, or the picture exists.
    """
    from jaxgan import data
    from jaxgan.metrics import memorization, streaming
    from jaxgan.tools import sample

    command.require_ranges(config, _RANGES)
    out = _free_picture(config)
    model = config.load()
    sample.require_images(model, config.run)
    splits = command.data_of(config.run, model, config.data)
    training, held_out = splits.train, splits.held_out
    if not isinstance(training, data.Dataset) or not isinstance(held_out, data.Dataset):
        raise RunError(f"the data of {config.run} are no images, which are what is compared")
    show = show or streaming.unseen
    extractor = extractor_of(config, training, judge=model.config.JUDGE)
    asked = sample.of_classes(model, range(config.seed, config.seed + config.samples))
    images, seen = _seen(model, asked, extractor, show)
    rows = of_training(training, extractor, config, show)
    count = min(config.neighbors, len(training))
    found = Found(*memorization.neighbors(seen, rows, count=count))
    compared = None
    if held_out.digest != training.digest:
        unseen = of_real(held_out, extractor, config, show)
        apart = memorization.neighbors(unseen, rows, count=1)[1][:, 0]
        compared = memorization.memorization(found.distances[:, 0], apart)
    picture(out, images, found, training, asked, config.rows)
    for line in text(config, found, compared, extractor.settings["network"]):
        say(line)
    say(f"the {min(config.rows, len(images))} nearest samples are in {files.printable(out)}")
    why = "where does a photograph of your own lie?"
    config.suggest(say, why, "project", "PHOTO", "--out", "DIR")
    return compared


def _free_picture(config: Config) -> pathlib.Path:
    """Returns the path of the picture, after checking that it may be written."""
    from jaxgan.runs import run_directory

    out = config.out or config.run / "nearest.png"
    if out.suffix.lower() != ".png":
        raise RunError(f"--out is {files.printable(out)}; expected a .png file")
    if config.out is None:
        run_directory.require_no_link(out)
    command.require_free([out], overwrite=config.overwrite)
    return out


def _seen(
    model: TrainedModel, asked: Asked, extractor: Extractor, show: Show
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the samples, [N, H, W, C], and their features, [N, F]."""
    import numpy as np

    from jaxgan.metrics import features
    from jaxgan.tools import sample

    pieces, count = list(sample.drawn(model, asked)), len(asked.seeds)
    told = show(pieces, count, f"comparing {count} samples")
    seen = [piece["features"] for piece in features.pieces(told, extractor, ["features"])]
    return np.concatenate(pieces), np.concatenate(seen)


# --- features -------------------------------------------------------------------------------------


def extractor_of(config: Config, training: Dataset, *, judge: str) -> Extractor:
    """Returns what nearness is measured by.

    Args:
        config: The samples to compare.
        training: The training images.
        judge: EfficientNet by which color images are judged (`RunConfig.JUDGE`).

    Raises:
        RunError: If there is no network for such images.
    """
    from jaxgan.metrics import features, selection

    channels = training.shape[2]
    if config.features == "pixels":
        return features.of_function(pixels, name="pixels")
    extractor = selection.extractor_of(None, judge=judge, channels=channels, cache=config.cache)
    if not extractor.takes(channels):
        raise RunError(
            f"there is no network for images of {channels} channels: pip install "
            "'jaxgan[features]' for color images, or give --features pixels"
        )
    return extractor


def pixels(images: np.ndarray) -> np.ndarray:
    """Returns images as vectors whose distance is the root mean square difference of their pixels.

    Args:
        images: Images [N, H, W, C] in [-1, 1].

    Returns:
        Vectors float32 [N, H * W * C]; black and white have the distance 1.
    """
    import numpy as np

    rows = np.asarray(images, np.float32).reshape(len(images), -1)
    return rows / np.float32(2 * rows.shape[1] ** 0.5)


def of_training(training: Dataset, extractor: Extractor, config: Config, show: Show) -> np.ndarray:
    """Returns the features of the training images, and of their mirror images if it saw these.

    A network sees an image and its mirror image nearly alike, so only pixels need both.

    Args:
        training: The training images.
        extractor: What nearness is measured by.
        config: The samples to compare.
        show: Reports progress.
    """
    import numpy as np

    rows = of_real(training, extractor, config, show)
    if not (training.flip and config.features == "pixels"):
        return rows
    mirrored = dataclasses.replace(training, images=training.images[:, :, ::-1], uncut=None)
    return np.concatenate([rows, of_real(mirrored, extractor, config, show)])


def of_real(real: Dataset, extractor: Extractor, config: Config, show: Show) -> np.ndarray:
    """Returns the features [N, F] of real images.

    Args:
        real: The images.
        extractor: What nearness is measured by.
        config: The samples to compare.
        show: Reports progress.
    """
    from jaxgan.metrics import statistics_cache, streaming

    cached = config.cache and config.features == "network"
    known = statistics_cache.statistics(
        [streaming.FEATURES],
        real,
        extractor=extractor,
        piece=_PIECE,
        folder=statistics_cache.folder() if cached else None,
        show=show,
    )
    return known[streaming.FEATURES.name].rows


# --- what was found -------------------------------------------------------------------------------


def text(config: Config, found: Found, compared: Memorization | None, measured: str) -> list[str]:
    """Returns what was found, in sentences.

    Args:
        config: The samples to compare.
        found: The nearest training images of the samples.
        compared: The comparison with held-out photographs, if there are any.
        measured: What nearness is measured by, in words.
    """
    import numpy as np

    head = f"{len(found.distances)} samples of {config.run}, compared by {measured}"
    if compared is None:
        median = np.median(found.distances[:, 0])
        return [
            head,
            f"  median distance to the nearest training image: {median:.4g}",
            "whether it memorizes cannot be said: the run held nothing out (--holdout 0)",
        ]
    return [
        head,
        "  median distance to the nearest training image",
        f"    of samples:              {compared.generated:.4g}",
        f"    of held-out photographs: {compared.held_out:.4g}",
        f"  samples nearer than the median held-out photograph: {compared.nearer:.1%} "
        "(50 % if they were such photographs)",
        f"  samples nearer than the nearest {compared.expected:.0%} of them: {compared.copies:.1%}",
        SENTENCES[compared.verdict],
    ]


SENTENCES = {
    "memorizes": "it memorizes: many samples are nearer to training images than photographs that "
    "it never saw; train on more images, for fewer steps, or with --augment ada",
    "suspicious": "suspicious: more samples than expected are nearer to training images than "
    "almost all photographs that it never saw; look at the picture: are they copies?",
    "near": "no sign of memorizing: samples lie nearer to the training images than photographs "
    "that it never saw, but hardly one as near as a copy; little detail or variety does that",
    "independent": "no sign of memorizing: samples are about as far from the training images as "
    "photographs that it never saw, or farther",
    "unknown": "whether it memorizes cannot be said: too few photographs were held out",
}
"""What each verdict means."""


def picture(
    path: pathlib.Path,
    images: np.ndarray,
    found: Found,
    training: Dataset,
    asked: Asked,
    rows: int,
) -> None:
    """Writes the samples that are nearest to training images, each followed by these.

    Args:
        path: The file.
        images: The samples, [N, H, W, C] in [-1, 1].
        found: Their nearest training images.
        training: The training images.
        asked: Seeds and classes of the samples.
        rows: Number of samples shown.
    """
    import numpy as np

    from jaxgan.plotting import image_grids

    shown = {}
    for index in np.argsort(found.distances[:, 0], kind="stable")[:rows]:
        label = "" if asked.labels is None else f", {training.classes[asked.labels[index]]}"
        near = training.float_images(found.indices[index] % len(training))
        # Mirror images come after all others.
        mirrored = found.indices[index] >= len(training)
        near = np.where(mirrored[:, None, None, None], near[:, :, ::-1], near)
        row = np.concatenate([images[index][None], near])
        name = f"seed {asked.seeds[index]}{label}; distance {found.distances[index, 0]:.3g}"
        shown[name] = image_grids.grid(row, columns=len(row), show=training.show)
    command.write_image(path, image_grids.png(image_grids.panels(shown)))


if __name__ == "__main__":
    sys.exit(main())
