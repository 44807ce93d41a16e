"""Experiments: the shipped ones by name, the user's own only where the user names them."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import jaxgan
from experiments import dcgan
from jaxgan.runs import experiments
from jaxgan.runs.errors import RunError
from tests import toy_experiment, toy_runs

EVIL = "import pathlib\npathlib.Path({mark!r}).write_text('ran')\n"


@pytest.mark.parametrize("name", ["dcgan", "experiments.dcgan", "jaxgan.experiments.dcgan"])
def test_a_shipped_experiment_is_found_by_any_of_its_names(name):
    found = experiments.named(name)
    assert found.module is dcgan
    assert found.shipped
    assert found.record == {"module": "jaxgan.experiments.dcgan", "file": None}
    assert experiments.recorded({"module": name, "file": "/of/another/machine.py"}).module is dcgan


@pytest.fixture
def foreign(finished, tmp_path) -> tuple[pathlib.Path, pathlib.Path, pathlib.Path]:
    """A run directory of somebody else, the file that its record names, and what it would write."""
    run, mark, evil = tmp_path / "run", tmp_path / "mark", tmp_path / "run" / "evil.py"
    shutil.copytree(finished, run)
    evil.write_text(EVIL.format(mark=str(mark)))
    record = json.loads((run / "config.json").read_text())
    record["experiment"] = {"module": None, "file": str(evil)}
    (run / "config.json").write_text(json.dumps(record))
    return run, evil, mark


@pytest.mark.parametrize("tool", [None, "sample", "evaluate", "diagnose", "nearest", "latents"])
def test_a_run_directory_alone_never_runs_code(tool, foreign, capsys):
    run, evil, mark = foreign
    if tool is None:
        with pytest.raises(RunError) as refused:
            jaxgan.load(run)
        said = str(refused.value)
    else:
        from jaxgan import __main__ as command

        assert command.main([tool, str(run)]) == 2
        said = capsys.readouterr().err
    assert f"{evil}; its code is run only if you name it" in said
    assert not mark.exists()


def test_a_module_name_of_a_record_is_not_imported_either(foreign, tmp_path, monkeypatch):
    run, _, mark = foreign
    (tmp_path / "harmful.py").write_text(EVIL.format(mark=str(mark)))
    monkeypatch.syspath_prepend(tmp_path)
    record = json.loads((run / "config.json").read_text())
    for module in ("harmful", "jaxgan.experiments.harmful", "experiments.../harmful"):
        record["experiment"] = {"module": module, "file": str(tmp_path / "harmful.py")}
        (run / "config.json").write_text(json.dumps(record))
        with pytest.raises(RunError, match="only if you name it"):
            jaxgan.load(run)
    assert not mark.exists()


def own(folder: pathlib.Path) -> pathlib.Path:
    """A user's own experiment: the toy experiment in a file of its own, with a module beside it."""
    file = folder / "mine.py"
    (folder / "my_part.py").write_text("WIDTH = 4\n")
    text = pathlib.Path(toy_experiment.__file__).read_text()
    file.write_text(
        text.replace("import dataclasses\n", "import dataclasses\n\nimport my_part\n", 1)
    )
    return file


def test_an_experiment_of_ones_own_is_opened_where_it_is_named(data, tmp_path, capsys):
    file = own(tmp_path)
    made = experiments.named(file)
    from jaxgan.runs import training_run

    training_run.run(made, made.config_class(steps=2, data=data, workdir=str(tmp_path / "run")))
    model = jaxgan.load(tmp_path / "run", experiment=file)
    assert model.sample(0, 2).shape == (2, 4, 4, 1)
    assert "warning" not in capsys.readouterr().err
    file.write_text(file.read_text() + "\nMORE = 1\n")
    jaxgan.load(tmp_path / "run", experiment=file)
    assert capsys.readouterr().err == f"warning: {file} has changed since the run was made\n"
    with pytest.raises(RunError, match=r"the run was made by .*mine.py, not by"):
        jaxgan.load(tmp_path / "run", experiment=dcgan)


def test_a_program_with_a_package_called_experiments_uses_jaxgans_own(tmp_path):
    package = tmp_path / "experiments"
    package.mkdir()
    (package / "__init__.py").write_text("MINE = True\n")
    (package / "dcgan.py").write_text("raise AssertionError('not this one')\n")
    code = (
        "import experiments\n"
        "from jaxgan.runs import experiments as found\n"
        "assert experiments.MINE\n"
        "for name in ('dcgan', 'lsgan', 'progressive'):\n"
        "    module = found.named(name).module\n"
        "    assert module.__name__ == f'jaxgan.experiments.{name}', module\n"
        "assert 'dcgan' in found.shipped()\n"
    )
    paths = os.pathsep.join([str(tmp_path), str(toy_runs.ROOT)])
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        check=True,
        timeout=120,
    )
