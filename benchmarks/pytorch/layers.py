"""Torch layers with the conventions of Flax, so that a twin computes the same as jaxgan's network.

Images are [B, C, H, W] here. A twin names its layers as Flax names them ('Conv_0', 'BatchNorm_1',
'Dense_0', counted by kind in the order of use): `pretrained_weights.load` finds them by these
names. `sequence` gives the names; a module of another form gives them to its attributes.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable

import torch
from torch import nn
from torch.nn import functional

Pads = tuple[int, int]


class Conv(nn.Conv2d):
    """A square convolution with XLA's padding 'SAME'.

    A stride of s divides the size by s. If the padding is odd, the extra pixel is below and to the
    right.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        bias: bool = True,
        groups: int = 1,
    ) -> None:
        self.pads = same_pads(kernel, stride)
        even = self.pads[0] == self.pads[1]
        padding = self.pads[0] if even else 0
        super().__init__(
            inputs, outputs, kernel, stride=stride, padding=padding, bias=bias, groups=groups
        )

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        low, high = self.pads
        if low != high:
            input = functional.pad(input, (low, high, low, high))
        return super().forward(input)


class ConvTranspose(nn.ConvTranspose2d):
    """A square transposed convolution with Flax's padding 'SAME'; its stride multiplies the size.

    Raises:
        ValueError: If the kernel is smaller than the stride.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 2, bias: bool = True
    ) -> None:
        if kernel < stride:
            raise ValueError(f"a kernel of {kernel} leaves gaps between strides of {stride}")
        low, high = transposed_crops(kernel, stride)
        self.excess = (low - min(low, high), high - min(low, high))
        padding = min(low, high)
        super().__init__(inputs, outputs, kernel, stride=stride, padding=padding, bias=bias)

    def forward(self, input: torch.Tensor, output_size: list[int] | None = None) -> torch.Tensor:
        output = super().forward(input, output_size)
        low, high = self.excess
        return output[..., low : output.shape[-2] - high, low : output.shape[-1] - high]


class BeforeShuffle(nn.Conv2d):
    """A 3x3 convolution to `factor`^2 x `outputs` channels, before a pixel shuffle.

    Torch's pixel shuffle orders these channels by channel, jaxgan's by pixel.
    """

    def __init__(self, inputs: int, outputs: int, factor: int) -> None:
        self.factor = factor
        super().__init__(inputs, factor**2 * outputs, 3, padding=1)


class FromImage(nn.Linear):
    """A linear layer on all pixels of an image of `shape` (C, H, W): [B, C, H, W] to [B, F]."""

    def __init__(self, shape: tuple[int, int, int], outputs: int, *, bias: bool = True) -> None:
        self.shape = shape
        super().__init__(shape[0] * shape[1] * shape[2], outputs, bias=bias)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input.flatten(1))


class ToImage(nn.Linear):
    """A linear layer to an image of `shape` (C, H, W): [B, F] to [B, C, H, W]."""

    def __init__(self, inputs: int, shape: tuple[int, int, int], *, bias: bool = True) -> None:
        self.shape = shape
        super().__init__(inputs, shape[0] * shape[1] * shape[2], bias=bias)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input).unflatten(1, self.shape)


class BiasedLeakyReLU(nn.Module):
    """LeakyReLU 0.2 after a learned bias per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.leaky_relu(x + self.bias.view(-1, 1, 1), 0.2)


class Based(nn.Module):
    """A network with a learned map `basis` of its own, of the shape (C, H, W)."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.basis = nn.Parameter(torch.randn(shape))


class WeightNormDense(nn.Linear):
    """A linear layer with directions of length 1 and one gain per feature."""

    def __init__(self, inputs: int, outputs: int, *, gain: bool = True) -> None:
        super().__init__(inputs, outputs)
        self.gain = nn.Parameter(torch.ones(outputs)) if gain else None

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        factors = self.inverse_lengths()
        if self.gain is not None:
            factors = factors * self.gain
        # Scaling the products is less work than normalizing the weights.
        return torch.addcmul(self.bias, functional.linear(input, self.weight), factors)

    def inverse_lengths(self) -> torch.Tensor:
        """Returns the inverse length of each feature's direction, [F]."""
        return (self.weight.square().sum(1) + 1e-8).rsqrt()


class ShiftedNorm(nn.BatchNorm1d):
    """Batch normalization without gains."""

    def __init__(self, features: int) -> None:
        super().__init__(features, eps=1e-6, momentum=0.1)
        self.register_parameter("weight", None)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalization of images; running statistics decay by 0.9, as in jaxgan."""
    return nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1)


def feature_norm(features: int) -> nn.BatchNorm1d:
    """Batch normalization of features [B, F], as in `batch_norm`."""
    return nn.BatchNorm1d(features, eps=1e-5, momentum=0.1)


def same_pads(kernel: int, stride: int) -> Pads:
    """Returns the pixels of padding before and after, for sizes that the stride divides."""
    total = max(kernel - stride, 0)
    return total // 2, total - total // 2


def transposed_crops(kernel: int, stride: int) -> Pads:
    """Returns the pixels that Flax's padding 'SAME' crops off the full transposed convolution.

    The kernel must not be smaller than the stride.
    """
    total = kernel + stride - 2
    low = kernel - 1 if stride > kernel - 1 else -(-total // 2)
    return kernel - 1 - low, kernel - 1 - (total - low)


_FLAX_NAMES = (
    (WeightNormDense, "WeightNormDense"),
    (nn.Linear, "Dense"),
    (nn.Conv2d, "Conv"),
    (nn.ConvTranspose2d, "ConvTranspose"),
    (nn.BatchNorm1d, "BatchNorm"),
    (nn.BatchNorm2d, "BatchNorm"),
    (nn.PReLU, "PReLU"),
    (nn.Dropout, "Dropout"),
)


def sequence(*layers: nn.Module) -> nn.Sequential:
    """The layers in sequence, named as in a compact Flax module."""
    return nn.Sequential(named(*layers))


def adopted(network: nn.Module, parts: Iterable[nn.Module]) -> tuple[str, ...]:
    """Adds the parts to a network, named as in a compact Flax module; returns the names."""
    by_name = named(*parts)
    for name, part in by_name.items():
        network.add_module(name, part)
    return tuple(by_name)


def named(*layers: nn.Module) -> collections.OrderedDict[str, nn.Module]:
    """Returns the layers by the names that `sequence` gives them."""
    counts: collections.Counter[str] = collections.Counter()
    by_name: collections.OrderedDict[str, nn.Module] = collections.OrderedDict()
    for layer in layers:
        kinds = (name for kind, name in _FLAX_NAMES if isinstance(layer, kind))
        kind = next(kinds, type(layer).__name__)
        by_name[f"{kind}_{counts[kind]}"] = layer
        counts[kind] += 1
    return by_name
