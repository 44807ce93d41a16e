"""What is carried from step to step: players, their averages, and means as monoids."""

from __future__ import annotations

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from toy_players import keys_of, scale, state_of, weight

from jaxgan import parallel, state, steps
from jaxgan.state import Mean


def report(metrics):
    return {name: float(mean.value) for name, mean in metrics.items()}


# --- means ----------------------------------------------------------------------------------------


def test_means_of_parts_add_to_the_mean_of_the_whole():
    values = jnp.asarray(np.random.default_rng(0).normal(size=12).astype(np.float32))
    parts = [{"x": Mean.of(part)} for part in (values[:5], values[5:6], values[6:])]
    left = state.add_metrics(state.add_metrics(parts[0], parts[1]), parts[2])
    right = state.add_metrics(parts[0], state.add_metrics(parts[1], parts[2]))
    for total in (left, right):
        assert float(total["x"].value) == pytest.approx(float(np.mean(values)), rel=1e-6)
        assert float(total["x"].count) == 12


def test_the_zero_mean_changes_no_other_and_has_no_value():
    zero, mean = Mean(jnp.zeros(()), jnp.zeros(())), Mean.of(jnp.array([1.0, 4.0]))
    assert report(state.add_metrics({"x": zero}, {"x": mean})) == {"x": 2.5}
    assert np.isnan(zero.value)


@pytest.mark.parametrize(
    ("values", "value"),
    [
        (jnp.array(3), 3.0),
        (jnp.array([True, False, True, True]), 0.75),
        (jnp.array([[1.0, 2.0], [3.0, 4.0]]), 2.5),
        # The sum of 4,096 ones is 256 in bfloat16.
        (jnp.ones(4096, jnp.bfloat16), 1.0),
        (jnp.array([jnp.inf, 1.0]), np.inf),
    ],
)
def test_a_mean_counts_every_entry_in_float32_at_least(values, value):
    mean = Mean.of(values)
    assert mean.total.dtype == mean.count.dtype == jnp.float32
    assert float(mean.value) == value


def test_a_mean_keeps_double_precision():
    with jax.enable_x64(True):
        mean = Mean.of(jnp.array([1.0, 1e-12], jnp.float64))
        assert float(mean.value) == 0.5 * (1.0 + 1e-12)


# --- players --------------------------------------------------------------------------------------


def normalizing():
    """A player with batch statistics, which start at mean 0 and forget half of it in a step."""

    class Normalize(linen.Module):
        @linen.compact
        def __call__(self, x, *, train):
            x = linen.Dense(1, kernel_init=linen.initializers.ones)(x)
            return linen.BatchNorm(use_running_average=not train, momentum=0.5)(x)

    x = jnp.zeros((1, 1))
    return state.init_player(jax.random.key(0), Normalize(), optax.sgd(0.1), x, train=True)


def test_a_player_is_initialized_by_its_module_and_its_optimizer():
    player = normalizing()
    assert set(player.params) == {"Dense_0", "BatchNorm_0"}
    assert set(player.variables) == {"batch_stats"}
    assert (player.step.dtype, int(player.step)) == (jnp.int32, 0)
    moved = player.apply_gradients(grads=jax.tree.map(jnp.ones_like, player.params))
    np.testing.assert_allclose(moved.params["Dense_0"]["kernel"], [[0.9]], rtol=1e-6)


def test_calling_a_player_drops_the_updates_of_its_collections_and_mutate_keeps_them():
    player, x = normalizing(), jnp.array([[1.0], [3.0]])
    output, moved = player.mutate(x, train=True)
    np.testing.assert_allclose(output, [[-1.0], [1.0]], atol=1e-4)
    np.testing.assert_array_equal(player(x, train=True), output)
    means = [p.variables["batch_stats"]["BatchNorm_0"]["mean"] for p in (player, moved)]
    assert [float(mean[0]) for mean in means] == [0.0, 1.0]  # halfway to the batch's mean of 2
    assert moved.params is player.params
    np.testing.assert_allclose(moved(x, train=False)[0], player(x, train=False)[0] * 0, atol=1e-6)


def test_with_params_and_variables_replace_those_of_the_named_players_only():
    before = state_of({"a": scale(1.0, running=0.0), "b": scale(2.0, running=0.0)})
    after = before.with_params({"a": {"weight": jnp.asarray(5.0)}})
    after = after.with_variables({"b": {"stats": {"running": jnp.asarray(7.0)}}})
    assert (weight(after, "a"), weight(after, "b")) == (5.0, 2.0)
    running = [float(after[name].variables["stats"]["running"]) for name in "ab"]
    assert running == [0.0, 7.0]
    assert weight(before, "a") == 1.0


