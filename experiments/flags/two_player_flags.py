"""Flags of the GANs with one generator and one discriminator, for `two_player.build`."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, ClassVar, Literal

from jaxgan.runs.config import DataSpec, RunConfig
from jaxgan.runs.ranges import Decay, Fraction, HalfLife, LearningRate, Positive, Range

from . import augmentation_flags, penalty_flags


@dataclasses.dataclass(frozen=True)
class LatentFlags:
    """Flags of the generator's latents."""

    GROUP: ClassVar[str] = "latent"
    NETWORK: ClassVar[tuple[str, ...]] = ("latent_size", "prior")

    latent_size: Positive = 100
    """Size of the latent vector."""
    prior: Literal["normal", "uniform", "unit_uniform"] = "normal"
    """Distribution of the latents: N(0, 1), U(-1, 1), or U(-sqrt 3, sqrt 3), of variance 1."""


@dataclasses.dataclass(frozen=True)
class LossFlags:
    """Flags of the losses of the two players, and of the order of their updates."""

    GROUP: ClassVar[str] = "loss"

    loss: str = "non_saturating"
    """Name of the adversarial loss (jaxgan.losses.LOSSES)."""
    real_label: Fraction = 1.0
    """Target of real images; 0.9 is one-sided label smoothing (cross-entropy losses only)."""
    label_flips: Fraction = 0.0
    """Probability of flipping the labels that the discriminator learns from."""
    n_critic: Positive = 1
    """Discriminator updates for each generator update, each on a batch of its own."""
    order: Literal["alternate", "simultaneous"] = "alternate"
    """alternate: update the generator after the discriminator; simultaneous: update both from the
    same state.
    """
    shared_noise: bool = False
    """Reuse the last discriminator update's fakes for the generator: saves a forward pass."""


@dataclasses.dataclass(frozen=True)
class OptimizerFlags:
    """Flags of the optimizers of the two players."""

    GROUP: ClassVar[str] = "optimizer"

    optimizer: Literal["adam", "rmsprop", "sgd"] = "adam"
    """adam, rmsprop (without momentum) or sgd (decaying, with growing momentum, as in 2014)."""
    generator_learning_rate: LearningRate = 2e-4
    """Learning rate of the generator."""
    discriminator_learning_rate: LearningRate = 2e-4
    """Learning rate of the discriminator."""
    beta1: Decay = 0.5
    """Adam's beta1 (momentum), for both players."""
    beta2: Decay = 0.999
    """Adam's beta2 (squared gradients), for both players."""
    decay_from: Fraction = 1.0
    """Fraction of the run after which both learning rates fall linearly to 0; 1: never."""
    ema_half_life: HalfLife = 10_000.0
    """Half-life of the generator's moving average, in images; 0: no average, sample from the last
    weights.
    """
    accumulate: Positive = 1
    """Average gradients over this many slices of a batch, to save memory; with several, each player
    draws noise of its own.
    """


@dataclasses.dataclass(frozen=True)
class SubsetFlags:
    """Flags of the size of the training set."""

    GROUP: ClassVar[str] = "data"

    limit_images: Annotated[int | None, Range(1)] = None
    """Train on a subset of this many images; a larger subset contains every smaller one."""


@dataclasses.dataclass(frozen=True)
class TwoPlayerConfig(
    SubsetFlags,
    augmentation_flags.AugmentationFlags,
    OptimizerFlags,
    LossFlags,
    LatentFlags,
    RunConfig,
):
    """Flags of every experiment with one generator and one discriminator."""

    NETWORK: ClassVar[tuple[str, ...]] = ("resolution", "channels")

    data: str = "fashion"
    """fashion, flowers, folder:PATH, npz:PATH, arrays:PATH or tfds:NAME."""

    @property
    def rows_per_step(self) -> int:
        """Examples per step: one batch for each discriminator update."""
        return self.batch_size * self.n_critic

    @property
    def falls_to_the_end(self) -> bool:
        """Whether the learning rates decay up to the last step of the run."""
        return self.decay_from != 1.0

    @property
    def data_options(self) -> dict[str, Any]:
        """The size of the training subset."""
        return {**super().data_options, "limit": self.limit_images}


def image_shape(spec: DataSpec) -> tuple[int, int, int]:
    """Returns height, width and channels of the data's images.

    Raises:
        ValueError: If the data are points.
    """
    if len(spec.shape) != 3:
        raise ValueError(
            f"the data are points of {spec.shape[0]} coordinates; this model needs images "
            "(python -m experiments.vanilla takes points)"
        )
    height, width, channels = spec.shape
    return height, width, channels


def classes(config: Any, spec: DataSpec) -> int:
    """Returns the number of classes that `--conditional` conditions on; 0 without it.

    Args:
        config: The flags of an experiment with `--conditional`.
        spec: The classes of the data.

    Raises:
        ValueError: If the data have fewer than two, or several labels an image.
    """
    if not config.conditional:
        return 0
    if spec.several:
        raise ValueError(
            "the data have several labels an image, and --conditional needs one: give each image "
            "the label of one class, or train the experiment conditional, which takes several"
        )
    if len(spec.classes) < 2:
        raise ValueError(
            f"the data have {len(spec.classes)} classes; --conditional needs labels of at least 2"
        )
    return len(spec.classes)


