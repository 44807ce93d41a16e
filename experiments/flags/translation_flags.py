"""The flags of every model that turns images of one domain into images of another."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

from jaxgan.runs.config import DataSpec, RunConfig
from jaxgan.runs.ranges import Count, Decay, Fraction, HalfLife, LearningRate, Positive

from . import refused_flags, two_player_flags


@dataclasses.dataclass(frozen=True)
class TranslationConfig(RunConfig):
    """Flags that all models between two domains share."""

    NETWORK: ClassVar[tuple[str, ...]] = (
        "resolution",
        "channels",
        "direction",
        "width",
        "discriminator_width",
    )
    REFUSED: ClassVar[tuple[str, ...]] = (
        *refused_flags.STAGES,
        *refused_flags.EVALUATION,
        "data_dir",
    )

    data: str = "fashion-halves"
    """fashion-edges, fashion-halves, shoes-bags, unpaired:PATH, paired:PATH or npz:PATH."""
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    """BtoA exchanges the two domains."""
    jitter: Count = 0
    """Pixels by which training images are enlarged, to cut their size out at random."""
    generator_learning_rate: LearningRate = 2e-4
    """Step size of the generators' optimizer."""
    discriminator_learning_rate: LearningRate = 2e-4
    """Step size of the discriminators' optimizer."""
    width: Positive = 32
    """Channels of the generators' first layer."""
    discriminator_width: Positive = 32
    """Channels of the discriminators' first layer."""
    ema_half_life: HalfLife = 0.0
    """Half-life of the generators' average, in images; 0 keeps none and translates with the last
    weights.
    """
    accumulate: Positive = 1
    """Slices a batch's gradients are averaged over, to save memory."""

    @property
    def data_options(self) -> dict[str, Any]:
        """Images of two domains, not paired."""
        return {"kind": "domains", "direction": self.direction, "jitter": self.jitter}


@dataclasses.dataclass(frozen=True)
class PatchConfig(TranslationConfig):
    """Flags of the models whose discriminators judge patches."""

    NETWORK: ClassVar[tuple[str, ...]] = ("patch_size",)

    patch_size: Literal[1, 16, 34, 70, 142, 286] = 16
    """Side of the patches that the discriminators judge, in pixels."""
    beta1: Decay = 0.5
    """Momentum of both Adams."""
    decay_from: Fraction = 1.0
    """Share of the run after which both step sizes fall linearly, to 0 at its end; 1: never."""

    @property
    def falls_to_the_end(self) -> bool:
        return self.decay_from != 1.0


def options(
    config: TranslationConfig,
    spec: DataSpec,
    optimizers: dict[str, Any],
    *,
    axis_name: str | None,
) -> dict[str, Any]:
    """The arguments that the models' own `build`s share; ValueError where the data are not images
    of two domains.
    """
    from jaxgan.games.training import Training

    if "a" not in spec.inputs or {len(spec.shape), len(spec.inputs["a"])} != {3}:
        raise ValueError("the data are not images of two domains a and b, which this model needs")
    return {
        "shape_a": spec.inputs["a"],
        "shape_b": spec.shape,
        "width": config.width,
        "discriminator_width": config.discriminator_width,
        "training": Training(
            optimizers,
            accumulate=two_player_flags.slices(config.accumulate, config.batch_size),
            ema_half_life=config.ema_half_life or None,
            axis_name=axis_name,
        ),
    }


def adams(config: PatchConfig) -> dict[str, Any]:
    """The optimizer of each side, whose step sizes fall as the flags say."""
    from jaxgan import optimizers

    return {
        side: optimizers.adam(
            optimizers.linear_from(rate, config.decay_from, steps=config.steps), config.beta1
        )
        for side, rate in (
            ("generator", config.generator_learning_rate),
            ("discriminator", config.discriminator_learning_rate),
        )
    }
