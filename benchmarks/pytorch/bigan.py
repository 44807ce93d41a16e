"""The twin of `jaxgan.models.bigan`, convolutional and deterministic."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from benchmarks.pytorch import layers
from benchmarks.pytorch.draws import Draws
from benchmarks.pytorch.training import Batch, Losses, Twin, adam, non_saturating


def trunk(
    shape: tuple[int, int, int], *, stages: int, features: int, width: int, kernel: int
) -> nn.Sequential:
    """Images [B, *shape] (C, H, W) to features [B, features]."""
    channels, height, rest = shape
    parts: list[nn.Module] = []
    for index in range(stages):
        outputs = width << index
        parts.append(layers.Conv(channels, outputs, kernel, stride=2, bias=index == 0))
        if index > 0:
            parts.append(layers.batch_norm(outputs))
        parts.append(nn.LeakyReLU(0.2, inplace=True))
        channels = outputs
    base = (channels, height >> stages, rest >> stages)
    parts += [layers.FromImage(base, features, bias=False), layers.feature_norm(features)]
    return layers.sequence(*parts, nn.LeakyReLU(0.2, inplace=True))


class Encoder(nn.Module):
    """Images to their latents [B, Z]."""

    def __init__(self, trunk: nn.Module, *, features: int, latent_size: int) -> None:
        super().__init__()
        self.trunk, self.mean = trunk, nn.Linear(features, latent_size)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.mean(self.trunk(images))


class JointTrunk(nn.Module):
    """Images and latents [B, Z] to features [B, 2 features]."""

    def __init__(self, images: nn.Module, *, features: int, latent_size: int) -> None:
        super().__init__()
        self.add_module("ConvolutionalTrunk_0", images)
        inputs = [latent_size, features, 2 * features, 2 * features]
        outputs = [features, features, 2 * features, 2 * features]
        for index, sizes in enumerate(zip(inputs, outputs, strict=True)):
            self.add_module(f"Dense_{index}", nn.Linear(*sizes, bias=False))
            self.add_module(f"BatchNorm_{index}", layers.feature_norm(sizes[1]))

    def forward(self, images: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        z = self._layer(1, self._layer(0, latents))
        both = torch.cat([self.get_submodule("ConvolutionalTrunk_0")(images), z], dim=1)
        return self._layer(3, self._layer(2, both))

    def _layer(self, index: int, x: torch.Tensor) -> torch.Tensor:
        x = self.get_submodule(f"BatchNorm_{index}")(self.get_submodule(f"Dense_{index}")(x))
        return nn.functional.leaky_relu(x, 0.2, inplace=True)


class Discriminator(nn.Module):
    """Pairs of images and latents to logits [B]."""

    def __init__(self, trunk: nn.Module, *, features: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.add_module("Dense_0", nn.Linear(features, 1))

    def forward(self, images: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        return self.get_submodule("Dense_0")(self.trunk(images, latents))[:, 0]


def game(
    players: Mapping[str, nn.Module], *, latent_size: int, learning_rates: Mapping[str, float]
) -> Twin:
    """Updates all three from the same state: both losses use the logits of one pass of each."""
    maker, encoder, judge = (players[name] for name in ("generator", "encoder", "discriminator"))
    judges, inverses = list(judge.parameters()), [*maker.parameters(), *encoder.parameters()]
    of_judge = adam(judges, learning_rates["discriminator"])
    of_inverses = adam(inverses, learning_rates["generator"])
    loss = non_saturating().discriminator

    def step(batch: Batch, draws: Draws) -> Losses:
        images = batch["image"]
        latents = draws.normal("latent", images.shape[0], latent_size)
        made, encodings = maker(latents), encoder(images)
        real_logits, fake_logits = judge(images, encodings), judge(made, latents)
        judging, inverting = loss(real_logits, fake_logits), loss(fake_logits, real_logits)
        for optimizer in (of_judge, of_inverses):
            optimizer.zero_grad(set_to_none=True)
        judging.backward(inputs=judges, retain_graph=True)
        inverting.backward(inputs=inverses)
        for optimizer in (of_judge, of_inverses):
            optimizer.step()
        return {"discriminator/loss": judging.detach(), "generator/loss": inverting.detach()}

    return Twin(players, step)
