"""A GAN of small perceptrons that can be made to fail in every way, for the tests of diagnosis."""

from __future__ import annotations

import dataclasses

from experiments.flags import two_player_flags


@dataclasses.dataclass(frozen=True)
class Config(two_player_flags.TwoPlayerConfig):
    """Perceptrons of any width; without hidden layers they are linear."""

    steps: int = 400
    batch_size: int = 32
    log_every: int = 10
    sample_every: int = 0
    checkpoint_every: int = 100
    steps_per_call: int = 50
    cache: bool = False
    latent_size: int = 8
    generator_hidden: tuple[int, ...] = (32, 32)
    """Widths of the generator's hidden layers."""
    discriminator_hidden: tuple[int, ...] = (32, 32)
    """Widths of the discriminator's hidden layers."""


def build(config, spec, *, axis_name=None):
    from jaxgan.models import vanilla

    return vanilla.build(
        shape=spec.shape,
        latent_size=config.latent_size,
        prior=config.prior,
        generator=vanilla.Generator(spec.shape, config.generator_hidden),
        discriminator=vanilla.Discriminator(config.discriminator_hidden, dropout=0.0),
        **two_player_flags.options(config, axis_name=axis_name),
    )
