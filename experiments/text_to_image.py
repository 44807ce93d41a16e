"""Text to image (Reed et al. 2016): images generated from captions.

    python -m experiments.text_to_image
    python -m experiments.evaluation.garment_captions RUN
    jaxgan translate RUN --captions "a dark slim dress" --out pictures/

By default the captions of the embedded garments consist of words for class, shade and shape, which
are computed from the images (`jaxgan.data.fashion_captions`). Your own captioned images are `--data
captioned:FOLDER` (a `metadata.jsonl` with file_name and text next to the images) or `--data
npz:FILE` (images and captions, or embeddings of them).

1000 steps of matching and 6500 of the GAN take 26 minutes on one CPU core with products of bfloat16
(320 images/s). Of 2,000 held-out captions, 93.2 % give an image of the class that they name (for
their photographs the classifier finds it in 93.0 %), 97.5 % of the shade and 97.2 % of the shape.
Within a class two samples differ 0.49 times as much as two photographs. The weakest classes are
t-shirts (69 %) and shirts (77 %). One seed.

Translations by the augmentation make the difference. Without (`--augment none --variety 0.2`) 71.1
% were of their class, with a diversity of 0.72, and sandals were none. With `--variety 0.4` it is
85.8 % and 0.58, and coats look like jigsaw puzzles; with cutouts, too, (`--augment-policy
translation cutout --variety 0.2`) 86.7 % and 0.46, with black bars. Of each class one combination
of words is held out, so ten combinations decide.

The run has two stages. For `--matching` steps a network that reads characters and one that sees
images learn together which captions match which images. Then the reader embeds the captions for the
generator and the discriminator. Data with embeddings need no first stage.

The authors' image encoder was trained on a million photographs; here the first stage starts from
scratch. The preset `paper` has their protocol for 64 pixels, with the networks of the paper's
figure, without the residual blocks of their code:

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

from .flags import augmentation_flags, two_player_flags

if TYPE_CHECKING:
    import flax.linen as linen

    from jaxgan import data
    from jaxgan.games.stages import Stage
    from jaxgan.types import GAN


@dataclasses.dataclass(frozen=True)
class Config(augmentation_flags.AugmentationFlags, RunConfig):
    """Flags of text to image."""

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

    # Of cutouts, samples get black bars.
    DIFF: ClassVar[tuple[str, ...]] = ("translation",)

    steps: int = 7500
    data: str = "fashion-captions"
    """fashion-captions, captioned:PATH or npz:PATH."""
    matching: Count = 1000
    """Steps that train the caption encoder to match captions and images; 0: it stays untrained."""
    text_size: Positive = 128
    """Size of a caption's embedding."""
    reader_width: Positive = 64
    """Channels of the caption encoder's first layer, which reads characters."""
    seer_width: Positive = 32
    """Channels of the first layer of the image encoder, which the matching trains with the
    captions'.
    """
    matching_learning_rate: LearningRate = 1e-3
    """Learning rate of the matching; it falls linearly to 0 over the second half."""
    latent_size: Positive = 100
    """Size of the latent vector."""
    prior: Literal["normal", "uniform", "unit_uniform"] = "normal"
    """Distribution of the latents: N(0, 1), U(-1, 1), or U(-sqrt 3, sqrt 3), of variance 1."""
    width: Positive = 64
    """Channels of the generator's layer next to the image; they double with every halving."""
    discriminator_width: Positive = 64
    """Channels of the discriminator's layer next to the image; they double with every halving."""
    kernel: KernelSize = 4
    """Kernel size of every convolution."""
    compressed: Positive = 128
    """Size to which generator and discriminator project an embedding."""
    mismatched: Fraction = 0.5
    """Fraction of real images with wrong captions among the negative pairs; 0: none (no CLS)."""
    interpolated: bool = True
    """Also train the generator on interpolations between captions (INT)."""
    variety: Weight = 0.1
    """Weight of the difference between two images of one caption (Mao et al. 2019); with 0 all
    images of a caption are the same.
    """
    augment: Literal["none", "diff", "ada", "scheduled"] = "diff"
    precision: Literal["auto", "float32", "bf16_products", "bf16"] = "auto"
    loss: str = "non_saturating"
    """Name of the adversarial loss (jaxgan.losses.LOSSES)."""
    generator_learning_rate: LearningRate = 5e-4
    """Learning rate of the generator."""
    discriminator_learning_rate: LearningRate = 5e-4
    """Learning rate of the discriminator."""
    beta1: Decay = 0.5
    """Adam's beta1 (momentum), for both players."""
    decay_from: Fraction = 0.5
    """Fraction of the second stage after which both learning rates fall linearly to 0; 1: never."""
    halve_every: Count = 0
    """Halve both learning rates every so many steps of the second stage; 0: never."""
    ema_half_life: HalfLife = 10_000.0
    """Half-life of the generator's moving average, in images; 0: no average, sample from the last
    weights.
    """
    shared_noise: bool = True
    """Reuse the discriminator update's fakes for the generator: saves a forward pass."""
    accumulate: Positive = 1
    """Average gradients over this many slices of a batch, to save memory."""

    @property
    def data_options(self) -> dict[str, Any]:
        """Images with captions."""
        return {"kind": "captions"}

    @property
    def falls_to_the_end(self) -> bool:
        """Whether the learning rates decay up to the last step of the run."""
        return self.decay_from != 1.0


