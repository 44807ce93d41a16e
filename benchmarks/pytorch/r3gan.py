"""The twin of `jaxgan.models.r3gan`, without augmentation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

from benchmarks.pytorch import layers, penalties
from benchmarks.pytorch.draws import Draws
from benchmarks.pytorch.training import Batch, Losses, Twin, adam, descend, frozen

_EXPANSION = 2


class Block(nn.Module):
    """A residual bottleneck with a grouped convolution, at first the identity."""

    def __init__(self, channels: int, group: int) -> None:
        super().__init__()
        wide = _EXPANSION * channels
        self.Conv_0 = layers.Conv(channels, wide, 1, bias=False)
        self.Conv_1 = layers.Conv(wide, wide, 3, bias=False, groups=max(1, wide // group))
        self.Conv_2 = layers.Conv(wide, channels, 1, bias=False)
        self.Activation_0, self.Activation_1 = (layers.BiasedLeakyReLU(wide) for _ in range(2))
        nn.init.zeros_(self.Conv_2.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.Conv_1(self.Activation_0(self.Conv_0(x)))
        return x + self.Conv_2(self.Activation_1(y))


class Double(nn.Module):
    """Doubles the size by the filter [1, 3, 3, 1] / 4, with zeros beyond the edges."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padded = functional.pad(x, (1, 1, 1, 1))
        doubled = functional.interpolate(padded, scale_factor=2.0, mode="bilinear")
        return doubled[..., 2:-2, 2:-2]


class Halve(nn.Module):
    """Halves the size by the filter [1, 3, 3, 1] / 8, with zeros beyond the edges."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        line = torch.tensor([1.0, 3.0, 3.0, 1.0], device=x.device) / 8
        kernel = torch.outer(line, line).expand(x.shape[1], 1, 4, 4)
        return functional.conv2d(x, kernel, stride=2, padding=1, groups=x.shape[1])


def _mixed(inputs: int, outputs: int) -> list[nn.Module]:
    """A 1x1 convolution, if the number of channels changes."""
    return [layers.Conv(inputs, outputs, 1, bias=False)] if inputs != outputs else []


class Generator(layers.Based):
    """Latents [B, Z] to images [B, channels, H, W]."""

    def __init__(
        self,
        base: tuple[int, int],
        widths: Sequence[int],
        blocks: Sequence[int],
        *,
        group: int,
        channels: int,
        latent_size: int,
    ) -> None:
        super().__init__((widths[0], *base))
        self.Dense_0 = nn.Linear(latent_size, widths[0], bias=False)
        parts: list[nn.Module] = []
        for index, features in enumerate(widths):
            if index:
                parts += [*_mixed(widths[index - 1], features), Double()]
            parts += [Block(features, group) for _ in range(blocks[index])]
        parts.append(layers.Conv(widths[-1], channels, 1, bias=False))
        self.parts = layers.adopted(self, parts)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        x = self.basis * self.Dense_0(latents)[:, :, None, None]
        for name in self.parts:
            x = self.get_submodule(name)(x)
        return x


class Discriminator(layers.Based):
    """Images [B, channels, H, W] to logits [B]: the generator's mirror."""

    def __init__(
        self,
        base: tuple[int, int],
        widths: Sequence[int],
        blocks: Sequence[int],
        *,
        group: int,
        channels: int,
    ) -> None:
        super().__init__((widths[0], *base))
        parts: list[nn.Module] = [layers.Conv(channels, widths[-1], 1, bias=False)]
        for index in reversed(range(len(widths))):
            parts += [Block(widths[index], group) for _ in range(blocks[index])]
            if index:
                parts += [Halve(), *_mixed(widths[index], widths[index - 1])]
        self.Dense_0 = nn.Linear(widths[0], 1, bias=False)
        self.parts = layers.adopted(self, parts)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = images
        for name in self.parts:
            x = self.get_submodule(name)(x)
        return self.Dense_0((x * self.basis).sum((2, 3)))[:, 0]


def game(
    generator: nn.Module,
    discriminator: nn.Module,
    *,
    latents: Callable[[int, Draws], torch.Tensor],
    gamma: float,
    learning_rate: float,
    betas: tuple[float, float],
) -> Twin:
    """The relativistic game with R1 and R2, in which each player has real images of its own."""
    optimizers = [
        adam(player.parameters(), learning_rate, betas) for player in (discriminator, generator)
    ]
    softplus = functional.softplus

    def discriminator_step(real: torch.Tensor, draws: Draws) -> torch.Tensor:
        with torch.no_grad():
            fake = generator(latents(real.shape[0], draws))
        real, fake = (images.detach().requires_grad_(True) for images in (real, fake))
        of_real, of_fake = discriminator(real), discriminator(fake)
        value = softplus(of_fake - of_real).mean()
        for logits, images in ((of_real, real), (of_fake, fake)):
            value = value + gamma / 2 * penalties.slopes(logits, images).square().sum(1).mean()
        return descend(optimizers[0], value)

    def generator_step(real: torch.Tensor, draws: Draws) -> torch.Tensor:
        fake = generator(latents(real.shape[0], draws))
        with frozen(discriminator):
            value = softplus(discriminator(real) - discriminator(fake)).mean()
            return descend(optimizers[1], value)

    def step(pieces: Sequence[torch.Tensor], draws: Draws) -> Losses:
        first, second = pieces
        return {
            "discriminator/loss": discriminator_step(first, draws),
            "generator/loss": generator_step(second, draws),
        }

    def prepare(batch: Batch) -> list[torch.Tensor]:
        return [batch["image"][index::2].clone() for index in (0, 1)]

    return Twin({"generator": generator, "discriminator": discriminator}, step, prepare)
