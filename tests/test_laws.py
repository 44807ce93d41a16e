"""The laws of the step library, over every model."""

from __future__ import annotations

import functools

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import parallel, steps
from jaxgan.steps import networks
from tests import laws, parity, programs
from tests.parity import as_state_of, compiled, plain, run


def in_time(names, late=(*laws.VARIANTS, *laws.HEAVY)):
    """The cases, of which the `late` ones are left to the slow target."""
    return [pytest.param(name, marks=[pytest.mark.slow] * (name in late)) for name in names]


some_modes = ["jit", *(pytest.param(mode, marks=pytest.mark.slow) for mode in parallel.MODES[1:])]


def identical(left, right) -> bool:
    """Whether the arrays of two trees are equal bit for bit, path by path."""
    left, right = (jax.tree_util.tree_leaves_with_path(tree) for tree in (left, right))
    return [path for path, _ in left] == [path for path, _ in right] and all(
        np.array_equal(_bits(a), _bits(b)) for (_, a), (_, b) in zip(left, right, strict=True)
    )


def _bits(leaf):
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.ascontiguousarray(leaf).view(np.uint8)


def _beside_players(state):
    return state.replace(players={}, step=jnp.zeros((), jnp.int32))


@functools.cache
def at_double_precision(name, count=2):
    """A starting state of the case in float64, and the state and metrics some steps later on one
    device.
    """
    case, gan = laws.BY_NAME[name], plain(name)
    start = laws.at_double_precision(gan.init(jax.random.key(7)))
    return start, *run(gan, case, count, state=start, dtype=np.float64)


@pytest.mark.parametrize("name", in_time(laws.BY_NAME))
@pytest.mark.parametrize("moved", ["discriminator", "generator"])
def test_L1_an_update_moves_its_player_and_nothing_else(name, moved):
    case = laws.BY_NAME[name]
    alone = {"discriminator": lambda d, g: d, "generator": lambda d, g: g}[moved]
    gan = case.build(schedule=alone, ema_half_life=None, shared_noise=False)
    before = gan.init(jax.random.key(7))
    after, _ = jax.jit(gan.step)(before, laws.batch_of(case))
    players = case.sides.get(moved, (moved,))
    for player in before.players:
        assert identical(before[player], after[player]) == (player not in players)
    if moved == "discriminator":  # a pool is what its objective returns
        assert identical(before.buffers, after.buffers) == (not before.buffers)
        after = after.replace(buffers=before.buffers)
    assert identical(_beside_players(before), _beside_players(after))
    assert int(after.step) == 1
    if "L1" not in case.exempt:
        old, new = ([state[player].params for player in players] for state in (before, after))
        for a, b in zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True):
            assert not np.array_equal(a, b)


@pytest.mark.parametrize("name", in_time(laws.BY_NAME, late=(*laws.VARIANTS, *laws.HEAVIEST)))
def test_L2_the_same_seed_step_and_batch_give_the_same_result(name):
    case, gan = laws.BY_NAME[name], plain(name)
    _, _, traces = compiled(gan)
    half, _ = run(gan, case, 2)
    traced = len(traces)
    once, first = run(gan, case, 4)
    again, second = run(gan, case, 2, state=jax.tree.map(jnp.copy, half))
    assert identical(once, again)
    assert first[2:] == second
    assert len(traces) == traced  # L6, on one device


QUICK_WAYS = {
    "vanilla": [("jit", 2), ("shard_map", 2), ("pmap", 8)],
    "dcgan": [("shard_map", 2)],
}
"""The modes and devices of L3 that the suite checks."""

ROUNDINGS = 100
"""How many times the effect of a first state's rounding errors modes may differ by. Sums of another
order round anew in every step.
"""


def ways_of_the_cases(quick):
    """(case, mode, devices) of L3; what takes minutes in all is left to the slow target."""
    for name in laws.BY_NAME:
        for mode, devices in parity.ways(name):
            marks = () if (mode, devices) in quick.get(name, ()) else pytest.mark.slow
            yield pytest.param(name, mode, devices, marks=marks)


