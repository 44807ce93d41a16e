"""Dirac-GAN: the smallest game there is tells which losses and penalties converge, to many digits.

As in Mescheder et al. 2018, "Which training methods for GANs do actually converge?", the data are a
point at 0, the generator a point at theta, the discriminator psi * x. Theirs is positive on fakes:
the logit, positive on real examples, is -psi * x. In float64, from (1, 1), 500 steps of rate 0.2.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import losses, penalties, random

RATE, STEPS = 0.2, 500
ORDERS = ("simultaneous", "theta first", "discriminator first")
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


# --- the game, by the library's losses and jax.grad ----------------------------------------------


class Game(NamedTuple):
    """What a row of the table plays; `penalty` takes (discriminator, real, fake)."""

    loss: losses.AdversarialLoss
    penalty: Callable = lambda discriminator, real, fake: 0.0
    noise: float = 0.0
    clip: float | None = None
    consensus: float = 0.0


def discriminator_of(psi):
    return lambda x: -psi * x[:, 0]


def expected_losses(game, theta, psi):
    """(generator's, discriminator's) loss in expectation over the instance noise, if any."""
    nodes, weights = (NODES, WEIGHTS) if game.noise else (np.zeros(1), np.ones(1))
    real = game.noise * nodes[:, None]
    discriminator, fake = discriminator_of(psi), real + theta
    real_logits, fake_logits = discriminator(real), discriminator(fake)
    generator_loss = game.loss.generator(fake_logits, real_logits)
    discriminator_loss = game.loss.discriminator(real_logits, fake_logits)
    penalty = game.penalty(discriminator, jnp.asarray(real), fake)
    return jnp.sum(weights * generator_loss), jnp.sum(weights * (discriminator_loss + penalty))


def gradients(game):
    """(theta, psi) -> each player's gradient of its own loss by its own parameter."""

    def plain(theta, psi):
        by_theta = jax.grad(lambda theta: expected_losses(game, theta, psi)[0])(theta)
        by_psi = jax.grad(lambda psi: expected_losses(game, theta, psi)[1])(psi)
        return by_theta, by_psi

    if not game.consensus:
        return plain

    def with_consensus(theta, psi):
        def energy(theta, psi):
            by_theta, by_psi = plain(theta, psi)
            return game.consensus * (by_theta**2 + by_psi**2) / 2

        extra = jax.grad(energy, argnums=(0, 1))(theta, psi)
        return jax.tree.map(jnp.add, plain(theta, psi), extra)

    return with_consensus


def make_step(game, order):
    """One round of the game: ((theta, psi), optimizer states) -> the same, moved."""
    optimizer, field = optax.sgd(RATE), gradients(game)

    def step(params, states):
        params, states, gradient = list(params), list(states), field(*params)
        for player in (1, 0) if order == "discriminator first" else (0, 1):
            change, states[player] = optimizer.update(gradient[player], states[player])
            params[player] = optax.apply_updates(params[player], change)
            if player == 1 and game.clip is not None:
                params[player] = penalties.clip_weights(params[player], game.clip)
            if order != "simultaneous":
                gradient = field(*params)
        return tuple(params), tuple(states)

    return step, optimizer.init


@functools.cache
def played(name, order):
    """The path [STEPS, 2] of (theta, psi)."""
    step, init = make_step(GAMES[name], order)

    def body(carry, _):
        params, states = step(*carry)
        return (params, states), jnp.stack(params)

    start = jnp.array(1.0), jnp.array(1.0)
    carry = start, (init(start[0]), init(start[1]))
    return np.asarray(jax.jit(lambda carry: jax.lax.scan(body, carry, length=STEPS))(carry)[1])


def r1(gamma):
    return lambda discriminator, real, fake: penalties.r1(discriminator, real, gamma=gamma)


def r1_and_r2(gamma):
    def penalty(discriminator, real, fake):
        at_fake = penalties.r2(discriminator, fake, gamma=gamma)
        return penalties.r1(discriminator, real, gamma=gamma) + at_fake

    return penalty


def zero_sum(loss):
    """The relativistic game of the theory; in practice its generator does not saturate."""
    return loss._replace(generator=lambda fake, real: -loss.discriminator(real, fake))


def wgan_gp(discriminator, real, fake):
    keys = random.row_keys(jax.random.key(0), 1)
    return penalties.gradient_penalty(discriminator, real, fake, keys, weight=0.35)


