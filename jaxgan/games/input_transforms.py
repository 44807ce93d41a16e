"""What a discriminator is shown in the place of its images, real and generated ones alike.

A view maps `(state, images, keys)` to images of the same shape; `through` makes an objective look
through it. Both players' objectives must look through the same view: else the generator learns the
view. The gradient reaches the generator through the view, and a penalty takes the discriminator's
slope by the image before it, as StyleGAN2-ADA's code does.
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
"""Images [B, ...] as they are shown, by the state (its counter, say) and each example's own key."""


def through(objective: Objective, view: View, *, names: Names = "discriminator") -> Objective:
    """The objective in which the named players see their first input through the view.

    The view draws by the keys that the player is called with, independently of them and of its own
    noise: real and generated images are transformed independently. Without keys, the player sees
    the images as they are.
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
    """What makes both objectives of a game look through the view: the `refine` of a model's
    `build`.
    """

    def refine(discriminator: Objective, generator: Objective) -> tuple[Objective, Objective]:
        return through(discriminator, view), through(generator, view)

    return refine


def instance_noise(std: Callable[[Array], Any]) -> View:
    """Images with N(0, std^2) noise on every entry (Arjovsky and Bottou 2017, section 3; Sonderby
    et al. 2017, section 3.1).

    `std(step)` is the deviation at a train step, usually falling to zero:
    `optax.linear_schedule(0.1, 0.0, 10_000)`.
    """

    def view(state: GANState, images: Array, keys: Keys) -> Array:
        noise = random.normal(random.fold(keys, "instance noise"), images.shape[1:])
        return images + (std(state.step) * noise).astype(images.dtype)

    return view
