"""Penalties in the discriminator's training: R1 and R2, scheduled, lazy, or on part of the batch.

A penalty is `Penalty`, any function of `jaxgan.penalties` in every step, or `ZeroCentered`, the
penalties R1 and R2 as they are used today. `two_player.build` takes both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgan import penalties
from jaxgan.random import Keys
from jaxgan.state import Mean, Player
from jaxgan.steps import networks
from jaxgan.types import Array

Penalty = Callable[[Callable[[Array], Array], Array, Array, Keys], Array]
"""`penalty(discriminator, real, fake, keys) -> [B]`, added to the discriminator's loss."""

Gamma = float | Callable[[Array], Array | float]
"""A weight, or `gamma(step)`, the weight at a train step (`optimizers.cosine_between`)."""

PLACES = ("real", "fake")


@dataclasses.dataclass(frozen=True)
class ZeroCentered:
    """R1 and R2: gamma / 2 * |grad D|^2 at real and at generated images.

    Its metrics are the penalty, its parts 'r1' and 'r2', and gamma.

    Attributes:
        gamma: The weight, or the weight as a function of the train step. `penalties.usual_gamma`
            gives one by the size of the images and of the batch.
        at: Where the slope is penalized: 'real' (R1), 'fake' (R2) or both.
        interval: Train steps from one penalty to the next. With 1 it is part of the
            discriminator's loss. With more it is an update of its own after the discriminator's
            (lazy regularization), of `interval` times the weight, at train steps 0, `interval`,
            2 `interval`, ...; use `optimizers.lazy_adam` with it.
        stride: The penalty takes every `stride`-th example of the batch, from the first on.
            Gradient accumulation then selects other examples than the whole batch does.

    Raises:
        ValueError: If a place is unknown or there is none, the interval or the stride is not
            positive, or a constant gamma is negative.

    References:
        Mescheder et al. 2018, Which Training Methods for GANs do actually Converge?, eq. 9 and 10.
        Karras et al. 2020, Analyzing and Improving the Image Quality of StyleGAN, section 3.1 and
        appendix B (lazy regularization).
        Huang et al. 2024, The GAN is dead; long live the GAN! (both, in every step).
    """

    gamma: Gamma
    at: tuple[str, ...] = PLACES
    interval: int = 1
    stride: int = 1

    def __post_init__(self) -> None:
        if not self.at or not set(self.at) <= set(PLACES):
            raise ValueError(
                f"the slope is penalized at {self.at}; expected 'real', 'fake' or both"
            )
        if min(self.interval, self.stride) < 1:
            raise ValueError(
                f"the penalty's interval is {self.interval} and its stride is {self.stride}; "
                "expected 1 or more of both"
            )
        if not callable(self.gamma) and not self.gamma >= 0:
            raise ValueError(f"the penalty's weight gamma is {self.gamma}; expected 0 or more")


class Seen(NamedTuple):
    """What the discriminator is given in one update.

    Attributes:
        player: The discriminator.
        conditions: Conditions of both kinds of images.
        real: Real images [B, ...].
        fake: Generated images [B, ...].
        at_real: Keys of the noise layers for real images.
        at_fake: Keys of the noise layers for generated images.
        keys: Keys of the penalty's own draws.
    """

    player: Player
    conditions: tuple[Array, ...]
    real: Array
    fake: Array
    at_real: Keys
    at_fake: Keys
    keys: Keys

    def judge(self, at: Keys) -> Callable[[Array], Array]:
        """Returns the discriminator as a pure function of images, with these keys, in float32."""
        player = networks.in_float32(self.player)
        return lambda images: player(images, *self.conditions, keys=at, train=True)

    def every(self, stride: int) -> Seen:
        """Returns every `stride`-th example."""
        if stride == 1:
            return self
        examples = jax.tree.map(lambda leaf: leaf[::stride], tuple(self[1:]))
        return Seen(self.player, *examples)


def cost(penalty: Penalty | ZeroCentered, seen: Seen, step: Array) -> tuple[Array, dict[str, Mean]]:
    """Returns the mean of the penalty, [], and its metrics.

    Args:
        penalty: The penalty.
        seen: What the discriminator is given.
        step: Number of the train step.
    """
    if not isinstance(penalty, ZeroCentered):
        costs = penalty(seen.judge(seen.at_real), seen.real, seen.fake, seen.keys)
        return jnp.mean(costs), {"penalty": Mean.of(costs)}
    gamma = jnp.asarray(penalty.gamma(step) if callable(penalty.gamma) else penalty.gamma)
    chosen = seen.every(penalty.stride)
    # At each place with the keys of the loss, so that the compiler can merge both forward passes.
    parts = {}
    if "real" in penalty.at:
        parts["r1"] = penalties.r1(chosen.judge(chosen.at_real), chosen.real, gamma=gamma)
    if "fake" in penalty.at:
        parts["r2"] = penalties.r2(chosen.judge(chosen.at_fake), chosen.fake, gamma=gamma)
    costs = sum(parts.values(), jnp.zeros(()))
    metrics = {name: Mean.of(part) for name, part in {"penalty": costs, **parts}.items()}
    return jnp.mean(costs), {**metrics, "gamma": Mean.of(gamma)}


def lazy_or_none(penalty: Penalty | ZeroCentered | None) -> ZeroCentered | None:
    """Returns the penalty if it is an update of its own, and None if it is part of the loss."""
    return penalty if isinstance(penalty, ZeroCentered) and penalty.interval > 1 else None
