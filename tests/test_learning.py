"""Short trainings that must learn: what comes out is the data, or the optimum known in closed form.

The margins hold for other seeds too; what four of them gave is written beside each.
"""

from __future__ import annotations

from functools import partial

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import data, losses, penalties, random, steps
from jaxgan.games import two_player
from jaxgan.models import vanilla
from tests.building import built

PER_CALL = 250


def train(gan, mixture, *, count, size, seed=0):
    """The state after `count` steps on `size` points each, and the metrics of the last call."""
    state, run = gan.init(jax.random.key(seed)), jax.jit(steps.repeat(gan.step))
    for start in range(0, count, PER_CALL):
        batches = [
            mixture.batch(seed=seed, step=start + i, size=size)["image"] for i in range(PER_CALL)
        ]
        state, metrics = run(state, {"image": np.stack(batches)})
    return state, metrics


def sampled(gan, state, count=4000):
    return np.asarray(gan.sample(state.averaged(), random.row_keys(jax.random.key(9), count)))


def adam(generator, discriminator):
    return {
        "generator": optax.adam(generator, b1=0.0),
        "discriminator": optax.adam(discriminator, b1=0.0),
    }


@pytest.mark.slow
def test_a_generator_travels_to_the_data_and_keeps_its_width():
    # Seeds 0 to 3: means 3.997 to 4.012, standard deviations 0.487 to 0.506.
    gan = built(
        vanilla.build,
        shape=(1,),
        latent_size=2,
        generator=vanilla.Generator((1,), (32,)),
        discriminator=vanilla.Discriminator((64, 64), dropout=0.0),
        loss=losses.non_saturating(),
        optimizers=adam(1e-3, 1e-2),
        ema_half_life=20_000.0,
    )
    state, _ = train(gan, data.load("gauss1d").train, count=1500, size=256)
    points = sampled(gan, state)
    assert np.mean(points) == pytest.approx(4.0, abs=0.1)
    assert np.std(points) == pytest.approx(0.5, abs=0.1)


@pytest.mark.slow
def test_a_relativistic_game_with_both_penalties_captures_all_modes_of_the_ring():
    # Seeds 0 to 3: 56 to 60 % of the points lie within 0.1 of a mode, 6.2 % or more at each.
    # Uniform points on the square would be 4 %.
    def penalty(discriminator, real, fake, keys):
        return penalties.r1(discriminator, real, gamma=0.1) + penalties.r2(
            discriminator, fake, gamma=0.1
        )

    gan = built(
        vanilla.build,
        shape=(2,),
        latent_size=4,
        prior="normal",
        generator=vanilla.Generator((2,), (64, 64)),
        discriminator=vanilla.Discriminator((64, 64), dropout=0.0),
        loss=losses.relativistic_paired(),
        penalty=penalty,
        optimizers=adam(1e-3, 1e-3),
        ema_half_life=20_000.0,
    )
    ring = data.load("ring").train
    state, _ = train(gan, ring, count=2000, size=128)
    distances = np.linalg.norm(sampled(gan, state)[:, None] - ring.centers, axis=2)
    shares = np.mean(distances < 0.1, axis=0)
    assert np.sum(shares > 0.02) == 8
    assert np.sum(shares) > 0.4


class Shift(linen.Module):
    """Latents moved by a number: a generator that does not learn."""

    by: float

    @linen.compact
    def __call__(self, latents, *, keys=None, train=False):
        return latents + self.by


def jensen_shannon(shift):
    """The divergence of N(0, 1) and N(shift, 1) in nats, by the trapezium rule."""
    x = np.linspace(-12.0, 12.0, 20_001) + shift / 2
    p, q = (np.exp(-0.5 * (x - mean) ** 2) / np.sqrt(2 * np.pi) for mean in (0.0, shift))
    middle = 0.5 * (p + q)
    return 0.5 * np.trapezoid(p * np.log(p / middle) + q * np.log(q / middle), x)


# Seeds 0 to 2, greatest error of the logit at 31 points: 0.02 to 0.04 for a shift of 1, 0.07 to
# 0.20 for -2; mean error at most 0.03; error of the value at most 0.002.
@pytest.mark.parametrize("shift", [1.0, -2.0])
def test_a_discriminator_learns_the_log_ratio_of_the_densities_and_the_value_their_divergence(
    shift,
):
    count = 1000
    gan = built(
        two_player.build,
        Shift(shift),
        vanilla.Discriminator((32,), dropout=0.0),
        shape=(1,),
        loss=losses.non_saturating(),
        latents=partial(random.latents, size=1),
        optimizers={
            "generator": optax.sgd(0.0),
            "discriminator": optax.adam(optax.cosine_decay_schedule(2e-2, count)),
        },
        schedule=lambda discriminator, generator: discriminator,
    )
    normal = data.Mixture("normal", np.zeros((1, 1)), 1.0)
    state, metrics = train(gan, normal, count=count, size=512)
    x = np.linspace(min(0.0, shift) - 1.5, max(0.0, shift) + 1.5, 31)
    logits = state["discriminator"](jnp.asarray(x[:, None], jnp.float32), train=False)
    errors = np.abs(logits - (shift**2 / 2 - shift * x))  # log of N(0, 1) over N(shift, 1)
    assert np.max(errors) < 0.5
    assert np.mean(errors) < 0.1
    value = -np.mean(metrics["discriminator/loss"].value)
    assert value == pytest.approx(2 * jensen_shannon(shift) - np.log(4.0), abs=0.01)
