"""An experiment's own data, made by a module next to it: trained on, resumed, loaded, refused."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import jaxgan
from jaxgan import __main__ as command
from jaxgan import data
from jaxgan.runs import experiments, setup, trained_model
from jaxgan.runs.config import RunConfig
from tests import toy_runs

EXPERIMENT = '''"""Perceptrons on waves."""

import dataclasses

from jaxgan import data as of_jaxgan
from jaxgan.runs.config import RunConfig


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """Perceptrons on waves."""

    batch_size: int = 8
    sample_every: int = 0


def data(config):
    from own_waves import Waves

    return of_jaxgan.Splits(Waves(0), Waves(1))


def build(config, spec, *, axis_name=None):
    from own_waves import WIDTH

    from tests import toy_model

    return toy_model.build(shape=spec.shape, width=WIDTH, axis_name=axis_name)
'''
WAVES = """import numpy as np

WIDTH = 4


class Waves:
    shape = (6, 1)

    def __init__(self, phase):
        self.phase, self.digest = phase, f"waves {phase}"

    def batch(self, seed, step, size):
        starts = np.random.default_rng([seed, step, self.phase]).uniform(size=(size, 1, 1))
        return {"image": np.sin(starts + np.arange(6)[:, None][None]).astype(np.float32)}
"""


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "own_waves.py").write_text(WAVES)
    file = tmp_path / "mine.py"
    file.write_text(EXPERIMENT)
    yield file
    sys.modules.pop("own_waves", None)


def test_a_run_on_own_data_goes_on_is_opened_and_knows_its_data(mine, tmp_path, capsys):
    before, run = list(sys.path), tmp_path / "run"
    flags = ["--workdir", str(run), "--no-cache", "--steps"]
    assert command.main(["train", str(mine), *flags, "2"]) == 0
    assert "samples of the shape (6, 1) are not drawn" in capsys.readouterr().out
    assert command.main(["train", str(mine), *flags, "4"]) == 0
    whole = tmp_path / "whole"
    assert command.main(["train", str(mine), *flags[:1], str(whole), *flags[2:], "4"]) == 0
    toy_runs.assert_same(whole, run)
    model = jaxgan.load(run, experiment=mine)
    assert model.sample(0, 3).shape == (3, 6, 1)
    splits: Any = trained_model.data_of(run, model.config)
    assert splits.train.phase == 0 and splits.held_out.phase == 1
    assert sys.path == before
    sys.modules["own_waves"].Waves.shape = (7, 1)
    assert command.main(["train", str(mine), *flags, "6"]) == 2
    assert "data have changed since the run began: their shape was" in capsys.readouterr().err


def test_a_run_of_a_file_says_the_command_that_trains_it(mine):
    found = experiments.named(mine)
    assert found.command_line == f"jaxgan train {mine}"
    assert experiments.of(found.module).record["module"] is None


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (3, "returned int; expected jaxgan.data.Splits"),
        (data.Splits(*2 * [sys]), "have no shape; expected shape, digest and batch"),  # type: ignore
    ],
)
def test_what_are_no_data_is_refused(returned, said):
    with pytest.raises(data.DataError, match=said):
        data.completed(returned, name="mine")


def test_classes_that_ones_own_data_never_show_are_left_out_and_said():
    images = np.zeros((4, 1, 1, 1), np.uint8)
    part = data.Dataset("mine", images, np.array([0, 2, 2, 0]), ("a", "b", "c"))
    config = RunConfig(batch_size=2)
    splits = setup.load_data(config, lambda config: data.Splits(part, part))
    assert splits.train.classes == splits.held_out.classes == ("a", "c")
    assert splits.notes == ("Left out 1 classes without a training image: b.",)


def test_data_with_all_entries_stay_as_they_are():
    ring = data.load("ring")
    assert data.completed(ring, name="mine").train is ring.train
    pair = ring.train, ring.held_out
    assert data.completed(pair, name="mine") == data.Splits(*pair)
