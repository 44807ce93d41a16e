"""The twin of `jaxgan.models.infogan`, with one categorical code and several continuous ones."""

from __future__ import annotations

import collections
import itertools
import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import nn

from benchmarks.pytorch import dcgan, layers
from benchmarks.pytorch.draws import Draws
from benchmarks.pytorch.training import Batch, Losses, Twin, adam, descend, frozen, non_saturating

LEAK = 0.1


class Codes(NamedTuple):
    """The codes of B latents: classes [B] of the first code, and the others [B, n]."""

    classes: torch.Tensor
    others: torch.Tensor


class Sizes(NamedTuple):
    """Entries of the noise, classes of the categorical code, and number of continuous codes."""

    noise: int
    classes: int
    continuous: int

    @property
    def latent(self) -> int:
        """Returns the number of entries of a latent."""
        return sum(self)


# --- networks -------------------------------------------------------------------------------------


def generator(
    shape: tuple[int, int, int], *, stages: int, latent_size: int, hidden: int, width: int
) -> nn.Sequential:
    """Latents [B, Z] to images [B, *shape] (C, H, W)."""
    images = dcgan.generator(shape, stages=stages, latent_size=hidden, width=width, kernel=4)
    parts = layers.named(
        nn.Linear(latent_size, hidden, bias=False),
        layers.feature_norm(hidden),
        nn.ReLU(inplace=True),
    )
    return nn.Sequential(collections.OrderedDict(parts, Generator_0=images))


class Discriminator(nn.Sequential):
    """Images [B, *shape] (C, H, W) to logits [B] and the features [B, hidden] before them."""

    def __init__(
        self, shape: tuple[int, int, int], *, stages: int, hidden: int, width: int
    ) -> None:
        channels, height, rest = shape
        parts: list[nn.Module] = []
        for index in range(stages):
            features = width << index
            parts.append(layers.Conv(channels, features, 4, stride=2, bias=index == 0))
            if index > 0:
                parts.append(layers.batch_norm(features))
            parts.append(nn.LeakyReLU(LEAK, inplace=True))
            channels = features
        base = (channels, height >> stages, rest >> stages)
        parts += [layers.FromImage(base, hidden, bias=False), layers.feature_norm(hidden)]
        parts += [nn.LeakyReLU(LEAK, inplace=True), nn.Linear(hidden, 1)]
        super().__init__(layers.named(*parts))

    def forward(self, input: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        *body, last = self
        for layer in body:
            input = layer(input)
        return last(input)[:, 0], input


def recognizer(features: int, sizes: Sizes) -> nn.Sequential:
    """The discriminator's features [B, F] to logits of the classes, then means of the others."""
    return layers.sequence(
        nn.Linear(features, 128, bias=False),
        layers.feature_norm(128),
        nn.LeakyReLU(LEAK, inplace=True),
        nn.Linear(128, sizes.classes + sizes.continuous),
    )


# --- the game -------------------------------------------------------------------------------------


def information(told: torch.Tensor, codes: Codes) -> torch.Tensor:
    """The bound on the information in nats, with standard deviation 1 for continuous codes."""
    classes, continuous = told.shape[1] - codes.others.shape[1], codes.others.shape[1]
    logits, means = told.split([classes, continuous], dim=1)
    entropies = math.log(classes) + continuous * math.log(2)
    density = (codes.others - means).square().sum(1).mean() / 2
    density = density + continuous * math.log(2 * math.pi) / 2
    return entropies - nn.functional.cross_entropy(logits, codes.classes) - density


def drawn(rows: int, sizes: Sizes, draws: Draws) -> tuple[torch.Tensor, Codes]:
    """Draws latents [B, Z] and their codes, which jaxgan's two objectives draw again."""
    noise = draws.uniform("latent", rows, sizes.noise, low=-1.0, high=1.0)
    classes = draws.integers("c1", rows, high=sizes.classes).long()
    names = [f"c{index + 2}" for index in range(sizes.continuous)]
    others = [draws.uniform(name, rows, low=-1.0, high=1.0) for name in names]
    for _ in range(2):
        for name, values in zip(["c1", *names], [classes, *others], strict=True):
            draws.again(name, values)
    codes = Codes(classes, torch.stack(others, dim=1))
    one_hot = nn.functional.one_hot(classes, sizes.classes).float()
    return torch.cat([noise, one_hot, codes.others], dim=1), codes


def game(
    players: Mapping[str, nn.Module], sizes: Sizes, *, learning_rates: Mapping[str, float]
) -> Twin:
    """A step of the discriminator and of q, then one of the generator on the same fakes."""
    maker, judge, q = (players[name] for name in ("generator", "discriminator", "q"))
    judges = itertools.chain(judge.parameters(), q.parameters())
    of_judges = adam(judges, learning_rates["discriminator"])
    of_maker = adam(maker.parameters(), learning_rates["generator"])
    loss = non_saturating()

    def step(batch: Batch, draws: Draws) -> Losses:
        latents, codes = drawn(batch["image"].shape[0], sizes, draws)
        fake = maker(latents)
        real_logits, _ = judge(batch["image"])
        fake_logits, features = judge(fake.detach())
        value = loss.discriminator(real_logits, fake_logits) - information(q(features), codes)
        judging = descend(of_judges, value)
        with frozen(judge, q):
            fake_logits, features = judge(fake)
            value = loss.generator(fake_logits) - information(q(features), codes)
            making = descend(of_maker, value)
        return {"discriminator/loss": judging, "generator/loss": making}

    return Twin(players, step)
