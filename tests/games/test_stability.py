"""Eigenvalues and stable step sizes: of the Dirac-GAN in closed form, of games, of models."""

from __future__ import annotations

import functools

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from jaxgan import losses, optimizers, penalties, random, steps
from jaxgan.games import builder, stability, two_player
from jaxgan.models import vanilla
from tests.building import built

IN_TURN = ("discriminator", "generator")


# --- the Dirac-GAN, as the library builds it ------------------------------------------------------


class Point(linen.Module):
    """A generator that draws theta, whatever the latent."""

    @linen.compact
    def __call__(self, latents, *, keys=None, train=False):
        theta = self.param("theta", linen.initializers.zeros, (1,), float)
        return jnp.broadcast_to(theta, (latents.shape[0], 1))


class Slope(linen.Module):
    """A discriminator that says psi * x."""

    @linen.compact
    def __call__(self, points, *, keys=None, train=False):
        return points @ self.param("psi", linen.initializers.zeros, (1,), float)


DATA = {"image": np.zeros((2, 1))}


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


def r1(gamma):
    return lambda discriminator, real, fake, keys: penalties.r1(discriminator, real, gamma=gamma)


def agreeing(weight):
    def refine(discriminator, generator):
        both = {"discriminator": discriminator, "generator": generator}
        agreed = steps.consensus(both, weight=weight)
        return agreed["discriminator"], agreed["generator"]

    return refine


def dirac(*, rate=1.0, in_turn=False, **options):
    """The game on a point at 0, trained by plain gradient steps."""
    return built(
        two_player.build,
        Point(),
        Slope(),
        shape=(1,),
        loss=losses.minimax(),
        latents=functools.partial(random.latents, size=1),
        optimizers=dict.fromkeys(IN_TURN, optax.sgd(rate)),
        schedule=steps.alternate if in_turn else builder.simultaneously,
        **options,
    )


def at(gan, theta, psi):
    """The state in which the players are there."""
    params = {"generator": {"theta": theta}, "discriminator": {"psi": psi}}
    wide = jax.tree.map(lambda value: jnp.asarray(value, float).reshape(1), params)
    return gan.init(jax.random.key(0)).with_params(wide)


GAMES = {
    "plain": {},
    "R1 0.3": {"penalty": r1(0.3)},
    "R1 1.5": {"penalty": r1(1.5)},
    "consensus 0.8": {"refine": agreeing(0.8)},
}


@functools.cache
def local_to(name):
    """The Jacobian of a game at its equilibrium."""
    gan = dirac(**GAMES[name])
    return stability.jacobian(*stability.field(gan, at(gan, 0.0, 0.0), DATA))


def test_the_field_is_that_of_the_paper_away_from_the_equilibrium(float64):
    theta, psi, gamma = 0.7, -0.4, 0.3
    gan = dirac(penalty=r1(gamma))
    field, params = stability.field(gan, at(gan, theta, psi), DATA)
    found = jax.jit(field)(params)
    slope = 1 / (1 + np.exp(-psi * theta))  # of log(1 + e^t) at the logit of the fake
    np.testing.assert_allclose(found["generator"]["theta"], [psi * slope], rtol=1e-12)
    np.testing.assert_allclose(
        found["discriminator"]["psi"], [-theta * slope - gamma * psi], rtol=1e-12
    )


@pytest.mark.parametrize(("name", "gamma"), [("plain", 0.0), ("R1 0.3", 0.3), ("R1 1.5", 1.5)])
def test_the_eigenvalues_under_r1_are_known(name, gamma, float64):
    root = np.sqrt(gamma**2 / 4 - 1 / 4 + 0j)
    expected = [-gamma / 2 + root, -gamma / 2 - root]
    found = stability.eigenvalues(local_to(name))
    np.testing.assert_allclose(np.poly(found).real, np.poly(expected).real, atol=1e-14)
    assert found.real[0] >= found.real[1]


@pytest.mark.parametrize(
    ("name", "at_once", "in_turn"),
    [
        ("plain", 0.0, 0.0),
        ("R1 0.3", 4 * 0.3, 4 * (np.sqrt(0.3**2 + 1) - 0.3)),
        ("R1 1.5", 4 / (1.5 + np.sqrt(1.5**2 - 1)), 4 * (np.sqrt(1.5**2 + 1) - 1.5)),
        ("consensus 0.8", 8 * 0.8 / (0.8**2 + 4), 2 / (0.8 / 4 + 0.5)),
    ],
)
def test_the_largest_stable_steps_are_known(name, at_once, in_turn, float64):
    local = local_to(name)
    assert stability.largest_step(local) == pytest.approx(at_once, rel=1e-12)
    assert stability.largest_step(local, IN_TURN) == pytest.approx(in_turn, rel=1e-12)
    assert stability.largest_step(local, IN_TURN[::-1]) == pytest.approx(in_turn, rel=1e-12)


