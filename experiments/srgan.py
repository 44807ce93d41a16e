"""SRGAN (Ledig et al. 2017): super-resolution by a factor of 4.

    python -m experiments.srgan
    python -m experiments.srgan --data folder:PHOTOS --resolution 128
    python -m experiments.evaluation.super_resolution RUN      # PSNR, SSIM, spectra, and a picture

Any images will do: each one is downscaled and then recovered. The embedded garments go from 7 to 28
pixels. The run has two stages. First the generator is trained alone, by pixels, for `--pretraining`
steps (SRResNet). Then it is trained against a discriminator and by feature maps (SRGAN). The
pre-trained generator stays in the run as the player 'pretrained'.

On garments the defaults take 8 minutes on one CPU core. On 2,000 held-out images SRResNet has a
PSNR of 21.28 dB and an SSIM of 0.680, bicubic interpolation 15.68 dB and 0.400. SRGAN's mean log
spectrum is 0.8 dB from the originals' (SRResNet's: 4.2, bicubic: 26.2). Its output, downscaled
again, agrees with the small image to 56 dB.

With `--flip` and 2,934 photographs of flowers at 128 pixels, on 2 CPU cores, the pre-training takes
21 minutes (76 images a second) and the adversarial stage 29 minutes (32 images a second). On the
736 held-out photographs SRResNet has 1.63 dB more PSNR on the luminance than bicubic interpolation
(25.60 against 23.97) and an SSIM of 0.721 against 0.636. SRGAN's mean log spectrum is 2.6 dB from
the originals' (SRResNet's: 13.7, bicubic: 24.1). Its output, downscaled again, agrees with the
small image to 68 dB.

The defaults are for a CPU. They differ from the paper, whose protocol is the preset `paper`, in
four ways. The network has no batch normalization, computes only at the low resolution, and corrects
the bicubic interpolation. The pre-training minimizes the absolute difference of pixels. After each
pass the output is projected onto the images that give the small one when downscaled
(`--no-consistent` disables this). The feature maps are averaged moduli of a fixed bank of wavelets,
because the weights of VGG19 are not part of this package. With these weights (torchvision's, as
.pth or .safetensors):

    python -m experiments.srgan --features vgg19:vgg19-dcbb9e9d.pth
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from jaxgan.runs import command_line
from jaxgan.runs.config import DataSpec, RunConfig
from jaxgan.runs.ranges import (
    Count,
    Decay,
    Fraction,
    HalfLife,
    LearningRate,
    Positive,
    Range,
    Weight,
)

from .flags import augmentation_flags, refused_flags, two_player_flags

if TYPE_CHECKING:
    from jaxgan import data
    from jaxgan.games.stages import Stage
    from jaxgan.games.training import Training
    from jaxgan.types import GAN

WAVELETS = "wavelets"
VGG19 = "vgg19:"


@dataclasses.dataclass(frozen=True)
class Config(augmentation_flags.AugmentationFlags, RunConfig):
    """Flags of super-resolution, first by pixels and then against a discriminator."""

    NETWORK: ClassVar[tuple[str, ...]] = (
        "channels",
        "factor",
        "crop",
        "architecture",
        "consistent",
        "blocks",
        "width",
        "discriminator_width",
    )
    REFUSED: ClassVar[tuple[str, ...]] = (*refused_flags.EVALUATION, "load")
    PIXELS_FOR_ONEDNN: ClassVar[int] = 1 << 28  # its steps become only 3 % shorter

    steps: int = 9500
    batch_size: int = 16
    data: str = "fashion"
    """fashion, folder:PATH, npz:PATH or tfds:NAME."""
    pretraining: Count = 6000
    """Steps in which the generator is trained alone, by pixels; 0: none."""
    factor: Annotated[int, Range(2, 16)] = 4
    """Upscaling factor, in height and width."""
    crop: str | None = "96"
    """Size of the random crops of the originals in a batch; larger than the images: whole images.
    """
    architecture: Literal["efficient", "resnet"] = "efficient"
    """efficient: a network that computes at the low resolution; resnet: the paper's."""
    blocks: Positive = 8
    """Residual blocks of the generator."""
    width: Positive = 64
    """Channels of the generator."""
    discriminator_width: Positive = 16
    """Channels of the discriminator's first layer."""
    pixel_loss: Literal["absolute", "squared"] = "absolute"
    """Pixel loss of the pre-training: mean absolute or mean squared error."""
    consistent: bool = True
    """Project the output onto the images that give the small one when downscaled."""
    features: str = WAVELETS
    """Features of the content loss: wavelets, pixels, or vgg19:FILE with torchvision's weights."""
    features_sha256: str | None = None
    """First digits of the sha256 of that file, 8 or more; default: those in its name
    (vgg19-dcbb9e9d.pth).
    """
    pixels: Weight = 0.3
    """Weight of the pixels' mean squared error in the adversarial stage, next to the features."""
    adversarial: Weight = 3e-3
    """Weight of the adversarial loss."""
    pretraining_learning_rate: LearningRate = 6e-4
    """Learning rate of the pre-training."""
    decay_from: Fraction = 0.5
    """Fraction of the pre-training after which its learning rate falls linearly to 0; 1: never."""
    generator_learning_rate: LearningRate = 1e-4
    """Learning rate of the generator in the adversarial stage."""
    discriminator_learning_rate: LearningRate = 2e-4
    """Learning rate of the discriminator."""
    drop_at: Fraction = 0.75
    """Fraction of the adversarial stage after which both learning rates are divided by 10; 1:
    never.
    """
    beta1: Decay = 0.9
    """Adam's beta1 (momentum), for all optimizers."""
    ema_half_life: HalfLife = 5_000.0
    """Half-life of the generator's moving average, in images; 0: no average, sample from the last
    weights.
    """
    accumulate: Positive = 1
    """Average gradients over this many slices of a batch, to save memory."""

    @property
    def reading_options(self) -> dict[str, Any]:
        """Whole images, of which the train step cuts parts; the data cut those that differ in size.

        The held-out images are then centers.
        """
        crop = None if self.resolution else self.crop
        return {**super().reading_options, "crop": crop, "crop_alike": False}

    @property
    def falls_to_the_end(self) -> bool:
        """Whether the learning rates depend on the last step of the run."""
        return self.drop_at != 1.0

    @property
    def margin(self) -> int:
        """Largest distance, in small pixels, from which a pixel of the large image is affected.

        Photos of any size are enlarged in tiles with this margin.
        """
        from jaxgan.nn import resampling, super_resolution

        network = super_resolution.reach(self.architecture, factor=self.factor, blocks=self.blocks)
        return network + (resampling.REACH if self.consistent else 0)


