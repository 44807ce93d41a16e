"""Progressive growing (Karras et al. 2018): images grow from 4 pixels, each resolution fading in.

    python -m experiments.progressive
    python -m experiments.progressive --data folder:PHOTOS --resolution 64
    # what the independent classifier says of it
    python -m experiments.evaluation.garment_classes RUN

On 2 CPU cores a step of 16 garments takes 13, 33, 54 and 129 ms at 4, 8, 16 and 32 pixels: 14
minutes. After 58,000 images of 32 pixels the proxy FID of 2,000 samples is 1.61, and at least 2 %
of them fall in each of 7 classes, within which they differ at least 0.70 times as much as
photographs do. A DCGAN after as many of these (`experiments.dcgan --resolution 32 --steps 906`) has
1.93 and 5 classes. One seed.

The step size decides, for equalized weights move by steps, and not by their own size: with the
paper's 1e-3, kept for the whole run, the proxy FID is 2.26 after 150,000 images of 32 pixels, with
1e-2, kept, 3.10. In batches of 64, to the eye, as many images taught less.

Each resolution is a stage of the run: it fades in over `--fade-images`, trains on for
`--stable-images`, and the last one goes on to the end. 32 pixels have the stages 4, 8, 16 and 32;
every size that halves to a base of 4 to 7 pixels is grown to in the same way. With
`--no-keep-optimizers`, as in the paper, a fade and what follows it are two stages.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from jaxgan.runs import command_line
from jaxgan.runs.config import DataSpec
from jaxgan.runs.ranges import Decay, Fraction, LearningRate, Positive, Weight

from .flags import two_player_flags

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxgan.games.stages import Stage
    from jaxgan.state import GANState
    from jaxgan.types import GAN


@dataclasses.dataclass(frozen=True)
class Config(two_player_flags.TwoPlayerConfig):
    """Progressive growing with the Wasserstein loss and a gradient penalty."""

    NETWORK: ClassVar[tuple[str, ...]] = ("width", "max_width", "group")

    steps: int = 13_000
    batch_size: int = 16
    resolution: str | None = "32"
    loss: str = "wasserstein"
    latent_size: Positive = 128
    generator_learning_rate: LearningRate = 8e-3
    discriminator_learning_rate: LearningRate = 8e-3
    decay_from: Fraction = 0.4
    beta1: Decay = 0.0
    beta2: Decay = 0.99
    shared_noise: bool = True
    fade_images: Positive = 30_000
    """Real images over which a resolution fades in."""
    stable_images: Positive = 30_000
    """Real images shown to the whole of a resolution before the next begins."""
    batch_sizes: tuple[Positive, ...] = ()
    """The batch size of each resolution, the smallest first; default: --batch-size for all."""
    width: Positive = 16
    """Channels at the full resolution; they double with every halving, up to --max-width."""
    max_width: Positive = 128
    """The most channels a layer has."""
    group: Positive = 4
    """Examples in a group of the minibatch's standard deviation; it must divide the batch size."""
    penalty_weight: Weight = 10.0
    """Of the squared distance of the critic's slope from 1, between real images and fakes."""
    drift: Weight = 0.001
    """Weight of the squared logits of real images, which keeps the logits near zero."""
    keep_optimizers: bool = True
    """Let the optimizers keep what they know of the old layers, and their step sizes fall over the
    whole run; otherwise they are reset where a fade begins and where it ends. What is kept counts
    the steps of all layers: the first updates of new ones are up to 10 times the step size (see
    `stages.carry_over`).
    """

    @property
    def rows_per_step(self) -> int:
        """Of the stage that takes the most."""
        return max(self.batch_sizes or (self.batch_size,)) * self.n_critic


PRESETS = {
    # Karras et al. 2018, appendix A: 1024 pixels in nine stages of 800,000 images to fade in and
    # as many to stay, in batches of 16 that are one group of the minibatch's deviation; theirs
    # shrink from 256 pixels on, for the memory's sake. The optimizers start afresh whenever a fade
    # begins and ends, as in the authors' code.
    "paper": {
        "steps": 900_000,
        "resolution": None,
        "batch_size": 16,
        "latent_size": 512,
        "generator_learning_rate": 1e-3,
        "discriminator_learning_rate": 1e-3,
        "decay_from": 1.0,
        "keep_optimizers": False,
        "shared_noise": False,
        "width": 16,
        "max_width": 512,
        "group": 16,
        "fade_images": 800_000,
        "stable_images": 800_000,
        "ema_half_life": 11_000.0,
    },
    "smoke": {
        "steps": 4,
        "batch_size": 8,
        "resolution": "28",
        "fade_images": 8,
        "stable_images": 8,
        "width": 4,
        "max_width": 8,
        "log_every": 2,
        "checkpoint_every": 2,
    },
}