@pytest.mark.parametrize(("name", "mode", "devices"), list(ways_of_the_cases(QUICK_WAYS)))
def test_L3_every_mode_on_every_number_of_devices_is_one_device(name, mode, devices):
    apart = parity.measured(name, "float64", mode, devices)
    assert np.isfinite(apart.late)  # an explosion is as far from itself as from anything
    assert apart.early <= 1e-10
    if apart.late > 1e-10 and name not in laws.TEN_STEPS:
        rounding = parity.measured(name, "float64", parity.ROUNDING, 1)
        assert apart.late <= ROUNDINGS * rounding.late
    else:
        assert apart.late <= 1e-10


QUICK_SINGLE = {"dcgan": [("jit", 4)]}


@pytest.mark.parametrize(("name", "mode", "devices"), list(ways_of_the_cases(QUICK_SINGLE)))
def test_L3_in_single_precision_the_losses_agree(name, mode, devices):
    apart = parity.measured(name, "float32", mode, devices)
    assert np.isfinite(apart.loss)
    if apart.loss > 1e-4 and name not in laws.TEN_STEPS:
        rounding = parity.measured(name, "float32", parity.ROUNDING, 1)
        assert apart.loss <= ROUNDINGS * rounding.loss
    else:
        assert apart.loss <= 1e-4


