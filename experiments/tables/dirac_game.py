"""The Dirac-GAN, the smallest GAN, by the library's losses, penalties and steps.

As in Mescheder et al. 2018, the data are a point at 0, the generator is a point at theta and the
discriminator is psi * x. Theirs is positive on fakes; here the logit is positive on real examples,
hence -psi * x.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan import losses, penalties, state, steps
from jaxgan.random import Keys
from jaxgan.state import GANState, Out
from jaxgan.types import Array, Batch, Objective, Step

ORDERS: dict[str, Callable[[Step, Step], Step]] = {
    "simultaneous": lambda judge, generate: steps.simultaneous(
        {"discriminator": judge, "generator": generate}
    ),
    "theta_first": lambda judge, generate: steps.chain(generate, judge),
    "psi_first": steps.alternate,
}
"""How the players are updated, from the discriminator's step and the generator's."""

NODES = 60
"""Number of nodes of the quadrature over the instance noise."""


class Game(NamedTuple):
    """The settings of a game.

    Attributes:
        loss: The adversarial loss.
        penalty: Penalty (discriminator, real, fake, keys) -> [B], or None.
        noise: Standard deviation of the instance noise.
        clip: Largest absolute value of the discriminator's weight, or None.
        consensus: Weight of the consensus term; 0: none.
        unrolled: Discriminator steps that the generator looks ahead.
    """

    loss: losses.AdversarialLoss
    penalty: Callable[..., Array] | None = None
    noise: float = 0.0
    clip: float | None = None
    consensus: float = 0.0
    unrolled: int = 0


class Generator(linen.Module):
    """The noise [B, 1] shifted by theta."""

    @linen.compact
    def __call__(self, noise: Array) -> Array:
        """Returns the points [B, 1]."""
        return noise + self.param("theta", linen.initializers.ones, (), jnp.result_type(float))


class Discriminator(linen.Module):
    """Maps points x [B, 1] to logits [B], -psi x."""

    @linen.compact
    def __call__(self, points: Array) -> Array:
        """Returns the logits."""
        psi = self.param("psi", linen.initializers.ones, (), jnp.result_type(float))
        return -psi * points[:, 0]


def r1(gamma: float) -> Callable[..., Array]:
    """Returns the R1 penalty of weight `gamma`."""

    def penalty(judge: Callable[[Array], Array], real: Array, fake: Array, keys: Keys) -> Array:
        return penalties.r1(judge, real, gamma=gamma)

    return penalty


def r1_and_r2(gamma: float) -> Callable[..., Array]:
    """Returns the sum of the R1 and R2 penalties, both of weight `gamma`."""

    def penalty(judge: Callable[[Array], Array], real: Array, fake: Array, keys: Keys) -> Array:
        at_fake = penalties.r2(judge, fake, gamma=gamma)
        return penalties.r1(judge, real, gamma=gamma) + at_fake

    return penalty


def zero_sum(loss: losses.AdversarialLoss) -> losses.AdversarialLoss:
    """Returns the loss whose generator maximizes the discriminator's loss, as in the theory."""
    return loss._replace(generator=lambda fake, real: -loss.discriminator(real, fake))


GAMES = {
    "gan": Game(losses.minimax()),
    "nsgan": Game(losses.non_saturating()),
    "wgan-clipped": Game(losses.wasserstein(), clip=1.0),
    "wgan": Game(losses.wasserstein()),
    "wgan-gp": Game(
        losses.wasserstein(), functools.partial(penalties.gradient_penalty, weight=0.35)
    ),
    "instance-noise": Game(losses.minimax(), noise=0.7),
    "gan-r1-weak": Game(losses.minimax(), r1(0.3)),
    "gan-r1-critical": Game(losses.minimax(), r1(1.0)),
    "nsgan-r1": Game(losses.non_saturating(), r1(0.3)),
    "rpgan-zero-sum": Game(zero_sum(losses.relativistic_paired()), r1_and_r2(0.3)),
    "rpgan": Game(losses.relativistic_paired(), r1_and_r2(0.3)),
    "consensus": Game(losses.minimax(), consensus=1.0),
    "wgan-unrolled": Game(losses.wasserstein(), unrolled=1),
}


def played(game: Game, order: str, *, rate: float, count: int) -> np.ndarray:
    """Returns the path [count + 1, 2] of (theta, psi) from (1, 1) under gradient descent.

    It is computed in float64. The mean over the instance noise is computed by quadrature.

    Args:
        game: The game.
        order: A name of `ORDERS`.
        rate: Learning rate of both players.
        count: Number of steps.
    """
    with jax.enable_x64(True):
        batch = _batch(game)
        step = steps.make_train_step(_round(game, order))

        def body(carry: GANState, _: None) -> tuple[GANState, Array]:
            reached = step(carry, batch)[0]
            return reached, _position(reached)

        start = jax.jit(lambda: _start(rate))()  # op by op it takes seconds
        path = jax.jit(lambda carry: jax.lax.scan(body, carry, length=count)[1])(start)
        return np.concatenate([np.asarray(_position(start))[None], np.asarray(path)])


def _start(rate: float) -> GANState:
    def player(network: linen.Module) -> Any:
        return state.init_player(jax.random.key(0), network, optax.sgd(rate), jnp.zeros((1, 1)))

    players = {"generator": player(Generator()), "discriminator": player(Discriminator())}
    return state.create(jax.random.key(0), players)


def _position(reached: GANState) -> Array:
    params = (reached["generator"].params["theta"], reached["discriminator"].params["psi"])
    return jnp.stack([jnp.asarray(param) for param in params])


def _batch(game: Game) -> Batch:
    """Real examples [N, 1], the noise around 0, and their probabilities [N]."""
    if not game.noise:
        return {"image": jnp.zeros((1, 1)), "weight": jnp.ones(1)}
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    noise = jnp.asarray(game.noise * nodes[:, None])
    return {"image": noise, "weight": jnp.asarray(weights / weights.sum())}


def _round(game: Game, order: str) -> Step:
    judge, generate = _objectives(game)
    if game.consensus:
        agreed = steps.consensus(
            {"discriminator": judge, "generator": generate}, weight=game.consensus
        )
        judge, generate = agreed["discriminator"], agreed["generator"]
    if game.unrolled:
        generate = steps.unrolled(generate, {"discriminator": judge}, count=game.unrolled)
    of_discriminator = steps.update("discriminator", judge)
    if game.clip is not None:
        clip = functools.partial(penalties.clip_weights, limit=game.clip)
        of_discriminator = steps.then(of_discriminator, steps.project("discriminator", clip))
    return ORDERS[order](of_discriminator, steps.update("generator", generate))


def _objectives(game: Game) -> tuple[Objective, Objective]:
    """The discriminator's and the generator's, in expectation."""

    def judge(now: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        discriminator, real = now["discriminator"], batch["image"]
        fake = now["generator"](real)
        values = game.loss.discriminator(discriminator(real), discriminator(fake))
        if game.penalty is not None:
            values = values + game.penalty(discriminator, real, fake, keys)
        return jnp.sum(batch["weight"] * values), Out()

    def generate(now: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        discriminator, real = now["discriminator"], batch["image"]
        logits = discriminator(now["generator"](real))
        return jnp.sum(batch["weight"] * game.loss.generator(logits, discriminator(real))), Out()

    return judge, generate
