"""Text to image (Reed et al. 2016): garments, or any captioned images, drawn from words.

    python -m experiments.text_to_image
    python -m experiments.evaluation.garment_captions RUN
    jaxgan translate RUN --captions "a dark slim dress" --out pictures/

By default the captions of the embedded garments are composed of words for class, shade and shape,
which are computed from the images (`jaxgan.data.fashion_captions`). Your own images with captions
are `--data captioned:FOLDER` (a `metadata.jsonl` with file_name and text beside the images) or
`--data npz:FILE` (images and captions, or embeddings of them).

On 2 CPU cores, 1000 steps of matching and 6500 of the game at 380 images/s: 20 minutes. Of 2,000
held-out captions, 71.1 % are drawn as the class that they name (the classifier finds it in 93.0 %
of their photographs), 94.2 % in the shade and 81.8 % in the shape; within a class two pictures
differ 0.72 times as much as two photographs. Weakest are coats (26 %), pullovers and shirts. More
steps have not helped: after 12,000, trained on an H100, 70.7 % are of their class, and with
`--variety 0.1` 69.7 and 77.0 % (two runs of one seed, which a GPU does not add up in one order),
with a diversity of 0.61 and 0.72. A discriminator that halves garments once more, to 4 pixels where
the paper's meets the caption, knew all fakes from step 4000 on, and 53.8 % were of their class.

The run has two stages: for `--matching` steps a network that reads characters learns, together with
one that sees images, which captions match which images; then it reads for the generator and the
discriminator. Embeddings that the data bring need no first stage.

Unlike the authors', which sees what a network trained on a million photographs sees, the first
stage starts from nothing. The preset `paper` has their protocol for 64 pixels, with the networks of
the paper's figure, to which their code adds residual blocks; it is to be run as

    python -m experiments.text_to_image --preset paper --data captioned:FOLDER
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from jaxgan.runs import command_line
from jaxgan.runs.config import DataSpec, RunConfig
from jaxgan.runs.ranges import (
    Count,
    Decay,
    Fraction,
    HalfLife,
    KernelSize,
    LearningRate,
    Positive,
    Weight,
)

from .flags import two_player_flags

if TYPE_CHECKING:
    import flax.linen as linen

    from jaxgan import data
    from jaxgan.games.stages import Stage
    from jaxgan.types import GAN


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """Images from captions."""

    NETWORK: ClassVar[tuple[str, ...]] = (
        "resolution",
        "channels",
        "text_size",
        "reader_width",
        "seer_width",
        "latent_size",
        "prior",
        "width",
        "discriminator_width",
        "kernel",
        "compressed",
    )
    REFUSED: ClassVar[tuple[str, ...]] = ("data_dir",)

    steps: int = 7500
    data: str = "fashion-captions"
    """fashion-captions, captioned:PATH or npz:PATH."""
    matching: Count = 1000
    """Steps in which the reader of captions learns what matches images; 0: it stays as drawn."""
    text_size: Positive = 128
    """Entries of a caption's embedding."""
    reader_width: Positive = 64
    """Channels of the first layer that reads characters."""
    seer_width: Positive = 32
    """Channels of the first layer of the network that matches images with captions."""
    matching_learning_rate: LearningRate = 1e-3
    """Step size of the first stage, which falls linearly to 0 over its second half."""
    latent_size: Positive = 100
    """Entries of a latent."""
    prior: Literal["normal", "uniform", "unit_uniform"] = "normal"
    """Distribution of the latents: N(0, 1), U(-1, 1), or U(-sqrt 3, sqrt 3), of variance 1."""
    width: Positive = 64
    """Channels of the generator next to the image; they double with every halving."""
    discriminator_width: Positive = 64
    """Channels of the discriminator next to the image; they double with every halving."""
    kernel: KernelSize = 4
    """Side of every convolution's kernel."""
    compressed: Positive = 128
    """Entries that both networks compress an embedding to."""
    mismatched: Fraction = 0.5
    """Share of real images with wrong captions among the wrong pairs; 0: none (no CLS)."""
    interpolated: bool = True
    """Judge the generator midway between captions, too (INT)."""
    variety: Weight = 0.2
    """Weight of the difference between two images of one caption (Mao et al. 2019); without it all
    images of a caption are one.
    """
    loss: str = "non_saturating"
    """Name of the adversarial loss (jaxgan.losses.LOSSES)."""
    generator_learning_rate: LearningRate = 5e-4
    """Step size of the generator."""
    discriminator_learning_rate: LearningRate = 5e-4
    """Step size of the discriminator."""
    beta1: Decay = 0.5
    """Momentum of the Adams of the game."""
    decay_from: Fraction = 0.5
    """Share of the game after which both step sizes fall linearly, to 0 at its end; 1: never."""
    halve_every: Count = 0
    """Steps of the game after which both step sizes are halved, again and again; 0: never."""
    ema_half_life: HalfLife = 10_000.0
    """Half-life of the generator's average, in images; 0 keeps none and samples from the last
    weights.
    """
    shared_noise: bool = True
    """Let the generator meet the fakes of the discriminator step: one forward pass less a round."""
    accumulate: Positive = 1
    """Slices a batch's gradients are averaged over, to save memory."""

    @property
    def data_options(self) -> dict[str, Any]:
        """Images with captions."""
        return {"kind": "captions"}

    @property
    def falls_to_the_end(self) -> bool:
        return self.decay_from != 1.0


