"""Transformations of the discriminator's input images, real and generated, such as augmentation.

A view maps `(state, images, keys)` to images of the same shape. `through` applies it inside an
objective.

Warning: both players' objectives must use the same view. Otherwise the generator learns to
reproduce the view. The gradient of the generator passes through the view. A gradient penalty is
computed with respect to the images before the view, as in the code of StyleGAN2-ADA.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jaxgan import random
from jaxgan.random import Keys
from jaxgan.state import GANState, Player
from jaxgan.steps.common import Names, as_names
from jaxgan.types import Array, Batch, Objective

View = Callable[[GANState, Array, Keys], Array]
"""`view(state, images, keys) -> images`, both [B, ...].

It may depend on the state (such as its step) and on each example's own key.
"""


def through(objective: Objective, view: View, *, names: Names = "discriminator") -> Objective:
    """Returns the objective in which the named players receive their first input through the view.

    The view's random numbers come from the keys that the player is called with. They are
    independent of the player's own noise. Real and generated images are transformed independently.
    If a player is called without keys, the view is not applied.

    Args:
        objective: The objective.
        view: The view.
        names: Names of the players.
    """
    looking = as_names(names)

    def run(state: GANState, batch: Batch, keys: Keys) -> Any:
        def seen_through(player: Player) -> Player:
            network = player.apply_fn

            def apply(
                variables: Any, images: Array, *rest: Any, keys: Keys | None = None, **options: Any
            ) -> Any:
                if keys is not None:
                    images = view(state, images, random.fold(keys, "view"))
                return network(variables, images, *rest, keys=keys, **options)

            return player.replace(apply_fn=apply)

        players = {name: seen_through(state[name]) for name in looking}
        return objective(state.replace(players={**state.players, **players}), batch, keys)

    return run


def for_both(view: View) -> Callable[[Objective, Objective], tuple[Objective, Objective]]:
    """Returns a `refine` for `Training` that applies the view in both objectives."""

    def refine(discriminator: Objective, generator: Objective) -> tuple[Objective, Objective]:
        return through(discriminator, view), through(generator, view)

    return refine


def instance_noise(std: Callable[[Array], Any]) -> View:
    """Returns a view that adds N(0, std^2) noise to every entry of the images.

    Args:
        std: `std(step)` is the standard deviation at a train step. It usually decreases to zero, as
            in `optax.linear_schedule(0.1, 0.0, 10_000)`.

    References:
        Arjovsky and Bottou 2017, section 3. Sonderby et al. 2017, section 3.1.
    """

    def view(state: GANState, images: Array, keys: Keys) -> Array:
        noise = random.normal(random.fold(keys, "instance noise"), images.shape[1:])
        return images + (std(state.step) * noise).astype(images.dtype)

    return view