def augmented(
    config: TwoPlayerConfig, options: dict[str, Any], shape: tuple[int, ...]
) -> dict[str, Any]:
    """Returns the options with the augmentation that the flags ask for.

    Args:
        config: The flags.
        options: Arguments of `two_player.build`, 'loss' and 'training' among them.
        shape: Shape of an example.

    Raises:
        ValueError: See `augmentation_flags.augmented`.
    """
    training = augmentation_flags.augmented(
        config, options["training"], loss=options["loss"], shape=shape
    )
    return {**options, "training": training}


def options(config: TwoPlayerConfig, *, axis_name: str | None) -> dict[str, Any]:
    """Returns the arguments of `two_player.build` that the flags ask for, without augmentation.

    Args:
        config: The flags.
        axis_name: Mapped axis over which the batch is split, or None.

    Raises:
        ValueError: If the loss does not exist or does not take `--real-label`, the flags contradict
            each other, or `--accumulate` does not divide the batch size.
    """
    import functools

    from jaxgan import losses, steps
    from jaxgan.games import builder
    from jaxgan.games.training import Training

    chosen: dict[str, Any] = {} if config.real_label == 1.0 else {"real_label": config.real_label}
    if config.loss == "relativistic_average":
        chosen["axis_name"] = axis_name
    if config.order == "simultaneous" and (config.n_critic > 1 or config.shared_noise):
        raise ValueError(
            "simultaneous players are updated once a step, on the same fakes; "
            "leave --n-critic at 1 and --shared-noise out"
        )
    alternating = functools.partial(steps.alternate, n_critic=config.n_critic)
    flips = functools.partial(losses.flip_labels, probability=config.label_flips)
    try:
        loss = losses.by_name(config.loss, **chosen)
    except TypeError as error:
        raise ValueError(f"the loss {config.loss} takes no --real-label; leave it at 1") from error
    training = Training(
        optimizers(config),
        schedule=builder.simultaneously if config.order == "simultaneous" else alternating,
        shared_noise=config.shared_noise and config.accumulate == 1,
        accumulate=slices(config.accumulate, config.batch_size),
        ema_half_life=config.ema_half_life or None,
        axis_name=axis_name,
    )
    return {"loss": loss, "relabel": flips if config.label_flips else None, "training": training}


def slices(accumulate: int, batch_size: int) -> int:
    """Returns the number of slices over which a batch's gradients are averaged.

    Args:
        accumulate: Number of slices.
        batch_size: Examples in a batch.

    Raises:
        ValueError: If there is no slice, or the slices differ in size.
    """
    if accumulate < 1 or batch_size % accumulate:
        raise ValueError(
            f"--accumulate {accumulate} cannot slice a batch of {batch_size}; "
            "use a number that divides it"
        )
    return accumulate


def optimizers(config: TwoPlayerConfig, *, decay_to: float = 0.0) -> dict[str, Any]:
    """Returns the optimizer of each player that the flags ask for.

    Each player's learning rate decays over its own updates. The discriminator has `n_critic`
    updates a step. See `optimizers.falling_from`, and for a lazy penalty `optimizers.lazy_adam`.

    Args:
        config: The flags.
        decay_to: Fraction of the learning rates that remains at the end of the run.

    Raises:
        ValueError: If the flags contradict each other.
    """
    import functools

    from jaxgan import optimizers
    from jaxgan.models import vanilla

    def rate(value: float, updates: int) -> Any:
        return optimizers.falling_from(value, config.decay_from, steps=updates, to=decay_to)

    if config.optimizer == "sgd" and (config.decay_from != 1.0 or decay_to):
        leave = "--decay-from at 1" + (" and --decay-to at 0" if decay_to else "")
        raise ValueError(f"--optimizer sgd has its own decay; leave {leave}")
    interval = penalty_flags.interval(config)
    if interval > 1 and config.optimizer != "adam":
        raise ValueError(
            f"--penalty-interval {interval} corrects the constants of Adam, which "
            f"{config.optimizer} does not have; use --optimizer adam or --penalty-interval 1"
        )
    betas = {"beta1": config.beta1, "beta2": config.beta2}
    make = {
        "adam": functools.partial(optimizers.adam, **betas),
        "rmsprop": optimizers.rmsprop,
        "sgd": vanilla.sgd_of_2014,
    }[config.optimizer]
    lazily = functools.partial(optimizers.lazy_adam, **betas, interval=interval)
    return {
        "generator": make(rate(config.generator_learning_rate, config.steps)),
        "discriminator": (make if interval == 1 else lazily)(
            rate(config.discriminator_learning_rate, config.steps * config.n_critic)
        ),
    }
