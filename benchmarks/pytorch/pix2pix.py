"""The twin of `jaxgan.models.pix2pix`."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from benchmarks.pytorch import layers
from benchmarks.pytorch.draws import Draws
from benchmarks.pytorch.training import Losses, Twin, adam, descend, frozen, non_saturating

_MOST_WIDENING, _NOISY_LAYERS = 8, 3


class UNet(nn.Module):
    """Images [B, inputs, H, W] to images [B, outputs, H, W], halved `depth` times inside."""

    def __init__(self, inputs: int, outputs: int, *, depth: int, width: int) -> None:
        super().__init__()
        features = [width * min(2**level, _MOST_WIDENING) for level in range(depth)]
        self.depth, norms = depth, 0
        for level, channels in enumerate(features):
            bare = level in (0, depth - 1)
            self.add_module(f"Conv_{level}", nn.Conv2d(inputs, channels, 4, 2, 1, bias=bare))
            if not bare:
                self.add_module(f"BatchNorm_{norms}", layers.batch_norm(channels))
                norms += 1
            inputs = channels
        for layer in range(depth):
            last = layer == depth - 1
            channels = outputs if last else features[depth - 2 - layer]
            transposed = nn.ConvTranspose2d(inputs, channels, 4, 2, 1, bias=last)
            self.add_module(f"ConvTranspose_{layer}", transposed)
            if not last:
                self.add_module(f"BatchNorm_{norms}", layers.batch_norm(channels))
                norms += 1
            if not last and layer < _NOISY_LAYERS:
                self.add_module(f"Dropout_{layer}", nn.Dropout(0.5))
            inputs = 2 * channels

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        layer, norms, levels, x = self.get_submodule, iter(range(2 * self.depth)), [], images
        for level in range(self.depth):
            x = layer(f"Conv_{level}")(nn.functional.leaky_relu(x, 0.2) if level else x)
            if 0 < level < self.depth - 1:
                x = layer(f"BatchNorm_{next(norms)}")(x)
            levels.append(x)
        levels.pop()
        for index in range(self.depth):
            x = layer(f"ConvTranspose_{index}")(nn.functional.relu(x))
            if not levels:
                break
            x = layer(f"BatchNorm_{next(norms)}")(x)
            if index < _NOISY_LAYERS:
                x = layer(f"Dropout_{index}")(x)
            x = torch.cat([x, levels.pop()], dim=1)
        return torch.tanh(x)


def game(generator: nn.Module, discriminator: nn.Module, *, l1: float) -> Twin:
    """A discriminator step and a generator step on the same outputs."""
    optimizers = [adam(player.parameters()) for player in (discriminator, generator)]
    loss = non_saturating()

    def judged(images: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        return discriminator(torch.cat([inputs, images], dim=1))

    def step(batch: Mapping[str, torch.Tensor], draws: Draws) -> Losses:
        a, b = batch["a"], batch["b"]
        fake = generator(a)
        value = loss.discriminator(judged(b, a), judged(fake.detach(), a)) / 2
        of_discriminator = descend(optimizers[0], value)
        with frozen(discriminator):
            value = loss.generator(judged(fake, a)) + l1 * (fake - b).abs().mean()
            of_generator = descend(optimizers[1], value)
        return {"discriminator/loss": of_discriminator, "generator/loss": of_generator}

    return Twin({"generator": generator, "discriminator": discriminator}, step)
