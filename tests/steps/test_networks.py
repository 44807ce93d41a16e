"""Networks of a train step in bfloat16, and computed again in the backward pass."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import penalties, random, state, steps
from jaxgan.games import penalization
from jaxgan.state import Mean, Out
from jaxgan.steps import networks
from tests import programs


def player_of(apply, params, **collections):
    return state.Player.create(
        apply_fn=apply, params=params, tx=optax.sgd(1.0), variables=collections
    )


def scale(variables, x, *, mutable=False, keys=None):
    del keys
    y = variables["params"]["w"] * x
    return (y, {"stats": {"last": y[0]}} if mutable else {})


def gradient_step(now, batch):
    """Descends the mean output of a player `a`, whose collection is its first output."""
    keys = random.row_keys(jax.random.key(0), len(batch))

    def mean(now, batch, keys):
        outputs, player = now["a"].mutate(batch, keys=keys)
        return jnp.mean(outputs), Out({"largest": Mean.of(outputs)}, players={"a": player})

    return steps.update("a", mean)(now, batch, keys)


@pytest.fixture
def start():
    weights, last = {"w": jnp.float32(3.0)}, {"last": jnp.float32(0.0)}
    return state.create(jax.random.key(0), {"a": player_of(scale, weights, stats=last)})


def test_products_are_rounded_and_what_is_kept_is_float32(start):
    reached, metrics = steps.in_bfloat16(gradient_step)(start, jnp.full(2, 1.01))
    # 1.01 is 1.0078125 in bfloat16, whose triple, 3.0234375, lies between two of its numbers.
    assert metrics["a/loss"].value == 3.03125
    assert reached["a"].variables["stats"]["last"] == 3.03125
    assert reached["a"].params["w"] == 3.0 - 1.0078125
    kept = jax.tree.leaves((reached["a"].params, reached["a"].variables, metrics))
    assert {leaf.dtype.name for leaf in kept} == {"float32"}


def test_the_state_keeps_its_own_networks(start):
    for change in (steps.in_bfloat16, steps.rematerialized):
        reached, _ = change(gradient_step)(start, jnp.ones(2))
        assert reached["a"].apply_fn is scale


def test_integers_keys_and_flags_are_left_alone():
    given = {"label": jnp.arange(2), "key": jax.random.key(0), "train": True, "rate": 0.1}
    given = {**given, "images": np.ones((2, 1), np.float32)}
    cast = networks.as_type(given, jnp.bfloat16)
    assert {name for name in given if cast[name] is not given[name]} == {"images"}
    assert cast["images"].dtype == jnp.bfloat16


def test_a_penalty_squares_the_slopes_of_the_rounded_network_in_float32():
    def slope(variables, x):
        return x @ variables["params"]["w"]

    def penalized(now, images):
        network = now["a"].apply_fn
        judge = lambda x: network({"params": now["a"].params}, x)  # noqa: E731
        return now, penalties.r1(judge, images, gamma=2.0)

    weights = {"w": jnp.array([1.01, 1.01])}
    now = state.create(jax.random.key(0), {"a": player_of(slope, weights)})
    _, penalty = steps.in_bfloat16(penalized)(now, jnp.ones((1, 2)))
    assert penalty.dtype == jnp.float32
    assert float(penalty[0]) == 2 * 1.0078125**2  # 2.0313721, no number of bfloat16


def test_the_penalties_of_a_game_are_those_of_the_network_in_float32():
    def judge(variables, x, *, mutable, keys, train):
        del mutable, keys, train
        return jnp.tanh(x @ variables["params"]["w"]), {}

    def cost(now, images):
        keys = random.row_keys(jax.random.key(1), len(images))
        seen = penalization.Seen(now["a"], (), images, images, keys, keys, keys)
        penalty = penalization.ZeroCentered(gamma=2.0)
        outputs = now["a"](images, keys=keys, train=True)
        return now, (penalization.cost(penalty, seen, now.step)[0], outputs)

    weights = {"w": jnp.array([1.01, 0.33])}
    now = state.create(jax.random.key(0), {"a": player_of(judge, weights)})
    images = jnp.array([[0.3, 0.7]])
    expected, outputs = cost(now, images)[1]
    for step in (steps.in_bfloat16(cost), steps.in_bfloat16(steps.rematerialized(cost))):
        found, rounded = step(now, images)[1]
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        assert rounded != outputs  # the network itself is rounded


def count(step, name, *given):
    """How often a program has a primitive, anywhere in it."""
    program = jax.make_jaxpr(step)(*given).jaxpr
    return sum(equation.primitive.name == name for equation in programs.equations(program))


def bent(variables, x, *, mutable, keys):
    del mutable, keys
    return jnp.tanh(variables["params"]["w"] * x), {}


def test_a_rematerialized_network_is_computed_again_in_the_backward_pass():
    now = state.create(jax.random.key(0), {"a": player_of(bent, {"w": jnp.float32(3.0)})})
    x, again = jnp.linspace(0.0, 1.0, 4), steps.rematerialized(gradient_step)
    assert [count(step, "tanh", now, x) for step in (gradient_step, again)] == [1, 2]
    (one, told), (other, told_again) = gradient_step(now, x), again(now, x)
    assert one["a"].params == other["a"].params
    assert told == told_again
