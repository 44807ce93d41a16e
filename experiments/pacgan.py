"""PacGAN (Lin et al. 2018) on the plane: a discriminator of packs of points.

The networks are the perceptrons of ALI's toy experiment.

    python -m experiments.pacgan --data grid --packing 2
    python -m experiments.pacgan --data grid --packing 2 --preset paper
    python -m experiments.tables pacgan        # its table

The training set is finite, as in the paper: points are drawn once, and every example of a pack is a
uniform draw from them. The generator's batch statistics are computed over all fakes of a step; the
authors' code computes them separately for each position in the packs.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from jaxgan.runs import command_line
from jaxgan.runs.config import DataSpec, RunConfig
from jaxgan.runs.ranges import LearningRate, Positive

from . import cures
from .flags import refused_flags

if TYPE_CHECKING:
    from jaxgan.types import GAN, Array, Step


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """Flags of PacGAN on the plane."""

    NETWORK: ClassVar[tuple[str, ...]] = (
        "packing",
        "latent_size",
        "generator_width",
        "discriminator_width",
    )
    REFUSED: ClassVar[tuple[str, ...]] = (
        *refused_flags.STAGES,
        *refused_flags.IMAGES,
        *refused_flags.EVALUATION,
        "parallel",
        "shard_parameters",
    )

    data: str = "grid"
    """ring or grid."""
    packing: Positive = 2
    """Points in a pack; 1: the plain GAN."""
    steps: int = 10_000
    batch_size: int = 100
    """Packs in each update of a player."""
    steps_per_call: int = 50
    points: Positive = 100_000
    """Size of the training set."""
    latent_size: Positive = 2
    """Size of the latent vector, from N(0, 1)."""
    generator_width: Positive = 400
    """Units of each of the generator's four hidden layers."""
    discriminator_width: Positive = 200
    """Maxout units, each with 5 pieces, of each of the discriminator's three hidden layers."""
    learning_rate: LearningRate = 1e-4
    """Learning rate of both players (Adam with beta1 0.8)."""

    @property
    def rows_per_step(self) -> int:
        """Examples per step; each pack takes several."""
        return self.batch_size * self.packing


PRESETS = {
    # 400 epochs of 100,000 examples.
    "paper": {"steps": 400_000},
    "smoke": {
        "steps": 4,
        "batch_size": 8,
        "points": 100,
        "generator_width": 8,
        "discriminator_width": 4,
        "steps_per_call": 1,
        "log_every": 2,
        "checkpoint_every": 2,
    },
}


def build(config: Config, spec: DataSpec, *, axis_name: str | None = None) -> GAN:
    """Returns the model for a mixture on the plane.

    Args:
        config: The flags.
        spec: Shape of the data.
        axis_name: None; the batch statistics cannot be split over an axis.

    Raises:
        ValueError: If the data are not the ring or the grid, or `axis_name` is not None.
    """
    import functools

    import jax.numpy as jnp

    from jaxgan import losses, optimizers, random
    from jaxgan.data import mixtures
    from jaxgan.games import builder, two_player
    from jaxgan.games.training import Training
    from jaxgan.nn import packing

    from .networks import pacgan as networks

    if spec.shape != (2,) or config.data not in mixtures.MIXTURES:
        raise ValueError(f"the data are {config.data}; expected ring or grid")
    if axis_name is not None:
        raise ValueError("the batch statistics are of the whole batch; use --parallel jit")
    drawn = mixtures.MIXTURES[config.data]().batch(seed=0, step=0, size=config.points)
    training_set = jnp.asarray(drawn["image"])

    def schedule(discriminator: Step, generator: Step) -> Step:
        return among(training_set, builder.simultaneously(discriminator, generator))

    optimizer = optimizers.adam(config.learning_rate, beta1=0.8)
    judge = networks.Discriminator(config.discriminator_width)
    return two_player.build(
        networks.Generator(config.generator_width),
        packing.Packed(judge, config.packing),
        shape=(2,),
        loss=losses.non_saturating(),
        latents=functools.partial(random.latents, size=config.latent_size),
        training=Training({"generator": optimizer, "discriminator": optimizer}, schedule=schedule),
    )


picture = cures.picture


def among(training_set: Array, inner: Step) -> Step:
    """Returns a step that trains on uniform draws, with replacement, from a training set.

    Args:
        training_set: Points [N, D]; draws from them replace the batch's points.
        inner: The step.
    """
    import jax

    from jaxgan import random

    def row(key: Array) -> Array:
        return jax.random.randint(key, (), 0, len(training_set))

    def step(state, batch, keys):
        rows = random.draw(random.fold(keys, "training set"), row)
        return inner(state, {**batch, "image": training_set[rows]}, keys)

    return step


if __name__ == "__main__":
    command_line.main(__name__)