@pytest.mark.parametrize("in_turn", [False, True], ids=["at once", "in turn"])
@pytest.mark.parametrize("name", ["R1 0.3", "consensus 0.8"])
def test_training_converges_below_the_largest_step_and_not_above(name, in_turn, float64):
    limit = stability.largest_step(local_to(name), IN_TURN if in_turn else None)

    def distance(rate):
        gan = dirac(rate=rate, in_turn=in_turn, **GAMES[name])
        state, _ = steps.repeat(gan.step)(at(gan, 0.01, 0.01), {"image": np.zeros((400, 2, 1))})
        return optax.tree.norm({player: state[player].params for player in IN_TURN})

    below, above = jax.jit(jax.vmap(distance))(limit * jnp.array([0.9, 1.1]))
    start = np.hypot(0.01, 0.01)
    assert below < 1e-2 * start
    assert above > 2 * start


@pytest.mark.parametrize("in_turn", [False, True], ids=["at once", "in turn"])
def test_a_round_is_that_of_the_optimizer(in_turn, float64):
    gan = dirac(rate=0.2, in_turn=in_turn, **GAMES["R1 0.3"])

    @jax.jit
    def moved(point):  # psi before theta, as their players' names are
        state, _ = gan.step(at(gan, point[1], point[0]), DATA)
        psi, theta = state["discriminator"].params["psi"], state["generator"].params["theta"]
        return jnp.concatenate([psi, theta])

    tiny = 1e-6
    columns = np.stack([moved(tiny * axis) for axis in np.eye(2)], axis=1) / tiny
    order = IN_TURN if in_turn else None
    expected = stability.round_of_steps(local_to("R1 0.3"), 0.2, order)
    np.testing.assert_allclose(columns, expected, atol=1e-9)


# --- games of more players ------------------------------------------------------------------------


def linear_game(seed, sizes):
    """A random game whose field is linear and whose equilibrium attracts: the field, and J."""
    draws = np.random.default_rng(seed)
    total = sum(sizes.values())
    matrix = draws.normal(size=(total, total))
    matrix -= (np.linalg.eigvals(matrix).real.max() + draws.uniform(0.05, 1.0)) * np.eye(total)
    bounds = np.cumsum([0, *(sizes[name] for name in sorted(sizes))])
    places = {name: slice(*bounds[i : i + 2]) for i, name in enumerate(sorted(sizes))}

    def field(params):
        point = jnp.concatenate([params[name] for name in sorted(params)])
        return {name: (jnp.asarray(matrix) @ point)[place] for name, place in places.items()}

    return field, matrix, {name: jnp.zeros(size) for name, size in sizes.items()}


SIZES = {"c": 2, "a": 3, "b": 1}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "order", [None, ("a", "b", "c"), (("a", "c"), "b"), ("b", "b", "a", "c")], ids=str
)
def test_a_round_contracts_below_the_largest_step_and_not_at_it(seed, order, float64):
    field, matrix, params = linear_game(seed, SIZES)
    local = stability.jacobian(field, params)
    np.testing.assert_allclose(local.matrix, matrix, atol=1e-15)
    assert local.players == {"a": slice(0, 3), "b": slice(3, 4), "c": slice(4, 6)}
    limit = stability.largest_step(local, order)
    assert limit > 0

    def radius(step_size):
        return stability.spectral_radius(stability.round_of_steps(local, step_size, order))

    assert all(radius(share * limit) < 1 for share in (0.01, 0.3, 0.7, 0.999999))
    assert radius(1.000001 * limit) > 1


def test_moves_at_once_and_in_turn_by_hand():
    matrix = np.array([[-1.0, 2.0], [3.0, -4.0]])
    local = stability.Jacobian(matrix, {"a": slice(0, 1), "b": slice(1, 2)})
    np.testing.assert_allclose(stability.round_of_steps(local, 0.1), np.eye(2) + 0.1 * matrix)
    first, second = np.array([[0.9, 0.2], [0, 1]]), np.array([[1, 0], [0.3, 0.6]])
    np.testing.assert_allclose(stability.round_of_steps(local, 0.1, ["a", "b"]), second @ first)
    np.testing.assert_allclose(stability.round_of_steps(local, 0.1, ["b", "a"]), first @ second)


def test_a_direction_that_nothing_pulls_along_leaves_no_stable_step():
    players = {"a": slice(0, 1), "b": slice(1, 2)}
    flat = stability.Jacobian(np.diag([-1.0, 0.0]).astype(np.float32), players)
    rounded = stability.Jacobian(np.diag([-1.0, -1e-8]).astype(np.float32), players)
    slow = stability.Jacobian(np.diag([-1.0, -1e-3]).astype(np.float32), players)
    assert [stability.largest_step(j) for j in (flat, rounded, slow)] == [0.0, 0.0, 2.0]


