"""Methods against mode collapse: a GAN on the plane, alone or with one of them.

    python -m experiments.cures --data ring
    python -m experiments.cures --data grid --piece "packing 2" --seeds 5
    python -m experiments.tables cures          # all methods, measured on both
    python -m experiments.tables ring_grid      # those that papers have compared

`experiments/networks/plane.py` defines each method. The defaults are a shortened version of the
papers' protocol, which takes 25,000 steps with a batch size of 512 (`--preset paper`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from jaxgan.runs import command_line
from jaxgan.runs.config import DataSpec, RunConfig
from jaxgan.runs.ranges import Positive

from .flags import refused_flags

if TYPE_CHECKING:
    from PIL import Image

    from jaxgan.data import Splits
    from jaxgan.types import GAN

    from .networks.plane import Recipe


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """Flags of the GAN on the plane."""

    REFUSED: ClassVar[tuple[str, ...]] = (
        *refused_flags.STAGES,
        *refused_flags.IMAGES,
        *refused_flags.EVALUATION,
    )

    data: str = "ring"
    """ring or grid."""
    piece: str = "GAN"
    """Method that is added to the GAN, by name, such as "packing 2"."""
    steps: int = 12_000
    batch_size: int = 64
    """Examples, or packs of them, in each update of a player."""
    steps_per_call: int = 100
    latent_size: Positive = 32
    """Size of the latent vector, from N(0, 1)."""
    sample_every: int = 0

    @property
    def rows_per_step(self) -> int:
        """Examples per step; some methods take several times the batch size."""
        return self.batch_size * recipe(self).rows

    @property
    def falls_to_the_end(self) -> bool:
        """Whether the learning rates decay up to the last step of the run."""
        return self.piece.startswith("RpGAN")


PRESETS = {
    "paper": {"steps": 25_000, "batch_size": 512, "latent_size": 256},
    "smoke": {
        "steps": 4,
        "batch_size": 32,
        "steps_per_call": 1,
        "log_every": 2,
        "checkpoint_every": 2,
    },
}


def recipe(config: Config, *, axis_name: str | None = None) -> Recipe:
    """Returns the recipe of the method that the flags name.

    Args:
        config: The flags.
        axis_name: Mapped axis over which the batch is split, or None.

    Raises:
        ValueError: If there is no method of this name.
    """
    from .networks import plane

    known = plane.rows(config.steps, plane.latents(config.latent_size), axis_name=axis_name)
    if config.piece not in known:
        raise ValueError(f"there is no piece {config.piece!r}; the pieces are {', '.join(known)}")
    return known[config.piece]


def build(config: Config, spec: DataSpec, *, axis_name: str | None = None) -> GAN:
    """Returns the model for points on the plane.

    Methods that group or pack examples do so within a shard, as they would on one device. When
    traced, they raise ValueError if the group size does not divide the shard's batch size.

    Args:
        config: The flags.
        spec: Shape of the data.
        axis_name: Mapped axis over which the batch is split, or None.

    Raises:
        ValueError: If the data are not points with two coordinates.
    """
    from .networks import plane

    if spec.shape != (2,):
        raise ValueError(f"the data have the shape {spec.shape}; expected points on the plane")
    chosen = recipe(config, axis_name=axis_name)
    return plane.build(chosen, plane.latents(config.latent_size), axis_name=axis_name)


def picture(gan: GAN, splits: Splits) -> Callable[[Any], Image.Image]:
    """Returns a function that draws the points, without the discriminator's logits.

    A discriminator of packs has no logit for a single point of the plane.

    Args:
        gan: The model.
        splits: The data.
    """
    from jaxgan import data
    from jaxgan.plotting import plane_points

    assert isinstance(splits.train, data.Mixture)
    return plane_points.picture_of(gan, splits.train)


if __name__ == "__main__":
    command_line.main(__name__)
