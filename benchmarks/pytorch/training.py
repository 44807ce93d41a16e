"""Shared by the steps of all twins: the twin itself, Adam, and the game of two players."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from benchmarks.pytorch.draws import Draws

Batch = Mapping[str, torch.Tensor]
"""Examples by role, each [B, ...], images [B, C, H, W]."""

Losses = dict[str, torch.Tensor]
"""The losses of a step by the names of jaxgan's metrics, each a scalar without its graph."""

Penalty = Callable[..., torch.Tensor]
"""`penalty(discriminator, real, real_logits, fake, draws) -> scalar`, added to D's loss."""


class Twin(NamedTuple):
    """A jaxgan model as PyTorch users write it.

    Attributes:
        players: The networks, by the names of jaxgan's players.
        step: `step(prepared, draws) -> losses`, one train step.
        prepare: `prepare(batch) -> prepared`, which converts the batch of a train step; it is not
            timed.
    """

    players: Mapping[str, nn.Module]
    step: Callable[[Any, Draws], Losses]
    prepare: Callable[[Batch], Any] = lambda batch: batch


class Loss(NamedTuple):
    """A loss as scalars from logits; `jaxgan.losses` has one value for each logit."""

    discriminator: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    generator: Callable[[torch.Tensor], torch.Tensor]


def non_saturating() -> Loss:
    """Cross-entropy; the generator maximizes log D(fake)."""
    softplus = nn.functional.softplus
    return Loss(
        discriminator=lambda real, fake: softplus(-real).mean() + softplus(fake).mean(),
        generator=lambda fake: softplus(-fake).mean(),
    )


def wasserstein() -> Loss:
    """The critic's estimate of the Wasserstein distance."""
    return Loss(
        discriminator=lambda real, fake: fake.mean() - real.mean(),
        generator=lambda fake: -fake.mean(),
    )


def hinge() -> Loss:
    """The hinge loss."""
    relu = nn.functional.relu
    return Loss(
        discriminator=lambda real, fake: relu(1 - real).mean() + relu(1 + fake).mean(),
        generator=lambda fake: -fake.mean(),
    )


def adam(
    parameters: Iterable[nn.Parameter],
    learning_rate: float = 2e-4,
    betas: tuple[float, float] = (0.5, 0.999),
    *,
    weight_decay: float = 0.0,
) -> torch.optim.Optimizer:
    """Adam as GANs use it, in torch's fused kernel, which also exists for CPUs.

    weight_decay times the weights is added to their gradients.
    """
    return torch.optim.Adam(
        parameters, lr=learning_rate, betas=betas, weight_decay=weight_decay, fused=True
    )


def descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> torch.Tensor:
    """Makes one update to reduce the loss; returns the loss, detached."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach()


@contextlib.contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Disables, inside the block, the gradients of players that are not updated."""
    for network in networks:
        network.requires_grad_(False)
    try:
        yield
    finally:
        for network in networks:
            network.requires_grad_(True)


def two_players(
    generator: nn.Module,
    discriminator: nn.Module,
    *,
    loss: Loss,
    latents: Callable[[int, Draws], torch.Tensor],
    learning_rate: float = 2e-4,
    betas: tuple[float, float] = (0.5, 0.999),
    penalty: Penalty | None = None,
    n_critic: int = 1,
) -> Twin:
    """The unconditional game: `n_critic` discriminator steps, then a generator step.

    The generator step uses the fakes of the last discriminator step (jaxgan's `shared_noise=True`).
    The batch contains n_critic minibatches: step j has the examples j, j + n_critic, ....
    """
    optimizers = [
        adam(player.parameters(), learning_rate, betas) for player in (discriminator, generator)
    ]

    def discriminator_step(real: torch.Tensor, fake: torch.Tensor, draws: Draws) -> torch.Tensor:
        if penalty is not None:
            real = real.detach().requires_grad_(True)
        real_logits, fake_logits = discriminator(real)[:, 0], discriminator(fake)[:, 0]
        value = loss.discriminator(real_logits, fake_logits)
        if penalty is not None:
            value = value + penalty(discriminator, real, real_logits, fake, draws)
        return descend(optimizers[0], value)

    def step(minibatches: Sequence[torch.Tensor], draws: Draws) -> Losses:
        of_discriminator = []
        for index, real in enumerate(minibatches):
            with torch.set_grad_enabled(index == n_critic - 1):
                fake = generator(latents(real.shape[0], draws))
            of_discriminator.append(discriminator_step(real, fake.detach(), draws))
        with frozen(discriminator):
            value = loss.generator(discriminator(fake)[:, 0])
            of_generator = descend(optimizers[1], value)
        return {
            "discriminator/loss": torch.stack(of_discriminator).mean(),
            "generator/loss": of_generator,
        }

    def prepare(batch: Batch) -> list[torch.Tensor]:
        return [batch["image"][j::n_critic].clone() for j in range(n_critic)]

    players = {"generator": generator, "discriminator": discriminator}
    return Twin(players, step, prepare)
