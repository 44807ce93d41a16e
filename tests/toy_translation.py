"""A model between two domains that knows what to do without training: b is the negative of a."""

from __future__ import annotations

import dataclasses

from experiments.flags import translation_flags
from jaxgan.runs import command_line


@dataclasses.dataclass(frozen=True)
class Config(translation_flags.TranslationConfig):
    """Negatives."""

    steps: int = 1
    batch_size: int = 8
    stride: int = 4
    """What both sides of an image must be multiples of."""
    factor: int = 1
    """How many times larger the images are made."""
    of_batch: bool = False
    """Whether the mean of the batch is taken away."""
    margin: int | None = None
    """How far its pixels see; None: it does not say, and images are not computed in tiles."""


def build(config, spec, *, axis_name=None):
    import jax.numpy as jnp

    from jaxgan import losses, random, state
    from jaxgan.state import Mean
    from jaxgan.types import GAN

    translation_flags.options(config, spec, {}, loss=losses.non_saturating(), axis_name=axis_name)

    def init(key):
        return state.create(key, {})

    def step(state, batch):
        gap = jnp.mean(batch["a"]) + jnp.mean(batch["b"])
        return state.replace(step=state.step + 1), {"gap": Mean.of(gap)}

    def sample(state, keys, **conditions):
        images = next(iter(conditions.values()))
        if any(side % config.stride for side in images.shape[1:3]):
            raise ValueError(f"sides of {images.shape[1:3]} are no multiples of {config.stride}")
        mean = jnp.mean(images) if config.of_batch else 0.0
        noise = random.uniform(keys, (1, 1, 1), high=0.01)
        made = -images - mean + (noise if config.of_batch else 0.0)
        return made.repeat(config.factor, axis=1).repeat(config.factor, axis=2)

    return GAN(init, step, sample, conditions=("a", "b"))


def picture(gan, splits):
    from PIL import Image

    return lambda state: Image.new("L", (1, 1))


if __name__ == "__main__":
    command_line.main(__name__)
