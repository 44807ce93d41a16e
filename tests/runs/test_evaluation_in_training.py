"""A run that is measured while it trains: the same training, and its best state is kept."""

from __future__ import annotations

import os
import signal
import types

import numpy as np
import pytest

import jaxgan
from jaxgan import data as data_of_runs
from jaxgan.metrics import evaluation
from jaxgan.nn import efficientnet
from jaxgan.runs import best_checkpoints, checkpoint, evaluation_in_training, interrupts, metric_log
from jaxgan.runs.errors import Interrupted, RunError
from jaxgan.types import GAN
from tests import toy_experiment, toy_metric, toy_runs

MEASURED = toy_metric.FLAGS


@pytest.fixture(scope="module", autouse=True)
def metric():
    with pytest.MonkeyPatch.context() as patch:
        toy_metric.put_in_place(patch)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory, data):
    """Measured, and never interrupted."""
    return toy_runs.train(tmp_path_factory.mktemp("whole"), data=data, **MEASURED)


def measurements(workdir):
    return [row for row in toy_runs.rows(workdir) if metric_log.is_measurement(row)]


def kept(workdir):
    return checkpoint.steps_in(workdir / "checkpoints")


# --- which states are the best --------------------------------------------------------------------


def row(step, value, *, better="lowest", samples=30, **others):
    settings = {"generated": samples, "metrics": {"fid": {"subsets": 1}, **others}}
    aim = {"metric": "fid", "number": "evaluation/fid", "best": better}
    measured = {"aim": aim, "settings": settings, "warnings": []}
    return {"step": step, "evaluation/fid": value, metric_log.MEASURED: measured}


def test_the_lowest_or_the_highest_comes_first_and_of_equals_the_earlier():
    values = {2: 3.0, 4: 1.0, 6: float("nan"), 8: 1.0, 10: 2.0}
    means = {"step": 10, "generator/loss": 0.0}
    assert best_checkpoints.ranked([*(row(*item) for item in values.items()), means]) == [
        4,
        8,
        10,
        2,
        6,
    ]
    highest = [row(*item, better="highest") for item in values.items()]
    assert best_checkpoints.ranked(highest) == [2, 10, 4, 8, 6]
    assert best_checkpoints.ranked([means]) == []


def test_what_was_measured_otherwise_compares_with_nothing():
    rows = [row(2, 1.0, samples=20), row(4, 5.0), row(6, 4.0, kid={"subsets": 9})]
    assert best_checkpoints.ranked(rows) == [6, 4]
    assert best_checkpoints.ranked(rows[:1]) == [2]


def test_a_state_that_has_no_checkpoint_any_more_keeps_no_place():
    rows = [row(2, 1.0), row(4, 3.0), row(6, 2.0)]
    ranking = best_checkpoints.Ranking(rows, saved=[4, 6, 7], keep=2)
    assert ranking.best() == [6, 4]
    assert ranking.knows(2)
    assert not ranking.knows(7)
    assert ranking.add(row(8, 2.5))
    assert ranking.best() == [6, 8]
    assert not ranking.add(row(10, 9.0))


# --- in a run -------------------------------------------------------------------------------------


def test_training_is_the_same_bit_for_bit_whether_it_is_measured_or_not(whole, data, tmp_path):
    plain = toy_runs.train(tmp_path, data=data)
    for step in (16, 24):
        left, right = toy_runs.arrays(plain, step), toy_runs.arrays(whole, step)
        assert left.keys() == right.keys()
        assert all(left[name].tobytes() == right[name].tobytes() for name in left)
    means = [row for row in toy_runs.rows(whole) if not metric_log.is_measurement(row)]
    assert means == toy_runs.rows(plain)
    assert [row["step"] for row in measurements(whole)] == [4, 8, 12, 16, 20, 24]


def test_networks_that_look_at_samples_leave_the_training_as_it_is(whole, data, tmp_path):
    options = {**MEASURED, "evaluate_every": 8, "evaluate": ("fid", "kid")}
    seen = toy_runs.train(tmp_path, data=data, **options)
    assert {"evaluation/proxy_fid", "evaluation/proxy_kid"} <= measurements(seen)[-1].keys()
    assert [row["step"] for row in measurements(seen)] == [8, 16, 24]
    left, right = toy_runs.arrays(seen), toy_runs.arrays(whole)
    assert all(left[name].tobytes() == right[name].tobytes() for name in left)


