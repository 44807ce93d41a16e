"""The GAN of Goodfellow et al. 2014 as its authors trained it on digits, and the conditional one of
Mirza and Osindero 2014: maxout, dropout, and gradient descent with a growing momentum.

    python -m experiments.original --data tfds:mnist --limit-images 50000
    python -m experiments.original --data tfds:mnist --limit-images 50000 --labels
    python -m experiments.tables parzen      # its table: log-likelihoods by Parzen windows

Networks and optimizer are those of the authors' mnist.yaml; `experiments.vanilla` and
`experiments.conditional` are what one would rather use today.
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
    """A GAN of 2014."""

    NETWORK: ClassVar[tuple[str, ...]] = ("resolution", "channels", "labels", "hidden")
    REFUSED: ClassVar[tuple[str, ...]] = refused_flags.STAGES

    labels: bool = False
    """Let both players see the label."""
    steps: int = 15_000
    batch_size: int = 100
    limit_images: Annotated[int | None, Range(1)] = None
    """Train on so many of the training images alone, and keep the others to choose by."""
    learning_rate: LearningRate = 0.1
    """First step size of both players, which decays by 1.000004 a step."""
    saturate: Positive = 125_000
    """Steps over which the momentum grows from 0.5 to 0.7."""
    hidden: tuple[Positive, Positive] = (200, 1200)
    """Units of the generator's layers: of that of the latent where there are labels, and of the
    others.
    """

    @property
    def data_options(self) -> dict[str, Any]:
        """The training images that the flags leave."""
        return {"limit": self.limit_images}


PRESETS = {
    # 250 epochs of 50,000 images, at whose end the momentum stops to grow; theirs ended by eye.
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
    """The model for images of the data's shape; ValueError where they are none, or have no labels
    for --labels.
    """
    import jax.numpy as jnp

    from jaxgan import losses
    from jaxgan.games import builder, two_player
    from jaxgan.games.training import Training
    from jaxgan.models import vanilla

    from .networks import original as networks

    shape, classes = two_player_flags.image_shape(spec), len(spec.classes) if config.labels else 0
    if config.labels and classes < 2:
        raise ValueError("the data have no labels of two classes at least; leave --labels out")
    _, init = vanilla.weights(0.05)
    judge = (
        networks.ConditionalDiscriminator(classes)
        if classes
        else vanilla.Discriminator(
            (240, 240), pieces=5, input_dropout=0.2, dropout=0.5, kernel_init=init
        )
    )
    # The authors halve the discriminator's loss, and so its step.
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
    """The fresh state with a generator that gives each pixel its mean over the training images."""
    from .networks import original as networks

    params = networks.at_means(state["generator"].params, train.images)
    return state.with_params({"generator": params})


if __name__ == "__main__":
    command_line.main(__name__)
