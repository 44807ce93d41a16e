"""Progressive growing (Karras et al. 2018): resolutions fade in from 4 pixels on.

    python -m experiments.progressive
    python -m experiments.progressive --data folder:PHOTOS --resolution 64
    # evaluate it with the independent classifier
    python -m experiments.evaluation.garment_classes RUN

13,000 steps on garments take 14 minutes on 2 CPU cores: a step of 16 images takes 13, 33, 54 and
129 ms at 4, 8, 16 and 32 pixels. After 58,000 images of 32 pixels the proxy FID of 2,000 samples is
1.61. At least 2 % of the samples fall in each of 7 classes, within which they differ at least 0.70
times as much as photographs do. A DCGAN after the same number of images (`experiments.dcgan
--resolution 32 --steps 906`) reaches 1.93 and 5 classes. One seed.

Warning: results depend on the learning rate, because equalized weights move by the learning rate
and not by their own size. With the paper's 1e-3, constant for the whole run, the proxy FID is 2.26
after 150,000 images of 32 pixels; with a constant 1e-2 it is 3.10. With a batch size of 64, the
same number of images gave visibly worse samples.

Each resolution is a stage of the run. It fades in over `--fade-images` and trains on for
`--stable-images`; the last one continues to the end. 32 pixels have the stages 4, 8, 16 and 32.
Every size that halves to a base of 4 to 7 pixels grows in the same way. With
`--no-keep-optimizers`, as in the paper, a fade and the training after it are two stages.
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
    """Flags of progressive growing with the Wasserstein loss and a gradient penalty."""

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
    """Real images on which a resolution trains after its fade, before the next one begins."""
    batch_sizes: tuple[Positive, ...] = ()
    """Batch size of each resolution, the smallest first; default: --batch-size for all."""
    width: Positive = 16
    """Channels at the full resolution; they double with every halving, up to --max-width."""
    max_width: Positive = 128
    """Largest number of channels of a layer."""
    group: Positive = 4
    """Group size of the minibatch standard deviation; it must divide the batch size."""
    penalty_weight: Weight = 10.0
    """Weight of the gradient penalty, (|gradient of the critic| - 1)^2 between real images and
    fakes.
    """
    drift: Weight = 0.001
    """Weight of the squared logits of real images, which keeps the logits near zero."""
    # Warning: step counts are kept too, so that the first updates of new layers are up to 10 times
    # the learning rate (see `stages.carry_over`).
    keep_optimizers: bool = True
    """Keep the optimizers' state of old layers, and decay the learning rates over the whole run;
    otherwise reset the optimizers at the start and end of each fade.
    """

    @property
    def rows_per_step(self) -> int:
        """Examples per step in the stage that takes the most."""
        return max(self.batch_sizes or (self.batch_size,)) * self.n_critic


PRESETS = {
    # Karras et al. 2018, appendix A: 1024 pixels in nine stages, each with 800,000 images to fade
    # in and 800,000 to stabilize. A batch of 16 is one group of the minibatch standard deviation;
    # the paper's batches shrink from 256 pixels on, to save memory. The optimizers are reset
    # whenever a fade begins and ends, as in the authors' code.
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
    """Returns the stages of the run: one for each resolution, two where the optimizers are reset.

    Args:
        config: The flags.
        spec: Shape of the data's images.

    Raises:
        ValueError: If the flags contradict each other or do not fit the resolutions.
    """
    import functools

    from jaxgan.games import stages
    from jaxgan.models import progressive

    if config.decay_from != 1.0 and not config.keep_optimizers:
        raise ValueError(
            "learning rates cannot decay over the run if the optimizers are reset at each stage; "
            "use --keep-optimizers or --decay-from 1"
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
    """The stages of a level, each as (images to fade in, images in all, how it grows).

    A fade is a stage of its own if the optimizers are reset at its end.
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
    """Returns the model of the last stage.

    Args:
        config: The flags.
        spec: Shape of the data's images.
        axis_name: Mapped axis over which the batch is split, or None.

    Raises:
        ValueError: If the size cannot be grown to, or the flags contradict each other.
    """
    return plan(config, spec)[-1].build(axis_name=axis_name)


def rows_by_level(config: Config, last: int) -> list[int]:
    """Returns the number of examples that a step takes at each level.

    Args:
        config: The flags.
        last: The last level; the first is 0.

    Raises:
        ValueError: If the number of batch sizes is wrong, or one is not divisible into groups.
    """
    sizes = config.batch_sizes or (config.batch_size,) * (last + 1)
    if len(sizes) != last + 1:
        raise ValueError(
            f"--batch-sizes has {len(sizes)} entries for {last + 1} resolutions; give one for each"
        )
    whole = config.group * max(
        1, config.accumulate
    )  # `two_player_flags.options` refuses --accumulate below 1
    for size in sizes:
        if size < 1 or size % whole:
            raise ValueError(
                f"a batch of {size} cannot be split into groups of {config.group} for the "
                f"minibatch standard deviation; use a multiple of {whole}, or a smaller --group"
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
    """Returns the model of one stage.

    Args:
        config: The flags.
        shape: Full shape (H, W, C) of the images.
        level: Level of the stage, from 0 at the lowest resolution.
        rows: Examples that a step takes.
        axis_name: Mapped axis over which the batch is split, or None.
    """
    import functools

    from jaxgan import penalties
    from jaxgan.models import progressive

    # `config.batch_size` is only the default of the level's batch size.
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
        **two_player_flags.augmented(config, options, shape),
    )


if __name__ == "__main__":
    command_line.main(__name__)
