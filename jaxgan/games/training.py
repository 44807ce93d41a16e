"""Training options that the builders of all models take: optimizers, schedule, averages, devices.

Arguments that define a model (networks, latents, losses, penalties, weights) belong to its own
`build`. How its players are updated is one value: `Training`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import optax

from jaxgan import steps
from jaxgan.steps.train_step import HalfLife
from jaxgan.types import Objective, Step

Schedule = Callable[..., Step]
"""`schedule(discriminator, generator) -> step`: combines both steps into one round of updates.

Example: `partial(steps.alternate, n_critic=5)`.
"""

Refinement = Callable[[Objective, Objective], tuple[Objective, Objective]]
"""`refine(discriminator, generator) -> (discriminator, generator)`: transforms both objectives.

It is applied before the objectives become steps. Examples: augmentation
(`input_transforms.for_both`), an additional loss term (`regularizers.plus`), unrolling.
"""


def unrefined(discriminator: Objective, generator: Objective) -> tuple[Objective, Objective]:
    """Returns both objectives unchanged.

    Args:
        discriminator: The discriminator's objective.
        generator: The generator's objective.
    """
    return discriminator, generator


@dataclasses.dataclass(frozen=True)
class Training:
    """Training options of a model.

    The loss and label flipping are not included: they are part of a model's definition, and some
    models have none. Use `dataclasses.replace` to change a field.

    Attributes:
        optimizers: The optimizers 'generator' and 'discriminator', one for each player group. Each
            model documents which further players belong to a group. Every player has its own
            optimizer state.
        schedule: Combines the discriminator's and the generator's step into one round. None: the
            model's own schedule, which is `steps.alternate` unless its `build` says otherwise.
        shared_noise: Whether both player groups are trained on the same fakes, whose forward pass
            is then computed once (see `steps.alternate`). If False, each group draws new latents,
            as in Goodfellow et al. 2014, Algorithm 1. True excludes gradient accumulation. None:
            the model's default, which is False unless its `build` says otherwise, and always False
            with gradient accumulation.
        refine: Transforms both objectives before they become steps.
        extra: Initial value of `state.extra`, for refined objectives or schedules that need it.
        accumulate: Number of slices of a batch over which gradients are accumulated, to save
            memory. 1 or more; 1 is no accumulation.
        ema_half_life: Half-life of the players' exponential moving averages, in images, or a
            function from the images shown so far to one. None: no averages.
        axis_name: Name of the batch's axis under shard_map and pmap. None under jit.
    """

    optimizers: Mapping[str, optax.GradientTransformation]
    schedule: Schedule | None = None
    shared_noise: bool | None = None
    refine: Refinement = unrefined
    extra: Mapping[str, Any] | None = None
    accumulate: int = 1
    ema_half_life: HalfLife | None = None
    axis_name: str | None = None

    def otherwise(
        self, *, schedule: Schedule | None = None, shared_noise: bool = False
    ) -> Training:
        """Returns a copy with the model's defaults for the fields that are None.

        Args:
            schedule: The model's schedule. None: `steps.alternate`.
            shared_noise: The model's `shared_noise`. Ignored with gradient accumulation.
        """
        own = shared_noise and self.accumulate == 1
        return dataclasses.replace(
            self,
            schedule=schedule if self.schedule is None else self.schedule,
            shared_noise=own if self.shared_noise is None else self.shared_noise,
        )

    def with_schedule(self, around: Callable[[Schedule], Schedule]) -> Training:
        """Returns a copy with the schedule `around(schedule)`."""
        return dataclasses.replace(self, schedule=around(self.schedule or steps.alternate))

    def refined(self, first: Refinement) -> Training:
        """Returns this with objectives that `first` refines before its own refinement does."""

        def refine(discriminator: Objective, generator: Objective) -> tuple[Objective, Objective]:
            return self.refine(*first(discriminator, generator))

        return dataclasses.replace(self, refine=refine)