PRESETS = {
    # Reed et al. 2016, section 5, and the authors' code, for the 8,855 birds: 600 epochs, the
    # learning rates halved every 100. Their code draws fresh noise for each player and averages
    # four captions' embeddings; here a batch has one caption of each image. The networks are those
    # of the paper's figure 2; those of the authors' code have additional residual blocks.
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
        "augment": "none",
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
    """Returns the stages of the run: the matching, if captions and steps allow it, and the GAN.

    Args:
        config: The flags.
        spec: Shapes of the data's images and captions.

    Raises:
        ValueError: If no step is left for the GAN, unless `--init-from` may have done the matching.
    """
    import functools

    from jaxgan.games import stages

    rows, game_begins = config.rows_per_step, matching_steps(config, spec)
    if config.steps <= game_begins and not config.skipped_stages and config.init_from is None:
        raise ValueError(
            f"--steps {config.steps} leaves none for the GAN after the {game_begins} of "
            "--matching; use more steps, or fewer for the matching"
        )
    playing = functools.partial(build, config, spec)
    if not game_begins:
        return (stages.Stage(0, rows, playing),)
    matching = functools.partial(matched, config, spec)
    return stages.Stage(0, rows, matching), stages.Stage(game_begins, rows, playing)


def matching_steps(config: Config, spec: DataSpec) -> int:
    """Returns the number of steps of the first stage: 0 if the data have embeddings.

    Args:
        config: The flags.
        spec: Shapes of the data's images and captions.
    """
    return 0 if "text" in spec.inputs else config.matching


def matched(config: Config, spec: DataSpec, *, axis_name: str | None = None) -> GAN:
    """Returns the model of the first stage, which matches captions and images.

    It has no generator.

    Args:
        config: The flags.
        spec: Shapes of the data's images and captions.
        axis_name: Mapped axis over which the batch is split, or None.

    Raises:
        ValueError: If the data are points, or `--accumulate` does not divide the batch size.
    """
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
    """Returns the GAN on images of the data's shape.

    Args:
        config: The flags.
        spec: Shapes of the data's images and captions.
        axis_name: Mapped axis over which the batch is split, or None.

    Raises:
        ValueError: If the networks cannot make images of this size, or the flags contradict each
            other.
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
    embedded, shape = spec.inputs.get("text"), two_player_flags.image_shape(spec)
    loss = losses.by_name(config.loss)
    return text_to_image.build(
        shape=shape,
        text_size=config.text_size if embedded is None else embedded[0],
        encoder=reader(config) if embedded is None else None,
        training=augmentation_flags.augmented(config, training, loss=loss, shape=shape),
        latent_size=config.latent_size,
        prior=config.prior,
        networks=networks,
        mismatched=config.mismatched,
        between=0.5 if config.interpolated else None,
        variety=config.variety,
        loss=loss,
    )


def reader(config: Config) -> linen.Module:
    """Returns the network that embeds captions."""
    from jaxgan.data import captions
    from jaxgan.nn import text_encoder

    return text_encoder.CharacterEncoder(
        captions.CODES, config.text_size, config.reader_width, 2 * config.reader_width
    )


def optimizers(config: Config, updates: int) -> dict[str, Any]:
    """Returns the optimizer of each player of the GAN.

    Args:
        config: The flags.
        updates: Number of updates of each player, over which the learning rates decay.

    Raises:
        ValueError: If two ways to decay the learning rates are given.
    """
    import optax

    from jaxgan import optimizers

    if config.halve_every and config.decay_from != 1.0:
        raise ValueError("--halve-every and --decay-from both decay; leave --decay-from at 1")

    def rate(value: float) -> Any:
        if config.halve_every:
            return optax.exponential_decay(value, config.halve_every, 0.5, staircase=True)
        return optimizers.linear_from(value, config.decay_from, steps=max(1, updates))

    return {
        "generator": optimizers.adam(rate(config.generator_learning_rate), config.beta1),
        "discriminator": optimizers.adam(rate(config.discriminator_learning_rate), config.beta1),
    }


def picture(gan: GAN, splits: data.Splits) -> Callable[[Any], Any] | None:
    """Returns a function that draws held-out captions with their images and samples.

    It is None for the first stage, which has no generator.

    Args:
        gan: The model of the stage.
        splits: The data.
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
