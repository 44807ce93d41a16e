"""Growth: continuous where it begins, complete where it ends, and fed with images as it fades."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments import progressive as experiment
from jaxgan import losses, penalties, random
from jaxgan.models import progressive
from jaxgan.nn import resampling
from jaxgan.runs import command_line
from jaxgan.runs.config import DataSpec
from tests import toy_runs
from tests.building import built

SHAPE = (16, 16, 1)
ROWS, FADE = 4, 16


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def build(level: int, **changes):
    given = {
        "shape": SHAPE,
        "rows": ROWS,
        "fade_images": FADE,
        "latent_size": 3,
        "width": 2,
        "max_width": 4,
        "loss": progressive.drifting(losses.wasserstein(), 1e-3),
        "penalty": penalties.gradient_penalty,
        "optimizers": {p: optax.adam(1e-2, b1=0.0) for p in ("generator", "discriminator")},
        "ema_half_life": 20.0,
    }
    return built(progressive.build, level=level, **{**given, **changes})


def trained(gan, state, count: int):
    """The state and the last metrics after some steps."""
    step, metrics = jax.jit(gan.step), {}
    for _ in range(count):
        draws = np.random.default_rng(int(state.step))
        images = draws.uniform(-1, 1, (ROWS, *SHAPE)).astype(np.float32)
        state, metrics = step(state, {"image": images})
    return state, metrics


@pytest.fixture(scope="module")
def stages():
    """The games of both levels, the first one's state after some steps, the second one's grown."""
    old, new = build(0), build(1)
    before, _ = trained(old, old.init(jax.random.key(0)), 3)
    return old, new, before, progressive.grow(before, new.init(jax.random.key(1)))


def at_alpha(gan, state, value: float):
    """The state in which alpha has the value, where an image is shown a step."""
    return state.replace(step=jnp.int32(round(value * FADE / ROWS)), extra={"stage_start": 0})


# --- sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "count"),
    [((8, 8), 1), ((28, 28), 2), ((32, 32), 3), ((64, 64), 4), ((64, 96), 4), ((1024, 1024), 8)],
)
def test_levels_of_a_size(size, count):
    assert progressive.levels(size) == count
    base = [side >> count for side in size]
    assert 4 <= min(base) <= 7
    assert [side << count for side in base] == list(size)


@pytest.mark.parametrize(
    ("size", "offer"),
    [((30, 30), "28x28"), ((4, 4), "8x8"), ((64, 100), "64x96"), ((3, 64), "8x8")],
)
def test_a_size_that_cannot_be_grown_to_is_refused_with_one_that_can(size, offer):
    with pytest.raises(ValueError, match=f"use {offer}"):
        progressive.levels(size)
    progressive.levels(tuple(map(int, offer.split("x"))))


def test_channels_double_towards_the_base_up_to_the_most():
    channels = progressive.channels_by_level(8, width=16, max_width=512)
    assert channels == (512, 512, 512, 512, 256, 128, 64, 32, 16)


def test_the_papers_networks_have_23_million_parameters_each():
    gan = build(8, shape=(1024, 1024, 3), latent_size=512, width=16, max_width=512)
    state = jax.eval_shape(gan.init, jax.random.key(0))
    for player in state.players.values():
        count = sum(leaf.size for leaf in jax.tree.leaves(player.params))
        assert count == pytest.approx(23.1e6, rel=0.01)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"level": 3}, "the level is 3; expected 0 to 2"),
        ({"level": 1, "rows": 0}, "the batch size is 0; expected 1 or more"),
        ({"level": 1, "fade_images": -1}, "the fade takes -1 images"),
        ({"level": 1, "prior": "cauchy"}, "the prior is 'cauchy'"),
    ],
)
def test_what_makes_no_stage_is_refused_when_built(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)


def test_a_batch_of_other_rows_than_the_stage_counts_by_is_refused(stages):
    old, _, before, _ = stages
    with pytest.raises(ValueError, match="a batch has 8 examples, but the stage was built for 4"):
        jax.eval_shape(old.step, before, {"image": noise(8, *SHAPE)})


# --- growth ---------------------------------------------------------------------------------------


def test_growth_begins_as_the_old_networks_between_a_doubling_and_a_halving(stages):
    old, new, before, after = stages
    keys = random.row_keys(jax.random.key(2), 4)
    latents, zero, one = random.latents(keys, 3), jnp.zeros(4), jnp.ones(4)
    small, large = before["generator"](latents, one), after["generator"](latents, zero)
    assert large.shape == (4, 8, 8, 1)
    assert np.max(np.abs(large - resampling.double(small))) <= 1e-6
    images = noise(4, 8, 8, 1)
    verdicts = before["discriminator"](resampling.halve(images), one)
    assert np.max(np.abs(after["discriminator"](images, zero) - verdicts)) <= 1e-6
    assert np.max(np.abs(new.sample(after, keys) - old.sample(before, keys))) <= 1e-6
    averaged = new.sample(after.averaged(), keys), old.sample(before.averaged(), keys)
    assert np.max(np.abs(averaged[0] - averaged[1])) <= 1e-6


@pytest.mark.parametrize("name", ["generator", "discriminator"])
def test_growth_ends_as_the_new_network_alone(stages, name):
    """At alpha 1 the old way in or out has no say, and before it has."""
    player = stages[3][name]
    x = noise(4, 3) if name == "generator" else noise(4, 8, 8, 1)
    way = {"generator": "to_image_0", "discriminator": "from_image_0"}[name]
    bent = jax.tree.map(lambda leaf: leaf + 1, player.params[way])
    other = player.replace(params={**player.params, way: bent})
    np.testing.assert_array_equal(player(x, jnp.ones(4)), other(x, jnp.ones(4)))
    assert np.max(np.abs(player(x, jnp.full(4, 0.5)) - other(x, jnp.full(4, 0.5)))) > 1e-3


def test_the_new_generator_alone_by_hand(stages):
    """Block by block, without any mixing."""
    params = stages[3]["generator"].params
    latents = noise(4, 3)
    x = progressive.GeneratorBase((4, 4), 4).apply({"params": params["block_0"]}, latents)
    x = progressive.GeneratorBlock(4).apply({"params": params["block_1"]}, x)
    out = params["to_image_1"]
    expected = x @ out["kernel"] / np.sqrt(4) + out["bias"].reshape(1, 1, 1, 1)
    got = stages[3]["generator"](latents, jnp.ones(4))
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("keep", [False, True])
def test_weights_averages_step_and_randomness_go_on_and_optimizers_if_asked(stages, keep):
    _, new, before, _ = stages
    fresh = new.init(jax.random.key(1))
    after = progressive.grow(before, fresh, keep_optimizers=keep)
    assert int(after.step) == int(after.extra["stage_start"]) == 3
    assert jnp.array_equal(jax.random.key_data(after.rng), jax.random.key_data(before.rng))
    for name in ("generator", "discriminator"):
        old, young, got = before[name], fresh[name], after[name]
        for block in got.params:
            source = old.params.get(block, young.params[block])
            jax.tree.map(np.testing.assert_array_equal, got.params[block], source)
        moments = [player.opt_state[0].nu["block_0"] for player in (got, old, young)]
        jax.tree.map(np.testing.assert_array_equal, moments[0], moments[1 if keep else 2])
        assert int(got.opt_state[0].count) == (3 if keep else 0)
    for block, average in after.ema["generator"]["params"].items():
        source = (before if block in before["generator"].params else fresh).ema["generator"]
        jax.tree.map(np.testing.assert_array_equal, average, source["params"][block])


@pytest.mark.slow
def test_every_level_grows_from_the_one_below():
    state = None
    for level in range(3):
        gan = build(level, penalty=None)
        fresh = gan.init(jax.random.key(level))
        state = fresh if state is None else progressive.grow(state, fresh)
        state, metrics = trained(gan, state, 2)
        images = gan.sample(state.averaged(), random.row_keys(jax.random.key(0), 3))
        assert images.shape == (3, *SHAPE)
        assert np.abs(images).max() <= 1
        assert all(np.isfinite(float(mean.value)) for mean in metrics.values())
    assert int(state.step) == 6


# --- fading ---------------------------------------------------------------------------------------


def test_real_images_are_faded_between_their_halves_and_themselves():
    images = noise(3, 8, 8, 2)
    half = np.asarray(resampling.double(resampling.halve(images)))
    share = jnp.array([0.0, 0.25, 1.0])
    got = np.asarray(progressive.faded(images, share))
    np.testing.assert_allclose(got[0], half[0], rtol=1e-6)
    np.testing.assert_allclose(got[1], 0.75 * half[1] + 0.25 * images[1], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(got[2], images[2])


def test_the_game_meets_images_of_its_level_faded_by_alpha(stages):
    """The verdict on real images that a step reports is that on faded ones."""
    new, after = stages[1], stages[3]
    state = at_alpha(new, after, 0.5)
    images = noise(ROWS, *SHAPE)
    _, metrics = jax.jit(new.step)(state, {"image": images})
    share = jnp.full(ROWS, 0.5)
    shown = progressive.faded(resampling.halve(images), share)
    expected = float(jnp.mean(after["discriminator"](shown, share)))
    assert float(metrics["discriminator/real_logit"].value) == pytest.approx(expected, rel=1e-5)


def test_alpha_rises_with_the_images_shown_and_nothing_is_traced_again(stages):
    new, state = stages[1], stages[3]
    traces = []

    @jax.jit
    def step(state, batch):
        traces.append(None)
        return new.step(state, batch)

    seen = []
    for _ in range(6):
        state, metrics = step(state, {"image": noise(ROWS, *SHAPE)})
        seen.append(float(metrics["alpha"].value))
    assert seen == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert len(traces) == 1


@pytest.mark.parametrize("changes", [{"level": 0}, {"level": 1, "fade_images": 0}])
def test_without_a_fade_alpha_is_one(changes):
    gan = build(**changes, penalty=None)
    _, metrics = trained(gan, gan.init(jax.random.key(0)), 1)
    assert float(metrics["alpha"].value) == 1


@pytest.mark.slow
def test_a_base_of_odd_size_trains():
    gan = build(0, shape=(14, 10, 1), penalty=None)
    images = jnp.zeros((ROWS, 14, 10, 1))
    state, _ = jax.jit(gan.step)(gan.init(jax.random.key(0)), {"image": images})
    assert gan.sample(state, random.row_keys(jax.random.key(0), 1)).shape == (1, 14, 10, 1)


# --- the loss -------------------------------------------------------------------------------------


def test_the_drift_is_on_real_logits_of_the_critic_alone():
    loss = progressive.drifting(losses.wasserstein(), 0.001)
    real, fake = jnp.array([2.0, -10.0]), jnp.array([1.0, 3.0])
    np.testing.assert_allclose(loss.discriminator(real, fake), [-2 + 1 + 0.004, 10 + 3 + 0.1])
    np.testing.assert_array_equal(loss.generator(fake), [-1, -3])


def test_a_shift_of_all_logits_costs_the_critic():
    loss = progressive.drifting(losses.wasserstein(), 0.001)

    def cost(shift):
        return jnp.mean(loss.discriminator(jnp.zeros(2) + shift, jnp.zeros(2) + shift))

    assert float(jax.grad(cost)(3.0)) == pytest.approx(2 * 0.001 * 3, rel=1e-4)


def test_a_run_that_begins_within_a_fade_goes_on_with_its_share():
    """The run before had made 30 steps of a fade: the new one, at step 0, is as far."""
    fresh = build(1).init(jax.random.key(0))
    state = progressive.enter(fresh, {"extra/stage_start": np.int32(100)}, 130)
    assert int(state.step) == 0 and int(state.extra["stage_start"]) == -30
    for ahead in (0, 1):
        share = progressive.alpha(state.replace(step=jnp.int32(ahead)), per_step=1 / 40)
        assert float(share) == pytest.approx((30 + ahead) / 40)


# --- the experiment's stages ----------------------------------------------------------------------


def planned(**fields):
    config = experiment.Config(**{"fade_images": 100, "stable_images": 60, **fields})
    return experiment.plan(config, DataSpec((32, 32, 1)))


def test_a_stage_lasts_for_the_images_it_is_to_show():
    plan = planned(batch_sizes=(20, 20, 8, 4))
    assert [stage.rows for stage in plan] == [20, 20, 8, 4]
    assert [stage.start for stage in plan] == [0, 3, 3 + 8, 3 + 8 + 20]
    plan = planned(batch_size=20, n_critic=2, steps_per_call=3)
    assert [stage.rows for stage in plan] == [40] * 4
    assert [stage.start for stage in plan] == [0, 3, 9, 15]


@pytest.mark.slow
def test_the_papers_optimizers_start_afresh_where_a_fade_begins_and_where_it_ends():
    preset = {**experiment.PRESETS["paper"], "width": 2, "max_width": 4, "latent_size": 3}
    config = experiment.Config(**{**preset, "fade_images": 160, "stable_images": 320})
    assert config.group == config.batch_size == 16
    plan = experiment.plan(config, DataSpec((16, 16, 1)))
    assert [stage.start for stage in plan] == [0, 20, 30, 50, 60]
    old, fading, stable = (stage.build() for stage in plan[:3])
    before, _ = trained_at(old, 2)
    grown = plan[1].grow(before, fading.init(jax.random.key(1)))
    moved, metrics = trained_at(fading, 1, grown)
    assert float(metrics["alpha"].value) == 0
    after = plan[2].grow(moved, stable.init(jax.random.key(2)))
    for state, then in ((grown, before), (after, moved)):
        for name in state.players:
            assert not any(np.any(leaf) for leaf in jax.tree.leaves(state[name].opt_state))
            assert any(np.any(leaf) for leaf in jax.tree.leaves(then[name].opt_state))
    assert jax.tree.all(
        jax.tree.map(np.array_equal, after["generator"].params, moved["generator"].params)
    )
    _, metrics = trained_at(stable, 1, after)
    assert float(metrics["alpha"].value) == 1
    kept = experiment.Config(**{**preset, "keep_optimizers": True})
    assert len(experiment.plan(kept, DataSpec((16, 16, 1)))) == 3


def trained_at(gan, count: int, state=None):
    """The state of a stage, fresh or given, after some steps of 16 images, and the last metrics."""
    state = gan.init(jax.random.key(0)) if state is None else state
    metrics = {}
    for seed in range(count):
        draws = np.random.default_rng(seed)
        images = draws.uniform(-1, 1, (16, 16, 16, 1)).astype(np.float32)
        state, metrics = jax.jit(gan.step)(state, {"image": images})
    return state, metrics


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"batch_sizes": (8, 8)}, "--batch-sizes has 2 entries for 4 resolutions"),
        ({"batch_sizes": (8, 8, 6, 8)}, "a batch of 6 cannot be split into groups of 4"),
        ({"batch_size": 8, "accumulate": 4}, "use a multiple of 16"),
        ({"decay_from": 0.5, "keep_optimizers": False}, "use --keep-optimizers"),
    ],
)
def test_flags_that_make_no_stages_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        planned(**fields)


@pytest.mark.slow
def test_a_run_in_pieces_equals_the_whole_at_the_end_of_a_stage_and_within_a_fade(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1)).astype(np.uint8)
    np.savez(tmp_path / "images.npz", images=images)
    flags = {
        **experiment.PRESETS["smoke"],
        "data": f"npz:{tmp_path / 'images.npz'}",
        "resolution": "8",
        "fade_images": 32,
        "stable_images": 16,
        "decay_from": 1.0,  # else a step depends on the run's end
        "checkpoint_every": 0,
        "sample_every": 0,
        "cache": False,
    }

    def train(name, steps):
        config = experiment.Config(**{**flags, "steps": steps, "workdir": str(tmp_path / name)})
        return command_line.train(experiment, config)

    whole = train("whole", 7)
    for steps in (2, 4, 7):  # the end of the first stage, and within the fade
        pieces = train("pieces", steps)
    assert int(toy_runs.arrays(whole)["extra/stage_start"]) == 2
    toy_runs.assert_same(whole, pieces, step=7)