PRESETS = {
    # Ledig et al. 2017, section 3.2: 16 blocks, 1e6 steps by the mean squared error at 1e-4, then
    # 1e5 at 1e-4 and 1e5 at 1e-5 only by VGG19's maps. Without its weights, wavelets replace them.
    # The small images are in [-1, 1] here, in [0, 1] there.
    "paper": {
        "steps": 1_200_000,
        "pretraining": 1_000_000,
        "architecture": "resnet",
        "blocks": 16,
        "discriminator_width": 64,
        "pixel_loss": "squared",
        "consistent": False,
        "pixels": 0.0,
        "adversarial": 1e-3,
        "discriminator_learning_rate": 1e-4,
        "pretraining_learning_rate": 1e-4,
        "decay_from": 1.0,
        "drop_at": 0.5,
        "ema_half_life": 0.0,
    },
    "smoke": {
        "steps": 4,
        "pretraining": 0,
        "batch_size": 8,
        "blocks": 1,
        "width": 4,
        "discriminator_width": 2,
        "log_every": 2,
        "checkpoint_every": 2,
    },
}


def plan(config: Config, spec: DataSpec, *, saved: bool = False) -> tuple[Stage, ...]:
    """Returns the stages of the run: the pre-training, if there is one, and the adversarial stage.

    Args:
        config: The flags.
        spec: Shape of the data's images.
        saved: Whether the states come from checkpoints, which hold the weights of VGG19.
    """
    import functools

    from jaxgan.games import stages
    from jaxgan.models import srgan

    rows, game_begins = config.rows_per_step, config.pretraining

    def remembered(*, axis_name: str | None = None) -> GAN:
        game = build(config, spec, axis_name=axis_name, saved=saved)
        return game if config.skipped_stages else srgan.remembering(game)

    if not game_begins:
        return (stages.Stage(0, rows, functools.partial(build, config, spec, saved=saved)),)
    return (
        stages.Stage(0, rows, functools.partial(alone, config, spec)),
        stages.Stage(game_begins, rows, remembered, srgan.game_from),
    )


