"""Runs made to fail in every way are told so, and what is healthy, or too short, is left alone."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest

import jaxgan
from jaxgan import data, files, parallel
from jaxgan.metrics.garments import mean_pairwise_distance
from jaxgan.runs import command_line as runner
from jaxgan.runs import run_directory, setup
from jaxgan.runs.errors import RunError, RunStopped
from jaxgan.tools import diagnose
from jaxgan.tools.diagnosis import checks, run_reader
from tests import failing_experiment, toy_runs
from tests.experiments import test_experiments

LINEAR = {"generator_hidden": (), "discriminator_hidden": (), "latent_size": 1}

# What makes each run fail, the kind of finding that must be among its findings, and the steps at
# which that must have begun at the latest.
FAILURES = {
    "collapsed": (
        {"generator_learning_rate": 1e-2, "discriminator_learning_rate": 1e-4},
        "collapsed",
        range(301),
    ),
    "generator too slow": (
        {"generator_learning_rate": 1e-6, "discriminator_learning_rate": 2e-3},
        "won",
        range(101),
    ),
    "discriminator wins": (
        {"loss": "minimax", "generator_learning_rate": 1e-4, "discriminator_learning_rate": 2e-3},
        "vanished",
        range(201),
    ),
    "overfits": (
        {
            "data": "few",
            "holdout": 0.75,
            "steps": 500,
            "checkpoint_every": 50,
            "keep": 10,
            "batch_size": 8,
            "n_critic": 2,
            "discriminator_hidden": (128, 128),
            "generator_learning_rate": 1e-3,
            "discriminator_learning_rate": 1e-3,
        },
        "overfits",
        range(200, 451),
    ),
    "draws a line": (  # a linear map of one number, which passes no more than half of a ring
        {
            "data": "ring",
            "generator_hidden": (),
            "latent_size": 1,
            "generator_learning_rate": 3e-3,
            "discriminator_learning_rate": 1e-2,
        },
        "modes lost",
        range(301),
    ),
    "discriminator too weak": (
        {"data": "ring", "generator_learning_rate": 1e-3, "discriminator_learning_rate": 1e-6},
        "blind",
        range(101),
    ),
    "circles": (
        {
            **LINEAR,
            "data": "gauss1d",
            "loss": "wasserstein",
            "steps": 600,
            "log_every": 5,
            "generator_learning_rate": 0.1,
            "discriminator_learning_rate": 0.1,
        },
        "oscillating",
        range(401),
    ),
}

USUAL_FAILURES = ("collapsed",)


def garments(path, count):
    """An archive of garments of 7x7 pixels."""
    images = data.load("fashion").train.images[:count].astype(float)  # type: ignore[attr-defined]
    small = images.reshape(count, 7, 4, 7, 4, 1).mean(axis=(2, 4)).round().astype(np.uint8)
    np.savez(path, images=small)
    return f"npz:{path}"


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archives")
    return {"many": garments(folder / "many.npz", 1200), "few": garments(folder / "few.npz", 80)}


def train(workdir, archives, *, data="many", **fields):
    """The run directory of a small GAN with these settings."""
    config = failing_experiment.Config(
        workdir=str(workdir), data=archives.get(data, data), **fields
    )
    return on_one_device(failing_experiment, config)


def on_one_device(module, config):
    """The run of the experiment, trained on one device: simulated ones share the cores."""
    mesh = parallel.data_mesh(jax.devices()[:1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parallel, "data_mesh", lambda devices=None: mesh)
        return runner.train(module, config)


def diagnosed(path, **options):
    return diagnose.diagnose(diagnose.Config(path, **options))


def kinds(report):
    return [found["kind"] for found in report["findings"]]


def the(kind, report):
    """The finding of a kind, which there is once."""
    (found,) = [found for found in report["findings"] if found["kind"] == kind]
    return found


# --- runs that fail -------------------------------------------------------------------------------


# Each is a training: the suite makes the failure that is met most, the slow target all.
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name not in USUAL_FAILURES))
        for name in FAILURES
    ],
)
def test_a_run_made_to_fail_is_told_so_since_when_and_what_to_do(name, archives, tmp_path):
    fields, kind, begins = FAILURES[name]
    path = train(tmp_path / "run", archives, **fields)
    report = diagnosed(path, batches=16 if kind == "overfits" else 0)
    found = the(kind, report)
    assert found["since"] in begins
    assert found["evidence"] and found["advice"]
    assert all(remedy["source"] for remedy in found["advice"])
    text = diagnose.text(report)
    assert found["what"] in text
    assert f"since step {found['since']}" in text
    assert report["not examined"] == {}
    told = [remedy["do"] for remedy in found["advice"]]
    if name == "generator too slow":
        assert "--generator-learning-rate" in told
    if name == "overfits":
        assert found["evidence"]["r_v"] >= 0.5 and "r_t" in found["evidence"]
        assert f"(r_t = {found['evidence']['r_t']:.2f})" in found["what"]
    if name == "discriminator wins":
        assert told[0] == "--loss non_saturating"
        assert the("won", report)["since"] <= found["since"]


def test_an_explosion_and_what_it_ended_in_are_told_without_a_checkpoint(archives, tmp_path):
    fields = {"loss": "wasserstein", "optimizer": "sgd", "log_every": 1, "steps_per_call": 1}
    rates = {"generator_learning_rate": 0.05, "discriminator_learning_rate": 0.05}
    with pytest.raises(RunStopped, match="is inf at step"):
        train(tmp_path / "run", archives, **fields, **rates)
    report = diagnosed(tmp_path / "run")
    assert kinds(report) == ["not finite", "exploded", "exploded"]
    ended, judge, _ = report["findings"]
    assert ended["since"] == report["step"] < report["steps"]
    assert judge["what"] == "The gradient of the discriminator has exploded."
    assert judge["since"] < ended["since"]
    assert report["not examined"] == {"what was learned": "there is no checkpoint"}


def test_a_run_that_dies_before_its_first_row_is_told_so(archives, tmp_path):
    rates = {"generator_learning_rate": 100.0, "discriminator_learning_rate": 100.0}
    with pytest.raises(RunStopped):
        train(tmp_path / "run", archives, loss="wasserstein", optimizer="sgd", **rates)
    report = diagnosed(tmp_path / "run")
    assert kinds(report) == ["not finite"]
    assert report["findings"][0]["since"] == 0
    assert set(report["not examined"]) == {"the course of training", "what was learned"}
    told = [remedy["do"] for remedy in report["findings"][0]["advice"]]
    assert "--discriminator-learning-rate" in told and "--init-from" not in told
    assert "--init-from" not in report["findings"][0]["what"]
    with run_directory.claim(tmp_path / "run"):  # as if it still ran
        assert kinds(diagnosed(tmp_path / "run")) == []
    (tmp_path / "run" / files.RUN_LOCK).touch()  # what kill -9 leaves
    assert kinds(diagnosed(tmp_path / "run")) == ["not finite"]


# --- runs that do not -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def healthy(archives, tmp_path_factory):
    """A run that learns: no column of its log, nor its samples, give reason to worry."""
    return train(
        tmp_path_factory.mktemp("runs") / "healthy",
        archives,
        steps=2000,
        log_every=40,
        checkpoint_every=500,
        generator_learning_rate=1e-3,
        discriminator_learning_rate=5e-4,
        generator_hidden=(64, 64),
        discriminator_hidden=(64, 64),
    )


def test_nothing_is_found_in_a_healthy_run(healthy, capsys):
    assert diagnose.main([str(healthy), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["findings"] == [] and report["not examined"] == {}
    assert report["step"] == report["steps"] == 2000
    assert (report["verdict"], report["because"]) == ("nothing wrong was found", [])
    assert report["looked at"]["the samples"].endswith("examples, pixel by pixel")
    assert set(report["looked at"]) == {
        "the course of training",
        "the samples",
        "whether the discriminator overfits",
    }
    seen = report["numbers"]
    assert seen["coverage"] > 0.6 * seen["real_coverage"]
    assert 0.5 < seen["discriminator/real_accuracy"] < 0.98
    assert abs(seen["discriminator/real_logit, known"]) < 5
    assert "steps: nothing wrong was found in what was examined" in diagnose.text(report)
    assert report["looked at"]["the samples"] in diagnose.text(report)


def test_an_earlier_checkpoint_can_be_asked_for(healthy):
    early, late = (diagnosed(healthy, checkpoint=step, batches=0) for step in ("1000", "2000"))
    assert early["numbers"]["coverage"] != late["numbers"]["coverage"]
    with pytest.raises(RunError, match="no checkpoint 7"):
        diagnosed(healthy, checkpoint="7")


def test_a_run_too_short_to_judge_is_told_so(finished):
    report = diagnosed(finished)
    assert report["findings"] == [] and report["verdict"] == "too early to judge"
    assert "24 of 24 steps: too early to judge: the log has 5 rows" in diagnose.text(report)
    assert "nothing wrong" not in diagnose.text(report)
    assert report["not examined"] == {
        "the course of training": "the log has 5 rows, too few to judge; 10 are needed",
        "what was learned": "24 steps are too few to judge; 200 are needed",
    }


def test_data_that_have_changed_leave_the_log(healthy, archives, tmp_path):
    path = shutil.copytree(healthy, tmp_path / "copy")
    record = json.loads((path / "config.json").read_text())
    record["data"]["digest"] = "0" * 64
    (path / "config.json").write_text(json.dumps(record))
    report = diagnosed(path)
    assert report["findings"] == [] and "discriminator/gradient_norm" in report["numbers"]
    assert "have changed" in report["not examined"]["what was learned"]
    assert report["verdict"] == "cannot be judged by this"
    assert "have changed" in report["because"][0] in diagnose.text(report)


def test_what_is_no_run_is_refused_in_a_sentence(tmp_path, capsys):
    assert diagnose.main([str(tmp_path)]) == 2
    assert "is no run directory" in capsys.readouterr().err
    with pytest.raises(RunError, match="--samples is 5; expected 10 or more"):
        diagnosed(tmp_path, samples=5)
    with pytest.raises(RunError, match="--batches is 1; expected 0, or 2 or more"):
        diagnosed(tmp_path, batches=1)
    with pytest.raises(RunError, match="--samples is 1000000000000; expected 50000 or less"):
        diagnosed(tmp_path, samples=10**12)


@pytest.mark.slow
def test_nothing_is_found_in_a_healthy_dcgan(tmp_path):
    dcgan = importlib.import_module("experiments.dcgan")
    config = dcgan.Config(
        workdir=str(tmp_path / "run"), steps=1500, width=16, sample_every=0, log_every=25
    )
    report = diagnosed(on_one_device(dcgan, config), jacobian=True)
    assert report["findings"] == []
    assert "params, and a Jacobian of" in report["not examined"]["the game's Jacobian"]


@pytest.mark.slow
def test_images_of_a_model_that_knows_three_kinds_of_ten_have_lost_modes(tmp_path):
    dcgan = importlib.import_module("experiments.dcgan")
    fashion = data.load("fashion").train
    images, labels = fashion.images, fashion.labels  # type: ignore[attr-defined]
    np.savez(tmp_path / "three.npz", images=images[np.isin(labels, (1, 4, 9))])
    common = {"width": 16, "sample_every": 0, "log_every": 25}
    three = dcgan.Config(
        workdir=str(tmp_path / "three"), data=f"npz:{tmp_path / 'three.npz'}", steps=1500, **common
    )
    known = on_one_device(dcgan, three)
    assert diagnosed(known)["findings"] == []
    stuck = {"generator_learning_rate": 1e-9, "discriminator_learning_rate": 1e-9}
    ten = dcgan.Config(
        workdir=str(tmp_path / "ten"), init_from=str(known), steps=300, **common, **stuck
    )
    found = the("modes lost", diagnosed(on_one_device(dcgan, ten)))
    assert found["evidence"]["real examples that are of them"] > 0.1
    assert "jaxgan.nn.packing.Packed" in [remedy["do"] for remedy in found["advice"]]


# --- every model ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", test_experiments.EXPERIMENTS)
def test_a_run_of_every_experiment_can_be_examined(name, tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "LEAST_STEPS", 1)
    path = test_experiments.smoke(name, tmp_path / "run")
    report = diagnosed(path, samples=50, batches=2)
    assert diagnose.text(report)
    assert "what was learned" not in report["not examined"]


@pytest.mark.slow
def test_a_member_of_a_population_is_examined_as_a_run_of_its_own(archives, tmp_path):
    path = train(tmp_path / "both", archives, data="ring", steps=200, seeds=2)
    with pytest.raises(RunError, match="of the seeds 0, 1: say which, --model-seed 0"):
        diagnosed(path)
    seen = diagnosed(path, model_seed=1, batches=0)["numbers"]
    last = json.loads((path / "metrics.jsonl").read_text().splitlines()[-1])["members"]
    name = "discriminator/real_accuracy"
    assert seen[name] == last[name][1] != last[name][0]
    model = jaxgan.load(path, seed=1)
    spread = mean_pairwise_distance(np.asarray(model.sample(0, 1000)))
    real = run_reader.sides(setup.load_data(model.config), 1000).known
    ratio = seen["distance of two samples over that of real ones"]
    assert ratio == pytest.approx(spread / mean_pairwise_distance(real), rel=1e-6)


# --- the game's Jacobian --------------------------------------------------------------------------


@pytest.mark.slow
def test_the_jacobian_of_linear_players_turns_and_does_not_shrink(archives, tmp_path):
    path = train(
        tmp_path / "run",
        archives,
        **{**LINEAR, "data": "gauss1d", "loss": "wasserstein", "steps": 200, "shared_noise": True},
    )
    report = diagnosed(path, batches=0, jacobian=True)
    seen = report["numbers"]
    # The fake logit is psi * (scale * z + theta) + bias: bilinear, with the pair (psi, theta).
    assert seen["Jacobian: params"] == 4
    listed = [complex(*seen[f"Jacobian: eigenvalue {number}"]) for number in range(1, 5)]
    assert np.real(listed) == pytest.approx(0, abs=1e-6)
    assert sorted(np.imag(listed)) == pytest.approx([-1, 0, 0, 1], abs=0.1)
    assert seen["Jacobian: largest imaginary part"] == pytest.approx(1, abs=0.1)
    assert seen["Jacobian: largest stable step, at once"] == 0
    assert seen["Jacobian: largest stable step, in turn"] == 0
    never, own = report["remarks"]
    assert "no learning rate of plain gradient descent, however small, is stable" in never
    assert "(discriminator 0.0002, generator 0.0002; in turn), in plain gradient descent" in own
    assert own.endswith("are not stable.")
    text = diagnose.text(report)
    assert never in text and own in text
    assert json.loads(json.dumps(report)) == report


def test_help_is_there_without_importing_jax():
    command = [sys.executable, "-X", "importtime", "-m", "jaxgan.tools.diagnose", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=toy_runs.ROOT)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "--jacobian" in done.stdout
    assert "jax" not in imported
