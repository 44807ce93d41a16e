"""The command `jaxgan`: lists experiments, starts what it names, and suggests what was meant."""

from __future__ import annotations

import subprocess
import sys

import pytest

import jaxgan
from jaxgan import __main__ as command
from jaxgan.runs import experiments
from tests import toy_runs


def test_every_experiment_is_listed_with_one_line(capsys):
    assert command.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(experiments.shipped())
    assert {"dcgan", "cyclegan", "progressive"} <= {line.split()[0] for line in lines}
    assert all(len(line.split()) > 3 for line in lines)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["evalute"], "there is no command 'evalute'; did you mean evaluate?"),
        (["zzz"], "there is no command 'zzz'; expected one of list, train, launch, data, "),
        (["train", "dcgn"], "there is no experiment 'dcgn'; did you mean dcgan?"),
        (["train", "dcgan", "--widht", "3"], "there is no flag --widht; did you mean --width?"),
        (["train", "nowhere.py"], "there is no experiment nowhere.py"),
    ],
)
def test_a_misspelled_name_is_answered_by_the_nearest(arguments, said, capsys):
    assert command.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {said}")
    assert error.count("\n") == 1


def test_without_a_command_it_explains_itself(capsys):
    assert command.main([]) == 0
    out = capsys.readouterr().out
    assert all(f"jaxgan {name}" in out for name in command.COMMANDS)
    assert command.main(["train"]) == 0
    assert "dcgan" in capsys.readouterr().out


def test_its_version_is_the_packages(capsys):
    assert command.main(["--version"]) == 0
    assert capsys.readouterr().out == f"jaxgan {jaxgan.__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_completes_commands_experiments_and_flags(shell, capsys):
    with pytest.raises(SystemExit) as end:
        command.main(["--completion", shell])
    assert not end.value.code
    script = capsys.readouterr().out
    assert all(word in script for word in ("evaluate", "dcgan", "generator-learning-rate"))


def test_help_imports_no_jax():
    code = (
        "import sys\n"
        "from jaxgan import __main__\n"
        "for arguments in (['list'], ['train'], ['--help']):\n"
        "    __main__.main(arguments)\n"
        "for arguments in (['train', 'dcgan', '--help'], ['data', 'show', '--help']):\n"
        "    try:\n"
        "        __main__.main(arguments)\n"
        "    except SystemExit as end:\n"
        "        assert not end.code\n"
        "sys.exit('jax' in sys.modules)\n"
    )
    program = [sys.executable, "-c", code]
    subprocess.run(program, cwd=toy_runs.ROOT, capture_output=True, check=True, timeout=120)
