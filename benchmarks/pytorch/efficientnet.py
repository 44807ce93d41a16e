"""The twin of `jaxgan.nn.efficientnet`, with frozen batch statistics."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from benchmarks.pytorch import layers
from benchmarks.pytorch.draws import Draws
from benchmarks.pytorch.training import Batch, Losses, Twin, frozen

# Kernel, stride of the first block, expansion, channels and number of blocks of each stage.
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
TAPPED = (1, 2, 4, 6)
"""Stages whose maps are returned."""


class Seen(NamedTuple):
    """Feature maps [B, C, h, w] and logits [B, 1000] of images."""

    maps: tuple[torch.Tensor, ...]
    logits: torch.Tensor


class Block(nn.Module):
    """Expansion, depthwise convolution and projection, added to the input if the shapes agree."""

    def __init__(
        self, inputs: int, outputs: int, *, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        width = inputs * expansion
        self.expands, self.adds = expansion > 1, stride == 1 and inputs == outputs
        if self.expands:
            self.expand_conv = layers.Conv(inputs, width, 1, bias=False)
            self.bn0 = _norm(width)
        self.depthwise_conv = layers.Conv(
            width, width, kernel, stride=stride, bias=False, groups=width
        )
        self.bn1 = _norm(width)
        self.project_conv = layers.Conv(width, outputs, 1, bias=False)
        self.bn2 = _norm(outputs)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = images
        if self.expands:
            x = functional.relu6(self.bn0(self.expand_conv(x)))
        x = functional.relu6(self.bn1(self.depthwise_conv(x)))
        x = self.bn2(self.project_conv(x))
        return x + images if self.adds else x


class EfficientNetLite0(nn.Module):
    """Images [B, 3, H, W] in [-1, 1], of sizes that 32 divides, to features and logits."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = layers.Conv(3, 32, 3, stride=2, bias=False)
        self.bn0 = _norm(32)
        self.ends: list[int] = []
        channels, number = 32, 0
        for kernel, first, expansion, features, blocks in STAGES:
            for stride in (first, *[1] * (blocks - 1)):
                sizes = {"kernel": kernel, "stride": stride, "expansion": expansion}
                self.add_module(f"blocks_{number}", Block(channels, features, **sizes))
                channels, number = features, number + 1
            self.ends.append(number)
        self.conv_head = layers.Conv(channels, 1280, 1, bias=False)
        self.bn1 = _norm(1280)
        self.fc = nn.Linear(1280, 1000)
        self.eval()

    def maps(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Returns the feature maps alone."""
        # Pixels in [0, 255], minus 127, divided by 128.
        x = ((images + 1.0) * 127.5 - 127.0) / 128.0
        x = functional.relu6(self.bn0(self.conv_stem(x)))
        maps: list[torch.Tensor] = []
        tapped = {self.ends[stage] for stage in TAPPED}
        for number in range(self.ends[-1]):
            x = self.get_submodule(f"blocks_{number}")(x)
            if number + 1 in tapped:
                maps.append(x)
        return tuple(maps)

    def forward(self, images: torch.Tensor) -> Seen:
        maps = self.maps(images)
        x = functional.relu6(self.bn1(self.conv_head(maps[-1])))
        return Seen(maps, self.fc(x.mean((2, 3))))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


def looking(network: EfficientNetLite0, *, gradient: bool) -> Twin:
    """The features of a batch, and the gradient of their squares for the images."""

    def losses(images: torch.Tensor) -> Losses:
        seen = network(images)
        return {
            "maps/loss": torch.stack([x.square().mean() for x in seen.maps]).sum(),
            "logits/loss": seen.logits.square().mean(),
        }

    def forward(images: torch.Tensor, draws: Draws) -> Losses:
        with torch.no_grad():
            return losses(images)

    def backward(images: torch.Tensor, draws: Draws) -> Losses:
        images = images.detach().requires_grad_(True)
        with frozen(network):
            found = losses(images)
            (slopes,) = torch.autograd.grad(torch.stack([*found.values()]).sum(), images)
        found = {name: value.detach() for name, value in found.items()}
        return {**found, "slopes/loss": slopes.abs().mean()}

    def prepare(batch: Batch) -> torch.Tensor:
        return batch["image"]

    return Twin({"network": network}, backward if gradient else forward, prepare)