PRESETS = {
    # Reed et al. 2016, section 5, and the authors' code, for the 8,855 birds: 600 epochs, the step
    # sizes halved every 100. Their discriminator draws afresh for each player and averages four
    # captions' embeddings; here a batch has one caption of each image. The networks are those of
    # the paper's figure 2; those of the authors' code have residual blocks besides.
    "paper": {
        "steps": 103_000,
        "matching": 20_000,
        "resolution": "64",
        "text_size": 1024,
        "width": 128,
        "generator_learning_rate": 2e-4,
        "discriminator_learning_rate": 2e-4,
        "decay_from": 1.0,
        "halve_every": 13_800,
        "variety": 0.0,
        "shared_noise": False,
        "ema_half_life": 0.0,
    },
    "smoke": {
        "steps": 4,
        "matching": 0,
        "batch_size": 8,
        "text_size": 8,
        "reader_width": 2,
        "width": 4,
        "discriminator_width": 4,
        "compressed": 4,
        "log_every": 2,
        "checkpoint_every": 2,
    },
}


def plan(config: Config, spec: DataSpec) -> tuple[Stage, ...]:
    """The matching of captions and images, where there are captions and steps for it, and the game.

    Raises ValueError where no step is left for the game, unless a run to start from may have
    matched them.
    """
    import functools

    from jaxgan.games import stages

    rows, game_begins = config.rows_per_step, matching_steps(config, spec)
    if config.steps <= game_begins and not config.skipped_stages and config.init_from is None:
        raise ValueError(
            f"--steps {config.steps} leaves none for the game after the {game_begins} of "
            "--matching; give more steps, or fewer to the matching"
        )
    playing = functools.partial(build, config, spec)
    if not game_begins:
        return (stages.Stage(0, rows, playing),)
    matching = functools.partial(matched, config, spec)
    return stages.Stage(0, rows, matching), stages.Stage(game_begins, rows, playing)


def matching_steps(config: Config, spec: DataSpec) -> int:
    """How many steps the first stage takes: none where the data bring embeddings."""
    return 0 if "text" in spec.inputs else config.matching


def matched(config: Config, spec: DataSpec, *, axis_name: str | None = None) -> GAN:
    """What learns to match captions and images, and draws nothing."""
    import optax

    from jaxgan import optimizers
    from jaxgan.games import image_text_embedding
    from jaxgan.games.training import Training

    rate = optimizers.linear_from(config.matching_learning_rate, 0.5, steps=max(1, config.matching))
    return image_text_embedding.build(
        reader(config),
        image_text_embedding.ImageEncoder(config.text_size, config.seer_width, axis_name),
        shape=two_player_flags.image_shape(spec),
        training=Training(
            dict.fromkeys(image_text_embedding.PLAYERS, optax.adam(rate)),
            accumulate=two_player_flags.slices(config.accumulate, config.batch_size),
            axis_name=axis_name,
        ),
    )


