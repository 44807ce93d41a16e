"""The original GAN and conditional GAN of 2014, as their authors trained them.

Goodfellow et al. 2014 and, with `--labels`, Mirza and Osindero 2014, on digits: maxout, dropout,
and gradient descent with increasing momentum.

    python -m experiments.original --data tfds:mnist --limit-images 50000
    python -m experiments.original --data tfds:mnist --limit-images 50000 --labels
    # its table: log-likelihoods by Parzen windows
    python -m experiments.tables parzen

Networks and optimizer are those of the authors' mnist.yaml. `experiments.vanilla` and
`experiments.conditional` are the modern versions.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from jaxgan.runs import command_line
from jaxgan.runs.config import DataSpec, RunConfig
from jaxgan.runs.ranges import LearningRate, Positive, Range

from .flags import refused_flags, two_player_flags

if TYPE_CHECKING:
    from jaxgan.state import GANState
    from jaxgan.types import GAN


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """Flags of the GAN of 2014."""

    NETWORK: ClassVar[tuple[str, ...]] = ("resolution", "channels", "labels", "hidden")
    REFUSED: ClassVar[tuple[str, ...]] = refused_flags.STAGES

    data: str = "fashion"
    """fashion, flowers, folder:PATH, npz:PATH or tfds:NAME."""
    labels: bool = False
    """Condition both networks on the label."""
    steps: int = 15_000
    batch_size: int = 100
    limit_images: Annotated[int | None, Range(1)] = None
    """Train on a subset of this many images; the others choose the width of the Parzen windows."""
    learning_rate: LearningRate = 0.1
    """Initial learning rate of both players; each step divides it by 1.000004."""
    saturate: Positive = 125_000
    """Steps over which the momentum increases from 0.5 to 0.7."""
    hidden: tuple[Positive, Positive] = (200, 1200)
    """Units of the generator's layers: the latent's own layer (with --labels), and the others."""

    @property
    def data_options(self) -> dict[str, Any]:
        """The size of the training subset."""
        return {"limit": self.limit_images}


PRESETS = {
    # 250 epochs of 50,000 images, after which the momentum is constant; the authors stopped by eye.
    "paper": {"steps": 125_000},
    "smoke": {
        "steps": 4,
        "batch_size": 8,
        "hidden": (4, 8),
        "log_every": 2,
        "checkpoint_every": 2,
    },
}


def build(config: Config, spec: DataSpec, *, axis_name: str | None = None) -> GAN:
    """Returns the model for images of the data's shape.

    Args:
        config: The flags.
        spec: Shape and classes of the data's images.
        axis_name: Mapped axis over which the batch is split, or None.

    Raises:
        ValueError: If the data are points, or have fewer than two classes with `--labels`.
    """
    import jax.numpy as jnp

    from jaxgan import losses
    from jaxgan.games import builder, two_player
    from jaxgan.games.training import Training
    from jaxgan.models import vanilla

    from .networks import original as networks

    shape, classes = two_player_flags.image_shape(spec), len(spec.classes) if config.labels else 0
    if config.labels and classes < 2:
        raise ValueError("the data have no labels of two or more classes; leave --labels out")
    _, init = vanilla.weights(0.05)
    judge = (
        networks.ConditionalDiscriminator(classes)
        if classes
        else vanilla.Discriminator(
            (240, 240), pieces=5, input_dropout=0.2, dropout=0.5, kernel_init=init
        )
    )
    # The authors halve the discriminator's loss, and so its learning rate.
    rates = {"generator": config.learning_rate, "discriminator": config.learning_rate / 2}
    return two_player.build(
        networks.Generator(shape, classes, config.hidden),
        networks.InInk(judge),
        shape=shape,
        loss=losses.non_saturating(),
        latents=networks.latents,
        training=Training(
            {
                player: vanilla.sgd_of_2014(rate, saturate=config.saturate)
                for player, rate in rates.items()
            },
            schedule=builder.simultaneously,
            axis_name=axis_name,
        ),
        conditions=lambda batch: (batch["label"],) if classes else (),
        default_conditions=(
            {"label": lambda count: jnp.arange(count, dtype=jnp.int32) % classes} if classes else {}
        ),
    )


def begin(state: GANState, train: Any) -> GANState:
    """Returns the initial state, in which the generator's output is the mean training image.

    Args:
        state: The fresh state.
        train: The training images; each output bias is set by the mean of its pixel.
    """
    from .networks import original as networks

    params = networks.at_means(state["generator"].params, train.pictures())
    return state.with_params({"generator": params})


if __name__ == "__main__":
    command_line.main(__name__)
