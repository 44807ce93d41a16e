"""What is asked of a finished run on the command line is answered, or refused in one sentence."""

from __future__ import annotations

import importlib

import pytest

COMMANDS = (
    "experiments.codes",
    "experiments.encodings",
    "experiments.judge",
    "experiments.judge_captions",
    "experiments.judge_translations",
    "experiments.semisupervised_score",
    "experiments.super_resolution",
    "jaxgan.diagnose",
    "jaxgan.evaluate",
    "jaxgan.latents",
)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_folder_that_is_no_run_is_refused_in_one_sentence(name, tmp_path, capsys):
    assert importlib.import_module(name).main([str(tmp_path)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("error: ")
    assert str(tmp_path) in said[0]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_names_the_command_and_says_what_it_does(name, capsys):
    module = importlib.import_module(name)
    with pytest.raises(SystemExit) as end:
        module.main(["--help"])
    assert end.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"usage: python -m {name} " in said
    assert module.__doc__.split("\n", 1)[0].split()[-1] in said
