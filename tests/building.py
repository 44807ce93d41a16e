"""Models built from one flat set of arguments, of which a test changes some."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax

from jaxgan.games.training import Training
from jaxgan.state import Player
from jaxgan.types import GAN

TRAINING = {field.name for field in dataclasses.fields(Training)}


def built(build: Callable[..., GAN], *networks: Any, **arguments: Any) -> GAN:
    """The model of `build(*networks, training=..., ...)`, whose training has the arguments that are
    named as its fields.
    """
    of_training = {name: arguments.pop(name) for name in TRAINING & arguments.keys()}
    return build(*networks, training=Training(**of_training), **arguments)


@partial(jax.jit, static_argnames="train")
def output(player: Player, *inputs: Any, keys: Any = None, train: bool = False) -> Any:
    """The player's output, of one compiled program: called without, a network compiles one for each
    of its operations.
    """
    return player(*inputs, keys=keys, train=train)
