"""BiGAN (Donahue et al. 2017): a GAN with an encoder that inverts its generator.

With `--stochastic` it is ALI (Dumoulin et al. 2017). It trains on garments or any other images.

    python -m experiments.bigan
    # how well the encoder preserves images and their classes
    python -m experiments.evaluation.encodings RUN

5000 steps take 6 minutes on 2 CPU cores (830 images/s). G(E(x)) keeps the class of 65.1 % of 2,000
held-out images. The reconstructions of one label differ from each other, on average, at least 0.81
times as much as its photographs do. A linear probe on the encoder's features is right on 85.6 %
(untrained: 84.7 %, on pixels: 84.8 %), the nearest neighbor on 79.0 % (untrained: 80.2 %, on
pixels: 81.0 %). Longer training is not better. After 14,000 steps the discriminator is right on 98
% of the pairs and only 40.9 % of the images keep their class, while the probe is right on 87.0 %
and the nearest neighbor on 83.0 %.

The pictures of a run show held-out images, each above its G(E(x)), and two rows of samples.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from jaxgan.runs import command_line
from jaxgan.runs.config import DataSpec
from jaxgan.runs.ranges import Fraction, KernelSize, LearningRate, Positive, Weight

from .flags import refused_flags, two_player_flags

if TYPE_CHECKING:
    from PIL import Image

    from jaxgan.data import Splits
    from jaxgan.plotting.image_grids import Picture
    from jaxgan.types import GAN

COLUMNS, RECONSTRUCTED, DRAWN = 10, 30, 20


@dataclasses.dataclass(frozen=True)
class Config(two_player_flags.TwoPlayerConfig):
    """Flags of the BiGAN: a generator, an encoder and a discriminator of pairs."""

    NETWORK: ClassVar[tuple[str, ...]] = (
        "architecture",
        "stochastic",
        "width",
        "kernel",
        "features",
        "discriminator_norm",
    )
    REFUSED: ClassVar[tuple[str, ...]] = (*refused_flags.STAGES, "real_label")

    steps: int = 5000
    latent_size: Positive = 50
    generator_learning_rate: LearningRate = 5e-4
    """Learning rate of the generator and of the encoder."""
    discriminator_learning_rate: LearningRate = 2e-4
    order: Literal["alternate", "simultaneous"] = "simultaneous"
    """alternate: update generator and encoder after the discriminator; simultaneous: update all
    from the same state.
    """
    decay_from: Fraction = 0.5
    decay_to: Fraction = 0.0
    """Fraction of the learning rates that remains at the end of the run; 0: linear decay, otherwise
    exponential.
    """
    weight_decay: Weight = 0.0
    """Add this times the weights to all gradients, before Adam scales them."""
    architecture: Literal["convolutional", "perceptron"] = "convolutional"
    """convolutional: DCGAN's networks; perceptron: the authors' networks for MNIST."""
    stochastic: bool = False
    """Sample the encoder's latents from a Gaussian that it parameterizes (ALI)."""
    width: Positive = 48
    """Channels of the layer next to the image (convolutional)."""
    kernel: KernelSize = 4
    """Kernel size of every convolution (convolutional)."""
    features: Positive = 256
    """Size of the encoder's features and of the dense layers."""
    # With batch and a learning rate of 1e-3 the discriminator separated real from fake pairs
    # without error after 7500 steps, and the samples were black. With spectral the encoder had
    # learned no inverse after 4000 steps.
    discriminator_norm: Literal["batch", "spectral", "none"] = "none"
    """Normalization of the discriminator (convolutional); warning: batch and spectral can fail."""


