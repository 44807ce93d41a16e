"""The spectrally normalized discriminator of `jaxgan.models.dcgan`.

Its layers follow torch's `parametrizations.spectral_norm`, except for two conventions of jaxgan.
The stored vector is that of the outputs, and it is updated only in passes that train the layer.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from benchmarks.pytorch import layers


class Bound(nn.Module):
    """Divides the weight [F, ...] by its largest singular value.

    The value is estimated by one iteration of the power method per pass. The initial vector has
    equal entries.
    """

    u: torch.Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("u", torch.full((features,), features**-0.5))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        matrix = weight.flatten(1)
        with torch.no_grad():
            left = functional.normalize(torch.mv(matrix.t(), self.u), dim=0, eps=1e-12)
            right = functional.normalize(torch.mv(matrix, left), dim=0, eps=1e-12)
            if weight.requires_grad:
                self.u.copy_(right)
        return weight / torch.dot(right, torch.mv(matrix, left))


class Conv(layers.Conv):
    """A convolution of stride 2."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(inputs, outputs, kernel, stride=2)
        self.bound = Bound(outputs)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        low, high = self.pads
        if low != high:
            input = functional.pad(input, (low, high, low, high))
        return self._conv_forward(input, self.bound(self.weight), self.bias)


class FromImage(layers.FromImage):
    """A linear layer on all pixels."""

    def __init__(self, shape: tuple[int, int, int], outputs: int) -> None:
        super().__init__(shape, outputs)
        self.bound = Bound(outputs)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return functional.linear(input.flatten(1), self.bound(self.weight), self.bias)


def discriminator(
    shape: tuple[int, int, int], *, stages: int, width: int, kernel: int
) -> nn.Sequential:
    """Images [B, *shape] (C, H, W) to logits [B, 1]."""
    channels, height, rest = shape
    parts: list[nn.Module] = []
    for index in range(stages):
        parts += [Conv(channels, width << index, kernel), nn.LeakyReLU(0.2, inplace=True)]
        channels = width << index
    return layers.sequence(*parts, FromImage((channels, height >> stages, rest >> stages), 1))
