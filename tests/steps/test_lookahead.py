"""Unrolled, consensus and extragradient moves against the games whose moves are known exactly."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import losses, parallel, steps
from jaxgan.state import Out
from tests import toy_players

RATE = 0.1


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


# --- the bilinear game: the generator (theta) minimizes psi * theta, the discriminator maximizes --


def product(state, sign):
    weights = [state[name].params["weight"] for name in ("generator", "discriminator")]
    return sign * weights[0] * weights[1]


def minimize(state, batch, keys):
    return product(state, 1.0), Out()


def maximize(state, batch, keys):
    return product(state, -1.0), Out()


def start(theta, psi, rate=RATE):
    players = {"generator": theta, "discriminator": psi}
    return toy_players.state_of(
        {name: toy_players.scale(weight, rate=rate) for name, weight in players.items()}
    )


def moved_by(schedule, theta, psi):
    """Where one round takes (theta, psi)."""
    state, _ = schedule(start(theta, psi), {"image": jnp.zeros(1)}, toy_players.keys_of(1))
    return [toy_players.weight(state, name) for name in ("generator", "discriminator")]


def matrix_of(schedule):
    """The linear map of one round, [2, 2]."""
    return np.stack([moved_by(schedule, *axis) for axis in np.eye(2)], axis=1)


def simultaneously(generator, discriminator):
    return {
        "generator": steps.update("generator", generator),
        "discriminator": steps.update("discriminator", discriminator),
    }


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_unrolling_differentiates_through_the_optimizer(count):
    """Without the part that flows through the discriminator's steps, 2 K h would be K h."""
    ahead = steps.unrolled(minimize, {"discriminator": maximize}, count=count)
    params = jnp.array(0.7)

    def loss(theta):
        state = start(theta, -0.4)
        return ahead(state, {"image": jnp.zeros(1)}, toy_players.keys_of(1))[0]

    assert jax.grad(loss)(params) == pytest.approx(-0.4 + 2 * count * RATE * 0.7, abs=1e-14)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_unrolling_makes_the_bilinear_game_converge(count):
    ahead = steps.unrolled(minimize, {"discriminator": maximize}, count=count)
    matrix = matrix_of(steps.simultaneous(simultaneously(ahead, maximize)))
    expected = [[1 - 2 * count * RATE * RATE, -RATE], [RATE, 1.0]]
    np.testing.assert_allclose(matrix, expected, atol=1e-14)
    squared = np.abs(np.linalg.eigvals(matrix)) ** 2
    np.testing.assert_allclose(squared, 1 - 2 * RATE * count * RATE + RATE**2, atol=1e-14)
    assert (squared.max() < 1) == (count >= 1)


def test_an_extragradient_step_looks_one_move_ahead_and_converges():
    matrix = matrix_of(steps.extragradient(simultaneously(minimize, maximize)))
    field = RATE * np.array([[0.0, -1.0], [1.0, 0.0]])
    np.testing.assert_allclose(matrix, np.eye(2) + field + field @ field, atol=1e-14)
    squared = np.abs(np.linalg.eigvals(matrix)) ** 2
    np.testing.assert_allclose(squared, (1 - RATE**2) ** 2 + RATE**2, atol=1e-14)
    assert squared.max() < 1


def test_a_round_of_extragradient_counts_as_two_in_the_optimizers():
    def falling(count):
        return jnp.where(count < 2, RATE, 0.0)

    state = start(0.7, -0.4)
    for name in state.players:
        optimizer = optax.sgd(falling)
        player = state[name].replace(tx=optimizer, opt_state=optimizer.init(state[name].params))
        state = state.replace(players={**state.players, name: player})
    schedule = steps.extragradient(simultaneously(minimize, maximize))
    once, _ = schedule(state, {"image": jnp.zeros(1)}, toy_players.keys_of(1))
    twice, _ = schedule(once, {"image": jnp.zeros(1)}, toy_players.keys_of(1))
    for name in state.players:
        assert toy_players.weight(once, name) != toy_players.weight(state, name)
        assert toy_players.weight(twice, name) == toy_players.weight(once, name)


def test_consensus_descends_on_the_squared_field():
    """Its energy is (theta^2 + psi^2) / 2 here, so that both params also shrink."""
    agreed = steps.consensus({"generator": minimize, "discriminator": maximize}, weight=3.0)
    matrix = matrix_of(
        steps.simultaneous(simultaneously(agreed["generator"], agreed["discriminator"]))
    )
    shrunk = 1 - 3 * RATE
    np.testing.assert_allclose(matrix, [[shrunk, -RATE], [RATE, shrunk]], atol=1e-14)


