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

import jax.numpy as jnp

from jaxgan import random
from jaxgan.nn import resampling
from jaxgan.random import Keys
from jaxgan.state import GANState, Player
from jaxgan.steps.common import Names, as_names
from jaxgan.types import Array, Batch, Objective

View = Callable[[GANState, Array, Keys], Array]
"""`view(state, images, keys) -> images`, both [B, ...].

It may depend on the state (such as its step) and on each example's own key.
"""


def through(
    objective: Objective,
    view: View,
    *,
    names: Names = "discriminator",
    alike: bool = False,
) -> Objective:
    """Returns the objective in which the named players receive their first input through the view.

    The view's random numbers come from the keys that the player is called with. They are
    independent of the player's own noise. Real and generated images are transformed independently.
    If a player is called without keys, the view is not applied.

    Args:
        objective: The objective.
        view: The view.
        names: Names of the players.
        alike: Whether the players' other inputs are images that change alike, by the same draws, as
            the input image that a discriminator of pairs sees next to its translation.
    """
    looking = as_names(names)

    def run(state: GANState, batch: Batch, keys: Keys) -> Any:
        def seen_through(player: Player) -> Player:
            network = player.apply_fn

            def apply(
                variables: Any, images: Array, *rest: Any, keys: Keys | None = None, **options: Any
            ) -> Any:
                if keys is not None:
                    own = random.fold(keys, "view")
                    images = view(state, images, own)
                    rest = tuple(view(state, x, own) for x in rest) if alike else rest
                return network(variables, images, *rest, keys=keys, **options)

            return player.replace(apply_fn=apply)

        players = {name: seen_through(state[name]) for name in looking}
        return objective(state.replace(players={**state.players, **players}), batch, keys)

    return run


def for_both(
    view: View, **options: Any
) -> Callable[[Objective, Objective], tuple[Objective, Objective]]:
    """Returns a `refine` for `Training` that applies the view in both objectives.

    Args:
        view: The view.
        **options: Options of `through`.
    """

    def refine(discriminator: Objective, generator: Objective) -> tuple[Objective, Objective]:
        return through(discriminator, view, **options), through(generator, view, **options)

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


def fading_blur(deviation: Callable[[Array], Any]) -> View:
    """Returns a view that blurs images, at first much and later not at all.

    The players then learn shapes and colors first, and a discriminator cannot win by the fine
    grain that an untrained generator lacks.

    Args:
        deviation: `deviation(step)` is the standard deviation of the Gaussian filter at a train
            step, in pixels; at 0, images pass unchanged. It usually decreases to zero, as in
            `optax.linear_schedule(2.0, 0.0, 10_000)`.

    References:
        Sauer et al. 2022, "StyleGAN-XL", section 3.1. Karras et al. 2021, "Alias-Free GAN",
        appendix F.
    """

    def view(state: GANState, images: Array, keys: Keys) -> Array:
        return gaussian_blur(images, deviation(state.step))

    return view


def gaussian_blur(images: Array, deviation: Any) -> Array:
    """Blurs images by a Gaussian filter. Beyond the edges, it has no weight.

    Args:
        images: Images [B, H, W, C].
        deviation: Standard deviation in pixels, 0 or more; it may be traced.

    Returns:
        Images [B, H, W, C], at deviation 0 the same.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan.games.input_transforms import gaussian_blur
        >>> point = jnp.zeros((1, 1, 5, 1)).at[0, 0, 2, 0].set(1.0)
        >>> [round(value, 3) for value in gaussian_blur(point, 0.5)[0, 0, :, 0].tolist()]
        [0.0, 0.106, 0.787, 0.106, 0.0]
    """
    rows, columns = (_blurring(size, deviation, images.dtype) for size in images.shape[1:3])
    return resampling.separable(images, rows, columns)


def _blurring(size: int, deviation: Any, dtype: Any) -> Array:
    """Returns the matrix [size, size] that blurs a line; the weights of a pixel add up to 1."""
    places = jnp.arange(size, dtype=jnp.float32)
    apart = (places[:, None] - places[None]) / jnp.maximum(deviation, 1e-3)
    weights = jnp.exp(-0.5 * apart**2)
    return (weights / jnp.sum(weights, axis=1, keepdims=True)).astype(dtype)
