"""The game of one generator and one discriminator as a `GAN`, whatever their networks, loss and
schedule.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import optax

from jaxgan import objectives, random, state, steps
from jaxgan.losses import AdversarialLoss
from jaxgan.random import Keys
from jaxgan.types import GAN, Array, Step

Schedule = Callable[..., Step]
"""How a discriminator step and a generator step make a round, e.g. `partial(steps.alternate,
n_critic=5)`.
"""


def adam(learning_rate: float = 2e-4, beta1: float = 0.5) -> optax.GradientTransformation:
    """Adam as GANs use it: momentum 0.5 (Radford et al. 2016)."""
    return optax.adam(learning_rate, b1=beta1)


def simultaneously(discriminator: Step, generator: Step) -> Step:
    """The schedule of GAN 2014: both players move from the same state, on the same draw."""
    return steps.simultaneous({"discriminator": discriminator, "generator": generator})


def build(
    generator: linen.Module,
    discriminator: linen.Module,
    *,
    shape: tuple[int, ...],
    loss: AdversarialLoss,
    latents: objectives.Draw,
    optimisers: Mapping[str, optax.GradientTransformation],
    schedule: Schedule = steps.alternate,
    shared_noise: bool = False,
    conditions: objectives.Conditions = objectives.unconditional,
    default_conditions: Mapping[str, Callable[[int], Array]] | None = None,
    relabel: Callable[[Array, Array, Keys], tuple[Array, Array]] | None = None,
    penalty: objectives.Penalty | None = None,
    accumulate: int = 1,
    ema_half_life: float | None = None,
    axis_name: str | None = None,
) -> GAN:
    """The game as three pure functions; images have `shape` ([H, W, C], or [D] for points).

    optimisers:         by player, 'generator' and 'discriminator'.
    shared_noise:       the generator meets the fakes of the last discriminator step (see
                        `steps.alternate`), whose forward pass is computed once; a fresh draw
                        otherwise, as in Goodfellow et al. 2014, Algorithm 1.
    default_conditions: by name, `count -> values [count]`: what `sample` takes where the caller
                        gives none; its order is the order in which the networks take their
                        conditions.
    ema_half_life:      in images; averages the generator (None: no average is kept).

    `sample(state, keys, **conditions)` draws in inference mode: running batch statistics, no noise
    layers.
    """
    defaults = dict(default_conditions or {})
    draw = objectives.fakes(latents, conditions)
    if shared_noise:
        schedule = functools.partial(schedule, shared_noise=draw)
    round_of_play = schedule(
        steps.update(
            "discriminator",
            objectives.discriminator_objective(
                loss, draw, conditions=conditions, relabel=relabel, penalty=penalty
            ),
            accumulate=accumulate,
            axis_name=axis_name,
        ),
        steps.update(
            "generator",
            objectives.generator_objective(loss, draw, conditions=conditions),
            accumulate=accumulate,
            axis_name=axis_name,
        ),
    )
    averaged = () if ema_half_life is None else ("generator",)
    if ema_half_life is not None:
        average = steps.track_ema("generator", half_life=ema_half_life, axis_name=axis_name)
        round_of_play = steps.then(round_of_play, average)

    @jax.jit
    def init(key: Array) -> state.GANState:
        for_generator, for_discriminator, for_training = jax.random.split(key, 3)
        one = random.row_keys(key, 1)
        given = [default(1) for default in defaults.values()]
        options = {"keys": one, "train": True}
        players = {
            "generator": state.init_player(
                for_generator, generator, optimisers["generator"], latents(one), *given, **options
            ),
            "discriminator": state.init_player(
                for_discriminator,
                discriminator,
                optimisers["discriminator"],
                jnp.zeros((1, *shape)),
                *given,
                **options,
            ),
        }
        return state.create(for_training, players, ema=averaged)

    def sample(state: state.GANState, keys: Keys, **conditions: Any) -> Array:
        unknown = sorted(set(conditions) - set(defaults))
        if unknown:
            known = ", ".join(defaults) or "none"
            raise ValueError(f"this model takes no condition {unknown[0]!r}; it takes {known}")
        given = [
            jnp.asarray(conditions[name]) if name in conditions else default(len(keys))
            for name, default in defaults.items()
        ]
        return state["generator"](latents(keys), *given, train=False)

    step = steps.make_train_step(round_of_play, axis_name=axis_name)
    return GAN(init, step, sample, conditions=tuple(defaults))
