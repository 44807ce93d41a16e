"""The twin of `jaxgan.models.semisupervised`, on gray images, which are flat [B, H W] here.

jaxgan's discriminator classifies its inputs in three passes. This one needs a single pass, as no
batch statistics couple the examples.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional

from benchmarks.pytorch import layers
from benchmarks.pytorch.draws import Draws
from benchmarks.pytorch.training import Batch, Losses, Twin, adam, descend, frozen, non_saturating

INPUT_NOISE, NOISE = 0.3, 0.5


class FittedDense(layers.WeightNormDense):
    """A weight-normalized layer that standardizes with its first batch's mean and deviation."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, inputs: int, outputs: int, *, gain: bool = False) -> None:
        super().__init__(inputs, outputs, gain=gain)
        self.register_buffer("mean", torch.zeros(outputs))
        self.register_buffer("scale", torch.ones(outputs))

    def fit(self, input: torch.Tensor) -> None:
        """Stores the statistics of this batch."""
        projections = functional.linear(input, self.weight) * self.inverse_lengths()
        self.mean.copy_(projections.mean(0))
        self.scale.copy_((projections.var(0, correction=0) + 1e-8).rsqrt())

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        gains = self.scale if self.gain is None else self.scale * self.gain
        shift, factors = self.bias - self.mean * gains, self.inverse_lengths() * gains
        return torch.addcmul(shift, functional.linear(input, self.weight), factors)


class Discriminator(nn.Module):
    """Images [B, D] in [-1, 1] to logits [B, classes], with noise on every layer's input."""

    def __init__(self, size: int, *, hidden: Sequence[int], classes: int) -> None:
        super().__init__()
        self.fitted = False
        sizes = [size, *hidden, classes]
        self.last = len(hidden)
        for index, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
            layer = FittedDense(inputs, outputs, gain=index == self.last)
            self.add_module(f"FittedDense_{index}", layer)

    def forward(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        x = self._disturbed(self.last, self._hidden(images, draws), draws)
        return self._layer(self.last)(x)

    def features(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        """The last hidden layer [B, F]."""
        x = self._hidden(images, draws)
        draws.unused(f"GaussianNoise_{self.last}")
        return x

    @torch.no_grad()
    def fit(self, images: torch.Tensor, draws: Draws) -> None:
        """Fits the layers to the images on the first call."""
        if self.fitted:
            return
        self.fitted, x = True, (images + 1) / 2
        for index in range(self.last + 1):
            x = self._disturbed(index, x, draws)
            layer = self._layer(index)
            layer.fit(x)
            x = functional.relu(layer(x))

    def _hidden(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        x = (images + 1) / 2
        for index in range(self.last):
            x = functional.relu(self._layer(index)(self._disturbed(index, x, draws)), inplace=True)
        return x

    def _disturbed(self, index: int, x: torch.Tensor, draws: Draws) -> torch.Tensor:
        noise = draws.normal(f"GaussianNoise_{index}", *x.shape)
        return torch.add(x, noise, alpha=NOISE if index else INPUT_NOISE)

    def _layer(self, index: int) -> FittedDense:
        return getattr(self, f"FittedDense_{index}")


class _Scaled(nn.Module):
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return torch.tanh(input / 2)  # the logistic function, scaled to [-1, 1]


def generator(size: int, *, latent_size: int, hidden: Sequence[int]) -> nn.Sequential:
    """Latents [B, Z] to images [B, size] in [-1, 1]."""
    parts: list[nn.Module] = []
    for features in hidden:
        parts.append(nn.Linear(latent_size, features, bias=False))
        parts += [layers.ShiftedNorm(features), nn.Softplus()]
        latent_size = features
    return layers.sequence(*parts, layers.WeightNormDense(latent_size, size), _Scaled())


def game(maker: nn.Module, judge: Discriminator, *, latent_size: int, learning_rate: float) -> Twin:
    """A step of the classifier, then one of the generator on fresh fakes, by feature matching."""
    optimizers = [adam(player.parameters(), learning_rate) for player in (judge, maker)]
    of_kinds = non_saturating().discriminator

    def fakes(like: torch.Tensor, draws: Draws) -> torch.Tensor:
        return maker(draws.uniform("latent", like.shape[0], latent_size, low=-1.0, high=1.0))

    def classifier_step(batch: Batch, draws: Draws) -> torch.Tensor:
        judge.fit(batch["unlabeled"], draws)
        with torch.no_grad():
            fake = fakes(batch["image"], draws)
        seen = torch.cat([batch["image"], batch["unlabeled"], fake])
        labeled, *others = judge(seen, draws).chunk(3)
        real, generated = (logits.logsumexp(1) for logits in others)
        value = functional.cross_entropy(labeled, batch["label"]) + of_kinds(real, generated) / 2
        return descend(optimizers[0], value)

    def generator_step(batch: Batch, draws: Draws) -> torch.Tensor:
        fake = fakes(batch["image"], draws)
        with frozen(judge):
            of_real = judge.features(batch["reference"], draws).mean(0)
            value = functional.mse_loss(judge.features(fake, draws).mean(0), of_real)
            return descend(optimizers[1], value)

    def step(batch: Batch, draws: Draws) -> Losses:
        return {
            "discriminator/loss": classifier_step(batch, draws),
            "generator/loss": generator_step(batch, draws),
        }

    return Twin({"generator": maker, "discriminator": judge}, step, _flat)


def _flat(batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    labels = {"label": batch["label"].long()}
    return {name: values.flatten(1) for name, values in batch.items() if values.ndim > 1} | labels
