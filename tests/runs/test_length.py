"""The length of a run in steps, images or minutes: resolved once, never by a clock again."""

from __future__ import annotations

import json

import pytest

from jaxgan.games import stages
from jaxgan.runs import command_line, estimate, experiments, length, setup
from jaxgan.runs.config import DataSpec
from jaxgan.runs.errors import RunError
from tests import staged_experiment, toy_experiment, toy_runs

SECONDS = 2.5  # a train step, by the clock of these tests


@pytest.fixture
def slow_steps(monkeypatch):
    """Every train step is measured to take 2.5 seconds; returns how often that happened."""
    measured = []

    def after(self, step, now):
        measured.append(step)
        return SECONDS if len(measured) % 3 == 0 else None

    monkeypatch.setattr(estimate.Speed, "after", after)
    monkeypatch.setattr(toy_experiment.Config, "falls_to_the_end", True)
    return measured


def recorded(path):
    return json.loads((path / "config.json").read_text())["config"]


@pytest.mark.parametrize(
    ("text", "count"),
    [("50_000", 50_000), ("250k", 250_000), ("1M", 1_000_000), ("1.5M", 1_500_000), (7, 7)],
)
def test_a_number_of_images_is_read(text, count):
    assert length.parse_images(text) == count


@pytest.mark.parametrize("text", ["", "1m", "0", "0k", "1.5", "-3", "many", "_5", "1kM", "1e6"])
def test_what_is_no_number_of_images_is_refused(text):
    with pytest.raises(RunError, match=r"--images is .*; expected a number such as 50_000, 250k"):
        length.parse_images(text)


@pytest.mark.parametrize(
    ("images", "per_call", "steps"),
    [(1, 1, 1), (16, 1, 1), (17, 1, 2), (64, 1, 4), (65, 2, 6), (80, 1, 6), (82, 1, 7)],
)
def test_images_are_counted_over_stages_of_different_batches(images, per_call, steps):
    def build(axis_name=None):
        raise AssertionError("nothing is to be built")

    plan = [stages.Stage(0, 16, build), stages.Stage(4, 8, build), stages.Stage(6, 2, build)]
    assert stages.steps_showing(plan, images, per_call=per_call) == steps


def steps_of(module=toy_experiment, **fields):
    spec = DataSpec((4, 4, 1))
    return length.of_images(experiments.of(module), module.Config(**fields), spec).steps


def test_images_become_the_steps_that_show_them():
    assert steps_of(n_critic=2, images="1k") == 63  # of 16 images
    assert steps_of(n_critic=2, images="1k", steps_per_call=10) == 70
    assert steps_of(images=1) == 1
    # 8 steps of 16 images, then of 8.
    assert steps_of(staged_experiment, images=200) == 8 + 9
    config = toy_experiment.Config(images="1k", steps=63)
    assert length.note_on_images(config) == "1,000 images (--images) are 63 train steps"


def test_a_run_of_so_many_minutes_is_the_run_of_its_steps_to_the_bit(
    slow_steps, data, tmp_path, capsys
):
    # 0.5 minutes are 12 steps of 2.5 seconds.
    timed = toy_runs.train(tmp_path / "timed", data=data, minutes=0.5)
    counted = toy_runs.train(tmp_path / "counted", data=data, steps=12)
    toy_runs.assert_same(timed, counted)
    assert recorded(timed)["steps"] == 12 and recorded(timed)["minutes"] == 0.5
    note = (
        "measured 2.5 seconds a train step: 0.5 minutes (--minutes) are 12 steps, without "
        "compiling, pictures, checkpoints and evaluations"
    )
    assert note in (timed / "log.txt").read_text().splitlines()
    # The same command again measures nothing, and so does a larger number of steps.
    del slow_steps[:]
    before = toy_runs.snapshot(timed)
    toy_runs.train(timed, data=data, minutes=0.5)
    assert toy_runs.snapshot(timed) == before and not slow_steps
    with pytest.raises(RunError, match=r"--minutes 1 becomes .* begun with 12 steps; use a larger"):
        toy_runs.train(timed, data=data, minutes=1)


def test_a_run_of_minutes_that_stopped_before_its_first_checkpoint_keeps_its_steps(
    slow_steps, data, tmp_path
):
    with pytest.raises(RunError):
        toy_runs.train(tmp_path, data=data, minutes=0.5, break_at=5)
    record = json.loads((tmp_path / "config.json").read_text())
    assert record["config"]["steps"] == 12
    config = toy_experiment.Config(minutes=0.5, steps=99)
    assert setup.as_begun(config, record, tmp_path).steps == 12


@pytest.mark.parametrize(("minutes", "steps"), [(0.01, 5), (0.5, 10), (0.7, 15)])
def test_minutes_become_whole_calls_and_at_least_one(minutes, steps):
    config = toy_experiment.Config(minutes=minutes, steps_per_call=5)
    assert length.of_minutes(config, SECONDS)[0].steps == steps


def test_minutes_of_stages_are_refused(data, tmp_path):
    config = staged_experiment.Config(minutes=1, data=data, workdir=str(tmp_path / "run"))
    with pytest.raises(RunError, match=r"3 stages of different speed; use --images or --steps"):
        command_line.train(staged_experiment, config)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("first", ["--steps 5", "--minutes 3"])
@pytest.mark.parametrize("second", ["--minutes=4", "--images=1M"])
def test_only_one_length_is_taken(first, second, tmp_path, capsys):
    if first.split()[0] == second.split("=")[0]:
        return
    arguments = ["--workdir", str(tmp_path / "run"), *first.split(), second]
    assert command_line.command(toy_experiment, arguments) == 2
    names = f"{first.split()[0]} and {second.split('=')[0]}"
    said = f"error: {names} are given, and each sets the length of the run; give one of them\n"
    assert capsys.readouterr().err == said


def test_both_in_a_program_are_refused():
    with pytest.raises(RunError, match="--minutes and --images are given"):
        setup.check_numbers(toy_experiment.Config(minutes=1.0, images="1k"))


def test_a_length_replaces_the_recorded_one(data, tmp_path):
    path = toy_runs.train(tmp_path, data=data, images="80")
    toy = experiments.of(toy_experiment)
    assert "80 images (--images) are 10 train steps" in (path / "log.txt").read_text()
    assert recorded(path)["steps"] == 10 and recorded(path)["images"] == "80"
    again = command_line.parse(toy, ["--workdir", str(path)])
    assert (again.steps, again.images) == (10, "80")
    longer = command_line.parse(toy, ["--workdir", str(path), "--steps", "12"])
    assert (longer.steps, longer.images) == (12, None)
    toy_runs.train(path, data=data, images="80")  # finished
    with pytest.raises(RunError, match=r"--images 96 becomes .* begun with 10 steps"):
        toy_runs.train(path, data=data, images=96)
    assert recorded(toy_runs.train(path, data=data, steps=12))["images"] is None