def assert_trains_as_on_one_device(name, mode, devices, split=False):
    """Ten steps in float64 (or two, see `laws.TEN_STEPS`) are those of one device, to rounding."""
    case, count = laws.BY_NAME[name], 10 if name in laws.TEN_STEPS else 2
    with jax.enable_x64(True):
        start, expected, reports = at_double_precision(name, count)
        gan = case.build(axis_name=parallel.axis_for(mode))
        start = as_state_of(gan, start)
        state, other = run(gan, case, count, start, mode, devices, np.float64, split)
        for a, b in zip(jax.tree.leaves(expected), jax.tree.leaves(state), strict=True):
            if jnp.issubdtype(a.dtype, jnp.floating):
                np.testing.assert_allclose(b, a, rtol=1e-10, atol=1e-10)
        for a, b in zip(reports, other, strict=True):
            assert b == pytest.approx(a, rel=1e-10, abs=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("name", laws.BY_NAME)
@pytest.mark.parametrize("devices", [2, 4])
def test_L3_with_split_parameters_training_is_that_of_one_device(name, devices):
    assert_trains_as_on_one_device(name, "jit", devices, split=True)


@pytest.mark.parametrize("name", in_time(laws.names_except("L4")))
@pytest.mark.parametrize("slices", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_L4_accumulation_equals_the_whole_batch(name, slices):
    case = laws.BY_NAME[name]
    with jax.enable_x64(True):
        start, expected, reports = at_double_precision(name)
        state, other = run(case.build(accumulate=slices), case, 2, start, dtype=np.float64)
        for player in expected.players:
            for a, b in zip(
                jax.tree.leaves(expected[player].params),
                jax.tree.leaves(state[player].params),
                strict=True,
            ):
                np.testing.assert_allclose(b, a, rtol=1e-10, atol=1e-10)
        for a, b in zip(reports, other, strict=True):
            assert b == pytest.approx(a, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("name", in_time(laws.BY_NAME))
def test_L5_every_k_is_the_identity_at_other_steps(name):
    case = laws.BY_NAME[name]
    gan = case.build(
        schedule=lambda d, g: steps.every(3, d), ema_half_life=None, shared_noise=False
    )
    state = gan.init(jax.random.key(7))
    step = jax.jit(gan.step)
    for index in range(4):
        after, metrics = step(state, laws.batch_of(case))
        counts = {float(mean.count) for mean in metrics.values()}
        same = identical(state, after.replace(step=state.step))
        if index % 3 == 0:
            assert not same
            assert 0.0 not in counts
        else:
            assert same
            assert counts == {0.0}
        state = after


@pytest.mark.parametrize("name", in_time(laws.BY_NAME, late=laws.BY_NAME.keys() - laws.FOUNDATION))
@pytest.mark.parametrize("mode", some_modes)
def test_L6_a_step_never_retraces(name, mode):
    case = laws.BY_NAME[name]
    gan = case.build(axis_name=parallel.axis_for(mode))
    _, _, traces = compiled(gan, mode, 2)
    run(gan, case, 1, mode=mode, devices=2)
    first = len(traces)
    run(gan, case, 3, mode=mode, devices=2)
    assert len(traces) == first


# --- bfloat16 and rematerialization ---------------------------------------------------------------


def types_of_layers(met):
    """An interceptor of flax that adds to `met` the type and place of what each layer returns."""

    def noted(call, args, kwargs, context):
        returned = call(*args, **kwargs)
        place = f"{type(context.module).__name__} at {'/'.join(context.module.path) or 'the top'}"
        for leaf in jax.tree.leaves(returned):
            if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jnp.floating):
                met.add((leaf.dtype.name, place))
        return returned

    return noted


def operands(jaxpr, names):
    """The types of the first two operands of each operation of a program that has a name."""
    for equation in programs.equations(jaxpr):
        if equation.primitive.name in names:
            yield tuple(operand.aval.dtype.name for operand in equation.invars[:2])


PRODUCTS = ("dot_general", "conv_general_dilated", "jaxgan_conv")
HALF = "bfloat16"


@pytest.mark.parametrize("name", in_time(laws.BY_NAME, late=laws.BY_NAME.keys() - {"sngan"}))
def test_L7_in_bfloat16_layers_compute_and_nothing_is_kept(name, monkeypatch):
    case, met = laws.BY_NAME[name], set()
    monkeypatch.setattr(networks, "in_float32", lambda player: player)  # all but penalties
    gan = case.build()
    state = jax.eval_shape(gan.init, jax.random.key(7))
    with linen.intercept_methods(types_of_layers(met)):
        program, (reached, metrics) = jax.make_jaxpr(
            steps.in_bfloat16(gan.step), return_shape=True
        )(state, laws.batch_of(case))
    assert {place for kind, place in met if kind != HALF} == set()
    assert (HALF, HALF) in set(operands(program.jaxpr, PRODUCTS))
    assert (HALF,) not in set(operands(program.jaxpr, ("reduce_sum",)))
    assert [leaf.dtype for leaf in jax.tree.leaves(reached)] == [
        leaf.dtype for leaf in jax.tree.leaves(state)
    ]
    assert {leaf.dtype.name for leaf in jax.tree.leaves(metrics)} == {"float32"}


@pytest.mark.parametrize("name", in_time(laws.BY_NAME, late=laws.BY_NAME.keys() - {"vanilla"}))
def test_L7_in_bfloat16_two_steps_are_finite_and_near_those_in_float32(name):
    case, gan = laws.BY_NAME[name], plain(name)
    state = gan.init(jax.random.key(7))
    _, expected = run(gan, case, 1)
    reached, reports = run(gan._replace(step=steps.in_bfloat16(gan.step)), case, 2, state=state)
    floats = [a for a in jax.tree.leaves(reached) if jnp.issubdtype(a.dtype, jnp.floating)]
    assert all(np.isfinite(leaf).all() for leaf in floats)
    # The generator's loss is that of a moved discriminator, whose first move may amplify rounding.
    loss = "discriminator/loss"
    assert reports[0][loss] == pytest.approx(expected[0][loss], rel=0.05, abs=0.02)


@pytest.mark.parametrize("name", in_time(laws.BY_NAME, late=laws.BY_NAME.keys() - {"vanilla"}))
def test_L8_rematerialization_changes_no_number(name):
    case, gan = laws.BY_NAME[name], plain(name)
    with jax.enable_x64(True):
        start, expected, reports = at_double_precision(name)
        again = gan._replace(step=steps.rematerialized(gan.step))
        state, other = run(again, case, 2, start, dtype=np.float64)
        for a, b in zip(jax.tree.leaves(expected), jax.tree.leaves(state), strict=True):
            if jnp.issubdtype(a.dtype, jnp.floating):
                np.testing.assert_allclose(b, a, rtol=1e-10, atol=1e-10)
        for a, b in zip(reports, other, strict=True):
            assert b == pytest.approx(a, rel=1e-10, abs=1e-10)
