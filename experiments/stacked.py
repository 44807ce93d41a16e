"""Stacked digits (Metz et al. 2017, section 3.3.1): a thousand modes to count.

Each of the three channels of a color image is a digit, drawn independently. The networks are small
and miss many of the modes.

    python -m experiments.stacked --data tfds:mnist
    python -m experiments.stacked --data tfds:mnist --packing 2
    python -m experiments.stacked --data tfds:mnist --unrolled 5
    python -m experiments.tables stacked_mnist      # its table, with the modes counted

Any grayscale images of 28x28 can be stacked. The generator's batch statistics are computed over all
fakes of a step; PacGAN's code computes them separately for each position in the packs.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from jaxgan.runs import command_line
from jaxgan.runs.config import DataSpec, RunConfig
from jaxgan.runs.ranges import Count, LearningRate, Positive

from .flags import refused_flags

if TYPE_CHECKING:
    from jaxgan.games.objectives import Draw
    from jaxgan.losses import AdversarialLoss
    from jaxgan.types import GAN, Objective, Step

CHANNELS = 3


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """Flags of the GAN of stacked images."""

    NETWORK: ClassVar[tuple[str, ...]] = (
        "packing",
        "latent_size",
        "generator_widths",
        "discriminator_widths",
    )
    REFUSED: ClassVar[tuple[str, ...]] = (*refused_flags.STAGES, "parallel", "shard_parameters")

    data: str = "fashion"
    """fashion, folder:PATH, npz:PATH or tfds:NAME; grayscale images of 28x28."""
    packing: Positive = 1
    """Images that the discriminator sees at once (PacGAN); 1: one."""
    unrolled: Count = 0
    """Discriminator steps that the generator looks ahead (unrolled GAN); 0: none."""
    steps: int = 5000
    batch_size: int = 128
    """Images, or packs of them, in each update of a player."""
    latent_size: Positive = 256
    """Size of the latent vector, from N(0, 1)."""
    generator_widths: tuple[Positive, ...] = (64, 32, 16, 8)
    """Channels of the generator's maps of 4, 7, 14 and 28 pixels."""
    discriminator_widths: tuple[Positive, ...] = (4, 8, 16)
    """Channels of the discriminator's maps of 14, 7 and 4 pixels."""
    generator_learning_rate: LearningRate = 1e-4
    """Learning rate of the generator (Adam)."""
    discriminator_learning_rate: LearningRate = 2e-4
    """Learning rate of the discriminator (Adam)."""
    shared_noise: bool = False
    """Reuse the discriminator update's fakes for the generator: saves a forward pass."""

    @property
    def rows_per_step(self) -> int:
        """Examples per step: three for each stacked image, and several of these for each pack."""
        return self.batch_size * self.packing * CHANNELS


PRESETS = {
    # PacGAN's code for the protocol of Metz et al., whose D is half as large as G: both players
    # see the same latents. Its batch statistics differ (see above).
    "paper": {"steps": 500_000, "shared_noise": True},
    "smoke": {
        "steps": 4,
        "batch_size": 4,
        "latent_size": 8,
        "generator_widths": (4, 4, 4, 4),
        "discriminator_widths": (2, 2, 2),
        "log_every": 2,
        "checkpoint_every": 2,
    },
}


def build(config: Config, spec: DataSpec, *, axis_name: str | None = None) -> GAN:
    """Returns the model for stacks of grayscale images of 28x28.

    Args:
        config: The flags.
        spec: Shape of the data's images.
        axis_name: None; the batch statistics cannot be split over an axis.

    Raises:
        ValueError: If the images have another shape, or `axis_name` is not None.
    """
    import functools

    from jaxgan import losses, random, steps
    from jaxgan.games import two_player
    from jaxgan.games.training import Training
    from jaxgan.nn import packing

    from .networks import stacked as networks

    expected = (networks.SIDE, networks.SIDE, 1)
    if tuple(spec.shape) != expected:
        raise ValueError(f"the images have shape {spec.shape}; expected {expected} to stack them")
    if axis_name is not None:
        raise ValueError("the batch statistics are of the whole batch; use --parallel jit")

    loss = losses.non_saturating()
    latents = functools.partial(random.latents, size=config.latent_size)

    def refine(judge, generate):
        if not config.unrolled:
            return judge, generate
        return judge, foreseeing(loss, latents, count=config.unrolled)

    discriminator = networks.Discriminator(config.discriminator_widths)
    return two_player.build(
        networks.Generator(CHANNELS, config.generator_widths),
        packing.Packed(discriminator, config.packing) if config.packing > 1 else discriminator,
        shape=(networks.SIDE, networks.SIDE, CHANNELS),
        loss=loss,
        latents=latents,
        training=Training(
            {
                "generator": adam(config.generator_learning_rate),
                "discriminator": adam(config.discriminator_learning_rate),
            },
            schedule=lambda *sides, **options: on_stacks(steps.alternate(*sides, **options)),
            shared_noise=config.shared_noise,
            refine=refine,
        ),
    )


def foreseeing(loss: AdversarialLoss, latents: Draw, *, count: int) -> Objective:
    """Returns the generator's objective after several discriminator steps on the same fakes.

    The fakes are drawn and computed once.

    Args:
        loss: The adversarial loss.
        latents: Draws latents by keys.
        count: Number of discriminator steps to look ahead.
    """
    from jaxgan import steps
    from jaxgan.games import objectives
    from jaxgan.steps.shared_forward import Forward

    draw = objectives.fakes(latents)
    given = Forward((), lambda state, batch, keys: (batch["fake"], {}))
    ahead = steps.unrolled(
        objectives.generator_objective(loss, given),
        {"discriminator": objectives.discriminator_objective(loss, given)},
        count=count,
    )

    def objective(state, batch, keys):
        fake, players = draw(state, batch, keys)
        value, out = ahead(state, {**batch, "fake": fake}, keys)
        return value, out._replace(players=players)

    return objective


def adam(learning_rate: float):
    """Returns Adam as in the authors' code.

    Its update is smooth at a gradient of zero, because an unrolled generator differentiates it.
    """
    from jaxgan import optimizers

    return optimizers.adam(learning_rate, beta2=0.99, eps_root=1e-16)


def on_stacks(inner: Step) -> Step:
    """Returns a step on color images, each made of three of the batch's images as channels."""
    from jaxgan.nn import packing

    def step(state, batch, keys):
        stacks = packing.pack(batch["image"], CHANNELS)
        return inner(state, {"image": stacks}, keys.replace(base=keys.base[::CHANNELS]))

    return step


if __name__ == "__main__":
    command_line.main(__name__)
