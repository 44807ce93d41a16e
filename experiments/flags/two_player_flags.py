"""The flags of every game between one generator and one discriminator, and what they mean to
`two_player.build`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

from jaxgan.runs.config import DataSpec, RunConfig


@dataclasses.dataclass(frozen=True)
class TwoPlayerConfig(RunConfig):
    """Flags that all experiments of two players share."""

    NETWORK: ClassVar[tuple[str, ...]] = ("resolution", "channels", "latent_size", "prior")

    loss: str = "non_saturating"
    """Name of the adversarial loss (jaxgan.losses.LOSSES)."""
    real_label: float = 1.0
    """Target of real images; 0.9 is one-sided label smoothing (cross-entropy losses only)."""
    label_flips: float = 0.0
    """Probability that the discriminator is told the opposite of the truth."""
    latent_size: int = 100
    """Entries of a latent."""
    prior: Literal["normal", "uniform", "unit_uniform"] = "normal"
    """Distribution of the latents: N(0, 1), U(-1, 1), or U(-sqrt 3, sqrt 3), of variance 1."""
    optimizer: Literal["adam", "rmsprop", "sgd"] = "adam"
    """Adam, RMSProp without momentum, or the decaying SGD with growing momentum of 2014."""
    generator_learning_rate: float = 2e-4
    """Step size of the generator's optimizer."""
    discriminator_learning_rate: float = 2e-4
    """Step size of the discriminator's optimizer."""
    beta1: float = 0.5
    """Momentum of both Adams."""
    beta2: float = 0.999
    """Memory of both Adams' squared gradients."""
    decay_from: float = 1.0
    """Share of the run after which both step sizes fall linearly, to 0 at its end; 1: never."""
    n_critic: int = 1
    """Discriminator steps in a round, each on a batch of its own."""
    order: Literal["alternate", "simultaneous"] = "alternate"
    """Whether the generator answers the moved discriminator, or both move from the same state."""
    shared_noise: bool = False
    """Let the generator meet the fakes of the last discriminator step: one forward pass less a
    round.
    """
    ema_half_life: float = 10_000.0
    """Half-life of the generator's average, in images; 0 keeps none and samples from the last
    weights.
    """
    accumulate: int = 1
    """Slices a batch's gradients are averaged over, to save memory; with several, each player meets
    noise of its own.
    """
    limit_images: int | None = None
    """Train on so many of the training images alone; fewer are always among more."""

    @property
    def rows_per_step(self) -> int:
        """A round takes one batch for each discriminator step."""
        return self.batch_size * self.n_critic

    @property
    def falls_to_the_end(self) -> bool:
        return self.decay_from != 1.0

    @property
    def data_options(self) -> dict[str, Any]:
        """The training images that the flags leave."""
        return {**super().data_options, "limit": self.limit_images}


def image_shape(spec: DataSpec) -> tuple[int, int, int]:
    """Height, width and channels of the data's images; ValueError where the data are points."""
    if len(spec.shape) != 3:
        raise ValueError(
            f"the data are points of {spec.shape[0]} coordinates; this model needs images "
            "(python -m experiments.vanilla takes points)"
        )
    height, width, channels = spec.shape
    return height, width, channels


def options(config: TwoPlayerConfig, *, axis_name: str | None) -> dict[str, Any]:
    """The arguments of `two_player.build` that the flags ask for.

    Raises ValueError on a loss that does not exist or does not take the flag, on flags that
    contradict each other, or on slices that a batch does not have.
    """
    import functools

    from jaxgan import losses, steps
    from jaxgan.games import two_player

    chosen: dict[str, Any] = {} if config.real_label == 1.0 else {"real_label": config.real_label}
    if config.loss == "relativistic_average":
        chosen["axis_name"] = axis_name
    if config.order == "simultaneous" and (config.n_critic > 1 or config.shared_noise):
        raise ValueError(
            "simultaneous players move once a round, on one draw; "
            "leave --n-critic at 1 and --shared-noise out"
        )
    alternating = functools.partial(steps.alternate, n_critic=config.n_critic)
    flips = functools.partial(losses.flip_labels, probability=config.label_flips)
    try:
        loss = losses.by_name(config.loss, **chosen)
    except TypeError as error:
        raise ValueError(f"the loss {config.loss} takes no --real-label; leave it at 1") from error
    return {
        "loss": loss,
        "optimizers": optimizers(config),
        "schedule": two_player.simultaneously if config.order == "simultaneous" else alternating,
        "shared_noise": config.shared_noise and config.accumulate == 1,
        "relabel": flips if config.label_flips else None,
        "ema_half_life": config.ema_half_life or None,
        "accumulate": slices(config.accumulate, config.batch_size),
        "axis_name": axis_name,
    }


def slices(accumulate: int, batch_size: int) -> int:
    """How many slices a batch's gradients are averaged over; ValueError where they are none, or of
    different sizes.
    """
    if accumulate < 1 or batch_size % accumulate:
        raise ValueError(
            f"--accumulate {accumulate} cannot slice a batch of {batch_size}; "
            "use a number that divides it"
        )
    return accumulate


def optimizers(config: TwoPlayerConfig, *, decay_to: float = 0.0) -> dict[str, Any]:
    """The optimizer of each player that the flags ask for; ValueError where they contradict each
    other.

    Each player's step size falls over its own updates, of which the discriminator has `n_critic` a
    step, to `decay_to` times itself (see `optimizers.falling_from`).
    """
    import functools

    from jaxgan import optimizers
    from jaxgan.models import vanilla

    def rate(value: float, updates: int) -> Any:
        return optimizers.falling_from(value, config.decay_from, steps=updates, to=decay_to)

    if config.optimizer == "sgd" and (config.decay_from != 1.0 or decay_to):
        leave = "--decay-from at 1" + (" and --decay-to at 0" if decay_to else "")
        raise ValueError(f"--optimizer sgd decays by its own law; leave {leave}")
    make = {
        "adam": functools.partial(optimizers.adam, beta1=config.beta1, beta2=config.beta2),
        "rmsprop": optimizers.rmsprop,
        "sgd": vanilla.sgd_of_2014,
    }[config.optimizer]
    return {
        "generator": make(rate(config.generator_learning_rate, config.steps)),
        "discriminator": make(
            rate(config.discriminator_learning_rate, config.steps * config.n_critic)
        ),
    }