PRESETS = {
    # jeffdonahue/bigan, train_mnist.sh: 200 epochs of 390 batches (50,000 images) and 200 more, in
    # which the learning rates decay; use it with --data tfds:mnist. Its losses are half of those
    # here, so its weight decay of 2.5e-5 corresponds to 5e-5.
    "paper": {
        "steps": 400 * 390,
        "batch_size": 128,
        "architecture": "perceptron",
        "features": 1024,
        "prior": "uniform",
        "generator_learning_rate": 2e-4,
        "discriminator_learning_rate": 2e-4,
        "decay_to": 0.01,
        "weight_decay": 5e-5,
        "ema_half_life": 0.0,
    },
    "smoke": {
        "steps": 4,
        "batch_size": 8,
        "width": 4,
        "features": 8,
        "log_every": 2,
        "checkpoint_every": 2,
    },
}


def build(config: Config, spec: DataSpec, *, axis_name: str | None = None) -> GAN:
    """Returns the model for images of the data's shape.

    Args:
        config: The flags.
        spec: Shape of the data's images.
        axis_name: Mapped axis over which the batch is split, or None.

    Raises:
        ValueError: If the networks cannot make images of this size, or the flags contradict each
            other.
    """
    from jaxgan.games import bidirectional
    from jaxgan.models import bigan

    if config.real_label != 1.0:
        raise ValueError(
            "generator and encoder minimize the discriminator's loss with exchanged labels, which "
            "must be 0 and 1; leave --real-label at 1"
        )
    options = two_player_flags.options(config, axis_name=axis_name)
    training = dataclasses.replace(options["training"], optimizers=optimizers(config))
    if config.order == "simultaneous":
        # The model's own default: from one state, all updates share the same pairs, computed once.
        training = dataclasses.replace(
            training, schedule=bidirectional.simultaneously, shared_noise=None
        )
    shape = two_player_flags.image_shape(spec)
    return bigan.build(
        shape=shape,
        architecture=config.architecture,
        latent_size=config.latent_size,
        prior=config.prior,
        stochastic=config.stochastic,
        width=config.width,
        kernel=config.kernel,
        features=config.features,
        discriminator_norm=config.discriminator_norm,
        **two_player_flags.augmented(config, {**options, "training": training}, shape),
    )


def optimizers(config: Config) -> dict[str, Any]:
    """Returns the optimizer of each player group that the flags ask for.

    Raises:
        ValueError: If the flags contradict each other.
    """
    import optax

    chosen = two_player_flags.optimizers(config, decay_to=config.decay_to)
    if not config.weight_decay:
        return chosen
    decay = optax.add_decayed_weights(config.weight_decay)
    return {side: optax.chain(decay, optimizer) for side, optimizer in chosen.items()}


def picture(gan: GAN, splits: Splits) -> Picture:
    """Returns a function that draws held-out images, their reconstructions, and samples.

    Args:
        gan: The model.
        splits: The data; the held-out images are reconstructed by the averaged networks.
    """
    import jax
    import jax.numpy as jnp
    import numpy as np

    from jaxgan import data, random
    from jaxgan.plotting import image_grids

    held_out = splits.held_out
    assert isinstance(held_out, data.Dataset)
    chosen = held_out.subset(np.arange(RECONSTRUCTED) * len(held_out) // RECONSTRUCTED)
    images = chosen.float_images()

    @jax.jit
    def drawn(state: Any) -> tuple[jax.Array, jax.Array]:
        keys = random.row_keys(jax.random.key(0), RECONSTRUCTED)
        averaged = state.averaged()
        samples = gan.sample(averaged, random.row_keys(jax.random.key(1), DRAWN))
        return gan.sample(averaged, keys, image=jnp.asarray(images)), samples

    def show(state: Any) -> Image.Image:
        again, samples = drawn(state)
        rows = np.stack([images, again]).reshape(2, -1, COLUMNS, *images.shape[1:])
        pairs = rows.swapaxes(0, 1).reshape(-1, *images.shape[1:])
        return image_grids.grid(np.concatenate([pairs, samples]), columns=COLUMNS)

    return show


if __name__ == "__main__":
    command_line.main(__name__)
