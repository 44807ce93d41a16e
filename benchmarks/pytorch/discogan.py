"""The twin of `jaxgan.models.discogan`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import nn

from benchmarks.pytorch import layers
from benchmarks.pytorch.draws import Draws
from benchmarks.pytorch.training import Batch, Losses, Twin, adam, descend, frozen, non_saturating

WEIGHT_DECAY = 1e-5

Pair = Sequence[torch.Tensor]
"""Images [B, C, H, W] of a and of b."""


class Shares(NamedTuple):
    """The generators' terms: (adversarial + features) (1 - reconstruction) + reconstruction."""

    adversarial: float
    features: float
    reconstruction: float


def generator(inputs: int, outputs: int, *, stages: int, width: int) -> nn.Sequential:
    """Images [B, inputs, H, W] to images [B, outputs, H, W]."""
    parts = _halvings(inputs, stages=stages, width=width)
    for level in reversed(range(1, stages)):
        features = width << (level - 1)
        parts.append(layers.ConvTranspose(2 * features, features, 4, bias=False))
        parts += [layers.batch_norm(features), nn.ReLU(inplace=True)]
    return layers.sequence(*parts, layers.ConvTranspose(width, outputs, 4, bias=False), nn.Tanh())


class Discriminator(nn.Sequential):
    """Images [B, *shape] (C, H, W) to logits [B] and features.

    The features are those of all hidden layers but the first.
    """

    def __init__(self, shape: tuple[int, int, int], *, stages: int, width: int) -> None:
        channels, height, rest = shape
        base = (width << (stages - 1), height >> stages, rest >> stages)
        parts = _halvings(channels, stages=stages, width=width)
        super().__init__(layers.named(*parts, layers.FromImage(base, 1, bias=False)))

    def forward(self, input: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        *body, last = self
        features = []
        for layer in body:
            input = layer(input)
            if isinstance(layer, nn.LeakyReLU):
                features.append(input)
        return last(input)[:, 0], features[1:]


def _halvings(channels: int, *, stages: int, width: int) -> list[nn.Module]:
    parts: list[nn.Module] = []
    for level in range(stages):
        features = width << level
        parts.append(layers.Conv(channels, features, 4, stride=2, bias=False))
        if level > 0:
            parts.append(layers.batch_norm(features))
        parts.append(nn.LeakyReLU(0.2, inplace=True))
        channels = features
    return parts


# --- the game -------------------------------------------------------------------------------------


def feature_distance(real: Pair, fake: Pair) -> torch.Tensor:
    """The mean squared difference of the batches' mean features, summed over layers."""
    gaps = [
        nn.functional.mse_loss(generated.mean(0), true.mean(0))
        for true, generated in zip(real, fake, strict=True)
    ]
    return torch.stack(gaps).sum()


def game(players: Mapping[str, nn.Module], shares: Shares, *, period: int) -> Twin:
    """An update of the discriminators, then updates of the generators, `period` in total.

    Each has its own minibatch: examples 0 ... B - 1 of the batch for the first, and so on.
    """
    to_b, to_a = players["generator_ab"], players["generator_ba"]
    judges = players["discriminator_a"], players["discriminator_b"]
    of_makers, of_judges = (
        adam(itertools.chain(*(n.parameters() for n in networks)), weight_decay=WEIGHT_DECAY)
        for networks in ((to_b, to_a), judges)
    )
    loss, mse = non_saturating(), nn.functional.mse_loss

    def discriminators_step(real: Pair) -> torch.Tensor:
        with torch.no_grad():
            fakes = to_a(real[1]), to_b(real[0])
        value = torch.zeros(())
        for judge, true, fake in zip(judges, real, fakes, strict=True):
            value = value + loss.discriminator(judge(true)[0], judge(fake)[0]) / 2
        return descend(of_judges, value)

    def generators_step(real: Pair) -> torch.Tensor:
        fakes = to_a(real[1]), to_b(real[0])
        backs = to_a(fakes[1]), to_b(fakes[0])
        imitation = reconstruction = torch.zeros(())
        with frozen(*judges):
            for judge, true, fake, back in zip(judges, real, fakes, backs, strict=True):
                _, true_features = judge(true)
                logits, features = judge(fake)
                imitation = imitation + shares.adversarial * loss.generator(logits)
                distance = feature_distance(true_features, features)
                imitation = imitation + shares.features * distance
                reconstruction = reconstruction + mse(back, true) / 4  # as for images in [0, 1]
            share = shares.reconstruction
            return descend(of_makers, (1 - share) * imitation + share * reconstruction)

    def step(minibatches: Sequence[Pair], draws: Draws) -> Losses:
        first, *others = minibatches
        of_discriminators = discriminators_step(first)
        of_generators = torch.stack([generators_step(real) for real in others]).mean()
        return {"discriminator/loss": of_discriminators, "generator/loss": of_generators}

    def prepare(batch: Batch) -> list[Pair]:
        domains = [batch[name].unflatten(0, (period, -1)).unbind(0) for name in ("a", "b")]
        return list(zip(*domains, strict=True))

    return Twin(players, step, prepare)
