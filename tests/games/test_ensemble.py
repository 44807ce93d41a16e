"""Several seeds, or hyper-parameters, in one program are so many runs of their own."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import laws
import numpy as np
import optax
import pytest

import jaxgan
from jaxgan import parallel, random, steps
from jaxgan.games import ensemble
from jaxgan.runs import experiments, metric_log, setup
from jaxgan.runs.errors import RunError
from jaxgan.tools import evaluate
from tests import toy_experiment, toy_metric, toy_runs

SEEDS = (2, 3, 4)


EVERY_CALL = {"steps_per_call": 4, "checkpoint_every": 4, "keep": 6}


@pytest.fixture(scope="module")
def together(tmp_path_factory, data):
    """A finished run of three seeds, four steps a call, with a checkpoint after each."""
    folder = tmp_path_factory.mktemp("together")
    return toy_runs.train(folder, data=data, seed=2, seeds=3, **EVERY_CALL)


@pytest.fixture(scope="module")
def alone(tmp_path_factory, data):
    """The finished run of the second of the seeds, by itself."""
    return toy_runs.train(tmp_path_factory.mktemp("alone"), data=data, seed=3, **EVERY_CALL)


def vanilla(**changes):
    return laws.BY_NAME["vanilla"].build(**changes)


def batches(count, seeds):
    """Stacked batches [count, S, B, 2]."""
    draws = [np.random.default_rng(seed).uniform(-1, 1, (count, 8, 2)) for seed in seeds]
    return {"image": jnp.asarray(np.stack(draws, axis=1), jnp.float32)}


def losses(metrics):
    return np.asarray(metrics["generator/loss"].value)


# --- in the library -------------------------------------------------------------------------------


@pytest.mark.slow
def test_members_may_differ_in_a_hyperparameter_and_each_is_the_run_that_has_it():
    def built(rate):
        return vanilla(
            optimizers={
                "generator": optax.inject_hyperparams(optax.adam)(rate),
                "discriminator": optax.sgd(0.05),
            }
        )

    rates, data = (1e-3, 1e-1), batches(4, [0])
    many = ensemble.of(built(rates[0]))
    state = many.init(ensemble.keys([7] * 2))
    state = ensemble.with_hyperparameters(state, "generator", learning_rate=jnp.array(rates))
    shared = jax.tree.map(lambda leaf: jnp.repeat(leaf, 2, axis=1), data)
    _, metrics = jax.jit(steps.repeat(many.step))(state, shared)
    first = jax.tree.map(lambda leaf: leaf[:, 0], data)
    for index, rate in enumerate(rates):
        gan = built(rate)
        _, expected = jax.jit(steps.repeat(gan.step))(gan.init(jax.random.key(7)), first)
        np.testing.assert_allclose(losses(metrics)[:, index], losses(expected), atol=1e-5)
    assert np.ptp(losses(metrics)[-1]) > 1e-3


def test_hyperparameters_are_one_for_each_member_and_carried_by_the_optimizer():
    state = ensemble.of(vanilla()).init(ensemble.keys(SEEDS))
    with pytest.raises(ValueError, match=r"shape \(2,\) for an ensemble of 3"):
        ensemble.with_hyperparameters(state, "generator", learning_rate=jnp.ones(2))
    with pytest.raises(KeyError, match="learning_rate"):
        ensemble.with_hyperparameters(state, "generator", learning_rate=jnp.ones(3))


def test_what_happens_now_and_then_stays_a_branch():
    gan = vanilla(schedule=lambda critic, generator: steps.chain(critic, steps.every(3, generator)))
    many = ensemble.of(gan)
    state = many.init(ensemble.keys(SEEDS))
    data = jax.tree.map(lambda leaf: leaf[0], batches(1, SEEDS))
    equations = jax.make_jaxpr(many.step)(state, data).eqns
    assert any(equation.primitive.name == "cond" for equation in equations)
    state, _ = jax.jit(many.step)(state, data)
    assert state.step.shape == ()
    assert int(state.step) == 1


def test_a_member_samples_what_its_population_samples():
    many = ensemble.of(vanilla())
    state = many.init(ensemble.keys(SEEDS))
    keys = random.row_keys(jax.random.key(0), 5)
    samples = many.sample(state, keys)
    assert samples.shape == (3, 5, 2)
    for index in range(3):
        one = vanilla().sample(ensemble.select(state, index), keys)
        np.testing.assert_allclose(samples[index], one, atol=1e-6)


@pytest.mark.parametrize(("size", "devices"), [(8, 8), (6, 6), (4, 4), (12, 6), (11, 1), (1, 1)])
def test_as_many_devices_share_the_members_as_divide_them(size, devices):
    mesh = ensemble.mesh_for(size, parallel.data_mesh())
    assert mesh.size == devices


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) for name in ("vanilla-3-critic-steps", "dcgan")],
)
def test_devices_that_share_the_members_change_no_number_and_exchange_none(name):
    case = laws.BY_NAME[name]
    with jax.enable_x64(True):
        many = ensemble.of(case.build())
        state = laws.at_double_precision(jax.jit(many.init)(ensemble.keys(range(4))))
        data = [laws.batch_of(case, seed=seed, dtype=np.float64) for seed in range(4)]
        data = jax.tree.map(lambda *leaves: jnp.stack(leaves), *data)
        _, expected = jax.jit(many.step)(state, data)
        mesh = ensemble.mesh_for(4, parallel.data_mesh(jax.devices()[:2]))
        step = jax.jit(ensemble.spread(many, mesh).step)
        placed, split = ensemble.place(state, mesh), parallel.shard(data, mesh)
        program = step.lower(placed, split).compile().as_text()
        _, metrics = step(placed, split)
    assert mesh.size == 2
    for left, right in zip(jax.tree.leaves(metrics), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-10)
    exchanged = r" (all-reduce|all-gather|collective-permute|all-to-all|reduce-scatter)(-start)?\("
    assert not re.search(exchanged, program)


# --- in a run -------------------------------------------------------------------------------------


def test_a_row_holds_every_member_and_their_mean(together, alone):
    rows, of_one = toy_runs.rows(together), toy_runs.rows(alone)
    assert [row["step"] for row in rows] == [5, 10, 15, 20, 24]
    for row in rows:
        members = row["members"]
        assert members["seed"] == list(SEEDS)
        assert members.keys() - {"seed"} == row.keys() - {"step", "members"}
        for name in members.keys() - {"seed"}:
            assert row[name] == pytest.approx(np.mean(members[name]), rel=1e-12)
    for row, expected in zip(rows[:2], of_one[:2], strict=True):
        second = {name: values[1] for name, values in row["members"].items() if name != "seed"}
        expected.pop("step")
        assert second == pytest.approx(expected, abs=1e-4)


def test_a_population_in_pieces_equals_the_whole(together, data, tmp_path):
    for count in (8, 12, 24):
        toy_runs.train(tmp_path, data=data, seed=2, seeds=3, steps_per_call=4, steps=count)
    toy_runs.assert_same(together, tmp_path)


def test_a_member_is_given_back_as_a_single_model(together, alone):
    # Early, before Adam has scaled up what rounding leaves of directions that BatchNorm removes.
    member = jaxgan.load(together, seed=3, checkpoint=4)
    expected = jaxgan.load(alone, checkpoint=4)
    assert member.config == dataclasses.replace(expected.config, workdir=str(together))
    assert member.step == expected.step == 4
    shapes = [jax.tree.map(jnp.shape, model.state) for model in (member, expected)]
    assert jax.tree.leaves(shapes[0]) == jax.tree.leaves(shapes[1])
    np.testing.assert_allclose(member.sample(0, 5), expected.sample(0, 5), atol=0.02)
    others = jaxgan.load(together, seed=2, checkpoint=4).sample(0, 5)
    assert np.abs(others - member.sample(0, 5)).max() > 0.2


def test_a_population_is_loaded_by_seed_and_a_single_run_may_be(together, alone):
    with pytest.raises(RunError, match=r"3 models, of the seeds 2, 3, 4: say which, seed=2$"):
        jaxgan.load(together)
    with pytest.raises(RunError, match=r"no model of seed 0; it has the seeds 2, 3, 4$"):
        jaxgan.load(together, seed=0)
    with pytest.raises(RunError, match=r"no model of seed 0; it has seed 3$"):
        jaxgan.load(alone, seed=0)
    assert jaxgan.load(alone, seed=3).config == jaxgan.load(alone).config


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"seeds": 0}, "--seeds is 0; expected 1 or more"),
        (
            {"seeds": 2, "parallel": "pmap"},
            "--parallel pmap splits the examples .* use --parallel jit",
        ),
        (
            {"seeds": 2, "shard_parameters": True},
            "--shard-parameters splits the arrays of one model .* --seeds 2 splits the models",
        ),
        (
            {"parallel": "pmap", "shard_parameters": True},
            "--shard-parameters works with --parallel jit, not with --parallel pmap",
        ),
    ],
)
def test_populations_that_cannot_be_are_refused(fields, said, tmp_path):
    with pytest.raises(RunError, match=said):
        toy_runs.train(tmp_path / "run", **fields)
    assert not (tmp_path / "run").exists()


def test_every_member_is_measured_and_their_mean_decides(data, tmp_path, monkeypatch):
    toy_metric.put_in_place(monkeypatch)
    fields = {"seed": 2, "seeds": 3, "steps": 8, "steps_per_call": 4, **toy_metric.FLAGS}
    toy_runs.train(tmp_path, data=data, **fields)
    rows = [row for row in toy_runs.rows(tmp_path) if metric_log.is_measurement(row)]
    lowest = min(rows, key=lambda row: row["evaluation/swd"])
    found = lowest["members"]["evaluation/swd"]
    assert lowest["members"]["seed"] == list(SEEDS)
    assert lowest["evaluation/swd"] == pytest.approx(np.mean(found))
    assert len(set(found)) == 3
    flags = {"checkpoint": "best", "metrics": ("swd",), "samples": 30, "cache": False}
    for seed, value in zip(SEEDS, found, strict=True):
        report = evaluate.evaluate(evaluate.Config(tmp_path, model_seed=seed, **flags))
        assert report["step"] == lowest["step"]
        assert report["numbers"]["swd"] == pytest.approx(value, rel=1e-3)


def test_members_start_from_the_weights_of_one_run_or_each_from_its_own(together, alone, data):
    def started(source, **fields):
        config = toy_experiment.Config(data=data, init_from=str(source), **fields)
        experiment = experiments.of(toy_experiment)
        state = setup.task(experiment, config, found=None, report=pytest.fail).state
        return np.asarray(state["generator"].params["Dense_0"]["kernel"])

    name = "players/generator/params/Dense_0/kernel"
    kernel = toy_runs.arrays(alone)[name]
    np.testing.assert_array_equal(started(alone, seeds=2), np.stack([kernel, kernel]))
    np.testing.assert_array_equal(started(together, seeds=3), toy_runs.arrays(together)[name])
    with pytest.raises(RunError, match="holds 3 models; start from it with --seeds 3"):
        started(together, seeds=1)


@pytest.mark.parametrize(("flags", "devices"), [("", 2), ("_force_host_platform_device_count", 3)])
def test_a_cpu_is_as_many_devices_as_can_be_used_unless_the_user_says(flags, devices):
    script = (
        "import os\n"
        "os.environ['XLA_FLAGS'] = '--xla' + %r + '=3' if %r else ''\n"
        "os.sched_getaffinity = lambda process: range(4)\n"
        "from jaxgan.runs import environment\n"
        "environment.use_cores(2)\n"
        "import jax\n"
        "assert jax.device_count() == %d, jax.devices()\n"
        "environment.use_cores(4)\n"
    )
    code = script % (flags, flags, devices)
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=toy_runs.ROOT)
