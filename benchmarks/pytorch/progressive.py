"""The twin of `jaxgan.models.progressive` at its last level, fully faded in.

jaxgan's networks also compute the output of the level below, with weight 0. The twin does not, as
PyTorch users write it; its layers to and from images of that level exist but are not trained.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from benchmarks.pytorch import layers
from benchmarks.pytorch.training import Loss

_EPSILON = 1e-8
_LEAST_FUSED = 8


# --- layers with an equalized learning rate -------------------------------------------------------


def _unit(layer: nn.Conv2d | nn.Linear) -> None:
    """Weights N(0, 1), to be scaled at run time, and biases zero."""
    assert layer.bias is not None
    nn.init.normal_(layer.weight)
    nn.init.zeros_(layer.bias)


def _scaled(weight: torch.Tensor, gain: float = math.sqrt(2.0)) -> torch.Tensor:
    return weight * (gain / math.sqrt(weight[0].numel()))


def spread(weight: torch.Tensor) -> torch.Tensor:
    """Returns the sum [..., 4, 4] of a kernel [..., 3, 3] at its four possible places."""
    padded = functional.pad(weight, (1, 1, 1, 1))
    rows = padded[..., 1:, :] + padded[..., :-1, :]
    return rows[..., 1:] + rows[..., :-1]


class Conv(nn.Conv2d):
    """A 3x3 convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)
        _unit(self)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(input, _scaled(self.weight), self.bias, padding=1)


class ConvDouble(Conv):
    """Nearest-neighbor doubling and a convolution, as one transposed convolution.

    That is faster except for the smallest images.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if input.shape[-1] < _LEAST_FUSED:
            return super().forward(functional.interpolate(input, scale_factor=2.0, mode="nearest"))
        weight = spread(_scaled(self.weight)).flip(2, 3).transpose(0, 1)
        return functional.conv_transpose2d(input, weight, self.bias, stride=2, padding=1)


class ConvHalve(Conv):
    """A convolution and 2x2 average pooling, as one convolution, which is faster."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        weight = spread(_scaled(self.weight)) / 4
        return functional.conv2d(input, weight, self.bias, stride=2, padding=1)


class FromLatent(nn.Conv2d):
    """Latents [B, Z] to features of the base: a transposed convolution of one pixel."""

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int]) -> None:
        super().__init__(inputs, outputs, size)
        _unit(self)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        weight = _scaled(self.weight).transpose(0, 1)
        return functional.conv_transpose2d(input[:, :, None, None], weight, self.bias)


class Pixelwise(nn.Linear):
    """A linear layer on each pixel's channels."""

    def __init__(self, inputs: int, outputs: int, *, gain: float = math.sqrt(2.0)) -> None:
        super().__init__(inputs, outputs)
        self.gain = gain
        _unit(self)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        weight = _scaled(self.weight, self.gain)[:, :, None, None]
        return functional.conv2d(input, weight, self.bias)


class FromBase(layers.FromImage):
    """A linear layer on all features of the base."""

    def __init__(self, shape: tuple[int, int, int], outputs: int) -> None:
        super().__init__(shape, outputs)
        _unit(self)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return functional.linear(input.flatten(1), _scaled(self.weight), self.bias)


class ToLogit(nn.Linear):
    """The last layer, to logits [B, 1]."""

    def __init__(self, inputs: int) -> None:
        super().__init__(inputs, 1)
        _unit(self)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return functional.linear(input, _scaled(self.weight, 1.0), self.bias)


# --- networks -------------------------------------------------------------------------------------


class PixelNorm(nn.Module):
    """Divides each pixel's (or latent's) channels by their root mean square."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + _EPSILON)


class MinibatchStddev(nn.Module):
    """Adds a channel: the mean standard deviation in each group of `group` successive examples."""

    def __init__(self, group: int) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        grouped = x.unflatten(0, (-1, self.group))
        deviation = (grouped.var(1, correction=0) + _EPSILON).sqrt().mean((1, 2, 3))
        plane = deviation.repeat_interleave(self.group).view(-1, 1, 1, 1)
        return torch.cat([x, plane.expand(-1, 1, *x.shape[2:])], dim=1)


def _rectified() -> nn.Module:
    return nn.LeakyReLU(0.2, inplace=True)


def _block(*parts: nn.Module) -> nn.Sequential:
    """Returns the parts in sequence; those with weights have the names of jaxgan's Flax modules."""
    counts: collections.Counter[str] = collections.Counter()
    named = collections.OrderedDict()
    for part in parts:
        kinds = ((nn.Conv2d, "EqualizedConv"), (nn.Linear, "EqualizedDense"))
        name = next((name for kind, name in kinds if isinstance(part, kind)), type(part).__name__)
        named[f"{name}_{counts[name]}"] = part
        counts[name] += 1
    return nn.Sequential(named)


class Generator(nn.Module):
    """Latents [B, Z] to images [B, channels, *base doubled to the last of `widths`]."""

    def __init__(
        self, base: tuple[int, int], widths: Sequence[int], *, channels: int, latent_size: int
    ) -> None:
        super().__init__()
        self.last = len(widths) - 1
        first: nn.Conv2d = FromLatent(latent_size, widths[0], base)
        for level, features in enumerate(widths):
            if level > 0:
                first = ConvDouble(widths[level - 1], features)
            parts = [first, _rectified(), PixelNorm()]
            parts += [Conv(features, features), _rectified(), PixelNorm()]
            self.add_module(f"block_{level}", _block(*parts))
        for level in (self.last - 1, self.last):
            to_image = Pixelwise(widths[level], channels, gain=1.0)
            self.add_module(f"to_image_{level}", to_image)
        self.norm = PixelNorm()

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        x = self.norm(latents)
        for level in range(self.last + 1):
            x = self.get_submodule(f"block_{level}")(x)
        return self.get_submodule(f"to_image_{self.last}")(x)


class Discriminator(nn.Module):
    """Images [B, channels, H, W] to logits [B, 1]: the generator's levels in reverse."""

    def __init__(
        self, base: tuple[int, int], widths: Sequence[int], *, channels: int, group: int
    ) -> None:
        super().__init__()
        self.last = len(widths) - 1
        for level in (self.last - 1, self.last):
            self.add_module(f"from_image_{level}", Pixelwise(channels, widths[level]))
        for level in range(self.last, 0, -1):
            features, fewer = widths[level], widths[level - 1]
            parts = [Conv(features, features), _rectified(), ConvHalve(features, fewer)]
            self.add_module(f"block_{level}", _block(*parts, _rectified()))
        features = widths[0]
        head = [MinibatchStddev(group), Conv(features + 1, features), _rectified()]
        head += [FromBase((features, *base), features), _rectified(), ToLogit(features)]
        self.add_module("block_0", _block(*head))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.get_submodule(f"from_image_{self.last}")(images)
        x = functional.leaky_relu(x, 0.2, inplace=True)
        for level in range(self.last, -1, -1):
            x = self.get_submodule(f"block_{level}")(x)
        return x


# --- the loss -------------------------------------------------------------------------------------


def drifting(loss: Loss, weight: float) -> Loss:
    """Returns the loss with `weight` * D(real)^2 added to the critic's."""
    return loss._replace(
        discriminator=lambda real, fake: (
            loss.discriminator(real, fake) + weight * real.square().mean()
        )
    )