GAMES = {
    "GAN": Game(losses.minimax()),
    "NSGAN": Game(losses.non_saturating()),
    "WGAN, clipped": Game(losses.wasserstein(), clip=1.0),
    "WGAN": Game(losses.wasserstein()),
    "WGAN-GP": Game(losses.wasserstein(), wgan_gp),
    "instance noise": Game(losses.minimax(), noise=0.7),
    "GAN, R1 0.3": Game(losses.minimax(), r1(0.3)),
    "GAN, R1 1": Game(losses.minimax(), r1(1.0)),
    "NSGAN, R1 0.3": Game(losses.non_saturating(), r1(0.3)),
    "RpGAN, R1 and R2 0.3": Game(losses.relativistic_paired(), r1_and_r2(0.3)),
    "zero-sum RpGAN, R1 and R2 0.3": Game(zero_sum(losses.relativistic_paired()), r1_and_r2(0.3)),
    "consensus": Game(losses.minimax(), consensus=1.0),
}


# --- the same in NumPy, by the vector fields worked out in the paper -----------------------------


def f1(t):
    """The derivative of f(t) = -log(1 + exp(-t))."""
    return 1 / (1 + np.exp(t))


def regularized(gamma, sign=1):
    """The field (d theta, d psi) of the GAN (sign 1) or the NSGAN (-1), damped by gamma."""

    def field(theta, psi):
        slope = f1(psi * theta)
        return -psi * f1(sign * psi * theta), theta * slope - gamma * psi

    return field


def wasserstein(theta, psi):
    return -psi, theta


def wasserstein_with_penalty(theta, psi):
    return -psi, theta - 0.7 * (abs(psi) - 1) * np.sign(psi)


def noisy(theta, psi):
    real, fake = 0.7 * NODES, theta + 0.7 * NODES
    d_theta = -psi * np.sum(WEIGHTS * f1(psi * fake))
    return d_theta, np.sum(WEIGHTS * (fake * f1(psi * fake) - real * f1(-psi * real)))


def consensus(theta, psi):
    product = theta * psi
    slope, bend = f1(product), -f1(product) * f1(-product)
    along, across = slope**2, (theta**2 + psi**2) * slope * bend
    return (
        -psi * slope - theta * along - psi * across,
        theta * slope - psi * along - theta * across,
    )


FIELDS = {
    "GAN": regularized(0.0),
    "NSGAN": regularized(0.0, sign=-1),
    "WGAN, clipped": wasserstein,
    "WGAN": wasserstein,
    "WGAN-GP": wasserstein_with_penalty,
    "instance noise": noisy,
    "GAN, R1 0.3": regularized(0.3),
    "GAN, R1 1": regularized(1.0),
    "NSGAN, R1 0.3": regularized(0.3, sign=-1),
    "RpGAN, R1 and R2 0.3": regularized(0.6, sign=-1),
    "zero-sum RpGAN, R1 and R2 0.3": regularized(0.6),
    "consensus": consensus,
}


def path_in_numpy(name, order):
    field, limit = FIELDS[name], GAMES[name].clip or np.inf
    theta, psi, path = 1.0, 1.0, []
    for _ in range(STEPS):
        d_theta, d_psi = field(theta, psi)
        if order == "theta first":
            d_psi = field(theta + RATE * d_theta, psi)[1]
        if order == "discriminator first":
            d_theta = field(theta, np.clip(psi + RATE * d_psi, -limit, limit))[0]
        theta, psi = theta + RATE * d_theta, np.clip(psi + RATE * d_psi, -limit, limit)
        path.append((theta, psi))
    return np.array(path)


# --- the comparison ------------------------------------------------------------------------------

# The distance of (theta, psi) from the equilibrium after the last step, in the order of ORDERS.
DISTANCES = {
    "GAN": ("3.097", "1.421", "1.413"),
    "NSGAN": ("0.640", "0.284", "0.2706"),
    "WGAN, clipped": ("1.002", "1.024", "0.9846"),
    "WGAN": ("2.56e4", "1.398", "1.434"),
    "WGAN-GP": ("1.802", "1.221", "1.28"),
    "instance noise": ("5.73e-5", "4.00e-6", "4.38e-6"),
    "GAN, R1 0.3": ("2.643e-6", "2.301e-7", "2.383e-7"),
    "GAN, R1 1": ("9.5e-22", "7.5e-17", "8.49e-17"),
    "NSGAN, R1 0.3": ("2.212e-6", "1.499e-7", "1.639e-7"),
    "RpGAN, R1 and R2 0.3": ("1.356e-13", "1.593e-14", "1.496e-14"),
    "zero-sum RpGAN, R1 and R2 0.3": ("2.16e-13", "1.21e-14", "1.14e-14"),
    "consensus": ("2.58e-10", "1.72e-11", "1.79e-11"),
}
every_game = pytest.mark.parametrize("name", GAMES)
every_order = pytest.mark.parametrize("order", ORDERS)