def test_every_measurement_is_said_and_logged_with_all_that_it_depends_on(whole):
    first, *others = measurements(whole)
    measured = first[metric_log.MEASURED]
    assert measured["aim"] == {"metric": "swd", "number": "evaluation/swd", "best": "lowest"}
    assert measured["settings"]["generated"]["images"] == 30
    assert measured["settings"]["metrics"] == {"swd": {"subsets": 1}}
    assert all(row[metric_log.MEASURED] == measured for row in others)
    log = (whole / "log.txt").read_text()
    assert "every 4 steps 30 samples are compared with" in log
    for row in (first, *others):
        assert f"step {row['step']}: swd {row['evaluation/swd']:.5g}, the best " in log


@pytest.mark.parametrize(
    ("better", "count", "best_steps"),
    [("lowest", 1, [8]), ("lowest", 2, [8, 16]), ("highest", 1, [4])],
)
def test_the_best_and_the_latest_are_kept_and_neither_for_the_other(
    better, count, best_steps, data, tmp_path, monkeypatch
):
    toy_metric.put_in_place(monkeypatch, [9.0, 1.0, 3.0, 2.0, 4.0, 5.0], better=better)
    options = {**MEASURED, "keep": 1, "keep_best": count, "checkpoint_every": 0}
    toy_runs.train(tmp_path, data=data, **options)
    assert kept(tmp_path) == [*best_steps, 24]
    assert jaxgan.load(tmp_path, checkpoint="best").step == best_steps[0]
    assert jaxgan.load(tmp_path).step == 24


def test_a_run_in_pieces_equals_the_whole_and_knows_its_best(whole, data, tmp_path):
    for steps in (4, 12, 16, 24):
        toy_runs.train(tmp_path, data=data, steps=steps, **MEASURED)
    toy_runs.assert_same(whole, tmp_path)
    assert best_checkpoints.ranked(toy_runs.rows(tmp_path)) == best_checkpoints.ranked(
        toy_runs.rows(whole)
    )
    assert set(kept(tmp_path)) >= {best_checkpoints.ranked(toy_runs.rows(whole))[0], 24}


def test_a_run_that_is_measured_no_more_keeps_its_best(data, tmp_path, monkeypatch):
    toy_metric.put_in_place(monkeypatch, [1.0, 2.0, 3.0])
    toy_runs.train(tmp_path, data=data, steps=12, keep=1, **MEASURED)
    toy_runs.train(tmp_path, data=data, keep=1)
    assert kept(tmp_path) == [4, 24]
    assert jaxgan.load(tmp_path, checkpoint="best").step == 4


def test_a_run_that_is_to_be_measured_from_now_on_begins_with_the_state_it_has(data, tmp_path):
    toy_runs.train(tmp_path, data=data, steps=8)
    toy_runs.train(tmp_path, data=data, steps=13, **MEASURED)
    assert [row["step"] for row in measurements(tmp_path)] == [8, 12, 13]


@pytest.mark.parametrize("moment", ["in its midst", "before"])
def test_a_run_told_to_stop_drops_the_measurement_and_makes_it_when_it_goes_on(
    moment, whole, data, tmp_path, monkeypatch
):
    compare, made, stops = evaluation.compare, [], [12]

    def stopping(*arguments, **options):
        made.append(1)
        if stops and len(made) == 3:
            stops.clear()
            os.kill(os.getpid(), signal.SIGTERM)
            pytest.fail("the measurement went on")
        return compare(*arguments, **options)

    monkeypatch.setattr(evaluation, "compare", stopping)
    options = {"data": data, "sample_every": 4, **MEASURED}
    if moment == "before":
        draw = toy_experiment.picture

        def picture(gan, splits):
            def stopped(state):
                if int(state.step) == 12 and stops:
                    stops.clear()
                    os.kill(os.getpid(), signal.SIGTERM)
                return draw(gan, splits)(state)

            return stopped

        monkeypatch.setattr(toy_experiment, "picture", picture)
    with pytest.raises(Interrupted) as caught:
        toy_runs.train(tmp_path, **options)
    assert caught.value.code == 143
    assert [row["step"] for row in measurements(tmp_path)] == [4, 8]
    assert kept(tmp_path)[-1] == 12
    toy_runs.train(tmp_path, **options)
    toy_runs.assert_same(whole, tmp_path)


def task_of(source, *conditions):
    """What a run would train on, and a model of these conditions."""
    stage = types.SimpleNamespace(build=lambda: GAN(None, None, None, conditions))
    return types.SimpleNamespace(
        splits=data_of_runs.Splits(source, source), plan=[stage], single=None, spec=None
    )


