"""Inherited flags that an experiment has no use for: absent from its help, refused if given."""

from __future__ import annotations

import dataclasses
import importlib
import json

import pytest

from jaxgan.runs import command_line, experiments, flags, run_directory, setup

EXPERIMENTS = {
    name: importlib.import_module(f"experiments.{name}") for name in experiments.shipped()
}
REFUSED = [(name, field) for name, of in EXPERIMENTS.items() for field in of.Config.REFUSED]


def dashed(field):
    return "--" + field.replace("_", "-")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_what_is_refused_is_an_inherited_field_named_once(name):
    config_class = EXPERIMENTS[name].Config
    refused = config_class.REFUSED
    inherited = {
        field.name
        for base in config_class.__mro__[1:]
        if dataclasses.is_dataclass(base)
        for field in dataclasses.fields(base)
    }
    assert set(refused) <= inherited
    assert len(set(refused)) == len(refused)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_subclass_refuses_what_its_bases_refuse(name):
    config_class = EXPERIMENTS[name].Config
    for base in config_class.__mro__:
        assert set(getattr(base, "REFUSED", ())) <= set(config_class.REFUSED)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_help_lists_what_is_offered_and_nothing_that_is_refused(name, capsys):
    config_class = EXPERIMENTS[name].Config
    every = {field.name for field in dataclasses.fields(config_class)}
    offered = flags.offered(config_class)
    assert set(offered) == every - set(config_class.REFUSED)
    with pytest.raises(SystemExit) as ended:
        command_line.command(EXPERIMENTS[name], ["--help"])
    assert ended.value.code == 0
    listed = capsys.readouterr().out.replace("│", " ").replace(",", " ").split()
    assert {dashed(field) for field in config_class.REFUSED}.isdisjoint(listed)
    assert {"--steps", "--data", "--seed"} <= set(listed)


@pytest.mark.parametrize(("name", "field"), REFUSED)
def test_a_refused_flag_is_refused_in_one_sentence(name, field, tmp_path, capsys):
    workdir = tmp_path / "run"
    arguments = ["--workdir", str(workdir), dashed(field), "1"]
    assert command_line.command(EXPERIMENTS[name], arguments) == 2
    assert capsys.readouterr().err == f"error: {dashed(field)} has no effect here; leave it out\n"
    assert not workdir.exists()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_recorded_run_still_opens(name, tmp_path):
    """Runs recorded before a flag was refused have its field, with any value."""
    experiment = experiments.of(EXPERIMENTS[name])
    config = experiment.preset("smoke")
    if "flip" in config.REFUSED:
        config = dataclasses.replace(config, flip=True)
    record = {
        "experiment": experiment.record,
        "config": setup.plain(config),
        "data": {"shape": [28, 28, 1], "classes": [], "digest": ""},
        "environment": {},
    }
    (tmp_path / "config.json").write_text(json.dumps(record))
    assert run_directory.read_record(tmp_path) is not None
    reopened = command_line.parse(experiment, ["--workdir", str(tmp_path), "--steps", "8"])
    assert reopened == dataclasses.replace(config, workdir=str(tmp_path), steps=8)
