"""The twin of SRResNet in `jaxgan.nn.super_resolution`."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from benchmarks.pytorch import layers
from benchmarks.pytorch.draws import Draws
from benchmarks.pytorch.training import Losses, Twin, adam, descend


class SRResNet(nn.Module):
    """Images [B, C, H, W] to images [B, C, factor H, factor W]; the factor is a power of two."""

    def __init__(self, channels: int, *, factor: int, blocks: int, width: int) -> None:
        super().__init__()
        self.blocks, self.doublings = blocks, factor.bit_length() - 1
        inner = [layers.Conv(width, width, 3, bias=False) for _ in range(2 * blocks + 1)]
        for index, norm in enumerate([layers.batch_norm(width) for _ in inner]):
            self.add_module(f"BatchNorm_{index}", norm)
        shuffled = [layers.BeforeShuffle(width, width, 2) for _ in range(self.doublings)]
        ends = layers.Conv(channels, width, 9), layers.Conv(width, channels, 9)
        for index, layer in enumerate([ends[0], *inner, *shuffled, ends[1]]):
            self.add_module(f"Conv_{index}", layer)
        for index in range(1 + blocks + self.doublings):
            self.add_module(f"PReLU_{index}", nn.PReLU())
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        layer = self.get_submodule
        first = x = layer("PReLU_0")(layer("Conv_0")(images))
        for block in range(self.blocks):
            y = layer(f"PReLU_{block + 1}")(self._normalized(2 * block, x))
            x = x + self._normalized(2 * block + 1, y)
        x = first + self._normalized(2 * self.blocks, x)
        for index in range(self.doublings):
            x = self.shuffle(layer(f"Conv_{2 * self.blocks + 2 + index}")(x))
            x = layer(f"PReLU_{self.blocks + 1 + index}")(x)
        return layer(f"Conv_{2 * self.blocks + 2 + self.doublings}")(x)

    def _normalized(self, index: int, x: torch.Tensor) -> torch.Tensor:
        return self.get_submodule(f"BatchNorm_{index}")(self.get_submodule(f"Conv_{index + 1}")(x))


def by_pixels(generator: nn.Module) -> Twin:
    """Minimizes the mean squared error with Adam."""
    optimizer = adam(generator.parameters(), 1e-4, betas=(0.9, 0.999))

    def step(batch: Mapping[str, torch.Tensor], draws: Draws) -> Losses:
        value = nn.functional.mse_loss(generator(batch["a"]), batch["b"])
        value = descend(optimizer, value)
        return {"pretraining/loss": value, "pretraining/content": value}

    return Twin({"generator": generator}, step)
