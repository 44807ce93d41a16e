"""Films the way from seed to seed: an animation of a run's images.

    jaxgan interpolate RUN
    jaxgan interpolate RUN --seeds 3,7,42 --frames 30 --out loop.webp

Between the latents of two seeds the way is spherical, so that every frame has a latent as long as
those that training saw. After the last seed it goes back to the first, without a jump.

The image of a seed is that of jaxgan sample RUN --seeds SEED.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from jaxgan import files
from jaxgan.runs.errors import RunError
from jaxgan.tools import command

if TYPE_CHECKING:
    import numpy as np

    from jaxgan.runs.trained_model import TrainedModel

Say = Callable[[str], None]

MOST = 5000
"""The largest number of frames."""

FORMATS = {".gif": "GIF", ".webp": "WEBP"}
"""The file formats by their suffixes."""


@dataclasses.dataclass(frozen=True)
class Config(command.OfRun):
    """The seeds to visit, and how."""

    out: pathlib.Path | None = None
    """A .gif or .webp file. Default: interpolation.gif in the run directory."""
    seeds: str = "0-7"
    """The seeds to visit in turn, like 1-8 or 3,7,42."""
    frames: int = 20
    """Frames from one seed to the next."""
    fps: int = 20
    """Frames a second."""
    loop: bool = True
    """Go back to the first seed in the end."""
    label: str | None = None
    """The class to draw, by name or number, for a conditional model. Default: the first."""
    overwrite: bool = False
    """Replace a file that exists."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code of the command; an error is one sentence on stderr."""
    return command.answer(
        Config,
        functools.partial(interpolate, say=print),
        program="jaxgan interpolate",
        description=__doc__,
        arguments=arguments,
    )


def interpolate(config: Config, *, say: Say) -> pathlib.Path:
    """Writes the animation and returns its path.

    Args:
        config: The seeds to visit, and how.
        say: Receives sentences about what was written.

    Raises:
        RunError: If the model draws no images from noise, or the file exists. Nothing is written
            then.
    """
    from jaxgan import data
    from jaxgan.runs import run_directory
    from jaxgan.tools import latent_space, sample

    command.require_ranges(config, {"frames": (1, MOST), "fps": (1, 50)})
    out = config.out or config.run / "interpolation.gif"
    if out.suffix.lower() not in FORMATS:
        raise RunError(f"--out is {files.printable(out)}; expected a .gif or .webp file")
    if config.out is None:
        run_directory.require_no_link(out)
    command.require_free([out], overwrite=config.overwrite)
    seeds = sample.parsed(config.seeds)
    if len(seeds) < 2:
        raise RunError(f"--seeds is {config.seeds}; expected two or more")
    sample.require_few(len(seeds) * config.frames, "frames", MOST)
    model = config.load()
    given = _conditions(model, config)
    try:
        space = latent_space.space_of(model, **given)
    except ValueError as error:
        raise RunError(f"{config.run}: {error}") from error
    ends = latent_space.of_seeds(model, seeds, **given)
    images = space.show(way(ends, config.frames, loop=config.loop))
    pixels = data.to_uint8(data.bands.shown(images, model.show))
    command.write(out, encoded(pixels, FORMATS[out.suffix.lower()], config.fps))
    seconds = len(images) / config.fps
    say(f"{len(images)} frames, {seconds:.1f} seconds, are in {files.printable(out)}")
    return out


def _conditions(model: TrainedModel, config: Config) -> dict[str, Any]:
    """Returns the conditions of every frame.

    Raises:
        RunError: If the model does not draw images, or takes no class.
    """
    from jaxgan.data import class_names
    from jaxgan.tools import sample

    sample.require_noise(model, config.run)
    if len(model.spec.shape) != 3:
        raise RunError(f"{config.run} does not draw images")
    if "label" in model.gan.conditions:
        return {"label": int(class_names.numbers(config.label or 0, model.spec.classes))}
    if config.label is not None:
        raise RunError(f"the model of {config.run} takes no class: leave --label out")
    return {}


def way(ends: np.ndarray, frames: int, *, loop: bool) -> np.ndarray:
    """Returns the latents of all frames, [F, Z]: from each end to the next, on the sphere.

    Args:
        ends: Latents to visit, [N, Z].
        frames: Number of frames from one to the next.
        loop: Whether the way leads back to the first, which is then not repeated.
    """
    import numpy as np

    from jaxgan.games import latent_interpolation

    after = np.roll(ends, -1, axis=0)
    count = len(ends) if loop else len(ends) - 1
    share = np.tile(np.arange(frames, dtype=np.float32) / frames, count)
    starts, stops = (np.repeat(side[:count], frames, axis=0) for side in (ends, after))
    latents = np.asarray(latent_interpolation.slerp(starts, stops, share))
    return latents if loop else np.concatenate([latents, ends[-1:]])


def encoded(pixels: np.ndarray, form: str, fps: int) -> bytes:
    """Returns the animation as a file that repeats forever; small images are enlarged.

    Args:
        pixels: Frames, uint8 [F, H, W, C].
        form: 'GIF' or 'WEBP'.
        fps: Frames a second.
    """
    from jaxgan.plotting import image_grids

    factor = image_grids.enlargement(*pixels.shape[1:3])
    large = pixels.repeat(factor, axis=1).repeat(factor, axis=2)
    images = [image_grids.image_of(frame) for frame in large]
    buffer = io.BytesIO()
    images[0].save(
        buffer,
        format=form,
        save_all=True,
        append_images=images[1:],
        duration=round(1000 / fps),
        loop=0,
    )
    return buffer.getvalue()


if __name__ == "__main__":
    sys.exit(main())
