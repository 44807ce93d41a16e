"""DiscoGAN at 28 pixels.

A step of this case is a period of three train steps in one call: one of the discriminators and two
of the generators, each on its own minibatch.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.cases import Case, uniform_images

if TYPE_CHECKING:
    from benchmarks.pytorch.training import Twin
    from jaxgan.types import GAN

PERIOD = 3
ADVERSARIAL, FEATURES, RECONSTRUCTION = 0.1, 0.9, 0.01


@dataclasses.dataclass(frozen=True)
class Setting:
    """The networks of both sides; their default sizes are those of jaxgan's experiment."""

    shape: tuple[int, int, int] = (28, 28, 1)
    """Height, width and channels of an image."""
    rows: int = 64
    """Images of a domain in each of the three minibatches."""
    width: int = 32


def gan(setting: Setting) -> GAN:
    """Returns jaxgan's model."""
    from jaxgan.games.training import Training
    from jaxgan.models import discogan

    weights = discogan.Weights(
        adversarial=ADVERSARIAL, features=FEATURES, early=RECONSTRUCTION, late=RECONSTRUCTION
    )
    return _in_periods(
        discogan.build(
            shape_a=setting.shape,
            shape_b=setting.shape,
            training=Training({side: discogan.adam() for side in ("generator", "discriminator")}),
            weights=weights,
            width=setting.width,
            discriminator_width=setting.width,
        )
    )


def _in_periods(gan: GAN) -> GAN:
    """Returns the model with a period as its step, compiled like any call of several steps."""
    import jax
    import jax.numpy as jnp

    from jaxgan import steps

    def step(state, batch):
        minibatches = {n: v.reshape(PERIOD, -1, *v.shape[1:]) for n, v in batch.items()}
        state, metrics = steps.repeat(gan.step)(state, minibatches)
        return state, jax.tree.map(lambda values: jnp.sum(values, axis=0), metrics)

    return gan._replace(step=step)


def twin(setting: Setting) -> Twin:
    """Returns PyTorch's model."""
    from benchmarks.pytorch import discogan

    height, width, channels = setting.shape
    sizes = {"stages": (height // 4).bit_length() - 1, "width": setting.width}
    players = {
        **{
            name: discogan.generator(channels, channels, **sizes)
            for name in ("generator_ab", "generator_ba")
        },
        **{
            name: discogan.Discriminator((channels, height, width), **sizes)
            for name in ("discriminator_a", "discriminator_b")
        },
    }
    shares = discogan.Shares(ADVERSARIAL, FEATURES, RECONSTRUCTION)
    return discogan.game(players, shares, period=PERIOD)


def batch(setting: Setting, draws: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns the batch of a train step."""
    shape = (PERIOD * setting.rows, *setting.shape)
    return {name: uniform_images(draws, shape) for name in ("a", "b")}


_tiny = {"shape": (16, 16, 3), "rows": 4, "width": 4}

CASES = [Case("discogan28", Setting(), gan, twin, batch, _tiny)]
