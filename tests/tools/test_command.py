"""What is asked of a finished run on the command line is answered, or refused in one sentence."""

from __future__ import annotations

import importlib

import pytest

from tests import toy_runs

COMMANDS = (
    "experiments.evaluation.infogan_codes",
    "experiments.evaluation.encodings",
    "experiments.evaluation.garment_classes",
    "experiments.evaluation.garment_captions",
    "experiments.evaluation.garment_translations",
    "experiments.evaluation.semisupervised_error",
    "experiments.evaluation.super_resolution",
    "jaxgan.tools.diagnose",
    "jaxgan.tools.directions",
    "jaxgan.tools.evaluate",
    "jaxgan.tools.explore",
    "jaxgan.tools.latents",
    "jaxgan.tools.report",
)
ABLE = ("experiments.evaluation.infogan_codes", "jaxgan.tools.report")
"""These take a run of several models as it is."""


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
    program = f"python -m {name}"
    if name.startswith("jaxgan.tools."):
        program = f"jaxgan {name.rpartition(chr(46))[2]}"
    assert f"usage: {program} " in said
    assert module.__doc__.split("\n", 1)[0].split()[-1] in said


@pytest.mark.parametrize("name", (*COMMANDS, "jaxgan.tools.translate"))
def test_the_help_says_how_to_name_one_model_of_a_run(name, capsys):
    with pytest.raises(SystemExit):
        importlib.import_module(name).main(["--help"])
    said = capsys.readouterr().out
    assert "--checkpoint" in said and "--model-seed" in said


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """A run of two seeds."""
    return toy_runs.recorded(tmp_path_factory.mktemp("runs") / "several", seeds=2)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ABLE])
def test_a_run_of_several_models_is_answered_by_the_flag_that_names_one(name, several, capsys):
    main = importlib.import_module(name).main
    assert main([str(several)]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "say which" in said and "--model-seed" in said and "seed=" not in said
    assert main([str(several), "--model-seed", "7"]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "seeds 0, 1" in said


def test_the_score_of_few_labels_still_takes_the_member_as_seed(several, capsys):
    from experiments.evaluation import semisupervised_error

    assert semisupervised_error.main([str(several), "--seed", "7"]) == 2
    assert "holds no model of seed 7" in capsys.readouterr().err
