"""Gradient penalties by double backward, with the conventions of `jaxgan.penalties`."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.pytorch.draws import Draws
from benchmarks.pytorch.training import Penalty


def r1(gamma: float) -> Penalty:
    """R1: gamma / 2 * |grad D|^2 at real images, from the logits that the loss has computed."""

    def penalty(
        discriminator: nn.Module,
        real: torch.Tensor,
        real_logits: torch.Tensor,
        fake: torch.Tensor,
        draws: Draws,
    ) -> torch.Tensor:
        return gamma / 2 * slopes(real_logits, real).square().sum(1).mean()

    return penalty


def gradient_penalty(weight: float = 10.0) -> Penalty:
    """WGAN-GP: weight * (|grad D| - 1)^2 between real and fake."""

    def penalty(
        discriminator: nn.Module,
        real: torch.Tensor,
        real_logits: torch.Tensor,
        fake: torch.Tensor,
        draws: Draws,
    ) -> torch.Tensor:
        share = draws.uniform("mixture", real.shape[0]).view(-1, *[1] * (real.ndim - 1))
        mixed = torch.lerp(fake, real.detach(), share).requires_grad_(True)
        lengths = slopes(discriminator(mixed), mixed).norm(dim=1)
        return weight * (lengths - 1).square().mean()

    return penalty


def slopes(logits: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Each example's gradient of its logits, flat: [B, D]."""
    (gradients,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradients.flatten(1)
