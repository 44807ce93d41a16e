"""The toy experiment with numbers that the models of a sweep can differ in, and one unused."""

from __future__ import annotations

import dataclasses

from jaxgan.runs.ranges import Fraction, LearningRate
from tests import toy_experiment, toy_model


@dataclasses.dataclass(frozen=True)
class Config(toy_experiment.Config):
    """Two tiny perceptrons, with a learning rate."""

    steps: int = 8
    steps_per_call: int = 4
    checkpoint_every: int = 4
    keep: int = 6
    rate: LearningRate = 1e-2
    """Learning rate of the generator."""
    leak: Fraction = 0.2
    """Negative slope of the generator, on which its samples depend, too."""
    unused: float = 0.0
    """Nothing depends on it."""
    kind: str = "one"
    """Text."""


picture = toy_experiment.picture


def build(config, spec, *, axis_name=None):
    if config.rate == 0.5:
        raise ValueError("the rate is 0.5, which this model does not take")
    return toy_model.build(
        shape=spec.shape,
        width=config.width,
        rate=config.rate,
        leak=config.leak,
        axis_name=axis_name,
    )
