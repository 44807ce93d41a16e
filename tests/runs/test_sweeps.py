"""The models of a sweep are so many runs of their own, in one program."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shutil

import jax
import numpy as np
import pytest

import jaxgan
from jaxgan.games import ensemble
from jaxgan.runs import (
    command_line,
    experiments,
    flags,
    metric_log,
    progress,
    run_directory,
    setup,
    sweeps,
    varying,
)
from jaxgan.runs.config import DataSpec
from jaxgan.runs.errors import RunError
from jaxgan.tools import extract
from tests import swept_experiment, toy_metric, toy_runs

SWEEP = ("rate=0.001,0.01", "leak=0.1,0.3")
LABELS = [f"rate={rate}, leak={leak}" for rate in (0.001, 0.01) for leak in (0.1, 0.3)]
VALUES = (3.0, 1.0, 2.0, 4.0)
"""What the metric says of the members: the second is the best."""


def train(workdir, *, swept=SWEEP, **fields):
    config = swept_experiment.Config(workdir=str(workdir), cache=False, sweep=swept, **fields)
    return command_line.train(swept_experiment, config)


@pytest.fixture(scope="module")
def swept(tmp_path_factory, data):
    """A finished run of four members, measured at its end."""
    with pytest.MonkeyPatch.context() as patch:
        toy_metric.put_in_place(patch, VALUES)
        measured = {**toy_metric.FLAGS, "evaluate_every": 8}
        return train(tmp_path_factory.mktemp("swept") / "run", data=data, **measured)


def leaves(state):
    """The arrays of a state, but for the bias that BatchNorm takes away, with its mean.

    The bias gets no gradient but rounding, which Adam scales up.
    """
    found = jax.tree_util.tree_leaves_with_path(state.replace(rng=None))
    names = [(jax.tree_util.keystr(path, simple=True, separator="/"), leaf) for path, leaf in found]
    return [
        np.asarray(leaf)
        for name, leaf in names
        if not ("generator" in name and name.endswith(("Dense_0/bias", "BatchNorm_0/mean")))
    ]


def assert_close(one, other, *, atol):
    for left, right in zip(leaves(one), leaves(other), strict=True):
        np.testing.assert_allclose(left, right, atol=atol)


# --- the law --------------------------------------------------------------------------------------


def test_a_member_is_the_run_that_has_its_settings(swept, data, tmp_path):
    alone = train(tmp_path / "alone", swept=(), data=data, rate=0.01, leak=0.1, steps=4)
    expected = jaxgan.load(alone, experiment=swept_experiment)
    member = jaxgan.load(swept, member=2, checkpoint=4, experiment=swept_experiment)
    assert (member.config.rate, member.config.leak, member.config.sweep) == (0.01, 0.1, ())
    assert_close(member.state, expected.state, atol=1e-6)
    # The averages of that bias and of its mean do not cancel in samples.
    np.testing.assert_allclose(member.sample(0, 5), expected.sample(0, 5), atol=0.02)
    other = jaxgan.load(swept, member=0, checkpoint=4, experiment=swept_experiment)
    kernels = [model.state["generator"].params["Dense_0"]["kernel"] for model in (member, other)]
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-3


@pytest.mark.slow
def test_a_sweep_in_pieces_equals_the_whole(swept, data, tmp_path, monkeypatch):
    toy_metric.put_in_place(monkeypatch, VALUES)
    fields = {"data": data, **toy_metric.FLAGS, "evaluate_every": 8}
    for steps in (4, 8):
        train(tmp_path / "run", steps=steps, **fields)
        if steps == 4:
            toy_metric.put_in_place(monkeypatch, VALUES)
    left, right = toy_runs.arrays(swept), toy_runs.arrays(tmp_path / "run")
    assert [name for name in left if left[name].tobytes() != right[name].tobytes()] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "swept"),
    [
        ("vanilla", ("generator_learning_rate=1e-3,4e-3", "beta1=0.3,0.5", "beta2=0.9,0.99")),
        ("dcgan", ("discriminator_learning_rate=1e-3,4e-3", "ema_half_life=100,900")),
    ],
)
def test_a_member_of_a_real_model_is_the_run_that_has_its_settings(name, swept):
    experiment = experiments.named(name)
    config = dataclasses.replace(experiment.preset("smoke"), sweep=swept)
    spec = DataSpec((16, 16, 1))
    build = varying.build_of(experiment.plan(config, spec)[0], None)
    many = ensemble.of_settings(build, config.model_settings)
    state = jax.jit(many.init)(ensemble.keys(config.model_seeds))
    images = np.random.default_rng(0).uniform(-1, 1, (8, 16, 16, 1)).astype(np.float32)
    step = jax.jit(many.step)
    for _ in range(3):
        state, _ = step(state, {"image": np.stack([images] * config.models)})
    last = config.models - 1
    gan = experiment.plan(config.of_model(last), spec)[0].build()
    alone, step = jax.jit(gan.init)(jax.random.key(0)), jax.jit(gan.step)
    for _ in range(3):
        alone, _ = step(alone, {"image": images})
    assert_close(ensemble.select(state, last), alone, atol=1e-5)


# --- which settings -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("swept", "said"),
    [
        (("batch_size=8,16",), "--sweep batch_size: .* start a run for each$"),
        (("kind=one,two",), "--sweep kind: .* start a run for each$"),
        (("hidden=8,9",), "--sweep hidden: .* start a run for each$"),
        (("seed=1,2",), "--sweep seed: --seeds N trains several seeds$"),
        (("rats=1,2",), "--sweep rats: there is no such setting; did you mean rate[?]$"),
        (("rate",), "--sweep is 'rate'; expected a setting and its values, such as"),
        (("rate=1e-3,x",), "--sweep rate: 'x' is no value; expected a number$"),
        (("width=4,4.5",), "--sweep width: '4.5' is no value; expected a whole number$"),
        (("rate=1e-3",), "two or more values of a setting, each once; .* a flag, --rate$"),
        (("rate=1e-3,0.001",), "two or more values of a setting, each once"),
        (("rate=1e-3,1e-2", "rate=1,2"), "--sweep names rate twice"),
        (("leak=0.5,1.5",), "--leak is 1.5; expected 0 or more, and at most 1$"),
        (("rate=1,2", "parallel=jit,pmap"), "--sweep parallel: .* start a run for each$"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_anything_is_loaded(swept, said, tmp_path):
    with pytest.raises(RunError, match=said):
        train(tmp_path / "run", swept=swept, data="npz:nowhere")
    assert not (tmp_path / "run").exists()


def _required(swept):
    experiment = experiments.of(swept_experiment)
    config = swept_experiment.Config(sweep=swept)
    build = varying.build_of(experiment.plan(config, DataSpec((2,)))[0], None)
    varying.require(config, build, {"image": np.zeros((8, 2), np.float32)})


def test_a_setting_that_needs_a_program_for_each_value_is_refused_with_those_that_do_not():
    with pytest.raises(RunError, match=r"--sweep width: .*; here --sweep takes rate, leak$"):
        _required(("width=4,8", "rate=0.1,0.2"))


@pytest.mark.slow
def test_a_setting_on_which_nothing_depends_is_refused():
    with pytest.raises(RunError, match=r"--sweep unused: no number .*; here --sweep takes rate"):
        _required(("unused=0.1,0.2",))


def test_what_a_member_may_not_have_is_refused_in_the_words_of_the_model():
    with pytest.raises(ValueError, match=r"^the rate is 0\.5, which this model does not take$"):
        _required(("rate=0.1,0.5",))


def test_a_sweep_may_be_given_at_once_or_one_by_one():
    experiment = experiments.of(swept_experiment)
    ways = (
        ["--sweep", "rate=1e-3,1e-2", "leak=0.1,0.3"],
        ["--sweep", "rate=1e-3,1e-2", "--steps", "8", "--sweep=leak=0.1,0.3"],
    )
    one, other = (command_line.parse(experiment, arguments) for arguments in ways)
    assert one == other
    assert one.model_settings == {"rate": (1e-3, 1e-3, 1e-2, 1e-2), "leak": (0.1, 0.3, 0.1, 0.3)}
    seeds = dataclasses.replace(one, seed=5, seeds=2)
    assert seeds.model_seeds == (5, 6) * 4 and seeds.models == 8
    assert seeds.of_model(3) == dataclasses.replace(one, seed=6, sweep=(), rate=1e-3, leak=0.3)
    assert flags.gathered(["--steps", "8"], "sweep") == ["--steps", "8"]
    assert sweeps.count(setup.plain(seeds)) == 8


# --- what is written ------------------------------------------------------------------------------


def test_every_row_names_the_settings_of_its_members(swept):
    record = run_directory.required_record(swept)
    assert record["config"]["sweep"] == list(SWEEP)
    for row in toy_runs.rows(swept):
        members = metric_log.members(row)
        assert members is not None and members.labels == LABELS
        assert members.settings == {"rate": [0.001, 0.001, 0.01, 0.01], "leak": [0.1, 0.3] * 2}
        for name, values in members.numbers.items():
            assert row[name] == pytest.approx(np.mean(values), rel=1e-12)
        tags = metric_log.scalars(row)
        assert f"{next(iter(members.numbers))}/rate_0.01/leak_0.1" in tags
    (measured,) = filter(metric_log.is_measurement, toy_runs.rows(swept))
    assert measured["members"]["evaluation/swd"] == list(VALUES)
    said = (swept / "log.txt").read_text()
    assert "swd 3 (rate=0.001, leak=0.1), 1 (rate=0.001, leak=0.3), 2 (rate=0.01, leak=0.1)" in said


def test_the_progress_line_is_followed_by_one_for_each_setting():
    members = {"seed": [0, 1] * 2, "settings": {"rate": [1.0, 1.0, 2.0, 2.0]}}
    row = {"step": 1, "g/loss": 2.5, "members": {**members, "g/loss": [1.0, 2.0, 3.0, 4.0]}}
    assert progress.each(row) == ["  rate=1.0: loss 1.5", "  rate=2.0: loss 3.5"]
    assert progress.each({"step": 1, "g/loss": 2.5}) == []


# --- one member -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, r"holds 4 models, 0 \(rate=0.001, leak=0.1\), .*: say which, member=0$"),
        ({"member": 4}, "there is no member 4; expected 0 to 3$"),
        ({"member": "rate=0.01"}, r"2 members are rate=0.01; say one of: 0 \(rate"),
        ({"member": "rate=7"}, r"there is no member rate=7; say one of: 0 \(rate"),
        ({"member": "soon"}, "there is no member soon; say one of"),
        ({"seed": 1}, "holds no model of seed 1; it has seed 0$"),
        ({"seed": 0}, "holds 4 models, .* say which, member=0$"),
        ({"seed": 0, "member": 1}, "both seed=0 and member=1 name a model; give one$"),
    ],
)
def test_a_member_is_named_by_its_number_or_its_settings(asked, said, swept):
    with pytest.raises(RunError, match=said):
        jaxgan.load(swept, experiment=swept_experiment, **asked)
    text = "leak=0.3,rate=1e-2"
    assert sweeps.named(text, [0] * 4, swept_experiment.Config(sweep=SWEEP).model_settings) == 3


@pytest.fixture(scope="module")
def best(swept, tmp_path_factory):
    """The run of the best member, and what was said."""
    said = []
    out = tmp_path_factory.mktemp("best") / "run"
    extract.extract(extract.Config(swept, best="swd", out=out, experiment=FILE), say=said.append)
    return out, said


FILE = pathlib.Path(swept_experiment.__file__)


def test_the_best_member_becomes_a_run_of_its_own(best, swept):
    out, said = best
    assert said[0] == (
        "member 1, rate=0.001, leak=0.3, has the lowest swd at step 8: 1; others: 3 (rate=0.001, "
        "leak=0.1), 2 (rate=0.01, leak=0.1), 4 (rate=0.01, leak=0.3)"
    )
    model = jaxgan.load(out, experiment=swept_experiment)
    member = jaxgan.load(swept, member=1, experiment=swept_experiment)
    assert model.config == dataclasses.replace(member.config, workdir=str(out))
    assert_close(model.state, member.state, atol=0.0)
    for row, whole in zip(toy_runs.rows(out), toy_runs.rows(swept), strict=True):
        own = {name: values[1] for name, values in metric_log.members(whole).numbers.items()}
        assert {name: row[name] for name in own} == own
        assert "members" not in row
    assert jaxgan.load(out, experiment=swept_experiment, checkpoint="best").step == 8


@pytest.mark.slow  # two more programs
def test_it_goes_on_as_the_member_would_have(best, swept, data, tmp_path):
    out, _ = best
    fields = {"data": data, "steps": 12, "sample_every": 0, "evaluate": ("swd",)}
    together = tmp_path / "together"
    _copied(swept, together)
    train(together, **fields)
    alone = tmp_path / "alone"
    _copied(out, alone)
    train(alone, swept=(), rate=0.001, leak=0.3, **fields)
    member = jaxgan.load(together, member=1, experiment=swept_experiment)
    assert_close(member.state, jaxgan.load(alone, experiment=swept_experiment).state, atol=1e-5)


def _copied(run, to):
    """Copies the run, to be continued without evaluations."""
    shutil.copytree(run, to)
    record = json.loads((to / "config.json").read_text())
    record["config"] |= {"evaluate_every": 0, "workdir": str(to)}
    (to / "config.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "holds 4 models, and none is named: give one of --best METRIC, --member, --model-"),
        ({"best": "swd", "member": "1"}, "and --best and --member are given: give one of"),
        ({"best": "generator/loss"}, "has no number of this name .*; it has swd$"),
        ({"member": "9"}, "there is no member 9"),
    ],
)
def test_what_cannot_be_extracted_is_refused(asked, said, swept, tmp_path):
    config = extract.Config(swept, out=tmp_path / "out", experiment=FILE, **asked)
    with pytest.raises(RunError, match=said):
        extract.extract(config, say=pytest.fail)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_and_a_run_of_one_model_are_left_alone(best, swept, tmp_path):
    out, _ = best
    with pytest.raises(RunError, match="exists; choose another --out"):
        config = extract.Config(swept, member="0", out=tmp_path, experiment=FILE)
        extract.extract(config, say=pytest.fail)
    with pytest.raises(RunError, match="holds one model already"):
        extract.extract(extract.Config(out, member="0", experiment=FILE), say=pytest.fail)
