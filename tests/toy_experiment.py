"""A GAN of two tiny perceptrons, for the tests of the runner; it trains in a second."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from jaxgan.runs import command_line
from jaxgan.runs.config import RunConfig


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """Two tiny perceptrons."""

    NETWORK: ClassVar[tuple[str, ...]] = ("resolution", "channels", "width")

    steps: int = 24
    batch_size: int = 8
    data: str = "ring"
    log_every: int = 5
    sample_every: int = 0
    checkpoint_every: int = 8
    width: int = 8
    """Units of the hidden layers."""
    n_critic: int = 1
    """Discriminator updates a step."""
    hidden: tuple[int, ...] = (8,)
    """A field that JSON turns into a list."""
    break_at: int | None = None
    """The step after which the generator's loss is NaN."""

    @property
    def rows_per_step(self) -> int:
        return self.batch_size * self.n_critic


PRESETS = {"smoke": {"steps": 6, "width": 4}}


def build(config, spec, *, axis_name=None):
    from tests import toy_model

    return toy_model.build(
        shape=spec.shape,
        width=config.width,
        n_critic=config.n_critic,
        break_at=config.break_at,
        axis_name=axis_name,
    )


def picture(gan, splits):
    from PIL import Image

    return lambda state: Image.new("L", (1, 1), int(state.step) % 256)


if __name__ == "__main__":
    command_line.main(__name__)