@pytest.mark.parametrize(("order", "distance"), [("at once", "2.58e-10"), ("in turn", "1.72e-11")])
def test_consensus_on_the_dirac_gan_ends_where_it_is_known_to(order, distance):
    loss = losses.minimax()

    def logit(state, name):
        return -state["discriminator"].params["weight"] * state[name].params["weight"]

    def generate(state, batch, keys):
        return loss.generator(logit(state, "generator")), Out()

    def judge(state, batch, keys):
        fake = logit(state, "generator")
        return loss.discriminator(jnp.zeros_like(fake), fake), Out()

    agreed = steps.consensus({"generator": generate, "discriminator": judge}, weight=1.0)
    moves = simultaneously(agreed["generator"], agreed["discriminator"])
    round_of_play = steps.simultaneous(moves) if order == "at once" else steps.then(*moves.values())
    keys = toy_players.keys_of(1)

    def body(state, _):
        return round_of_play(state, {"image": jnp.zeros(1)}, keys)[0], None

    state, _ = jax.jit(lambda state: jax.lax.scan(body, state, length=500))(start(1.0, 1.0, 0.2))
    reached = np.hypot(*(toy_players.weight(state, n) for n in ("generator", "discriminator")))
    assert f"{reached:.2e}" == distance


def test_an_unrolled_adam_is_the_derivative_of_adam():
    def after(theta):
        state = start(theta, 0.3)
        optimizer = optax.adam(0.01, b1=0.5, eps_root=1e-8)
        player = state["discriminator"].replace(
            tx=optimizer, opt_state=optimizer.init(state["discriminator"].params)
        )
        state = state.replace(players={**state.players, "discriminator": player})
        ahead = steps.unrolled(minimize, {"discriminator": maximize}, count=3)
        return ahead(state, {"image": jnp.zeros(1)}, toy_players.keys_of(1))[0]

    theta, by = 1e-4, 1e-9  # where the root of the second moment still bends
    numeric = (after(theta + by) - after(theta - by)) / (2 * by)
    assert float(jax.grad(after)(theta)) == pytest.approx(float(numeric), rel=1e-5)
    assert np.isfinite(jax.grad(after)(0.0))


def test_nothing_of_what_was_unrolled_is_kept():
    ahead = steps.unrolled(minimize, {"discriminator": maximize}, count=4)
    before = start(0.5, 0.25)
    batch, keys = {"image": jnp.zeros(1)}, toy_players.keys_of(1)
    after, metrics = steps.update("generator", ahead)(before, batch, keys)
    old, new = before["discriminator"], after["discriminator"]
    assert jax.tree.all(jax.tree.map(jnp.array_equal, old, new))
    assert set(metrics) == {"generator/loss", "generator/gradient_norm"}


def test_what_cannot_be_unrolled_is_refused():
    with pytest.raises(ValueError, match="unrolled by -1 steps; expected 0 or more"):
        steps.unrolled(minimize, {"discriminator": maximize}, count=-1)


# --- on several devices ---------------------------------------------------------------------------


def spread(state, batch, sign):
    """A game on points, whose gradients differ from shard to shard."""
    return sign * jnp.mean(jax.nn.softplus(product(state, 1.0) * batch["image"]))


def generate(state, batch, keys):
    return spread(state, batch, 1.0), Out()


def judge(state, batch, keys):
    return spread(state, batch, -1.0), Out()


def anticipating(kind, axis_name):
    """The train step of the game in which a move anticipates another."""
    generator, discriminator = generate, judge
    if kind == "unrolled":
        others = {"discriminator": judge}
        generator = steps.unrolled(generate, others, count=3, axis_name=axis_name)
    if kind == "consensus":
        both = {"generator": generate, "discriminator": judge}
        agreed = steps.consensus(both, weight=0.5, axis_name=axis_name)
        generator, discriminator = agreed["generator"], agreed["discriminator"]
    moves = {
        "generator": steps.update("generator", generator, axis_name=axis_name),
        "discriminator": steps.update("discriminator", discriminator, axis_name=axis_name),
    }
    whole = steps.extragradient if kind == "extragradient" else steps.simultaneous
    return steps.make_train_step(whole(moves), axis_name=axis_name)


def reached_by(kind, mode, devices):
    mesh = parallel.data_mesh(jax.devices()[:devices])
    batch = {"image": jnp.asarray(np.random.default_rng(0).normal(size=8))}
    step = anticipating(kind, parallel.axis_for(mode))
    run = parallel.compile_step(step, mode=mode, mesh=mesh, donate=False)
    state, _ = run(parallel.place_state(start(0.7, -0.4), mesh), parallel.shard(batch, mesh))
    return [toy_players.weight(state, name) for name in ("generator", "discriminator")]


@pytest.mark.parametrize(
    "mode", ["shard_map", *(pytest.param(m, marks=pytest.mark.slow) for m in ("jit", "pmap"))]
)
@pytest.mark.parametrize("kind", ["unrolled", "consensus", "extragradient"])
def test_shards_together_move_as_one_device_does(kind, mode):
    alone = reached_by(kind, "jit", 1)
    np.testing.assert_allclose(reached_by(kind, mode, 4), alone, rtol=1e-12)