def alone(config: Config, spec: DataSpec, *, axis_name: str | None = None) -> GAN:
    """Returns the model of the pre-training, a generator that is trained by pixels.

    Args:
        config: The flags.
        spec: Shape of the data's images.
        axis_name: Mapped axis over which the batch is split, or None.

    Raises:
        ValueError: If the networks do not fit the factor or the size.
    """
    from jaxgan import optimizers
    from jaxgan.models import srgan

    rate = optimizers.linear_from(
        config.pretraining_learning_rate, config.decay_from, steps=config.pretraining
    )
    return model(
        config,
        spec,
        training(config, {"generator": optimizers.adam(rate, config.beta1)}, axis_name),
        pretraining=None,
        distance=srgan.absolute if config.pixel_loss == "absolute" else srgan.squared,
    )


def build(
    config: Config, spec: DataSpec, *, axis_name: str | None = None, saved: bool = False
) -> GAN:
    """Returns the model of the adversarial stage.

    Args:
        config: The flags.
        spec: Shape of the data's images.
        axis_name: Mapped axis over which the batch is split, or None.
        saved: Whether the state comes from a checkpoint, which holds the weights of VGG19.

    Raises:
        ValueError: If the networks do not fit the factor or the size, or the features do not exist.
    """
    import optax

    from jaxgan import optimizers
    from jaxgan.models import srgan

    def adam(rate: float) -> Any:
        if config.drop_at == 1.0:
            return optimizers.adam(rate, config.beta1)
        before = 0 if config.skipped_stages else config.pretraining
        until = round(config.drop_at * max(0, config.steps - before))
        return optimizers.adam(optax.piecewise_constant_schedule(rate, {until: 0.1}), config.beta1)

    adams = {
        "generator": adam(config.generator_learning_rate),
        "discriminator": adam(config.discriminator_learning_rate),
    }
    augmented = augmentation_flags.augmented(
        config,
        training(config, adams, axis_name),
        loss=srgan.CROSS_ENTROPY,
        shape=piece(config, spec),
    )
    return model(
        config,
        spec,
        augmented,
        features=features_of(config, saved=saved),
        pixels=config.pixels,
        adversarial=config.adversarial,
    )


def training(config: Config, optimizers: dict[str, Any], axis_name: str | None) -> Training:
    """Returns how a stage is trained.

    Args:
        config: The flags.
        optimizers: Optimizer of each player of the stage, by name.
        axis_name: Mapped axis over which the batch is split, or None.
    """
    from jaxgan.games.training import Training

    return Training(
        optimizers,
        accumulate=two_player_flags.slices(config.accumulate, config.batch_size),
        ema_half_life=config.ema_half_life or None,
        axis_name=axis_name,
    )


def model(config: Config, spec: DataSpec, training: Training, **options: Any) -> GAN:
    """Returns the model of a stage, on crops of single images.

    Args:
        config: The flags.
        spec: Shape of the data's images.
        training: How the stage is trained.
        **options: Further arguments of `models.srgan.build`.
    """
    from jaxgan.models import srgan
    from jaxgan.nn import resampling

    height, width, channels = piece(config, spec)
    pairs = srgan.build(
        shape=(height, width, channels),
        training=training,
        factor=config.factor,
        networks=srgan.Networks(
            config.architecture, config.blocks, config.width, config.discriminator_width
        ),
        correct=resampling.consistent if config.consistent else None,
        **options,
    )
    size = height, width
    values = spec.range_of("image")
    return srgan.of_images(
        pairs,
        factor=config.factor,
        size=size,
        axis_name=training.axis_name,
        steps=None if values.dtype == "float32" else values.high - values.low,
    )


