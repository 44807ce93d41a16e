"""Devices: what is split, what is whole, and what couples the examples of different shards."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec
from toy_players import scale, state_of, weight

from jaxgan import collectives, losses, parallel, random, steps
from jaxgan.models import dcgan
from jaxgan.state import Mean, Out, Player, create
from tests.building import built

ROWS = 8
every_mode = pytest.mark.parametrize("mode", parallel.MODES)


def mesh_of(devices):
    return parallel.data_mesh(jax.devices()[:devices])


def numbers(rows=ROWS):
    return jnp.asarray(np.random.default_rng(0).normal(size=rows).astype(np.float32))


def train(body, state, *, mode, devices, count=1, batch=None):
    """The state and the last metrics after `count` train steps of the body, built for the mode."""
    mesh, axis_name = mesh_of(devices), parallel.axis_for(mode)
    step = steps.make_train_step(body(axis_name), axis_name=axis_name)
    compiled = parallel.compile_step(step, mode=mode, mesh=mesh)
    state = parallel.place_state(jax.tree.map(jnp.copy, state), mesh)
    for _ in range(count):
        split = parallel.shard({"x": numbers()} if batch is None else batch, mesh)
        state, metrics = compiled(state, split)
    return state, {name: float(mean.value) for name, mean in metrics.items()}


# --- placing --------------------------------------------------------------------------------------


def test_a_batch_is_split_by_rows_and_keeps_its_values():
    batch = {"x": numbers(), "y": jnp.arange(16).reshape(8, 2)}
    placed = parallel.shard(batch, mesh_of(4))
    for name, leaf in placed.items():
        np.testing.assert_array_equal(leaf, batch[name])
        shards = [shard.data.shape for shard in leaf.addressable_shards]
        assert shards == [(2, *batch[name].shape[1:])] * 4


@pytest.mark.parametrize("devices", [3, 5])
def test_rows_that_the_devices_do_not_divide_are_refused(devices):
    expected = f"8 examples cannot be split over {devices} devices; use a batch size that {devices}"
    nearest = {3: "6 or 9", 5: "5 or 10"}[devices]
    with pytest.raises(ValueError, match=f"{expected} divides, such as {nearest}$"):
        parallel.shard({"x": numbers()}, mesh_of(devices))


def test_a_state_is_whole_on_every_device_but_for_its_buffers():
    state = state_of({"a": scale(2.0)}, ema=["a"], buffers={"pool": jnp.arange(8.0)})
    placed = parallel.place_state(state, mesh_of(4))
    assert placed.buffers["pool"].sharding.spec == PartitionSpec(parallel.AXIS)
    for leaf in jax.tree.leaves(placed.replace(buffers={})):
        assert leaf.sharding.is_fully_replicated
        assert len(leaf.sharding.device_set) == 4
    np.testing.assert_array_equal(placed.buffers["pool"], np.arange(8.0))
    assert weight(placed, "a") == 2.0


def test_a_pool_that_the_devices_do_not_divide_is_whole_under_jit_and_refused_otherwise():
    state = state_of({}, buffers={"pool": jnp.zeros(6)})
    assert parallel.place_state(state, mesh_of(4)).buffers["pool"].sharding.is_fully_replicated
    expected = "a buffer of 6 places cannot be split over 4 devices; .* such as 4 or 8, or the mode"
    for mode in ("shard_map", "pmap"):
        with pytest.raises(ValueError, match=expected):
            parallel.place_state(state, mesh_of(4), mode=mode)


def test_only_as_many_devices_as_there_are_can_be_used():
    assert parallel.first_devices() == jax.devices()
    assert parallel.first_devices(3) == jax.devices()[:3]
    for count in (0, 9):
        with pytest.raises(ValueError, match=f"{count} devices .* JAX sees 8 .*; expected 1 to 8"):
            parallel.first_devices(count)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((4, 4, 8, 16), 3),
        ((4, 4, 16, 8), 2),
        ((8, 8), 1),
        ((6, 8), 1),
        ((9, 4), 1),
        ((7, 5), None),
        ((1, 1), None),
        ((16,), None),
        ((), None),
    ],
)
def test_parameters_are_split_along_the_longest_axis_that_the_devices_divide(shape, axis):
    params = {"w": jnp.zeros(shape)}
    player = Player.create(apply_fn=None, params=params, tx=optax.adam(1.0))
    state = create(jax.random.key(0), {"a": player}, ema=["a"], extra={"w": jnp.zeros((8, 8))})
    placed = parallel.place_state(state, mesh_of(4), shard_parameters=True)
    for params in (placed["a"].params, placed["a"].opt_state[0].mu, placed.ema["a"]["params"]):
        part = params["w"].addressable_shards[0].data.shape
        assert part == tuple(n // 4 if i == axis else n for i, n in enumerate(shape))
    assert placed.extra["w"].sharding.is_fully_replicated


@pytest.fixture(scope="module")
def wide():
    """The state of a DCGAN of 64 pixels, of zeros."""
    optimizer = optax.adam(1e-3)
    gan = built(
        dcgan.build,
        shape=(64, 64, 3),
        width=16,
        loss=losses.hinge(),
        optimizers={"generator": optimizer, "discriminator": optimizer},
        ema_half_life=100.0,
    )
    shapes = jax.eval_shape(gan.init, jax.random.key(0)).replace(rng=jax.random.key(0))
    return jax.tree.map(
        lambda leaf: leaf if isinstance(leaf, jax.Array) else np.zeros(leaf.shape, leaf.dtype),
        shapes,
    )


@pytest.mark.parametrize(("devices", "most"), [(2, 0.6), (4, 0.35)])
def test_a_device_holds_a_part_of_split_parameters(wide, devices, most):
    whole, split = (
        parallel.bytes_per_device(
            parallel.place_state(wide, mesh_of(devices), shard_parameters=shard_parameters)
        )
        for shard_parameters in (False, True)
    )
    arrays = jax.tree.leaves(wide.replace(rng=jax.random.key_data(wide.rng)))
    assert whole == sum(leaf.nbytes for leaf in arrays)
    assert whole / devices <= split <= most * whole


@pytest.mark.parametrize("mode", ["shard_map", "pmap"])
def test_only_jit_splits_parameters(mode):
    with pytest.raises(ValueError, match=f"the mode {mode} holds all parameters on each device"):
        parallel.compile_step(lambda state, batch: (state, {}), mode=mode, shard_parameters=True)
    with pytest.raises(ValueError, match="to shard them use the mode jit"):
        parallel.place_state(state_of({}), mesh_of(2), mode=mode, shard_parameters=True)


@every_mode
def test_a_trained_state_stays_placed_and_can_be_donated_on(mode):
    def body(axis_name):
        def keep(state, batch, keys):
            return state.replace(buffers={"pool": state.buffers["pool"] + batch["x"]}), {}

        return keep

    state = state_of({"a": scale(2.0)}, buffers={"pool": jnp.zeros(ROWS)})
    state, _ = train(body, state, mode=mode, devices=4, count=3)
    np.testing.assert_allclose(state.buffers["pool"], 3 * numbers(), rtol=1e-6)
    assert len(state.buffers["pool"].sharding.device_set) == 4
    assert int(state.step) == 3


def test_an_unknown_mode_is_refused():
    message = "the mode is 'xmap'; expected one of jit, shard_map, pmap"
    with pytest.raises(ValueError, match=message):
        parallel.axis_for("xmap")
    with pytest.raises(ValueError, match=message):
        parallel.compile_step(lambda state, batch: (state, {}), mode="xmap")


# --- reducing -------------------------------------------------------------------------------------


def spread(function, *arrays, devices=4):
    """The function, which ends in a reduction, on the shards of the arrays under shard_map."""
    mesh = mesh_of(devices)
    run = jax.shard_map(
        function, mesh=mesh, in_specs=PartitionSpec(parallel.AXIS), out_specs=PartitionSpec()
    )
    return jax.jit(run)(*parallel.shard(arrays, mesh))


def test_without_an_axis_reductions_are_the_identity():
    tree = {"x": numbers(), "n": jnp.arange(3)}
    for reduce in (collectives.all_mean, collectives.all_sum, collectives.vary):
        assert reduce(tree, None) is tree
    assert collectives.axis_size(None) == 1
    np.testing.assert_array_equal(collectives.global_rows(3, None), [0, 1, 2])
    np.testing.assert_allclose(collectives.batch_mean(numbers()), np.mean(numbers()), rtol=1e-6)


def test_a_batch_mean_is_that_of_the_whole_batch():
    x = jnp.asarray(np.random.default_rng(1).normal(size=(ROWS, 3)).astype(np.float32))
    mean = spread(lambda x: collectives.batch_mean(x, parallel.AXIS), x)
    np.testing.assert_allclose(mean, np.mean(x, axis=0), rtol=1e-5)


def test_a_mean_of_numbers_and_a_maximum_of_counters():
    def reduce(x, n):
        return collectives.all_mean({"x": jnp.mean(x), "n": jnp.max(n)}, parallel.AXIS)

    reduced = spread(reduce, numbers(), jnp.arange(ROWS))
    assert float(reduced["x"]) == pytest.approx(float(jnp.mean(numbers())), rel=1e-5)
    assert int(reduced["n"]) == ROWS - 1


def test_a_sum_of_what_is_the_same_on_every_shard_counts_the_shards():
    reduced = spread(lambda x: collectives.all_sum(jnp.ones(()), parallel.AXIS), numbers())
    assert float(reduced) == 4.0


def test_marking_twice_is_marking_once_and_outside_of_shard_map_nothing_varies():
    def mark(x):
        once = collectives.vary(jnp.ones(()), parallel.AXIS)
        assert collectives.varying_axes(once) == {parallel.AXIS} == collectives.varying_axes(x)
        assert collectives.varying_axes(jnp.ones(())) == frozenset()
        return collectives.all_sum(collectives.vary(once, parallel.AXIS), parallel.AXIS)

    assert float(spread(mark, numbers())) == 4.0
    assert collectives.varying_axes(numbers()) == frozenset()


def test_the_rows_of_the_shards_are_those_of_the_batch():
    mesh = mesh_of(4)
    spec = PartitionSpec(parallel.AXIS)
    rows = jax.shard_map(
        lambda x: collectives.global_rows(x.shape[0], parallel.AXIS),
        mesh=mesh,
        in_specs=spec,
        out_specs=spec,
    )(parallel.shard(numbers(), mesh))
    np.testing.assert_array_equal(rows, np.arange(ROWS))


# --- steps on many devices ------------------------------------------------------------------------


def push(axis_name, **options):
    """A step whose player follows batch and draws, and which reports and carries what it saw."""

    def objective(state, batch, keys):
        y = state["a"](batch["x"] + random.uniform(keys, ()))
        pool = {"pool": y} if len(y) * collectives.axis_size(axis_name) == ROWS else {}
        return jnp.mean(y**2), Out({"y": Mean.of(y)}, extra={"mean": jnp.mean(y)}, buffers=pool)

    return steps.update("a", objective, axis_name=axis_name, **options)


def pull(axis_name):
    """A step whose loss is a function of the whole batch: the square of its mean."""

    def objective(state, batch, keys):
        mean = collectives.batch_mean(state["a"](batch["x"]), axis_name)
        return mean**2, Out({"mean": Mean.of(mean)})

    return steps.update("a", objective, prefix="pull/", axis_name=axis_name)


SCHEDULES = {
    "update": push,
    "coupled": pull,
    "accumulate": lambda axis_name: push(axis_name, accumulate=2),
    "alternate": lambda axis_name: steps.alternate(push(axis_name), pull(axis_name), n_critic=2),
    "simultaneous": lambda axis_name: steps.simultaneous({"a": push(axis_name)}),
    "every": lambda axis_name: steps.every(2, push(axis_name)),
    "rotate": lambda axis_name: steps.rotate([push(axis_name), pull(axis_name)]),
}


@functools.cache
def on_one_device(schedule):
    state = state_of(
        {"a": scale(2.0, rate=0.1)}, extra={"mean": 0.0}, buffers={"pool": jnp.zeros(ROWS)}
    )
    return state, *train(SCHEDULES[schedule], state, mode="jit", devices=1, count=3)


@pytest.mark.parametrize("mode", ["shard_map", pytest.param("pmap", marks=pytest.mark.slow)])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_way_to_compose_steps_is_the_same_on_many_devices(schedule, mode):
    start, one, expected = on_one_device(schedule)
    many, metrics = train(SCHEDULES[schedule], start, mode=mode, devices=4, count=3)
    assert weight(many, "a") == pytest.approx(weight(one, "a"), rel=1e-5)
    assert float(many.extra["mean"]) == pytest.approx(float(one.extra["mean"]), rel=1e-5)
    np.testing.assert_allclose(many.buffers["pool"], one.buffers["pool"], rtol=1e-5)
    assert metrics == pytest.approx(expected, rel=1e-5, nan_ok=True)
    assert abs(weight(one, "a") - 2.0) > 0.01


@pytest.mark.parametrize("mode", ["shard_map", "pmap"])
def test_a_model_built_without_the_axis_is_refused(mode):
    mesh, state = mesh_of(2), state_of({"a": scale(2.0)}, extra={"mean": 0.0})
    step = steps.make_train_step(push(None))
    compiled = parallel.compile_step(step, mode=mode, mesh=mesh)
    with pytest.raises(ValueError, match="would train each shard separately: build the model"):
        compiled(parallel.place_state(state, mesh), parallel.shard({"x": numbers(4)}, mesh))