def test_a_model_told_its_class_is_measured_at_the_classes_of_the_data():
    labels, asked = np.repeat([0, 1], [19, 1]), []
    pixels = np.zeros((20, 4, 4, 1), np.uint8)
    uneven = data_of_runs.Dataset("uneven", pixels, labels, ("many", "few"))
    config = toy_experiment.Config(cache=False, **{**MEASURED, "evaluate_samples": 40})
    watch = evaluation_in_training.of(config, task_of(uneven, "label"), report=lambda text: None)

    def sample(key, n, *, label):
        asked.extend(label)
        return np.zeros((n, 4, 4, 1), np.float32)

    settings = watch.scores(sample).settings
    assert np.bincount(asked).tolist() == [38, 2]
    assert settings["generated"]["drawn from"] == "latents and label"


@pytest.mark.usefixtures("without_feature_network")
def test_where_no_metric_is_named_it_is_one_that_can_be_had_of_the_images():
    config = toy_experiment.Config(cache=False, evaluate_every=4)
    for channels, name, number in ((1, "fid", "proxy_fid"), (3, "swd", "swd")):
        pixels = np.zeros((9, 8, 8, channels), np.uint8)
        task = task_of(data_of_runs.Dataset("images", pixels))
        watch = evaluation_in_training.of(config, task, report=lambda text: None)
        assert (watch.aim["metric"], watch.aim["number"]) == (name, f"evaluation/{number}")


def test_signals_are_as_before_once_a_measurement_is_made():
    with interrupts.requests() as request:
        handlers = [signal.getsignal(number) for number in interrupts.SIGNALS]
        with evaluation_in_training.breaking_off(request):
            assert [signal.getsignal(number) for number in interrupts.SIGNALS] != handlers
        assert [signal.getsignal(number) for number in interrupts.SIGNALS] == handlers
        with (
            pytest.raises(evaluation_in_training.BrokenOff),
            evaluation_in_training.breaking_off(request),
        ):
            os.kill(os.getpid(), signal.SIGINT)
        assert request.signal == signal.SIGINT
        assert [signal.getsignal(number) for number in interrupts.SIGNALS] == handlers


def test_a_measurement_that_fails_is_said_and_training_goes_on(data, tmp_path, monkeypatch, capsys):
    def failing(*arguments, **options):
        raise ValueError("the features are not all finite")

    monkeypatch.setattr(evaluation, "compare", failing)
    toy_runs.train(tmp_path, data=data, steps=4, **MEASURED)
    output = capsys.readouterr().out
    assert "step 4 could not be evaluated: the features are not all finite" in output
    assert kept(tmp_path) == [4]


REFUSED = {
    "a negative period": ({"evaluate_every": -1}, "--evaluate-every is -1; expected 0 or more"),
    "a state within a call": (
        {"evaluate_every": 6, "steps_per_call": 4},
        "--evaluate-every is 6, no multiple of --steps-per-call 4, .* use 4 or 8",
    ),
    "no samples": ({"evaluate_samples": 0}, "--evaluate-samples is 0; expected 1 or more"),
    "nothing to keep": ({"keep_best": 0}, "--keep-best is 0"),
    "an unknown metric": ({"evaluate": ("fidd",)}, "'fidd' was asked for; expected some of fid"),
    "what says nothing of quality": (
        {"evaluate": ("ms_ssim", "swd")},
        "ms_ssim does not say which of two generators is better",
    ),
    "too few samples": (
        {"evaluate": ("fid_infinity",), "evaluate_samples": 9999},
        "fid_infinity needs 10000 samples or more; 9999 were asked for",
    ),
    "points": ({"data": "ring"}, "the model of ring cannot be measured"),
    "colors by the proxy": (
        {"channels": 3, "evaluate": ("swd", "kid")},
        "have 3 channels, and the proxy features are of 1: pip install "
        r"'jaxgan\[features\]' .*--inception",
    ),
    "weights that are not there": ({"inception": "none.pth", "evaluate": ("fid",)}, "none.pth"),
    "other weights than meant": (
        {"inception": __file__, "inception_sha256": "0" * 8, "evaluate": ("fid",)},
        "have the sha256 [0-9a-f]{64}, which does not begin with 00000000",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_measured_is_refused_before_training(case, data, tmp_path, monkeypatch):
    monkeypatch.setattr(efficientnet, "packaged", lambda **options: None)
    fields, said = REFUSED[case]
    with pytest.raises(RunError, match=said) as caught:
        toy_runs.train(tmp_path / "run", **{"data": data, **MEASURED, **fields})
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