def piece(config: Config, spec: DataSpec) -> tuple[int, int, int]:
    """Returns the shape (H, W, C) of the crops of the originals in a batch.

    It is the crop that the flags ask for, or as much of the whole image as the factor divides.

    Args:
        config: The flags.
        spec: Shape of the data's images.

    Raises:
        ValueError: If the images are too small to be downscaled by the factor.
    """
    from jaxgan import data

    height, width, channels = two_player_flags.image_shape(spec)
    if config.factor < 2 or min(height, width) < config.factor:
        raise ValueError(
            f"images of {height}x{width} pixels cannot be made {config.factor} times smaller; give "
            "--factor 2 or more, and larger images"
        )
    whole = [side // config.factor * config.factor for side in (height, width)]
    asked = whole if config.crop is None else data.parse_resolution(config.crop)
    rows, columns = (min(pair) for pair in zip(asked, whole, strict=True))
    return rows, columns, channels


def features_of(config: Config, *, saved: bool = False) -> Any:
    """Returns the features that the content loss compares, or None for pixels.

    Args:
        config: The flags.
        saved: Whether the weights of VGG19 come from a checkpoint, and are not read here.

    Raises:
        ValueError: If there are no such features.
    """
    from jaxgan.nn import scattering, vgg

    if config.features == WAVELETS:
        return scattering.maps
    if config.features == "pixels":
        return None
    if config.features.startswith(VGG19) and saved:
        return vgg.blank()
    if config.features.startswith(VGG19):
        return vgg.player(config.features.removeprefix(VGG19), sha256=config.features_sha256)
    raise ValueError(
        f"the features are {config.features!r}; expected wavelets, pixels or vgg19:FILE"
    )


def picture(gan: GAN, splits: data.Splits) -> Callable[[Any], Any]:
    """Returns a function that draws held-out images in threes.

    They are the bicubic interpolation, the averaged generator's output, and the original.

    Args:
        gan: The model.
        splits: The data.
    """
    import jax
    import numpy as np

    from jaxgan import random
    from jaxgan.data import super_resolution_pairs
    from jaxgan.plotting import image_grids

    held_out = super_resolution_pairs.pairs(splits.held_out, factor_of(gan, splits.train.shape[2]))
    across = max(1, 128 // held_out.shape[1])
    shown = held_out.take(min(len(held_out), 8 * across))
    small, large = shown.a.float_images(), shown.b.float_images()

    @jax.jit
    def enlarge(state: Any, images: Any) -> Any:
        keys = random.row_keys(jax.random.key(0), len(images))
        return gan.sample(state.averaged(), keys, a=images)

    def draw(state: Any) -> Any:
        found = np.asarray(enlarge(state, small))
        return image_grids.grid(threes(small, found, large), columns=3 * across)

    return draw


def factor_of(gan: GAN, channels: int) -> int:
    """Returns the upscaling factor of the model.

    Args:
        gan: The model.
        channels: Number of channels of its images.
    """
    import jax
    import numpy as np

    from jaxgan import random

    def enlarge(key: Any) -> Any:
        small = np.zeros((1, 8, 8, channels), np.float32)
        return gan.sample(gan.init(key), random.row_keys(key, 1), a=small)

    return jax.eval_shape(enlarge, jax.random.key(0)).shape[1] // 8


def threes(small: Any, found: Any, large: Any) -> Any:
    """Returns each image's bicubic interpolation, the model's output, and the original, in turn.

    Args:
        small: Small images [N, h, w, C].
        found: The model's output [N, H, W, C].
        large: The originals [N, H, W, C].
    """
    import numpy as np

    from jaxgan.kernels import bicubic

    plain = bicubic.resized(small, large.shape[1:3])
    return np.stack([plain, found, large], axis=1).reshape(-1, *large.shape[1:])


if __name__ == "__main__":
    command_line.main(__name__)
