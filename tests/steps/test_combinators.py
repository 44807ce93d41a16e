"""The algebra of steps, on players whose moves are computed by hand."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from toy_players import keys_of, record, scale, state_of, weight

from jaxgan import parallel, random, steps
from jaxgan.state import Mean, Out, Player

ROWS = 6


def miss(state, batch, keys):
    """The mean squared error of x -> a x as a guess of the number b."""
    x = batch["x"]
    errors = state["a"](x) - state["b"](jnp.ones(()))
    return jnp.mean(errors**2), Out({"error": Mean.of(errors)})


def pair(rate=0.1):
    return state_of({"a": scale(2.0, rate=rate), "b": scale(3.0, rate=rate)})


def push(name, *, gain=1.0):
    """An update under which the named player's weight w grows by gain * rate."""
    return steps.update(name, lambda state, batch, keys: (-gain * state[name](jnp.ones(())), Out()))


def numbered(rows=ROWS):
    return {"row": jnp.arange(rows, dtype=jnp.float32)}


def values(metrics):
    return {name: float(mean.value) for name, mean in metrics.items()}


# --- update ---------------------------------------------------------------------------------------


def test_an_update_descends_the_gradient_of_its_players_alone():
    # errors 2 * 1 - 3, 2 * 3 - 3 = -1, 3: d/da = mean(2 x error) = mean(-2, 18) = 8
    state, metrics = steps.update("a", miss)(pair(), {"x": jnp.array([1.0, 3.0])}, keys_of(2))
    assert weight(state, "a") == pytest.approx(2.0 - 0.1 * 8)
    assert weight(state, "b") == 3.0
    assert [int(state[name].step) for name in "ab"] == [1, 0]
    expected = {"a/loss": 5.0, "a/error": 1.0, "a/gradient_norm": 8.0}
    assert values(metrics) == pytest.approx(expected)