def plan(config: Config, spec: DataSpec) -> tuple[Stage, ...]:
    """The stages of the run, one for each resolution; ValueError where the flags do not fit them or
    one another.
    """
    import functools

    from jaxgan.games import stages
    from jaxgan.models import progressive

    if config.decay_from != 1.0 and not config.keep_optimizers:
        raise ValueError(
            "optimizers that start afresh at each stage cannot let their step sizes fall over the "
            "run; take --keep-optimizers or --decay-from 1"
        )
    shape = two_player_flags.image_shape(spec)
    found, start = [], 0
    for level, rows in enumerate(rows_by_level(config, progressive.levels(shape[:2]))):
        call = rows * config.steps_per_call
        for fade_images, images, grow in _parts(config, level):
            part = dataclasses.replace(config, fade_images=fade_images)
            make = functools.partial(at_level, part, shape, level, rows=rows)
            found.append(stages.Stage(start, rows, make, grow, progressive.enter))
            start += max(1, -(-images // call)) * config.steps_per_call
    return tuple(found)


def _parts(config: Config, level: int) -> list[tuple[int, int, Callable[..., GANState]]]:
    """The stages of a level: the images that each takes to fade in, those it is shown in all, and
    how it grows. A fade is one by itself where the optimizers are reset at its end.
    """
    import functools

    from jaxgan.games import stages
    from jaxgan.models import progressive

    grow = functools.partial(progressive.grow, keep_optimizers=config.keep_optimizers)
    fade, stable = config.fade_images if level else 0, config.stable_images
    if config.keep_optimizers or not fade:
        return [(fade, fade + stable, grow)]
    reset = functools.partial(stages.carry_over, optimizers=False)
    return [(fade, fade, grow), (0, stable, reset)]


def build(config: Config, spec: DataSpec, *, axis_name: str | None = None) -> GAN:
    """The model of the last stage; ValueError on a size that cannot be grown to."""
    return plan(config, spec)[-1].build(axis_name=axis_name)


def rows_by_level(config: Config, last: int) -> list[int]:
    """The rows of a step at each level from 0 to `last`; ValueError on batches that do not fit."""
    sizes = config.batch_sizes or (config.batch_size,) * (last + 1)
    if len(sizes) != last + 1:
        raise ValueError(
            f"--batch-sizes has {len(sizes)} entries for {last + 1} resolutions; give one for each"
        )
    whole = config.group * max(
        1, config.accumulate
    )  # `two_player_flags.options` refuses fewer slices than one
    for size in sizes:
        if size < 1 or size % whole:
            raise ValueError(
                f"a batch of {size} cannot be split into groups of {config.group} for the "
                f"minibatch's standard deviation; use a multiple of {whole}, or a smaller --group"
            )
    return [size * config.n_critic for size in sizes]


def at_level(
    config: Config,
    shape: tuple[int, int, int],
    level: int,
    *,
    rows: int,
    axis_name: str | None = None,
) -> GAN:
    """The model of one stage."""
    import functools

    from jaxgan import penalties
    from jaxgan.models import progressive

    # The batch size of the level, of which `batch_size` is only the default.
    of_level = dataclasses.replace(config, batch_size=rows // config.n_critic)
    options = two_player_flags.options(of_level, axis_name=axis_name)
    options["loss"] = progressive.drifting(options["loss"], config.drift)
    return progressive.build(
        shape=shape,
        level=level,
        rows=rows,
        fade_images=config.fade_images,
        latent_size=config.latent_size,
        prior=config.prior,
        width=config.width,
        max_width=config.max_width,
        group=config.group,
        penalty=functools.partial(penalties.gradient_penalty, weight=config.penalty_weight),
        **options,
    )


if __name__ == "__main__":
    command_line.main(__name__)
