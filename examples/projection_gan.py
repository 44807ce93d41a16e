"""A class-conditional GAN in one file: conditional batch normalization and a projection head.

Residual blocks as in Miyato and Koyama 2018, with the hinge loss, on the embedded garments:
`jaxgan train examples/projection_gan.py --minutes 30 --workdir runs/projection`.
"""

from functools import partial

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgan import losses, nn, optimizers, random
from jaxgan.games import training, two_player
from jaxgan.runs.config import RunConfig as Config

CLASSES, WIDTH = 10, 32
__all__ = ["Config", "build"]


class Generator(linen.Module):
    """Maps latents [B, Z] and labels [B] to images [B, 28, 28, 1]."""

    @linen.compact
    def __call__(self, z, label, *, keys=None, train=False):
        """Returns the images."""

        def normalize(x):
            return nn.ConditionalBatchNorm(CLASSES)(x, label, train=train)

        x = linen.Dense(7 * 7 * WIDTH)(z).reshape(-1, 7, 7, WIDTH)
        for _ in range(2):
            x = nn.ResidualBlock(WIDTH, "up")(x, normalize=normalize, train=train)
        return jnp.tanh(nn.Conv(1, (3, 3))(jax.nn.relu(normalize(x))))


class Discriminator(linen.Module):
    """Maps images [B, 28, 28, 1] and labels [B] to logits [B]."""

    @linen.compact
    def __call__(self, x, label, *, keys=None, train=False):
        """Returns the logits."""
        for level in range(2):
            x = nn.ResidualBlock(WIDTH, "down", spectral=True, first=level == 0)(x, train=train)
        x = jnp.sum(jax.nn.relu(x), axis=(1, 2))
        return nn.ProjectionHead(CLASSES, spectral=True)(x, label, train=train)


def build(config, spec, *, axis_name=None):
    """Returns the model."""
    adams = {name: optimizers.adam(2e-4, 0.0, 0.9) for name in ("generator", "discriminator")}
    options = {"shape": spec.shape, "latents": partial(random.latents, size=64)}
    labels = {"label": lambda count: jnp.arange(count) % CLASSES}
    given = {"conditions": lambda batch: (batch["label"],), "default_conditions": labels}
    trained = training.Training(adams, ema_half_life=10_000.0)
    players, loss = (Generator(), Discriminator()), losses.hinge()
    return two_player.build(*players, loss=loss, training=trained, **options, **given)
