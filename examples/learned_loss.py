"""A discriminator as a learned loss in a training loop of one's own: no run, no game, no trainer.

A network removes noise from waves. To the squared error a discriminator of the library, updated by
one of its steps, adds what a wave looks like. `python examples/learned_loss.py` takes 20 s.
"""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan import losses, nn, state, steps

LOSS, WEIGHT, ADAM = losses.least_squares(), 0.05, optax.adam(1e-3)
DENOISER = linen.Sequential([nn.Conv(16, (9,)), jax.nn.relu, nn.Conv(1, (9,))])
CRITIC = linen.Sequential([nn.Conv(16, (9,), strides=2), jax.nn.relu, nn.Conv(1, (9,))])


def judge(game, batch, keys):
    """The discriminator's objective: clean waves are real, what the denoiser made is not."""
    logits = map(game["discriminator"], (batch["clean"], batch["made"]))
    return jnp.mean(LOSS.discriminator(*logits)), state.Out()


LEARN = steps.make_train_step(steps.update("discriminator", judge))


@jax.jit
def step(params, moments, game, noisy, clean):
    """Updates the denoiser in one's own way, and then the discriminator."""

    def loss(params):
        made = DENOISER.apply(params, noisy)
        looks = jnp.mean(LOSS.generator(game["discriminator"](made)))
        return jnp.mean((made - clean) ** 2) + WEIGHT * looks, made

    (value, made), gradients = jax.value_and_grad(loss, has_aux=True)(params)
    updates, moments = ADAM.update(gradients, moments)
    game, _ = LEARN(game, {"clean": clean, "made": made})
    return optax.apply_updates(params, updates), moments, game, value


def train(count):
    """Returns the loss of the denoiser at each step."""
    draws, example, found = np.random.default_rng(0), jnp.ones((1, 64, 1)), []
    params = DENOISER.init(jax.random.key(0), example)
    player = state.init_player(jax.random.key(1), CRITIC, optax.adam(1e-3), example)
    moments, game = ADAM.init(params), state.create(jax.random.key(2), {"discriminator": player})
    for _ in range(count):
        clean = np.sin(draws.uniform(0, 6, (32, 1, 1)) + np.linspace(0, 12, 64)[:, None])
        noisy = clean + draws.normal(0, 0.5, clean.shape)
        params, moments, game, value = step(params, moments, game, noisy, clean)
        found.append(float(value))
    return found


if __name__ == "__main__":
    print("the loss before and after 1,000 steps:", *train(1000)[::999])