# --- the state ------------------------------------------------------------------------------------


def test_a_state_holds_no_array_twice():
    # What is donated may not be donated twice: averages are copies, not aliases.
    player = scale(2.0, running=0.0)
    start = state_of({"a": player}, ema=["a"], buffers={"pool": jnp.zeros(2)})
    arrays = [leaf for leaf in jax.tree.leaves(start) if leaf is not start.rng]
    assert len({leaf.unsafe_buffer_pointer() for leaf in arrays}) == len(arrays)
    assert float(start.ema["a"]["params"]["weight"]) == 2.0
    assert float(start.ema["a"]["stats"]["running"]) == 0.0


def test_a_donated_state_can_be_trained_again_and_again():
    def count(reached, batch, keys):
        variables = {"count": reached["a"].variables["count"] + 1}
        return reached.with_variables({"a": variables}), {}

    player = scale(2.0).replace(variables={"count": jnp.zeros((), jnp.int32)})
    start = state_of({"a": player}, ema=["a"])
    body = steps.then(count, steps.track_ema("a", half_life=1.0))
    compiled = parallel.compile_step(
        steps.make_train_step(body), mesh=parallel.data_mesh(jax.devices()[:1])
    )
    for _ in range(3):
        start, _ = compiled(start, {"image": jnp.zeros(4)})
    # What is no number on a line (a counter) is taken over, not averaged.
    assert int(start.ema["a"]["count"]) == int(start["a"].variables["count"]) == 3


def test_a_plain_number_in_extra_does_not_compile_the_step_twice():
    made = state_of({}, extra={"strength": 0.5, "count": 3, "key": jax.random.key(0)})
    dtypes = {name: made.extra[name].dtype for name in ("strength", "count")}
    assert dtypes == {"strength": jnp.float32, "count": jnp.int32}
    traces = []

    @jax.jit
    def step(reached):
        traces.append(None)
        extra = {
            **reached.extra,
            "strength": reached.extra["strength"] + jnp.float32(0.1),
            "count": reached.extra["count"] + jnp.int32(1),
        }
        return reached.replace(extra=extra)

    step(step(made))
    assert len(traces) == 1


def test_the_averaged_state_plays_with_the_averages():
    start = state_of(
        {"a": scale(2.0, running=0.0), "b": scale(3.0)}, ema=["a"], extra={"k": jnp.ones(())}
    )
    start = start.replace(
        ema={"a": {"params": {"weight": jnp.asarray(9.0)}, "stats": {"running": jnp.asarray(4.0)}}}
    )
    averaged = start.averaged()
    assert (weight(averaged, "a"), weight(averaged, "b")) == (9.0, 3.0)
    assert float(averaged["a"].variables["stats"]["running"]) == 4.0
    assert averaged.extra is start.extra
    assert weight(start, "a") == 2.0


# --- averages -------------------------------------------------------------------------------------


def averages(weights, *, batch, **options):
    """The average of a player that starts at 0 and then has each of the weights for one step."""
    reached, found = state_of({"a": scale(0.0, running=0.0)}, ema=["a"]), []
    step = jax.jit(steps.make_train_step(steps.track_ema("a", **options)))
    for value in weights:
        reached = reached.with_params({"a": {"weight": jnp.asarray(value)}})
        reached = reached.with_variables({"a": {"stats": {"running": jnp.asarray(-value)}}})
        reached, metrics = step(reached, {"image": jnp.zeros(batch)})
        assert metrics == {}
        found.append(float(reached.ema["a"]["params"]["weight"]))
        statistic = float(reached.ema["a"]["stats"]["running"])
        assert statistic == -found[-1]  # collections are averaged like params
    return found


def test_an_average_keeps_half_of_itself_for_each_half_life():
    # Batches of 4 and a half-life of 8 images: 2^(-1/2) is kept a step.
    keep = 0.5**0.5
    found = averages([1.0, 1.0, 3.0], batch=4, half_life=8.0, ramp_up=None)
    expected = [1 - keep, 0.5, 0.5 * keep + 3 * (1 - keep)]
    assert found == pytest.approx(expected, rel=1e-6)


