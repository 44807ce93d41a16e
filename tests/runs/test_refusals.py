"""What a run refuses to go on with, touching nothing."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import types

import pytest

from jaxgan.runs import command_line, run_directory, setup
from jaxgan.runs.config import MAY_CHANGE, RunConfig
from jaxgan.runs.errors import RunError
from tests import toy_experiment, toy_runs

CHANGED = {
    "batch_size": 16,
    "seed": 1,
    "seeds": 2,
    "resolution": "8",
    "resize": "pad",
    "crop": "3",
    "load": "8",
    "flip": True,
    "channels": 3,
    "steps_per_call": 2,
    "parallel": "pmap",
    "preset": "smoke",
    "init_from": "elsewhere",
    "first_stage": 2,
    "width": 9,
    "n_critic": 2,
    "hidden": (3, 4),
    "break_at": 3,
    "transform": "image=standardize",
    "range": "0,9",
    "precision": "bf16",
    "sweep": ("width=4,9",),
}


def test_every_field_either_may_change_or_is_tried_here():
    fields = {field.name for field in dataclasses.fields(toy_experiment.Config)}
    # These go with --init-from alone: tests of fine-tuning change them.
    assert fields == CHANGED.keys() | MAY_CHANGE | {"freeze", "init_optimizer"}


@pytest.mark.parametrize("field", CHANGED)
def test_a_changed_setting_is_refused_with_both_values(field, finished, data):
    before = toy_runs.snapshot(finished)
    with pytest.raises(RunError) as caught:
        toy_runs.train(finished, **{"data": data, field: CHANGED[field], "steps": 50})
    recorded = json.loads(before[pathlib.Path("config.json")])["config"][field]
    expected = f"--{field.replace('_', '-')} {recorded} and cannot go on with"
    assert expected in str(caught.value)
    assert str(setup.plain(toy_experiment.Config(**{field: CHANGED[field]}))[field]) in str(
        caught.value
    )
    assert toy_runs.snapshot(finished) == before


def test_changed_data_are_refused(data, tmp_path):
    here = toy_runs.images(tmp_path / "images.npz")
    toy_runs.train(tmp_path / "run", data=here, steps=2)
    toy_runs.images(tmp_path / "images.npz", seed=1)
    with pytest.raises(RunError, match="the data have changed since the run began: their digest"):
        toy_runs.train(tmp_path / "run", data=here, steps=4)
    toy_runs.images(tmp_path / "images.npz")
    toy_runs.train(tmp_path / "run", data=here, steps=4)


def test_other_data_and_another_share_of_them_are_refused(data, finished):
    before = toy_runs.snapshot(finished)
    with pytest.raises(RunError, match=r"--data ring holds other data than .*, npz:.*their shape"):
        toy_runs.train(finished, data="ring", steps=50)
    with pytest.raises(RunError, match="the data have changed since the run began: their digest"):
        toy_runs.train(finished, data=data, holdout=0.5, steps=50)
    assert toy_runs.snapshot(finished) == before


def test_a_run_of_another_experiment_is_refused(finished, capsys):
    other = types.ModuleType("other")
    other.Config, other.build, other.__file__ = RunConfig, toy_experiment.build, "other.py"
    before = toy_runs.snapshot(finished)
    assert command_line.command(other, ["--workdir", str(finished)]) == 2
    assert "is a run of tests.toy_experiment; choose another" in capsys.readouterr().err
    assert toy_runs.snapshot(finished) == before


def test_a_finished_run_says_so_and_does_nothing(finished, data, capsys):
    before = toy_runs.snapshot(finished)
    assert toy_runs.train(finished, data=data) == finished
    assert f"{finished} is finished at step 24" in capsys.readouterr().out
    toy_runs.train(finished, data=data, steps=10)
    assert toy_runs.snapshot(finished) == before


def test_a_directory_with_something_else_in_it_is_refused(data, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(RunError, match=r"is no run directory but holds 'thesis.tex'"):
            toy_runs.train(tmp_path, data=data, overwrite=overwrite)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_directory_that_cannot_be_made_is_refused(data, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written to: not a directory"):
        toy_runs.train(tmp_path / "file" / "run", data=data)


def test_two_processes_do_not_run_in_one_directory(finished, data):
    with (
        run_directory.claim(finished),
        pytest.raises(RunError, match="another process is running in"),
    ):
        toy_runs.train(finished, data=data, steps=50)


def test_a_damaged_record_is_refused(data, tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(RunError, match=r"config.json cannot be read"):
        toy_runs.train(tmp_path, data=data)
