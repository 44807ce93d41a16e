"""The report on an InfoGAN's codes, and the picture of its traversals."""

from __future__ import annotations

import types

import numpy as np
import pytest
from PIL import Image

from experiments import infogan
from experiments.evaluation import infogan_codes
from jaxgan.runs import command_line
from jaxgan.runs.errors import RunError
from tests import toy_runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of two seeds of the smoke preset."""
    path = tmp_path_factory.mktemp("runs") / "run"
    flags = ["--preset", "smoke", "--workdir", str(path), "--no-cache", "--steps", "1"]
    assert command_line.command(infogan, [*flags, "--log-every", "1", "--seeds", "2"]) == 0
    return (path,)


@pytest.mark.slow
def test_the_report_names_every_seed_its_columns_and_the_controls(runs):
    lines = infogan_codes.report(infogan_codes.Config(runs, samples=60)).splitlines()
    assert lines[0].split() == ["one-to-one", "purity", "own", "codes"]
    for seed in (0, 1):
        name, columns = lines[1 + 2 * seed], lines[2 + 2 * seed]
        assert name.startswith(f"{runs[0]} seed {seed}")
        accuracy, purity = (float(cell.rstrip("%")) for cell in name.split()[-3:-1])
        assert 10 <= accuracy <= purity <= 100
        assert len(columns.removeprefix("  columns: ").split(", ")) == 10
    assert lines[5].startswith("untrained")
    assert lines[6].startswith("k-means on pixels")
    # A published k-means on these pixels: 47 to 55 %.
    assert 40 < float(lines[6].split()[-2].rstrip("%")) < 60
    assert lines[7].startswith("of 2 models: best")


@pytest.mark.slow
def test_data_that_have_changed_are_refused(runs, tmp_path, capsys):
    toy_runs.assert_refuses_other_data(infogan_codes, runs[0], tmp_path / "copy", capsys)


@pytest.mark.slow
def test_one_model_of_several_can_be_asked_for(runs):
    every = infogan_codes.report(infogan_codes.Config(runs, samples=60)).splitlines()
    second = infogan_codes.report(infogan_codes.Config(runs, samples=60, model_seed=1)).splitlines()
    assert second[1:3] == every[3:5]
    assert len(second) == 5
    with pytest.raises(RunError, match=r"has no checkpoint 7"):
        infogan_codes.report(infogan_codes.Config(runs, checkpoint="7"))


@pytest.mark.slow
def test_the_picture_traverses_each_code_for_each_seed(runs):
    with Image.open(runs[0] / "samples" / "000001.png") as picture:
        # Two seeds, three codes, ten columns and ten rows, at twice the size.
        assert picture.width > 2 * 3 * 10 * 2 * 28
        assert picture.height > 10 * 2 * 28


def test_a_column_has_the_name_of_its_class_or_none():
    images = types.SimpleNamespace(labels=np.array([0, 0, 1, 1, 2]), classes=("a", "b", "c"))
    assert infogan_codes.columns(np.array([3, 3, 0, 0, 0]), images, 5) == "b, -, -, a, -"


def test_a_run_without_a_class_code_is_refused(tmp_path):
    with pytest.raises(RunError, match="is no run directory"):
        infogan_codes.report(infogan_codes.Config((tmp_path,)))
