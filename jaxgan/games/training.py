"""How a game is trained: what the builders of all games take, whatever the game is.

What makes a game (networks, latents, losses, penalties, weights of terms) are arguments of its own
`build`. What moves its players, in which order, on which slices and devices, is one value:
`Training`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import optax

from jaxgan import steps
from jaxgan.types import Objective, Step

Schedule = Callable[..., Step]
"""How a discriminator step and a generator step make a round, e.g. `partial(steps.alternate,
n_critic=5)`.
"""

Refinement = Callable[[Objective, Objective], tuple[Objective, Objective]]
"""What becomes of the discriminators' and the generators' objective before they are lifted to
steps: seen through a view (`input_transforms.for_both`), with a term more (`regularizers.plus`),
unrolled, ...
"""


def unrefined(discriminator: Objective, generator: Objective) -> tuple[Objective, Objective]:
    """Returns both objectives as they are."""
    return discriminator, generator


@dataclasses.dataclass(frozen=True)
class Training:
    """How the players of a game are trained.

    The loss and the swapping of its labels are not part of it: they say what the players want, and
    not every game has them. To change a field, use `dataclasses.replace`.

    Attributes:
        optimizers: The optimizer of each side, 'generator' and 'discriminator'. A model says which
            further players a side moves; each has an optimizer state of its own.
        schedule: How a discriminator step and a generator step make a round. None: the model's own
            schedule, which is `steps.alternate` unless its `build` says otherwise.
        shared_noise: Whether both sides of a round meet the same fakes, whose forward pass is then
            computed once (see `steps.alternate`); else each side draws afresh, as in Goodfellow et
            al. 2014, Algorithm 1. A shared pass cannot be sliced to accumulate gradients. None: the
            model's own choice, which is False unless its `build` says otherwise, and always False
            where gradients are accumulated.
        refine: Applied to both objectives before they are lifted to steps.
        extra: Initial value of `state.extra`: what refined objectives or the schedule carry in it.
        accumulate: Slices of a batch over which gradients are averaged, to save memory; 1 or more.
        ema_half_life: Half-life of the players' moving averages, in images. None keeps no average.
        axis_name: Name of the batch's axis under shard_map and pmap. None under jit.
    """

    optimizers: Mapping[str, optax.GradientTransformation]
    schedule: Schedule | None = None
    shared_noise: bool | None = None
    refine: Refinement = unrefined
    extra: Mapping[str, Any] | None = None
    accumulate: int = 1
    ema_half_life: float | None = None
    axis_name: str | None = None

    def otherwise(
        self, *, schedule: Schedule | None = None, shared_noise: bool = False
    ) -> Training:
        """Returns this with a model's own schedule and sharing where they are left to the model."""
        own = shared_noise and self.accumulate == 1
        return dataclasses.replace(
            self,
            schedule=schedule if self.schedule is None else self.schedule,
            shared_noise=own if self.shared_noise is None else self.shared_noise,
        )

    def scheduled(self, around: Callable[[Schedule], Schedule]) -> Training:
        """Returns this with the schedule that `around` makes of the current one."""
        return dataclasses.replace(self, schedule=around(self.schedule or steps.alternate))

    def refined(self, first: Refinement) -> Training:
        """Returns this with objectives that `first` refines before its own refinement does."""

        def refine(discriminator: Objective, generator: Objective) -> tuple[Objective, Objective]:
            return self.refine(*first(discriminator, generator))

        return dataclasses.replace(self, refine=refine)
