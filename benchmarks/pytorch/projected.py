"""The twin of `jaxgan.models.projected`, without augmentation: FastGAN's generator, and
discriminators that look through EfficientNet-Lite0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

from benchmarks.pytorch import layers, progressive, sngan
from benchmarks.pytorch.draws import Draws
from benchmarks.pytorch.efficientnet import EfficientNetLite0
from benchmarks.pytorch.training import Batch, Losses, Twin, adam, descend, frozen, hinge

_HEAD = 4
MAPS = (24, 40, 112, 320)
"""Channels of the feature network's maps."""

# --- spectrally normalized layers without bias ----------------------------------------------------


class Conv(nn.Conv2d):
    """A convolution."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 0
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, padding=padding, bias=False)
        self.bound = sngan.Bound(outputs)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return self._conv_forward(input, self.bound(self.weight), None)


class DoublingConv(Conv):
    """Nearest-neighbor doubling and a 3x3 convolution, as one transposed convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        weight = progressive.spread(self.bound(self.weight)).flip(2, 3).transpose(0, 1)
        return functional.conv_transpose2d(input, weight, stride=2, padding=1)


class ToImage(layers.ToImage):
    """A linear layer to a map."""

    def __init__(self, inputs: int, shape: tuple[int, int, int]) -> None:
        super().__init__(inputs, shape, bias=False)
        self.bound = sngan.Bound(math.prod(shape))

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return functional.linear(input, self.bound(self.weight)).unflatten(1, self.shape)


class FromImage(layers.FromImage):
    """A linear layer on all pixels of a map."""

    def __init__(self, shape: tuple[int, int, int], outputs: int) -> None:
        super().__init__(shape, outputs, bias=False)
        self.bound = sngan.Bound(outputs)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return functional.linear(input.flatten(1), self.bound(self.weight))


