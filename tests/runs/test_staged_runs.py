"""A run in stages: each begins where it should, and resuming changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

import jaxgan
from jaxgan import parallel
from jaxgan.runs import checkpoint, command_line, metric_log
from tests import staged_experiment, toy_metric, toy_runs


def train(workdir, **fields):
    config = staged_experiment.Config(workdir=str(workdir), cache=False, keep=9, **fields)
    return command_line.train(staged_experiment, config)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, data):
    return train(tmp_path_factory.mktemp("whole"), data=data)


def test_a_run_in_pieces_equals_the_whole_within_stages_and_between_them(whole, data, tmp_path):
    for steps in (5, 8, 9, 16, 24):
        train(tmp_path, data=data, steps=steps)
    toy_runs.assert_same(whole, tmp_path)


def test_a_checkpoint_at_the_end_of_a_stage_is_of_its_model(whole):
    assert set(checkpoint.steps_in(whole / "checkpoints")) >= {8, 16, 24}
    for step, width in zip((8, 16, 24), staged_experiment.WIDTHS, strict=True):
        model = jaxgan.load(whole, checkpoint=step)
        assert model.step == int(model.state.step) == step
        assert model.state["generator"].params["Dense_0"]["kernel"].shape == (3, width)
        assert np.asarray(model.sample(0, 2)).shape[0] == 2


@pytest.mark.slow
def test_each_stage_is_compiled_once(data, tmp_path, monkeypatch):
    compiled = []
    compile_step = parallel.compile_step

    def counted(step, **options):
        def traced(state, batch):
            compiled.append(batch["image"].shape[0])
            return step(state, batch)

        return compile_step(traced, **options)

    monkeypatch.setattr(parallel, "compile_step", counted)
    train(tmp_path, data=data)
    assert compiled == list(staged_experiment.ROWS)


@pytest.mark.slow
def test_a_member_of_a_population_in_stages_is_its_single_run(whole, data, tmp_path):
    train(tmp_path, data=data, seeds=2)
    single = jaxgan.load(whole).sample(0, 4)
    same, other = (jaxgan.load(tmp_path, seed=seed).sample(0, 4) for seed in (0, 1))
    # Other shards, other rounding, which batch norm and Adam make more of.
    assert np.max(np.abs(same - single)) < 0.05
    assert np.max(np.abs(other - single)) > 0.5


def test_stages_that_cut_a_call_in_two_are_refused(data, tmp_path):
    with pytest.raises(jaxgan.runs.errors.RunError, match="no multiple of the 3 steps"):
        train(tmp_path, data=data, steps_per_call=3)


def test_each_stage_is_measured_by_its_own_model(data, tmp_path, monkeypatch):
    toy_metric.put_in_place(monkeypatch, [1.0, 2.0, 3.0])
    train(tmp_path, data=data, **{**toy_metric.FLAGS, "evaluate_every": 24})
    measured = [row["step"] for row in toy_runs.rows(tmp_path) if metric_log.is_measurement(row)]
    assert measured == [8, 16, 24]
    model = jaxgan.load(tmp_path, checkpoint="best")
    assert model.step == 8
    assert model.state["generator"].params["Dense_0"]["kernel"].shape == (3, 4)


# --- from the weights of another run --------------------------------------------------------------


def widths(path):
    """The generator's width in each checkpoint of the run, by step."""
    return {
        step: toy_runs.arrays(path, step)["players/generator/params/Dense_0/kernel"].shape[1]
        for step in checkpoint.steps_in(path / "checkpoints")
    }


def test_a_run_from_a_grown_one_begins_in_its_stage_and_says_so(whole, data, tmp_path):
    path = train(tmp_path, data=data, init_from=str(whole), steps=9)
    assert widths(path) == {8: 12, 9: 12}
    log = (path / "log.txt").read_text()
    assert "took 12 of 12 arrays (discriminator 4 of 4, generator 8 of 8); it was saved in" in log
    assert "saved in stage 3, in which this run begins" in log
    assert jaxgan.load(path).config.first_stage == 3


@pytest.mark.slow
def test_a_run_from_one_half_grown_goes_on_growing_also_in_pieces(data, tmp_path):
    source = train(tmp_path / "source", data=data, steps=12)
    for steps in (3, 8, 12):
        path = train(tmp_path / "pieces", data=data, init_from=str(source), steps=steps)
    once = train(tmp_path / "once", data=data, init_from=str(source), steps=12)
    assert widths(once) == {8: 8, 12: 12}
    assert {**widths(path), 3: 8} == {3: 8, **widths(once)}
    toy_runs.assert_same(once, path, step=12)
    assert np.asarray(jaxgan.load(once, checkpoint=8).sample(0, 2)).shape[0] == 2


def test_the_first_stage_can_be_chosen(whole, data, tmp_path):
    path = train(tmp_path / "run", data=data, first_stage=2, steps=8)
    assert widths(path) == {8: 8}
    with pytest.raises(jaxgan.runs.errors.RunError, match="--first-stage is 4; expected 1 to 3"):
        train(tmp_path / "none", data=data, first_stage=4)
    with pytest.raises(
        jaxgan.runs.errors.RunError, match="weights are of stage 3, here of stage 1"
    ):
        train(tmp_path / "small", data=data, init_from=str(whole), first_stage=1)
