"""Flags of R1 and R2, the penalties on the discriminator's gradient at real and fake images."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from jaxgan.runs.config import DataSpec
from jaxgan.runs.ranges import Positive, Range

if TYPE_CHECKING:
    from jaxgan.games.penalization import ZeroCentered

_PLACES = {"r1": ("real",), "r1_r2": ("real", "fake")}


@dataclasses.dataclass(frozen=True)
class PenaltyFlags:
    """Flags of the penalty on the discriminator's gradient."""

    GROUP: ClassVar[str] = "penalty"

    penalty: Literal["none", "r1", "r1_r2"] = "none"
    """Penalty on the discriminator's gradient: none, r1 (at real images) or r1_r2 (at generated
    ones, too).
    """
    gamma: Annotated[float | None, Range(0, 1e6)] = None
    """Weight of the penalty, gamma / 2 * |gradient|^2; default: 0.0002 * pixels / batch size."""
    gamma_end: Annotated[float | None, Range(0, 1e6)] = None
    """Weight that --gamma approaches along half a cosine; default: --gamma."""
    gamma_images: Annotated[float, Range(1)] = 100_000.0
    """Real images over which the weight goes from --gamma to --gamma-end."""
    penalty_interval: Positive = 1
    """1: the penalty is part of every step's loss; N: an update of its own in every N-th step, with
    corrected constants of Adam (lazy regularization; StyleGAN2: 16).
    """
    penalty_stride: Positive = 1
    """Penalize every N-th example of a batch, to save time; 1: all of them."""


def interval(config: Any) -> int:
    """Returns the train steps from one update of a lazy penalty to the next; 1 if there is none.

    Args:
        config: The flags of any experiment.
    """
    lazy = isinstance(config, PenaltyFlags) and config.penalty != "none"
    return config.penalty_interval if lazy else 1


def penalty(config: Any, spec: DataSpec) -> ZeroCentered | None:
    """Returns the penalty that the flags ask for; None if they ask for none.

    Args:
        config: The flags; also those of `jaxgan.runs.config.OptimizationFlags`.
        spec: Shape of the data's images.

    Raises:
        ValueError: If a stride does not divide the batch, or the weight has no default.
    """
    from jaxgan import optimizers, penalties
    from jaxgan.games.penalization import ZeroCentered

    if config.penalty == "none":
        return None
    if config.batch_size % config.penalty_stride:
        raise ValueError(
            f"--penalty-stride {config.penalty_stride} does not divide the batch size "
            f"{config.batch_size}; use a number that does"
        )
    start = config.gamma
    if start is None:
        start = penalties.usual_gamma(spec.shape, config.batch_size)
    gamma = start
    if config.gamma_end is not None:
        over_images = optimizers.cosine_between(start, config.gamma_end, over=config.gamma_images)
        gamma = optimizers.by_images(over_images, config.batch_size)
    return ZeroCentered(
        gamma, _PLACES[config.penalty], config.penalty_interval, config.penalty_stride
    )