def test_an_early_average_forgets_faster():
    # With a ramp of 1/2 the half-life is 2, 4, 6 and then at most 6 of batches of 4 images.
    found = averages([1.0] * 4, batch=4, half_life=6.0, ramp_up=0.5)
    kept = np.cumprod([0.5 ** (4 / half_life) for half_life in (2, 4, 6, 6)])
    assert found == pytest.approx(1 - kept, rel=1e-6)


def test_a_half_life_may_follow_the_images_shown():
    """From 0, a copy; then 0.5^(batch / half-life) is kept, in float32 as in the closed form."""
    found = averages([1.0, 2.0, 4.0], batch=4, half_life=lambda shown: 2 * shown)
    second = 0.5**0.5 * 1 + (1 - 0.5**0.5) * 2
    assert found == pytest.approx([1.0, second, 0.5**0.25 * second + (1 - 0.5**0.25) * 4], rel=1e-5)
    # R3GAN's factors at the end of its schedules, for CIFAR-10 and for FFHQ.
    for batch, half_life, kept in ((512, 5e6, 0.99992902), (256, 5e5, 0.99964517)):
        found = averages([1.0] * 2, batch=batch, half_life=lambda shown, h=half_life: h + 0 * shown)
        assert 1 - found[1] == pytest.approx(kept**2, abs=1e-7)


@pytest.mark.parametrize("batch", [4, 8, 16, 32])
def test_the_half_life_counts_images_whatever_the_batch(batch):
    found = averages([1.0] * (32 // batch), batch=batch, half_life=32.0, ramp_up=None)
    assert found[-1] == pytest.approx(0.5, rel=1e-6)


@pytest.mark.parametrize(("half_life", "batch"), [(1e4, 4), (5e6, 1), (2e7, 1), (1e8, 64)])
@pytest.mark.parametrize("start", [0.0, 1.0])
def test_long_half_lives_are_not_rounded(half_life, batch, start):
    """Against the closed form in float64, from zero and where float32 has its usual spacing."""
    count = 1 << 16
    state = state_of({"a": scale(start)}, ema=["a"]).with_params({"a": {"weight": start + 1.0}})
    step = steps.repeat(
        steps.make_train_step(steps.track_ema("a", half_life=half_life, ramp_up=None))
    )
    reached, _ = jax.jit(step)(state, {"image": jnp.zeros((count, batch))})
    moved = float(reached.ema["a"]["params"]["weight"]) - start
    assert moved == pytest.approx(-np.expm1(-np.log(2) * count * batch / half_life), rel=2e-3)


def test_under_a_long_half_life_an_early_average_forgets_its_beginning_all_the_same():
    found = averages([1.0] * 200, batch=1, half_life=2e7)
    assert found[9] > 0.99


@pytest.mark.parametrize("mode", ["shard_map", "pmap"])
def test_the_half_life_counts_the_images_of_all_devices(mode):
    mesh = parallel.data_mesh(jax.devices()[:4])
    body = steps.track_ema("a", half_life=8.0, ramp_up=None, axis_name=parallel.AXIS)
    start = state_of({"a": scale(0.0)}, ema=["a"]).with_params({"a": {"weight": jnp.ones(())}})
    compiled = parallel.compile_step(
        steps.make_train_step(body, axis_name=parallel.AXIS), mode=mode, mesh=mesh
    )
    images = parallel.shard({"image": jnp.zeros(8)}, mesh)
    reached, _ = compiled(parallel.place_state(start, mesh), images)
    assert float(reached.ema["a"]["params"]["weight"]) == pytest.approx(0.5, rel=1e-6)


def test_an_average_touches_nothing_else():
    start = state_of({"a": scale(2.0), "b": scale(3.0)}, ema=["a", "b"])
    start = start.with_params({"a": {"weight": jnp.ones(())}, "b": {"weight": jnp.ones(())}})
    reached, _ = steps.track_ema("a", half_life=8.0)(start, {}, keys_of(4))
    assert reached.players == start.players
    assert reached.ema["b"] is start.ema["b"]


def test_an_average_that_cannot_be_kept_is_refused():
    with pytest.raises(ValueError, match="the half-life is 0 images"):
        steps.track_ema("a", half_life=0)
    with pytest.raises(ValueError, match="there is no average of 'a'"):
        steps.track_ema("a", half_life=1.0)(state_of({"a": scale(2.0)}), {}, keys_of(4))
