"""A GAN of waves in one file, by convolutions over time: `jaxgan train examples/series_gan.py`."""

from functools import partial, reduce

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import losses, nn, optimizers, random
from jaxgan.games import training, two_player
from jaxgan.runs.config import RunConfig


class Config(RunConfig):
    """The usual flags."""


class Waves:
    """Series [B, 64, 1], fresh draws in every batch."""

    shape, digest = (64, 1), "waves, version 1"

    def batch(self, seed, step, size):
        """Returns the batch of a step."""
        draws = np.random.default_rng([seed, step])
        phase, turns = draws.uniform(0, 6.28, (size, 1)), draws.uniform(2, 4, (size, 1))
        waves = np.sin(phase + turns * np.linspace(0, 6, 64))
        return {"series": waves[:, :, None].astype(np.float32)}


def data(config):
    """Returns the data, which hold nothing out: no wave is drawn twice."""
    return Waves(), Waves()


class Network(linen.Module):
    """Layers one after another, called as a game calls its networks."""

    layers: tuple

    def __call__(self, x, *, keys=None, train=False):
        """Returns the output of the last layer."""
        return reduce(lambda x, layer: layer(x), self.layers, x)


def build(config, spec, *, axis_name=None):
    """Returns the model."""
    relu, up, down = jax.nn.relu, partial(nn.ConvTranspose, strides=2), partial(nn.Conv, strides=2)
    first = [linen.Dense(16 * 32), relu, lambda x: x.reshape(-1, 16, 32)]
    generator = Network((*first, up(16, (8,)), relu, up(1, (8,)), jnp.tanh))
    last = [lambda x: x.reshape(len(x), -1), linen.Dense(1)]
    discriminator = Network((down(16, (8,)), relu, down(32, (8,)), relu, *last))
    adams = {name: optimizers.adam(2e-4, 0.5) for name in ("generator", "discriminator")}
    options = {"shape": spec.shape, "loss": losses.non_saturating(), "image": "series"}
    latents, trained = partial(random.latents, size=16), training.Training(adams)
    return two_player.build(generator, discriminator, latents=latents, training=trained, **options)
