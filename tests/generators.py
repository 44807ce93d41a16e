"""Models around a generator whose weights a test knows: no training, no initialization."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan import random, state
from jaxgan.data import captions, transforms
from jaxgan.games import two_player
from jaxgan.runs.config import DataSpec
from jaxgan.runs.trained_model import TrainedModel
from jaxgan.types import GAN

SHAPE = (4, 4, 1)


def of(
    module: linen.Module,
    weights: Mapping[str, Any],
    *,
    size: int,
    shape: tuple[int, ...] = SHAPE,
    classes: tuple[str, ...] = (),
    condition: str | None = None,
    default: Callable[[int], Any] = jnp.zeros,
    prior: str = "normal",
) -> TrainedModel:
    """A model whose generator is the module with these weights.

    Args:
        module: Takes latents [B, size] and, if there is a condition, its values.
        weights: Its params.
        size: Entries of a latent.
        shape: Shape of an image.
        classes: Classes of the data.
        condition: Name of what else the generator takes.
        default: The condition's default, as in `GAN.defaults`.
        prior: Prior of the latents.
    """
    params = jax.tree.map(partial(np.asarray, dtype=np.float32), dict(weights))
    player = state.Player.create(apply_fn=module.apply, params=params, tx=optax.sgd(0.1))
    start = state.create(jax.random.key(0), {"generator": player})

    def sample(state, keys, **given):
        latents = random.latents(keys, size, prior=prior)
        values = []
        if condition:
            values = [given[condition] if given else default(keys.count)]
        return state["generator"](latents, *values).reshape(-1, *shape)

    gan = GAN(
        lambda key: start,
        lambda state, batch: (state, {}),
        sample,
        conditions=(condition,) if condition else (),
        defaults=((condition, default),) if condition else (),
    )
    return TrainedModel(gan, start, None, DataSpec(shape, classes), 0)


class Pixels(linen.Module):
    """Two layers to the pixels of an image; a label is embedded, a caption is its mean code."""

    hidden: int = 6

    @linen.compact
    def __call__(self, latents, *conditions):
        x = latents
        for given in conditions:
            if given.ndim == 1:
                x = jnp.concatenate([linen.Embed(3, 2)(given), x], axis=1)
            else:
                x = x + jnp.mean(given, axis=1, keepdims=True) / captions.CODES
        x = linen.Dense(self.hidden, use_bias=False)(x)
        x = linen.Dense(16, use_bias=False)(jnp.tanh(x))
        return jnp.tanh(x)


def weights(size: int, *, hidden: int = 6, classes: int = 0, seed: int = 0) -> dict[str, Any]:
    """Weights of `Pixels`, drawn by the seed."""
    draws = np.random.default_rng(seed)
    joined = size + (2 if classes else 0)
    found: dict[str, Any] = {
        "Dense_0": {"kernel": draws.normal(size=(joined, hidden))},
        "Dense_1": {"kernel": draws.normal(size=(hidden, 16))},
    }
    if classes:
        found["Embed_0"] = {"embedding": draws.normal(size=(classes, 2))}
    return found


def plain(size: int = 5) -> TrainedModel:
    """A model that draws from noise alone."""
    return of(Pixels(), weights(size), size=size)


def labeled(size: int = 5) -> TrainedModel:
    """A model of three classes."""
    names = ("ant", "bee", "cat")
    return of(
        Pixels(),
        weights(size, classes=3),
        size=size,
        classes=names,
        condition="label",
        default=lambda count: jnp.arange(count) % 3,
    )


def coded(size: int = 5) -> TrainedModel:
    """A model whose first entry is a code of four classes, and the second one a continuous code."""
    model = plain(size)

    def sample(state, keys, **given):
        codes = [random.labels(random.fold(keys, "c1"), 4), random.latents(keys, 1)[:, 0]]
        codes = [
            jnp.asarray(given.get(name, code))
            for name, code in zip(("c1", "c2"), codes, strict=True)
        ]
        noise = random.latents(keys, size - 2)
        joined = jnp.concatenate([jnp.stack(codes, axis=1).astype(jnp.float32), noise], axis=1)
        return state["generator"](joined).reshape(-1, *SHAPE)

    gan = model.gan._replace(sample=sample, conditions=("c1", "c2"), categories=(("c1", 4),))
    return TrainedModel(gan, model.state, None, model.spec, 0)


def captioned(size: int = 5) -> TrainedModel:
    """A model of captions."""
    width = captions.LONGEST
    blank = lambda count: jnp.zeros((count, width))  # noqa: E731 - a default is a function
    return of(Pixels(), weights(size), size=size, condition="caption", default=blank)


def of_arrays(size: int = 5) -> TrainedModel:
    """A model of arrays in units of their own, times the condition in the model's units plus 2."""
    model = plain(size)
    standard = transforms.Step("standardize", (3.0,), (2.0,))
    units = transforms.Transform((transforms.Step("log1p"), standard))
    spec = DataSpec(
        SHAPE,
        inputs={"condition_mass": (1,)},
        transforms={"image": transforms.Transform(), "condition_mass": units},
        typical={"condition_mass": [[-1.0], [0.0], [1.5]]},
    )

    def sample(state, keys, *, condition_mass=None):
        if condition_mass is None:
            condition_mass = given["condition_mass"](keys.count)
        images = state["generator"](random.latents(keys, size)).reshape(-1, *SHAPE)
        return (jnp.asarray(condition_mass) + 2.0)[:, :, None, None] * images

    given = two_player.conditioned(spec.typical)["default_conditions"]
    gan = model.gan._replace(
        sample=sample, conditions=("condition_mass",), defaults=tuple(given.items())
    )
    return TrainedModel(gan, model.state, None, spec, 0)


def translating() -> TrainedModel:
    """A model that translates images of 'a' to their negatives."""
    model = plain()

    def sample(state, keys, **given):
        return -given["a"]

    gan = model.gan._replace(sample=sample, conditions=("a",), defaults=())
    return TrainedModel(gan, model.state, None, DataSpec(SHAPE, ()), 0)
