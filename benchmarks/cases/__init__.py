"""The cases of the benchmark: one network, one batch and one schedule, on both sides.

Each module of this folder has a list `CASES`. It imports JAX or PyTorch only inside functions,
because each side runs in a process without the other library. To add a family, write such a module
and the twin of its networks in `benchmarks/pytorch`. There is no other list to extend.
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

    Attributes:
        name: The name of the case.
        setting: A frozen dataclass of the sizes and options that both sides share.
        gan: `gan(setting)`, jaxgan's model.
        twin: `twin(setting)`, the same model as a `benchmarks.pytorch.training.Twin`.
        batch: `batch(setting, draws)`, the batch of a train step as jaxgan takes it; `draws` is a
            numpy generator.
        tiny: Fields of the setting to replace for a test of a second or two.
        per_call: jaxgan's train steps in a compiled call, as in the family's experiment.
        layouts: Memory layouts that PyTorch tries; the best counts. A network without images has
            one.
        compared: Train steps whose losses must agree; fewer if a step has many updates.
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
        """Returns jaxgan's model."""
        return self.gan(self.setting)

    def build_twin(self) -> Twin:
        """Returns PyTorch's model."""
        return self.twin(self.setting)

    def data(self) -> dict[str, np.ndarray]:
        """Returns a batch, the same on every call."""
        return dict(self.batch(self.setting, np.random.default_rng(0)))

    def shrunk(self) -> Case:
        """Returns the case with tiny networks and batches."""
        return self._replace(setting=dataclasses.replace(self.setting, **self.tiny))


def every() -> Iterator[Case]:
    """Yields the cases of all modules, in the order of the modules' names."""
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        yield from importlib.import_module(f"{__name__}.{module.name}").CASES


def named(name: str) -> Case:
    """Returns the case of that name.

    Raises:
        ValueError: If there is none.
    """
    known = {case.name: case for case in every()}
    if name not in known:
        raise ValueError(f"there is no case {name!r}; expected one of {', '.join(known)}")
    return known[name]


def uniform_images(draws: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Returns noise images [B, H, W, C] in [-1, 1]; their content does not affect the time.

    Args:
        draws: A numpy generator.
        shape: The shape (B, H, W, C).
    """
    return draws.uniform(-1, 1, shape).astype(np.float32)
