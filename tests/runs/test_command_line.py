"""The command line: presets, the recorded flags of a run, and refusals of one sentence."""

from __future__ import annotations

import dataclasses
import io
import json
import pathlib
import subprocess
import sys

import pytest

import jaxgan
from jaxgan import files
from jaxgan.runs import command_line, config, errors, experiments, progress, run_directory
from jaxgan.runs.config import RunConfig
from jaxgan.runs.errors import RunError
from jaxgan.tools import (
    command,
    diagnose,
    evaluate,
    export,
    interpolate,
    latents,
    nearest,
    project,
    report,
    sample,
    translate,
)
from tests import toy_experiment, toy_runs


def test_help_and_the_package_import_no_jax():
    code = (
        "import sys, jaxgan\n"
        "from jaxgan.runs import command_line\n"
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
    for wrong, right in (
        ("--bach-size", "--batch-size"),
        ("--epochs", "--steps"),
        ("--image-size", "--resolution"),
    ):
        assert command_line.command(toy_experiment, [wrong, "3"]) == 2
        said = f"error: there is no flag {wrong}; did you mean {right}?\n"
        assert capsys.readouterr().err == said


def parse(*arguments):
    return command_line.parse(experiments.of(toy_experiment), arguments)


def test_a_preset_gives_defaults_that_flags_replace():
    assert parse() == toy_experiment.Config()
    smoke = parse("--preset", "smoke", "--width", "5")
    assert smoke == toy_experiment.Config(preset="smoke", steps=6, width=5)
    assert parse("--preset=smoke") == toy_experiment.Config(preset="smoke", steps=6, width=4)


def test_a_run_directory_gives_defaults_that_flags_replace(finished, data):
    again = parse("--workdir", str(finished))
    decided = {"convolutions": "auto"}  # when the run began, by its length
    begun = toy_experiment.Config(workdir=str(finished), data=data, cache=False, **decided)
    assert again == begun
    longer = parse(f"--workdir={finished}", "--steps", "50")
    assert longer == dataclasses.replace(again, steps=50)
    afresh = parse("--workdir", str(finished), "--overwrite")
    assert afresh == toy_experiment.Config(workdir=str(finished), overwrite=True)


def test_every_common_flag_explains_itself():
    documented = pathlib.Path(config.__file__).read_text()
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
    "--grid 8": "--grid is 8; expected rows x columns from 1 to 100, such as 8x10",
    "--grid 0x3": "--grid is 0x3; expected",
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


# --- tools that look at a finished run ------------------------------------------------------------

TOOLS = {
    "sample": sample,
    "evaluate": evaluate,
    "diagnose": diagnose,
    "nearest": nearest,
    "project": project,
    "report": report,
    "latents": latents,
    "interpolate": interpolate,
    "translate": translate,
    "export": export,
}
NEEDED = {
    "translate": ["x.png", "--out", "out"],
    "export": ["--out", "out"],
    "project": ["x.png"],
}
"""What a command needs next to the run."""


@dataclasses.dataclass(frozen=True)
class Asked:
    """Nothing."""


def answered(act):
    return command.answer(Asked, act, program="tests", description=None, arguments=[])


def failing(error):
    def act(asked):
        raise error

    return act


@pytest.mark.parametrize("name", TOOLS)
def test_ctrl_c_ends_every_tool_in_one_line(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command.OfRun, "load", failing(KeyboardInterrupt()))
    monkeypatch.setattr(run_directory, "required_record", failing(KeyboardInterrupt()))
    monkeypatch.chdir(tmp_path)
    assert TOOLS[name].main(["RUN", *NEEDED.get(name, [])]) == 130
    assert capsys.readouterr().err == "interrupted; what was written before stays\n"


def test_what_the_system_refuses_is_one_sentence_and_so_is_what_a_run_says(capsys):
    missing = FileNotFoundError(2, "No such file or directory", "a\udcff.pth")
    for error, code, said in (
        (missing, 2, "error: a\\xff.pth: no such file or directory"),
        (ValueError("no such metric"), 2, "error: no such metric"),
        (errors.RunStopped("a full disk"), 1, "error: a full disk"),
        (errors.Interrupted("saved", code=143), 143, "saved"),
    ):
        assert answered(failing(error)) == code
        assert capsys.readouterr().err == f"{said}\n"


def test_names_that_are_no_utf_8_can_be_printed_and_others_stay():
    assert files.printable("K\u00f6ln/\u732b.png") == "K\u00f6ln/\u732b.png"
    assert files.printable(pathlib.Path("a\udcff.png")) == "a\\xff.png"


def test_what_a_run_says_has_one_line_for_each_of_its_own_and_can_be_encoded(tmp_path, capsys):
    progress.say("training in a\udcff\u2028b\nand c", tmp_path / "log.txt")
    said = "training in a\\xff\\u2028b\nand c\n"
    assert capsys.readouterr().out == (tmp_path / "log.txt").read_text() == said


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_console_that_cannot_encode_a_character_gets_it_escaped(encoding, monkeypatch):
    printed = {"stdout": io.BytesIO(), "stderr": io.BytesIO()}
    for name, buffer in printed.items():
        stream = io.TextIOWrapper(buffer, encoding=encoding, errors="strict")
        monkeypatch.setattr(sys, name, stream)
    assert answered(lambda asked: print("\u732b \udcff")) == 0
    assert answered(failing(ValueError("\u732b \udcff"))) == 2
    for name, buffer in printed.items():
        stream = getattr(sys, name)
        stream.flush()
        assert stream.errors == "strict"
        said = buffer.getvalue().decode(encoding).removeprefix("error: ")
        assert said == ("\u732b \\udcff\n" if encoding == "utf-8" else "\\u732b \\udcff\n")


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder to work in, with the runs flowers and faces-20260101-120000 in runs/."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "notes").mkdir(parents=True)
    for name in ("flowers", "faces-20260101-120000"):
        toy_runs.recorded(tmp_path / "runs" / name)
    return tmp_path


MISTYPED = {
    "runs/flwers": "no run directory at runs/flwers; did you mean runs/flowers?",
    "runs/Flowers2": "no run directory at runs/Flowers2; did you mean runs/flowers?",
    "rns/flowrs": "no run directory at rns/flowrs; did you mean runs/flowers?",
    "flower": "no run directory at flower; did you mean runs/flowers?",
    "runs/faces": "no run directory at runs/faces; did you mean runs/faces-20260101-120000?",
    "runs": (
        "runs is no run directory: it has no config.json of a run; "
        "did you mean runs/faces-20260101-120000 or runs/flowers?"
    ),
    "runs/flowers/checkpoints": (
        "no run directory at runs/flowers/checkpoints; did you mean runs/flowers?"
    ),
    "runs/note": "no run directory at runs/note",
    "elsewhere/entirely": "no run directory at elsewhere/entirely",
}


@pytest.mark.parametrize("path", MISTYPED)
def test_a_mistyped_run_is_answered_by_the_right_one(path, shelf):
    with pytest.raises(RunError) as caught:
        jaxgan.load(path)
    assert str(caught.value) == MISTYPED[path]


def test_every_tool_answers_a_mistyped_run(shelf, capsys):
    for name, tool in TOOLS.items():
        assert tool.main(["runs/flwers", *NEEDED.get(name, [])]) == 2
        assert capsys.readouterr().err == f"error: {MISTYPED['runs/flwers']}\n"


def test_a_damaged_record_is_still_the_run_that_is_meant(shelf):
    (shelf / "runs" / "flowers" / "config.json").write_text("{")
    assert run_directory.suggestion(pathlib.Path("runs/flwers")) == "; did you mean runs/flowers?"
    (shelf / "runs" / "flowers" / "config.json").write_text(json.dumps({"name": "another's"}))
    assert run_directory.suggestion(pathlib.Path("runs/flwers")) == ""