def assert_rounds_to(value, printed):
    """The value agrees with the printed number to all its digits."""
    unit = 10.0 ** Decimal(printed).as_tuple().exponent
    assert abs(value - float(printed)) <= unit / 2, f"{value} is not {printed}"


@every_order
@every_game
def test_the_end_of_the_game_to_the_known_digits(name, order):
    distance = np.linalg.norm(played(name, order)[-1])
    assert_rounds_to(distance, DISTANCES[name][ORDERS.index(order)])


@every_order
@every_game
def test_the_whole_path_is_that_of_the_papers_vector_field(name, order):
    ours, theirs = played(name, order), path_in_numpy(name, order)
    gaps = np.linalg.norm(ours - theirs, axis=1) / np.linalg.norm(theirs, axis=1)
    assert gaps.max() < 1e-10


@pytest.mark.parametrize(
    ("name", "order", "nearest", "farthest"),
    [
        ("GAN", "simultaneous", "3.10", "3.10"),
        ("GAN", "theta first", "1.34", "1.42"),
        ("WGAN, clipped", "simultaneous", "1.00", "1.27"),
        ("WGAN, clipped", "theta first", "0.95", "1.05"),
    ],
)
def test_what_does_not_converge_circles_at_a_known_distance(name, order, nearest, farthest):
    distances = np.linalg.norm(played(name, order)[-100:], axis=1)
    assert_rounds_to(distances.min(), nearest)
    assert_rounds_to(distances.max(), farthest)


# --- the theory around the equilibrium -----------------------------------------------------------


def field_at(game, theta, psi):
    """Where the players want to go: minus their gradients."""
    return -jnp.stack(gradients(game)(theta, psi))


def linearised(function):
    """The Jacobian [2, 2] at the equilibrium of a function of (theta, psi)."""
    return np.stack(jax.jacobian(function, argnums=(0, 1))(0.0, 0.0), axis=-1)


@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.9, 1.0, 2.0])
def test_the_eigenvalues_under_r1(gamma):
    game = Game(losses.minimax(), r1(gamma))
    got = linearised(lambda theta, psi: field_at(game, theta, psi))
    root = np.sqrt(gamma**2 / 4 - 1 / 4 + 0j)
    expected = np.poly([-gamma / 2 + root, -gamma / 2 - root])
    np.testing.assert_allclose(np.poly(got), expected.real, atol=1e-14)


@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.9])
@every_order
def test_the_rate_of_convergence_per_step(order, gamma):
    step, init = make_step(Game(losses.minimax(), r1(gamma)), order)
    states = init(0.0), init(0.0)
    moved = linearised(lambda theta, psi: jnp.stack(step((theta, psi), states)[0]))
    squared = 1 - RATE * gamma + (RATE**2 / 4 if order == "simultaneous" else 0)
    np.testing.assert_allclose(np.abs(np.linalg.eigvals(moved)) ** 2, squared, rtol=1e-12)


@pytest.mark.parametrize(
    ("relativistic", "absolute"),
    [
        (losses.relativistic_paired(), losses.non_saturating()),
        (zero_sum(losses.relativistic_paired()), losses.minimax()),
    ],
    ids=["non-saturating", "zero-sum"],
)
def test_the_relativistic_field_is_the_absolute_one_and_both_penalties_damp_twice(
    relativistic, absolute
):
    for point in np.random.default_rng(0).normal(size=(3, 2)):
        got = field_at(Game(relativistic, r1_and_r2(0.3)), *point)
        np.testing.assert_allclose(got, field_at(Game(absolute, r1(0.6)), *point), rtol=1e-13)


@pytest.mark.parametrize(
    "loss", [losses.minimax(), losses.wasserstein(), zero_sum(losses.relativistic_paired())]
)
def test_without_a_penalty_a_zero_sum_field_only_turns(loss):
    for point in np.random.default_rng(1).normal(size=(3, 2)):
        np.testing.assert_allclose(field_at(Game(loss), *point) @ point, 0, atol=1e-15)
