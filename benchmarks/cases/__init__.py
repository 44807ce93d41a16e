"""What is compared: a case is one network, one batch and one schedule, on both sides.

A module of this folder holds a list `CASES` and imports neither JAX nor PyTorch before a function
is called: each side runs in a process without the other. To add a family, write such a module and
the twin of its networks in `benchmarks/pytorch`; nothing else lists them.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from benchmarks.pytorch.training import Twin
    from jaxgan.types import GAN


class Case(NamedTuple):
    """One row of the table.

    setting:  a frozen dataclass of the sizes and options that both sides share.
    gan:      `gan(setting)`: jaxgan's model.
    twin:     `twin(setting)`: the same as a `benchmarks.pytorch.training.Twin`.
    batch:    `batch(setting, draws)`: the whole batch of a train step as jaxgan takes it, from a
              numpy generator.
    per_call: jaxgan's train steps in a compiled call, as the family's experiment records them.
    layouts:  memory layouts that PyTorch tries; the best counts. A network without images has one.
    tiny:     fields of the setting to replace for a test of a second or two.
    compared: train steps whose losses both sides must agree on: fewer where a step is many updates.
    """

    name: str
    setting: Any
    gan: Callable[[Any], GAN]
    twin: Callable[[Any], Twin]
    batch: Callable[[Any, np.random.Generator], Mapping[str, np.ndarray]]
    tiny: Mapping[str, Any]
    per_call: int = 1
    layouts: tuple[str, ...] = ("contiguous", "channels_last")
    compared: int = 3

    def build_gan(self) -> GAN:
        """jaxgan's model."""
        return self.gan(self.setting)

    def build_twin(self) -> Twin:
        """PyTorch's model."""
        return self.twin(self.setting)

    def data(self) -> dict[str, np.ndarray]:
        """A batch, the same at every call."""
        return dict(self.batch(self.setting, np.random.default_rng(0)))

    def shrunk(self) -> Case:
        """The case with tiny networks and batches."""
        return self._replace(setting=dataclasses.replace(self.setting, **self.tiny))


def every() -> Iterator[Case]:
    """The cases of all modules, in the order of the modules' names."""
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        yield from importlib.import_module(f"{__name__}.{module.name}").CASES


def named(name: str) -> Case:
    """The case of that name; ValueError where there is none."""
    known = {case.name: case for case in every()}
    if name not in known:
        raise ValueError(f"there is no case {name!r}; expected one of {', '.join(known)}")
    return known[name]


def uniform_images(draws: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Images [B, H, W, C] of noise in [-1, 1]: their content costs no time."""
    return draws.uniform(-1, 1, shape).astype(np.float32)
