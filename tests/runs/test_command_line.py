"""The command line: presets, the recorded flags of a run, and refusals of one sentence."""

from __future__ import annotations

import dataclasses
import pathlib
import subprocess
import sys

import pytest

from jaxgan.runs import command_line, experiments
from jaxgan.runs.config import RunConfig
from tests import toy_experiment, toy_runs


def test_help_and_the_package_import_no_jax():
    code = (
        "import sys, jaxgan\n"
        "from jaxgan import run\n"
        "from tests import toy_experiment\n"
        "try:\n"
        "    command_line.command(toy_experiment, ['--help'])\n"
        "except SystemExit as end:\n"
        "    assert not end.code\n"
        "print([m for m in ('jax', 'flax', 'optax', 'orbax', 'numpy') if m in sys.modules])\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", code],
        cwd=toy_runs.ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    assert "--steps-per-call" in output
    assert "Two tiny perceptrons" in output or "two tiny perceptrons" in output
    assert output.splitlines()[-1] == "[]"


def test_a_misspelt_flag_is_answered_by_the_right_one(capsys):
    with pytest.raises(SystemExit) as end:
        command_line.command(toy_experiment, ["--bach-size", "3"])
    assert end.value.code == 2
    assert "--batch-size" in capsys.readouterr().err


def parse(*arguments):
    return command_line.parse(experiments.of(toy_experiment), arguments)


def test_a_preset_gives_defaults_that_flags_replace():
    assert parse() == toy_experiment.Config()
    smoke = parse("--preset", "smoke", "--width", "5")
    assert smoke == toy_experiment.Config(preset="smoke", steps=6, width=5)
    assert parse("--preset=smoke") == toy_experiment.Config(preset="smoke", steps=6, width=4)


def test_a_run_directory_gives_defaults_that_flags_replace(finished, data):
    again = parse("--workdir", str(finished))
    assert again == toy_experiment.Config(workdir=str(finished), data=data, cache=False)
    longer = parse(f"--workdir={finished}", "--steps", "50")
    assert longer == dataclasses.replace(again, steps=50)
    afresh = parse("--workdir", str(finished), "--overwrite")
    assert afresh == toy_experiment.Config(workdir=str(finished), overwrite=True)


def test_every_common_flag_explains_itself():
    documented = pathlib.Path(command_line.__file__).read_text()
    for field in dataclasses.fields(RunConfig):
        assert f"    {field.name}: " in documented
        declaration = documented.split(f"    {field.name}: ")[1].splitlines()[1]
        assert declaration.strip().startswith('"""')


REFUSED = {
    "--preset paper": "toy_experiment has no preset 'paper'; it has quick, smoke",
    "--data rung": "expected one of fashion",
    "--data folder:nowhere": "nowhere",
    "--width 0": "the width is 0",
    "--steps 0": "--steps is 0; expected 1 or more",
    "--keep 0": "--keep is 0",
    "--steps 10 --steps-per-call 4": "no multiple of --steps-per-call 4; use 8 or 12",
    "--batch-size 12": "8 devices",
    "--batch-size 400": "fewer than one batch",
    "--batch-size 16 --n-critic 5": "fewer than the 80 that a step takes at --batch-size 16",
    "--init-from nowhere": "--init-from nowhere: there is no run in it",
}


@pytest.mark.parametrize("flags", REFUSED)
def test_what_cannot_start_is_refused_in_one_sentence_and_leaves_nothing(
    flags, data, tmp_path, capsys
):
    workdir = tmp_path / "new"
    given = [] if "--data" in flags else ["--data", data]
    arguments = [*given, "--workdir", str(workdir), "--no-cache", *flags.split()]
    assert command_line.command(toy_experiment, arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert REFUSED[flags] in captured.err
    assert captured.err.count("\n") == 1
    assert not workdir.exists()


def test_by_default_runs_are_named_by_experiment_and_date(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = toy_experiment.Config(steps=1, data=data, cache=False)
    first, second = (command_line.train(toy_experiment, config) for _ in range(2))
    assert first != second
    assert [path.parent for path in (first, second)] == [pathlib.Path("runs")] * 2
    assert first.name.startswith("toy_experiment-20")