class Dense(nn.Linear):
    """A linear layer."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)
        self.bound = sngan.Bound(outputs)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return functional.linear(input, self.bound(self.weight))


# --- FastGAN's generator --------------------------------------------------------------------------


class SkipLayerExcitation(nn.Module):
    """Scales the channels of a large map by gates computed from a small one."""

    def __init__(self, small: int, large: int) -> None:
        super().__init__()
        self.Dense_0 = FromImage((small, 4, 4), large)
        self.Dense_1 = Dense(large, large)

    def forward(self, small: torch.Tensor, large: torch.Tensor) -> torch.Tensor:
        x = functional.silu(self.Dense_0(functional.adaptive_avg_pool2d(small, 4)))
        return large * torch.sigmoid(self.Dense_1(x))[:, :, None, None]


class Generator(nn.Module):
    """Latents [B, Z] to images [B, *shape] (C, H, W), doubled `stages` times."""

    def __init__(
        self, shape: tuple[int, int, int], *, stages: int, latent_size: int, width: int
    ) -> None:
        super().__init__()
        channels, height, breadth = shape
        widths = [min(width << (stages - i), 1024) for i in range(stages + 1)]
        self.stages, self.reach = stages, max(1, min(4, stages - 1))
        base = (2 * widths[0], height >> stages, breadth >> stages)
        parts: list[nn.Module] = [ToImage(latent_size, base), layers.batch_norm(base[0])]
        for index, features in enumerate(widths[1:]):
            self.add_module(f"DoublingConv_{index}", DoublingConv(widths[index], 2 * features))
            parts.append(layers.batch_norm(2 * features))
            if index % 2 == 0:
                conv = Conv(features, 2 * features, 3, padding=1)
                parts += [conv, layers.batch_norm(2 * features)]
            if index + 1 >= self.reach:
                excitation = SkipLayerExcitation(widths[index + 1 - self.reach], features)
                self.add_module(f"SkipLayerExcitation_{index + 1 - self.reach}", excitation)
        parts.append(Conv(widths[-1], channels, 3, padding=1))
        self.sequence = layers.adopted(self, parts)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        parts = (self.get_submodule(name) for name in self.sequence)
        x = latents * torch.rsqrt(latents.square().mean(1, keepdim=True) + 1e-8)
        maps = [_gated(next(parts), next(parts), x)]
        for index in range(self.stages):
            x = _gated(self.get_submodule(f"DoublingConv_{index}"), next(parts), maps[-1])
            if index % 2 == 0:
                x = _gated(next(parts), next(parts), x)
            if index + 1 >= self.reach:
                small = index + 1 - self.reach
                x = self.get_submodule(f"SkipLayerExcitation_{small}")(maps[small], x)
            maps.append(x)
        return torch.tanh(next(parts)(maps[-1]))


def _gated(layer: nn.Module, norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return functional.glu(norm(layer(x)), dim=1)


# --- the projected discriminator ------------------------------------------------------------------


class Mixing(nn.Module):
    """Mixes feature maps across channels and, from the deepest one up, across scales."""

    def __init__(self, channels: Sequence[int] = MAPS, width: int = 64) -> None:
        super().__init__()
        for i, inputs in enumerate(channels):
            self.add_module(f"channels_{i}", nn.Conv2d(inputs, width << i, 1))
            self.add_module(f"scales_{i}", nn.Conv2d(width << i, width << max(i - 1, 0), 1))
        self.count = len(channels)

    def forward(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        results: list[torch.Tensor] = []
        for i in reversed(range(self.count)):
            x = self.get_submodule(f"channels_{i}")(maps[i])
            x = self.get_submodule(f"scales_{i}")(x + results[0] if results else x)
            enlarged = functional.interpolate(
                x, scale_factor=2.0, mode="bilinear", align_corners=True
            )
            results.insert(0, enlarged)
        return results


class MapDiscriminator(nn.Sequential):
    """A map of `size` pixels a side to logits [B, 1, h, w]."""

    def __init__(self, inputs: int, size: int, *, width: int) -> None:
        parts: list[nn.Module] = []
        features = width
        while size > 2 * _HEAD:
            parts += [
                Conv(inputs, features, 4, stride=2, padding=1),
                layers.batch_norm(features),
                nn.LeakyReLU(0.2, inplace=True),
            ]
            inputs, features, size = features, min(2 * features, 4 * width), size // 2
        super().__init__(layers.named(*parts, Conv(inputs, 1, _HEAD)))


class Discriminator(nn.Module):
    """Images to logits [B, L] of all mixed maps; `fixed` networks are never trained."""

    def __init__(self, side: int, *, width: int, fixed: Callable[[str, nn.Module], None]) -> None:
        super().__init__()
        network, mixing = EfficientNetLite0(), Mixing()
        fixed("feature_network", network)
        fixed("mixing", mixing)
        for part in (network, mixing):
            part.requires_grad_(False)
        # In a list, they are not among the player's layers.
        self.fixed = [network, mixing]
        self.side = side
        for i in range(len(MAPS)):
            judge = MapDiscriminator(64 << max(i - 1, 0), side >> (i + 1), width=width)
            self.add_module(f"MapDiscriminator_{i}", judge)

    def to(self, *args, **kwargs):  # the fixed networks share the memory layout
        for part in self.fixed:
            part.to(*args, **kwargs)
        return super().to(*args, **kwargs)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        network, mixing = self.fixed
        x = functional.interpolate(images, (self.side, self.side), mode="bilinear")
        maps = mixing(network.maps(x))
        logits = [self.get_submodule(f"MapDiscriminator_{i}")(x) for i, x in enumerate(maps)]
        return torch.cat([each.flatten(1) for each in logits], dim=1)


def game(
    generator: nn.Module,
    discriminator: nn.Module,
    *,
    latents: Callable[[int, Draws], torch.Tensor],
    learning_rate: float,
    betas: tuple[float, float],
) -> Twin:
    """The game of all logits, with the hinge loss and the same fakes for both players."""
    optimizers = [
        adam(player.parameters(), learning_rate, betas) for player in (discriminator, generator)
    ]
    loss = hinge()

    def step(real: torch.Tensor, draws: Draws) -> Losses:
        fake = generator(latents(real.shape[0], draws))
        value = loss.discriminator(discriminator(real), discriminator(fake.detach()))
        of_discriminator = descend(optimizers[0], value)
        with frozen(discriminator):
            of_generator = descend(optimizers[1], loss.generator(discriminator(fake)))
        return {"discriminator/loss": of_discriminator, "generator/loss": of_generator}

    def prepare(batch: Batch) -> torch.Tensor:
        return batch["image"]

    return Twin({"generator": generator, "discriminator": discriminator}, step, prepare)
