"""Ranges: every number of every configuration has one, and what is outside of it is refused."""

from __future__ import annotations

import dataclasses
import math
import typing
from typing import Annotated

import pytest

from jaxgan.runs import command_line, experiments, ranges
from jaxgan.runs.ranges import Range


@dataclasses.dataclass(frozen=True)
class Base:
    width: ranges.Positive = 3
    dropout: ranges.Decay = 0.5
    sizes: tuple[ranges.Positive, ...] = (1, 2)
    limit: Annotated[int | None, Range(1)] = None
    name: str = "any"


@dataclasses.dataclass(frozen=True)
class Derived(Base):
    width: int = 5


@pytest.mark.parametrize(
    ("changes", "outside"),
    [
        ({}, []),
        ({"width": 0}, [("width", 0)]),
        ({"dropout": 1.0}, [("dropout", 1.0)]),
        ({"dropout": -0.2}, [("dropout", -0.2)]),
        ({"dropout": math.nan}, [("dropout", math.nan)]),
        ({"sizes": (3, 0, -1)}, [("sizes", 0), ("sizes", -1)]),
        ({"limit": 0}, [("limit", 0)]),
    ],
)
def test_numbers_outside_of_their_range_are_found(changes, outside):
    found = [(name, value) for name, value, _ in ranges.violations(Derived(**changes))]
    assert repr(found) == repr(outside)


def test_a_range_says_what_it_holds():
    assert str(Range(1)) == "1 or more"
    assert str(Range(0, 1)) == "0 or more, and at most 1"
    assert str(Range(0, 1, open_high=True)) == "0 or more, and less than 1"
    assert str(Range(0, open_low=True)) == "more than 0"


def numbers_of(config_class: type) -> list[str]:
    """The fields of a configuration that hold a number, or several."""
    hints = typing.get_type_hints(config_class)
    return [
        field.name
        for field in dataclasses.fields(config_class)
        if {int, float} & {hints[field.name], *_parts(hints[field.name])}
    ]


def _parts(hint):
    for part in typing.get_args(hint):
        yield part
        yield from _parts(part)


@pytest.mark.parametrize("name", experiments.shipped())
def test_every_number_of_every_experiment_has_a_range_that_holds_its_defaults(name):
    experiment = experiments.named(name)
    assert set(numbers_of(experiment.config_class)) <= set(ranges.declared(experiment.config_class))
    for preset in experiment.presets:
        assert list(ranges.violations(experiment.preset(preset))) == []


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--generator-learning-rate -1", "is -1.0; expected 0 or more, and at most 100"),
        ("--generator-learning-rate 1e30", "is 1e+30; expected 0 or more"),
        ("--beta1 1.5", "--beta1 is 1.5; expected 0 or more, and less than 1"),
        ("--beta2 2", "--beta2 is 2.0"),
        ("--label-flips 2", "--label-flips is 2.0; expected 0 or more, and at most 1"),
        ("--latent-size 0", "--latent-size is 0; expected 1 or more"),
        ("--width 0", "--width is 0"),
        ("--kernel 100", "--kernel is 100; expected 1 or more, and at most 31"),
        ("--seed 9223372036854775808", "--seed is 9223372036854775808"),
        ("--ema-half-life nan", "--ema-half-life is nan; expected 0 or more"),
    ],
)
def test_numbers_that_make_no_run_are_refused_before_anything_is_written(
    flags, said, tmp_path, capsys
):
    dcgan = experiments.named("dcgan").module
    workdir = tmp_path / "run"
    assert command_line.command(dcgan, ["--workdir", str(workdir), *flags.split()]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not workdir.exists()
