"""The random draws of a step: fresh ones, or those recorded from jaxgan's step."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import nn


class Draws:
    """Fresh draws, each named as in jaxgan: by the last name folded into the keys."""

    def normal(self, name: str, *shape: int) -> torch.Tensor:
        """Standard normal draws."""
        return torch.randn(shape)

    def uniform(self, name: str, *shape: int, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        """Uniform draws in [low, high)."""
        return torch.empty(shape).uniform_(low, high)

    def coins(self, name: str, *shape: int) -> torch.Tensor:
        """Boolean draws, true with probability 1/2."""
        return torch.rand(shape) < 0.5

    def integers(self, name: str, *shape: int, high: int) -> torch.Tensor:
        """Uniform integers in [0, high)."""
        return torch.randint(high, shape)

    def again(self, name: str, values: torch.Tensor) -> None:
        """Marks a draw that jaxgan repeats with the same keys, at no cost once it is compiled."""

    def unused(self, name: str) -> None:
        """Marks a draw of jaxgan that nothing uses, at no cost once it is compiled."""


class Replayed(Draws):
    """The recorded draws of jaxgan's steps, by name and in their order.

    A twin that joins several passes into one asks for the examples of all of them at once.
    """

    def __init__(self, recorded: Iterable[tuple[str, np.ndarray]]) -> None:
        self._waiting: dict[str, collections.deque[torch.Tensor]] = {}
        for name, values in recorded:
            queue = self._waiting.setdefault(name, collections.deque())
            values = channels_first(torch.from_numpy(np.array(values)))
            queue.append(values.to(torch.get_default_device()))

    def normal(self, name: str, *shape: int) -> torch.Tensor:
        """Returns the recorded normal draws."""
        return self._next(name, shape)

    def uniform(self, name: str, *shape: int, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        """Returns the recorded uniform draws."""
        return self._next(name, shape)

    def coins(self, name: str, *shape: int) -> torch.Tensor:
        """Returns the recorded boolean draws."""
        return self._next(name, shape)

    def integers(self, name: str, *shape: int, high: int) -> torch.Tensor:
        """Returns the recorded integers."""
        return self._next(name, shape)

    def again(self, name: str, values: torch.Tensor) -> None:
        """Checks that jaxgan's repeated draw has the same values."""
        if not torch.equal(self._next(name, tuple(values.shape)).to(values), values):
            raise ValueError(f"jaxgan's step draws {name!r} again, but other values")

    def unused(self, name: str) -> None:
        """Skips a recorded draw that nothing uses."""
        self._take(name)

    def left(self) -> list[str]:
        """Returns the names of the draws that were not used."""
        return [name for name, queue in self._waiting.items() if queue]

    def replay_dropout(self, networks: Mapping[str, nn.Module]) -> None:
        """Makes the networks' dropout layers drop the same units as jaxgan's of the same names.

        Raises:
            ValueError: If two networks have dropout layers of the same name.
        """
        taken: set[str] = set()
        for network in networks.values():
            for path, layer in network.named_modules():
                if isinstance(layer, nn.Dropout) and layer.p > 0:
                    name = path.rsplit(".")[-1]
                    if name in taken:
                        raise ValueError(f"two dropout layers are named {name!r}; rename one")
                    taken.add(name)
                    layer.register_forward_hook(self._dropped(name))

    def _dropped(self, name: str):
        def hook(layer: nn.Dropout, inputs: tuple[torch.Tensor], output: torch.Tensor):
            keep = self._next(name, tuple(output.shape))
            return inputs[0] * keep / (1.0 - layer.p)

        return hook

    def _next(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        values = self._take(name)
        while self._waiting[name] and values.shape[0] < shape[0]:
            values = torch.cat([values, self._take(name)])
        if tuple(values.shape) != shape:
            raise ValueError(
                f"PyTorch's step draws {name!r} of shape {shape}, jaxgan's of {values.shape}"
            )
        return values

    def _take(self, name: str) -> torch.Tensor:
        if not self._waiting.get(name):
            raise ValueError(f"PyTorch's step draws {name!r} where jaxgan's drew nothing")
        return self._waiting[name].popleft()


def channels_first(values: torch.Tensor) -> torch.Tensor:
    """Images [B, H, W, C] as [B, C, H, W]; all else as it is."""
    return values.permute(0, 3, 1, 2).contiguous() if values.ndim == 4 else values