def slopes(shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def sliding(shape):
    """A player of an array of the shape and one of 2 entries, and the step whose gradients are
    `slopes(shape)` and 2.
    """
    params = {"large": jnp.zeros(shape), "small": jnp.zeros(2)}
    player = Player.create(
        apply_fn=lambda variables: variables["params"],
        params=params,
        tx=optax.sgd(1.0),
        variables={},
    )

    def objective(state, batch, keys):
        moved = state["a"].params
        return jnp.vdot(moved["large"], slopes(shape)) + 2 * jnp.sum(moved["small"]), Out()

    return state_of({"a": player}), steps.update("a", objective)


@pytest.mark.parametrize("shape", [(), (5,), (3, 70_000), (70_000,), (257, 257)])
def test_the_gradient_norm_is_that_of_all_entries_however_many(shape):
    state, step = sliding(shape)
    _, metrics = step(state, {}, keys_of(2))
    wanted = np.sqrt(np.sum(slopes(shape).astype(np.float64) ** 2) + 8)
    assert values(metrics)["a/gradient_norm"] == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(("platform", "loops"), [("cpu", 1), ("cuda", 0), ("tpu", 0)])
def test_the_gradient_norm_takes_turns_on_a_cpu_alone(platform, loops):
    state, step = sliding((3, 70_000))
    traced = jax.jit(step).trace(state, {}, keys_of(2))
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    assert text.count("stablehlo.while") == loops


@pytest.mark.parametrize(
    ("shape", "turns"),
    [
        ((3, 70_000), 3),
        ((2048, 128), 8),
        ((100, 1000), 5),
        ((1, 4, 70_000), 4),
        ((11, 7000), 8),
        ((257, 257), 1),
    ],
)
def test_the_gradient_norm_takes_at_most_eight_turns(shape, turns):
    state, step = sliding(shape)
    program = jax.make_jaxpr(step)(state, {}, keys_of(2))
    assert re.findall(r"length=(\d+)", str(program)) == [str(turns)]


def test_an_update_of_several_players_moves_them_together():
    # d/db = mean(-2 error) = mean(2, -6) = -2
    state, metrics = steps.update(["a", "b"], miss)(
        pair(), {"x": jnp.array([1.0, 3.0])}, keys_of(2)
    )
    assert (weight(state, "a"), weight(state, "b")) == pytest.approx((1.2, 3.2))
    assert set(metrics) == {"a+b/loss", "a+b/error", "a+b/gradient_norm"}
    assert values(metrics)["a+b/gradient_norm"] == pytest.approx(np.sqrt(8.0**2 + 2.0**2))


@pytest.mark.parametrize(("prefix", "name"), [("", "loss"), ("critic/", "critic/loss")])
def test_a_prefix_names_the_metrics(prefix, name):
    _, metrics = steps.update("a", miss, prefix=prefix)(pair(), {"x": jnp.ones(2)}, keys_of(2))
    assert name in metrics


def test_an_update_replaces_what_its_objective_returns_and_nothing_else():
    def objective(state, batch, keys):
        y, player = state["a"].mutate(batch["x"])
        wrong = player.replace(params={"weight": jnp.asarray(99.0)})
        out = Out(players={"a": wrong}, extra={"k": state.extra["k"] + 1}, buffers={"pool": y})
        return jnp.mean(y), out

    state = state_of(
        {"a": scale(2.0, rate=0.1, running=0.0)},
        extra={"k": jnp.zeros(()), "other": jnp.ones(())},
        buffers={"pool": jnp.zeros(2), "other": jnp.ones(2)},
    )
    state, _ = steps.update("a", objective)(state, {"x": jnp.array([1.0, 3.0])}, keys_of(2))
    assert weight(state, "a") == pytest.approx(2.0 - 0.1 * 2)  # collections are taken, params not
    assert float(state["a"].variables["stats"]["running"]) == 4.0
    assert {name: float(value) for name, value in state.extra.items()} == {"k": 1.0, "other": 1.0}
    np.testing.assert_array_equal(state.buffers["pool"], [2.0, 6.0])
    np.testing.assert_array_equal(state.buffers["other"], [1.0, 1.0])


@pytest.mark.parametrize(
    ("names", "out", "message"),
    [
        ("c", Out(), "no player 'c'; the state has a, b"),
        ("a", Out(players={"b": None}), "for a returned the player 'b'"),
        ("a", Out(extra={"k": 0.0}), r"returned extra\['k'\]; the state has \[\]"),
        ("a", Out(buffers={"pool": 0.0}), r"returned buffers\['pool'\]; the state has \[\]"),
    ],
)
def test_an_update_refuses_what_the_state_does_not_have(names, out, message):
    step = steps.update(names, lambda state, batch, keys: (state["a"](jnp.ones(())), out))
    with pytest.raises(ValueError, match=message):
        step(pair(), {"x": jnp.ones(2)}, keys_of(2))


# --- accumulation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("slices", [1, 2, 3, 6])
def test_accumulation_averages_gradients_and_metrics_over_the_slices(slices):
    batch = {"x": jnp.array([1.0, 3.0, -2.0, 0.5, 4.0, 1.0])}
    whole, expected = steps.update(["a", "b"], miss)(pair(), batch, keys_of(ROWS))
    state, metrics = steps.update(["a", "b"], miss, accumulate=slices)(pair(), batch, keys_of(ROWS))
    for name in "ab":
        assert weight(state, name) == pytest.approx(weight(whole, name), rel=1e-6)
    assert values(metrics) == pytest.approx(values(expected), rel=1e-6)


def test_slices_are_strided_and_what_a_slice_carries_reaches_the_next():
    def objective(state, batch, keys):
        y, player = state["a"].mutate(batch["x"])
        carried = 10 * state.extra["rows"] + jnp.sum(batch["x"])
        buffers = {"pool": 10 * state.buffers["pool"] + jnp.sum(batch["x"])}
        return jnp.mean(y), Out(players={"a": player}, extra={"rows": carried}, buffers=buffers)

    state = state_of(
        {"a": scale(2.0, running=0.0)},
        extra={"rows": jnp.zeros(())},
        buffers={"pool": jnp.zeros(4)},
    )
    step = steps.update("a", objective, accumulate=2)
    state, _ = step(state, {"x": jnp.array([1.0, 2.0, 3.0, 5.0])}, keys_of(4))
    # first 1 + 3, then 2 + 5
    assert float(state["a"].variables["stats"]["running"]) == 47.0
    assert float(state.extra["rows"]) == 47.0
    np.testing.assert_array_equal(state.buffers["pool"], [47.0] * 4)


def test_every_example_keeps_its_draw_in_its_slice():
    def objective(state, batch, keys):
        right = random.uniform(random.Keys(batch["key"]), ()) == random.uniform(keys, ())
        return state["a"](jnp.ones(())), Out({"right": Mean.of(right)})

    batch = {"key": keys_of(ROWS).base}
    _, metrics = steps.update("a", objective, accumulate=3)(pair(), batch, keys_of(ROWS))
    assert values(metrics)["a/right"] == 1.0
    assert float(metrics["a/right"].count) == ROWS


def test_slices_that_do_not_divide_the_batch_are_refused():
    with pytest.raises(ValueError, match="6 examples cannot be split into 4 slices"):
        steps.update("a", miss, accumulate=4)(pair(), {"x": jnp.ones(ROWS)}, keys_of(ROWS))


# --- one after another ----------------------------------------------------------------------------


def test_a_chain_gives_each_step_keys_of_its_own_and_the_state_of_the_one_before():
    state = state_of({}, extra={"turn": jnp.zeros((), jnp.int32)})
    state, metrics = steps.chain(record("a"), record("b"), record("c"))(
        state, numbered(), keys_of(ROWS)
    )
    assert int(state.extra["turn"]) == 3
    draws = [metrics[f"{name}/draws"].total[turn] for turn, name in enumerate("abc")]
    for index, seen in enumerate(draws):
        expected = random.uniform(random.fold(keys_of(ROWS), index), ())
        np.testing.assert_array_equal(seen, expected)
    assert len(np.unique(np.concatenate(draws))) == 3 * ROWS


def test_steps_joined_by_then_share_their_keys():
    state = state_of({}, extra={"turn": jnp.zeros((), jnp.int32)})
    state, metrics = steps.then(record("a"), record("b"))(state, numbered(), keys_of(ROWS))
    assert int(state.extra["turn"]) == 2
    for turn, name in enumerate("ab"):
        expected = random.uniform(keys_of(ROWS), ())
        np.testing.assert_array_equal(metrics[f"{name}/draws"].total[turn], expected)


@pytest.mark.parametrize(
    "joined",
    [
        lambda a, b: steps.chain(a, b),
        lambda a, b: steps.then(a, b),
        lambda a, b: steps.alternate(a, b),
        lambda a, b: steps.rotate([a, b]),
        lambda a, b: steps.simultaneous({"a": a, "b": b}),
    ],
    ids=["chain", "then", "alternate", "rotate", "simultaneous"],
)
def test_two_steps_that_report_the_same_metric_are_refused(joined):
    first, second = (steps.update(name, miss, prefix="") for name in "ab")
    with pytest.raises(ValueError, match="two steps report 'error'; give one of them another"):
        joined(first, second)(pair(), {"x": jnp.ones(2)}, keys_of(2))


def test_the_bilinear_game_played_in_turns_follows_its_closed_form():
    theta, psi = _bilinear_game(lambda d, g: steps.chain(d, g), rounds=3)
    # psi' = psi + 0.5 theta, then theta' = theta - 0.5 psi'
    expected = np.linalg.matrix_power(np.array([[0.75, -0.5], [0.5, 1.0]]), 3) @ [1.0, 2.0]
    assert (theta, psi) == pytest.approx(tuple(expected), rel=1e-6)


# --- at the same time -----------------------------------------------------------------------------


def test_the_bilinear_game_played_at_once_spirals_out_by_its_closed_form():
    theta, psi = _bilinear_game(lambda d, g: steps.simultaneous({"psi": d, "theta": g}), rounds=2)
    # both from the old state: (theta + i psi) grows by the factor 1 + 0.5 i a round
    expected = (1 + 0.5j) ** 2 * (1 + 2j)
    assert (theta, psi) == pytest.approx((expected.real, expected.imag), rel=1e-6)


def _bilinear_game(schedule, rounds):
    """theta, which minimizes theta * psi, and psi, which maximizes it, after rounds at rate 0.5."""

    def value(state, batch, keys):
        return state["theta"](state["psi"](jnp.ones(()))), Out()

    def negative(state, batch, keys):
        return -value(state, batch, keys)[0], Out()

    step = schedule(steps.update("psi", negative), steps.update("theta", value))
    state = state_of({"theta": scale(1.0, rate=0.5), "psi": scale(2.0, rate=0.5)})
    for _ in range(rounds):
        state, _ = step(state, {"x": jnp.ones(2)}, keys_of(2))
    return weight(state, "theta"), weight(state, "psi")


def test_simultaneous_steps_share_their_keys_and_pass_extra_on():
    step = steps.simultaneous({name: steps.then(record(name), push(name)) for name in "ab"})
    state = pair().replace(extra={"turn": jnp.zeros((), jnp.int32)})
    state, metrics = step(state, numbered(), keys_of(ROWS))
    assert int(state.extra["turn"]) == 2
    for turn, name in enumerate("ab"):
        expected = random.uniform(keys_of(ROWS), ())
        np.testing.assert_array_equal(metrics[f"{name}/draws"].total[turn], expected)
    assert (weight(state, "a"), weight(state, "b")) == pytest.approx((2.1, 3.1))


def test_simultaneous_steps_refuse_a_player_named_twice_or_unknown():
    with pytest.raises(ValueError, match="each player must be named once"):
        steps.simultaneous({"a": push("a"), ("b", "a"): push("a")})
    with pytest.raises(ValueError, match="no player 'c'"):
        steps.simultaneous({"a": push("a"), "c": push("a")})(pair(), numbered(), keys_of(ROWS))


# --- now and then ---------------------------------------------------------------------------------


def test_a_rotation_plays_the_step_whose_turn_it_is():
    a, b = push("a"), push("b")
    step = jax.jit(steps.make_train_step(steps.rotate([a, a, b])))
    state, moves = pair(rate=1.0), []
    for _ in range(6):
        before, (state, metrics) = state, step(state, numbered())
        moves.append([weight(state, n) - weight(before, n) for n in "ab"])
        counts = [float(metrics[f"{name}/loss"].count) for name in "ab"]
        assert counts == moves[-1]  # who does not play reports nothing
    assert moves == [[1, 0], [1, 0], [0, 1]] * 2


def test_a_rotation_of_nothing_is_refused():
    with pytest.raises(ValueError, match="nothing to rotate"):
        steps.rotate([])


@pytest.mark.parametrize("period", [1, 2, 3])
def test_every_plays_at_multiples_of_its_period(period):
    step = jax.jit(steps.make_train_step(steps.every(period, push("a"))))
    state, played = pair(rate=1.0), []
    for _ in range(6):
        before, (state, metrics) = state, step(state, numbered())
        played.append(weight(state, "a") - weight(before, "a"))
        assert float(metrics["a/loss"].count) == played[-1]
    assert played == [float(t % period == 0) for t in range(6)]


@pytest.mark.parametrize("period", [0, -2])
def test_every_refuses_a_period_that_is_not_positive(period):
    with pytest.raises(ValueError, match=f"the period is {period}"):
        steps.every(period, push("a"))


def test_a_projection_replaces_params_and_nothing_else():
    state = pair().replace(extra={"k": jnp.ones(())})
    clipped, metrics = steps.project(["b"], lambda params: optax.tree.clip(params, -1.0, 1.0))(
        state, numbered(), keys_of(ROWS)
    )
    assert (weight(clipped, "a"), weight(clipped, "b"), metrics) == (2.0, 1.0, {})


def test_a_projection_of_nobody_is_refused():
    with pytest.raises(ValueError, match="no player 'c'"):
        steps.project("c", lambda params: params)(pair(), numbered(), keys_of(ROWS))


# --- a train step ---------------------------------------------------------------------------------


def test_a_train_step_counts_and_draws_by_seed_step_and_row():
    state = state_of({}, extra={"turn": jnp.zeros((), jnp.int32)})
    step = jax.jit(steps.make_train_step(record("a")))
    for index in range(3):
        before, (state, metrics) = state, step(state, numbered())
        keys = random.example_keys(jax.random.key(0), index, jnp.arange(ROWS))
        np.testing.assert_array_equal(metrics["a/draws"].total[index], random.uniform(keys, ()))
        assert int(state.step) == index + 1
        assert np.array_equal(jax.random.key_data(state.rng), jax.random.key_data(before.rng))


@pytest.mark.parametrize("devices", [1, 2, 4])
@pytest.mark.parametrize("mode", parallel.MODES)
def test_the_draw_of_a_row_does_not_depend_on_the_devices(mode, devices):
    def body(state, batch, keys):
        return state.replace(buffers={"draws": random.uniform(keys, ())}), {}

    mesh = parallel.data_mesh(jax.devices()[:devices])
    train_step = steps.make_train_step(body, axis_name=parallel.axis_for(mode))
    state = parallel.place_state(state_of({}, buffers={"draws": jnp.zeros(8)}), mesh)
    state, _ = parallel.compile_step(train_step, mode=mode, mesh=mesh)(
        state, parallel.shard(numbered(8), mesh)
    )
    expected = random.uniform(random.example_keys(jax.random.key(0), 0, jnp.arange(8)), ())
    np.testing.assert_array_equal(state.buffers["draws"], expected)


def test_a_repetition_equals_its_single_steps():
    with jax.enable_x64(True):
        step = steps.make_train_step(steps.chain(steps.update("a", miss), steps.update("b", miss)))
        batches = {"x": jnp.asarray(np.random.default_rng(0).normal(size=(5, ROWS)))}
        single, reports = pair(), []
        for index in range(5):
            single, metrics = jax.jit(step)(single, {"x": batches["x"][index]})
            reports.append(values(metrics))
        together, stacked = jax.jit(steps.repeat(step))(pair(), batches)
        assert int(together.step) == 5
        for name in "ab":
            assert weight(together, name) == pytest.approx(weight(single, name), rel=1e-10)
        for index, report in enumerate(reports):
            here = values(jax.tree.map(lambda leaf, i=index: leaf[i], stacked))
            assert here == pytest.approx(report, rel=1e-10)