def test_an_order_that_names_no_player_or_forgets_one_is_refused():
    local = stability.Jacobian(-np.eye(2), {"a": slice(0, 1), "b": slice(1, 2)})
    with pytest.raises(ValueError, match="the player 'c' does not exist; the order must name a, b"):
        stability.largest_step(local, ["a", "b", "c"])
    with pytest.raises(ValueError, match="the player 'b' never moves"):
        stability.round_of_steps(local, 0.1, ["a"])


def test_a_game_bears_the_steps_below_its_largest(float64):
    for name, order in (("R1 0.3", None), ("R1 1.5", IN_TURN)):
        local = local_to(name)
        largest = stability.largest_step(local, order)
        assert stability.bears(local, 0.99 * largest, order)
        assert not stability.bears(local, 1.01 * largest, order)
    assert not stability.bears(local_to("plain"), 1e-3)
    # A direction along which nothing pulls, but for rounding: a small negative eigenvalue.
    flat = stability.Jacobian(np.diag([-1.0, -1e-15]), {"a": slice(0, 1), "b": slice(1, 2)})
    assert not stability.bears(flat, 0.1)


def test_players_may_take_steps_of_their_own_size(float64):
    local = local_to("R1 0.3")
    sizes = {"discriminator": 0.2, "generator": 0.05}
    found = stability.round_of_steps(stability.scaled(local, sizes), 1.0, IN_TURN)
    expected = np.eye(2)
    for name in IN_TURN:
        moved, rows = np.eye(2), local.players[name]
        moved[rows] += sizes[name] * local.matrix[rows]
        expected = moved @ expected
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    with pytest.raises(KeyError):
        stability.scaled(local, {"generator": 0.1})


# --- real networks --------------------------------------------------------------------------------


def ring(**options):
    return built(
        vanilla.build,
        shape=(2,),
        latent_size=2,
        generator=vanilla.Generator((2,), (4,)),
        discriminator=vanilla.Discriminator((4,), dropout=0.5),
        loss=losses.non_saturating(),
        **options,
    )


BATCH = {"image": np.random.default_rng(0).normal(size=(8, 2)).astype(np.float32)}


def test_a_models_field_is_what_plain_descent_adds_and_held_players_say_what_moving_ones_do():
    gan = ring(optimizers=dict.fromkeys(IN_TURN, optax.sgd(1e-3)), schedule=builder.simultaneously)
    state = gan.init(jax.random.key(1))
    field, params = stability.field(gan, state, BATCH)
    moved, told = jax.jit(gan.step)(state, BATCH)
    added = {name: jax.tree.map(jnp.subtract, moved[name].params, params[name]) for name in IN_TURN}
    wanted = jax.tree.map(lambda leaf: 1e-3 * leaf, jax.jit(field)(params))
    close = functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-7)
    jax.tree.map(close, added, wanted)
    held, still = jax.jit(gan.step)(stability.held(state), BATCH)
    for name in IN_TURN:
        jax.tree.map(np.testing.assert_array_equal, held[name].params, params[name])
    for name, mean in told.items():
        np.testing.assert_allclose(still[name].value, mean.value, rtol=1e-5, err_msg=name)


@pytest.mark.slow
def test_a_models_jacobian_is_its_fields_derivative_in_any_schedule():
    schedule = functools.partial(steps.alternate, n_critic=2)
    gan = ring(optimizers=dict.fromkeys(IN_TURN, optimizers.adam()), schedule=schedule)
    field, params = stability.field(gan, gan.init(jax.random.key(1)), BATCH)
    point, restore = ravel_pytree(params)
    backwards = jax.jit(jax.jacrev(lambda point: ravel_pytree(field(restore(point)))[0]))(point)
    forwards = stability.jacobian(field, params)
    np.testing.assert_allclose(forwards.matrix, backwards, rtol=1e-3, atol=1e-5)
    assert np.abs(backwards).max() > 0.1
    assert forwards.players == {"discriminator": slice(0, 17), "generator": slice(17, 39)}


def test_a_jacobian_is_computed_in_full_precision_on_every_device():
    seen = []

    def field(params):
        seen.append(jax.config.jax_default_matmul_precision)
        return params

    stability.jacobian(field, {"a": jnp.ones(2)})
    assert set(seen) == {"highest"}


def test_rounds_that_share_their_noise_are_refused():
    gan = ring(optimizers=dict.fromkeys(IN_TURN, optax.sgd(1e-3)), shared_noise=True)
    field, params = stability.field(gan, gan.init(jax.random.key(1)), BATCH)
    with pytest.raises(ValueError, match="build it without shared noise"):
        stability.jacobian(field, params)


def test_a_game_too_large_for_a_matrix_is_refused():
    size = stability.MOST_PARAMS + 1
    with pytest.raises(ValueError, match=r"the game has 8,193 params, and a Jacobian of 8,192"):
        stability.jacobian(lambda params: params, {"a": jnp.zeros(size)})