def build(config: Config, spec: DataSpec, *, axis_name: str | None = None) -> GAN:
    """The game on images of the data's shape; ValueError on a size that the networks cannot make,
    or on flags that contradict each other.
    """
    from jaxgan import losses
    from jaxgan.games.training import Training
    from jaxgan.models import text_to_image

    before_the_game = 0 if config.skipped_stages else matching_steps(config, spec)
    training = Training(
        optimizers(config, config.steps - before_the_game),
        shared_noise=config.shared_noise and config.accumulate == 1,
        accumulate=two_player_flags.slices(config.accumulate, config.batch_size),
        ema_half_life=config.ema_half_life or None,
        axis_name=axis_name,
    )
    networks = text_to_image.Networks(
        config.width, config.discriminator_width, config.kernel, config.compressed
    )
    embedded = spec.inputs.get("text")
    return text_to_image.build(
        shape=two_player_flags.image_shape(spec),
        text_size=config.text_size if embedded is None else embedded[0],
        encoder=reader(config) if embedded is None else None,
        training=training,
        latent_size=config.latent_size,
        prior=config.prior,
        networks=networks,
        mismatched=config.mismatched,
        between=0.5 if config.interpolated else None,
        variety=config.variety,
        loss=losses.by_name(config.loss),
    )


def reader(config: Config) -> linen.Module:
    """The network that reads captions."""
    from jaxgan.data import captions
    from jaxgan.nn import text_encoder

    return text_encoder.CharacterEncoder(
        captions.CODES, config.text_size, config.reader_width, 2 * config.reader_width
    )


def optimizers(config: Config, updates: int) -> dict[str, Any]:
    """The optimizer of each player of a game of so many updates."""
    import optax

    from jaxgan import optimizers

    if config.halve_every and config.decay_from != 1.0:
        raise ValueError("--halve-every has a law of its own; leave --decay-from at 1")

    def rate(value: float) -> Any:
        if config.halve_every:
            return optax.exponential_decay(value, config.halve_every, 0.5, staircase=True)
        return optimizers.linear_from(value, config.decay_from, steps=max(1, updates))

    return {
        "generator": optimizers.adam(rate(config.generator_learning_rate), config.beta1),
        "discriminator": optimizers.adam(rate(config.discriminator_learning_rate), config.beta1),
    }


def picture(gan: GAN, splits: data.Splits) -> Callable[[Any], Any] | None:
    """Held-out captions, each above its image and what the averaged generator draws; None while
    there is no generator.
    """
    if not gan.conditions:
        return None
    import jax
    import numpy as np

    from jaxgan import data, random
    from jaxgan.plotting import caption_pages

    rows, columns = 8, 8
    assert isinstance(splits.held_out, data.Captioned)
    held_out = splits.held_out.take(min(rows, len(splits.held_out)))
    assert isinstance(held_out, data.Captioned)
    texts = held_out.texts[held_out.first[:-1]]
    titles = [(held_out.captions_of(row) or ["(embedding)"])[0] for row in range(len(held_out))]

    @jax.jit
    def drawn(state: Any) -> Any:
        keys = random.row_keys(jax.random.key(0), len(texts) * columns)
        given = {gan.conditions[0]: np.repeat(texts, columns, axis=0)}
        return gan.sample(state.averaged(), keys, **given)

    def draw(state: Any) -> Any:
        made = np.asarray(drawn(state)).reshape(len(texts), columns, *held_out.shape)
        real = held_out.float_images()[:, None]
        return caption_pages.page(titles, np.concatenate([real, made], axis=1))

    return draw


if __name__ == "__main__":
    command_line.main(__name__)
