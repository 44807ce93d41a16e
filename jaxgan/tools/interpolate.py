"""Films the way from seed to seed: an animation of a run's images.

    jaxgan interpolate RUN
    jaxgan interpolate RUN --seeds 3,7,42 --frames 30 --out loop.mp4

Between the latents of two seeds the way is spherical, so that every frame has a latent as long as
those that training saw; --way linear is the straight one, whose middle is shorter. After the last
seed it goes back to the first, without a jump. An MP4 needs PyAV (pip install 'jaxgan[video]').

The image of a seed is that of jaxgan sample RUN --seeds SEED.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from jaxgan import files
from jaxgan.runs.errors import RunError
from jaxgan.tools import command

if TYPE_CHECKING:
    import numpy as np

Say = Callable[[str], None]

MOST = 5000
"""The largest number of frames."""


@dataclasses.dataclass(frozen=True)
class Config(command.OfRun):
    """The seeds to visit, and how."""

    out: pathlib.Path | None = None
    """A .gif, .webp or .mp4 file. Default: interpolation.gif in the run directory."""
    seeds: str = "0-7"
    """The seeds to visit in turn, like 1-8 or 3,7,42."""
    frames: int = 20
    """Frames from one seed to the next."""
    fps: int = 20
    """Frames a second."""
    way: Literal["spherical", "linear"] = "spherical"
    """The way from one latent to the next."""
    loop: bool = True
    """Go back to the first seed in the end."""
    label: Annotated[str | None, command.CLASS] = None
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
    from jaxgan.plotting import films
    from jaxgan.runs import run_directory
    from jaxgan.tools import latent_space, sample

    command.require_ranges(config, {"frames": (1, MOST), "fps": (1, 50)})
    out = config.out or config.run / "interpolation.gif"
    form = command.film_form(out)
    if config.out is None:
        run_directory.require_no_link(out)
    command.require_free([out], overwrite=config.overwrite)
    seeds = sample.parsed(config.seeds)
    if len(seeds) < 2:
        raise RunError(f"--seeds is {config.seeds}; expected two or more")
    sample.require_few(len(seeds) * config.frames, "frames", MOST)
    model = config.load()
    given = latent_space.conditions_of(model, config.run, config.label)
    space = latent_space.space_of_run(model, config.run, **given)
    ends = latent_space.of_seeds(model, seeds, **given)
    linear = config.way == "linear"
    images = space.show(way(ends, config.frames, loop=config.loop, linear=linear))
    pixels = data.to_uint8(data.bands.shown(images, model.show))
    command.write_image(out, films.encoded(pixels, form, config.fps))
    seconds = len(images) / config.fps
    say(f"{len(images)} frames, {seconds:.1f} seconds, are in {files.printable(out)}")
    config.suggest(say, "can it draw photographs that it never saw?", "project")
    return out


def way(ends: np.ndarray, frames: int, *, loop: bool, linear: bool = False) -> np.ndarray:
    """Returns the latents of all frames, [F, Z]: from each end to the next.

    Args:
        ends: Latents to visit, [N, Z].
        frames: Number of frames from one to the next.
        loop: Whether the way leads back to the first, which is then not repeated.
        linear: Whether it is straight; if not, it is on the sphere.
    """
    import numpy as np

    from jaxgan.games import latent_interpolation

    after = np.roll(ends, -1, axis=0)
    count = len(ends) if loop else len(ends) - 1
    share = np.tile(np.arange(frames, dtype=np.float32) / frames, count)
    starts, stops = (np.repeat(side[:count], frames, axis=0) for side in (ends, after))
    between = latent_interpolation.lerp if linear else latent_interpolation.slerp
    latents = np.asarray(between(starts, stops, share))
    return latents if loop else np.concatenate([latents, ends[-1:]])


if __name__ == "__main__":
    sys.exit(main())
