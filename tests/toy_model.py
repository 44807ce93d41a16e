"""The model of `toy_experiment`: perceptrons with every kind of state that there is."""

from __future__ import annotations

import functools
import math
from functools import partial

import flax.linen as linen
import jax.numpy as jnp
import optax

from jaxgan import losses, random, steps
from jaxgan.games import two_player
from jaxgan.types import GAN
from tests.building import built


class Generator(linen.Module):
    shape: tuple[int, ...]
    width: int
    axis_name: str | None
    leak: float = 0.0

    @linen.compact
    def __call__(self, latents, *, keys=None, train=False):
        x = linen.Dense(self.width)(latents)
        x = linen.BatchNorm(use_running_average=not train, axis_name=self.axis_name)(x)
        x = linen.relu(x) if self.leak == 0 else linen.leaky_relu(x, self.leak)
        x = linen.Dense(math.prod(self.shape))(x)
        return jnp.tanh(x).reshape(-1, *self.shape)


class Discriminator(linen.Module):
    width: int

    @linen.compact
    def __call__(self, images, *, keys=None, train=False):
        x = linen.Dense(self.width)(images.reshape(images.shape[0], -1))
        return linen.Dense(1)(linen.leaky_relu(x, 0.2))[:, 0]


@functools.lru_cache  # the same functions are not compiled again
def build(*, shape, width, n_critic=1, break_at=None, rate=1e-2, leak=0.0, axis_name=None) -> GAN:
    if width < 1:
        raise ValueError(f"the width is {width}; expected 1 or more")
    gan = built(
        two_player.build,
        Generator(shape, width, axis_name, leak),
        Discriminator(width),
        shape=shape,
        loss=losses.non_saturating(),
        latents=partial(random.latents, size=3),
        optimizers={"generator": optax.adam(rate), "discriminator": optax.adam(1e-2)},
        schedule=partial(steps.alternate, n_critic=n_critic),
        ema_half_life=100.0,
        axis_name=axis_name,
    )

    def init(key):
        state = gan.init(key)
        return state.replace(
            extra={"norm": jnp.zeros(())}, buffers={"pool": jnp.zeros((8, *shape))}
        )

    def step(state, batch):
        if break_at is not None:
            broken = jnp.where(state.step + 1 == break_at, jnp.nan, batch["image"])
            batch = {**batch, "image": broken}
        state, metrics = gan.step(state, batch)
        kernel = state["generator"].params["Dense_0"]["kernel"]
        pool = 0.5 * state.buffers["pool"] + batch["image"][: state.buffers["pool"].shape[0]]
        return state.replace(
            extra={"norm": 0.9 * state.extra["norm"] + jnp.linalg.norm(kernel)},
            buffers={"pool": pool},
        ), metrics

    return GAN(init, step, gan.sample)
