"""The twin of `jaxgan.models.cyclegan`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch
from torch import nn

from benchmarks.pytorch.draws import Draws
from benchmarks.pytorch.training import Losses, Twin, adam, descend, frozen


class ResNet(nn.Module):
    """Images [B, inputs, H, W] to images [B, outputs, H, W], with H and W divisible by 4."""

    def __init__(self, inputs: int, outputs: int, *, blocks: int, width: int) -> None:
        super().__init__()
        self.blocks = blocks
        convolutions = [
            _reflected(inputs, width, 7),
            nn.Conv2d(width, 2 * width, 3, 2, 1, bias=False),
            nn.Conv2d(2 * width, 4 * width, 3, 2, 1, bias=False),
            *[_reflected(4 * width, 4 * width, 3) for _ in range(2 * blocks)],
            _reflected(width, outputs, 7, bias=True),
        ]
        for index, layer in enumerate(convolutions):
            self.add_module(f"Conv_{index}", layer)
        for index, features in enumerate((4 * width, 2 * width)):
            layer = nn.ConvTranspose2d(features, features // 2, 3, 2, 1, 1, bias=False)
            self.add_module(f"ConvTranspose_{index}", layer)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        layer, x = self.get_submodule, images
        for index in range(3):
            x = self._rectified(layer(f"Conv_{index}")(x))
        for block in range(self.blocks):
            y = self._rectified(layer(f"Conv_{3 + 2 * block}")(x))
            x = x + nn.functional.instance_norm(layer(f"Conv_{4 + 2 * block}")(y))
        for index in range(2):
            x = self._rectified(layer(f"ConvTranspose_{index}")(x))
        return torch.tanh(layer(f"Conv_{3 + 2 * self.blocks}")(x))

    def _rectified(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.relu(nn.functional.instance_norm(x), inplace=True)


def _reflected(inputs: int, outputs: int, kernel: int, *, bias: bool = False) -> nn.Conv2d:
    pad = kernel // 2
    return nn.Conv2d(inputs, outputs, kernel, padding=pad, padding_mode="reflect", bias=bias)


class Pool:
    """A pool of earlier fakes, see `jaxgan.games.replay_pool.exchange`."""

    def __init__(self, capacity: int, name: str) -> None:
        self.capacity, self.name = capacity, name
        self.images: list[torch.Tensor] = []

    def exchange(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        """Returns the images that the discriminator sees instead of the given ones."""
        coins = draws.coins("pool coin", images.shape[0])
        places = draws.integers("pool place", images.shape[0], high=self.capacity)
        shown = []
        for image, coin, place in zip(images, coins.tolist(), places.tolist(), strict=True):
            if len(self.images) < self.capacity:
                self.images.append(image.clone())
                shown.append(image)
            elif coin:
                shown.append(self.images[place])
                self.images[place] = image.clone()
            else:
                shown.append(image)
        return torch.stack(shown)


def game(players: Mapping[str, nn.Module], *, cycle: float, identity: float, pool: int) -> Twin:
    """The generators' step, then the discriminators' on the fakes made before it."""
    to_b, to_a = players["generator_ab"], players["generator_ba"]
    of_a, of_b = players["discriminator_a"], players["discriminator_b"]
    generators = adam(itertools.chain(to_b.parameters(), to_a.parameters()))
    discriminators = adam(itertools.chain(of_a.parameters(), of_b.parameters()))
    pools = [Pool(pool, "a"), Pool(pool, "b")]
    mse, l1 = nn.functional.mse_loss, nn.functional.l1_loss

    def target(logits: torch.Tensor, value: float) -> torch.Tensor:
        return mse(logits, torch.full_like(logits, value))

    def generators_step(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with frozen(of_a, of_b):
            fake_b, fake_a = to_b(a), to_a(b)
            value = target(of_a(fake_a), 1.0) + target(of_b(fake_b), 1.0)
            value = value + cycle * (l1(to_a(fake_b), a) + l1(to_b(fake_a), b))
            value = value + cycle * identity * (l1(to_a(a), a) + l1(to_b(b), b))
            return descend(generators, value), fake_a.detach(), fake_b.detach()

    def step(batch: Mapping[str, torch.Tensor], draws: Draws) -> Losses:
        a, b = batch["a"], batch["b"]
        of_generators, *fakes = generators_step(a, b)
        value = torch.zeros(())
        for judge, real, fake, earlier in zip((of_a, of_b), (a, b), fakes, pools, strict=True):
            shown = earlier.exchange(fake, draws)
            value = value + (target(judge(real), 1.0) + target(judge(shown), 0.0)) / 2
        return {
            "generator/loss": of_generators,
            "discriminator/loss": descend(discriminators, value),
        }

    return Twin(players, step)
