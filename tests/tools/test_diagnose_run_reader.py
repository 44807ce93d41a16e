"""What diagnosis reads of a run: columns of the log, what they imply, and the pictures."""

from __future__ import annotations

import dataclasses
import functools
import json
import pathlib
import shutil
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import data, files, losses, random, steps
from jaxgan.data import few_labels
from jaxgan.games import stages, two_player
from jaxgan.models import vanilla
from jaxgan.plotting import image_grids
from jaxgan.runs import progress, run_directory, trained_model
from jaxgan.runs.config import DataSpec, RunConfig
from jaxgan.tools.diagnosis import checks, log_signals, run_reader, sample_signals
from tests.building import built


def test_the_reason_of_an_end_is_the_last_line_of_the_log(tmp_path):
    assert run_reader.reason(tmp_path) is None
    log = tmp_path / "log.txt"
    progress.note("training in RUN", log)
    assert run_reader.reason(tmp_path) is None
    progress.note("error: d/loss is nan at step 12. The last checkpoint is of step 8.", log)
    said = run_reader.reason(tmp_path)
    assert said == "d/loss is nan at step 12. The last checkpoint is of step 8."
    found = log_signals.broke_off(10, steps=100, saved=8, reason=said)
    assert found is not None and found.what.endswith(said)
    progress.note("continuing RUN at step 8", log)
    assert run_reader.reason(tmp_path) is None


def test_columns_have_the_rows_that_report_them_and_a_broken_last_line_is_not_read(tmp_path):
    rows = [
        {"step": 10, "a/loss": 1.0, "seconds": 3.0},
        {"step": 20, "a/loss": float("nan"), "b/loss": 2.0, "images_per_second": 5.0},
    ]
    lines = [json.dumps(row) for row in rows]
    (tmp_path / "metrics.jsonl").write_text("\n".join([*lines, '{"step": 30, "a/lo']))
    found = run_reader.columns(tmp_path)
    assert found.keys() == {"a/loss", "b/loss"}
    np.testing.assert_array_equal(found["a/loss"].steps, [10, 20])
    np.testing.assert_array_equal(found["a/loss"].values, [1.0, np.nan])
    np.testing.assert_array_equal(found["b/loss"].steps, [20])
    assert run_reader.last_step(found) == 20
    assert run_reader.columns(tmp_path / "nothing") == {}


@pytest.mark.parametrize(
    ("loss", "logit", "expected"),
    [
        ("minimax", -4.6, 2 / (1 + np.exp(4.6))),
        ("non_saturating", -4.6, 2 / (1 + np.exp(-4.6))),
        ("hinge", -4.6, 1.0),
        ("wasserstein", -4.6, 1.0),
        ("least_squares", -4.6, 5.6),
        ("relativistic_paired", -4.6, 2 / (1 + np.exp(-5.6))),
    ],
)
def test_what_a_loss_passes_on_is_its_slope_over_that_at_an_undecided_judge(loss, logit, expected):
    steps = np.arange(3)
    logits = {"real_logit": np.ones(3), "fake_logit": np.full(3, logit)}
    given = {f"d/{name}": run_reader.Series(steps, values) for name, values in logits.items()}
    passed = run_reader.passed_on(given, "d", loss)
    assert passed is not None
    np.testing.assert_allclose(passed.values, expected, rtol=1e-5)
    assert run_reader.passed_on(given, "d", "another") is None


def test_a_relativistic_judge_is_as_accurate_as_its_loss_says():
    steps = np.arange(3)
    given = {
        "d/real_logit": run_reader.Series(steps, np.array([1.0, 2.0, 6.0])),
        "d/fake_logit": run_reader.Series(steps, np.array([1.0, 1.0, 1.0])),
    }
    right = run_reader.accuracies(given, "d", "relativistic_paired")
    assert right is not None
    np.testing.assert_allclose(right[0].values, 1 / (1 + np.exp(-np.array([0.0, 1.0, 5.0]))))
    assert run_reader.accuracies(given, "d", "wasserstein") is None
    given["d/ranking_rate"] = run_reader.Series(steps, np.array([0.5, 0.7, 0.9]))
    right = run_reader.accuracies(given, "d", "relativistic_paired")
    assert right is not None
    np.testing.assert_array_equal(right, [given["d/ranking_rate"]] * 2)


@pytest.mark.parametrize("shape", [(7, 7, 1), (20, 9, 3), (64, 80, 4)])
def test_the_tiles_of_a_picture_are_its_images(shape):
    images = np.random.default_rng(0).integers(0, 256, (12, *shape)).astype(np.uint8)
    picture = np.asarray(image_grids.grid(data.to_float(images), columns=4))
    found = run_reader.tiles(picture, shape)
    np.testing.assert_array_equal(data.to_uint8(found), images)


def test_pictures_date_a_collapse_that_is_older_than_the_checkpoints(tmp_path, monkeypatch):
    draws = np.random.default_rng(0)
    real = draws.uniform(-1, 1, (40, 8, 8, 1))
    folder = tmp_path / "samples"
    folder.mkdir()
    for step, spread in ((0, 0.1), (100, 1.0), (200, 0.9), (300, 0.2), (400, 0.1), (500, 0.0)):
        sheet = image_grids.grid(np.float32(spread * real), columns=8)
        sheet.save(folder / f"{step:06d}.png")
    record = functools.partial(_Record, tmp_path)
    sides = sample_signals.Sides(sample_signals.rows(real), sample_signals.rows(real))
    assert checks.alike_since(record((8, 8, 1)), sides, until=500) == 300
    assert checks.alike_since(record((8, 8, 1)), sides, until=400) == 300
    assert checks.alike_since(record((8, 8, 1)), sides, until=200) is None
    assert checks.alike_since(record((2,)), sides, until=500) is None


def test_pictures_come_by_their_steps_and_not_by_their_names(tmp_path):
    folder = tmp_path / "samples"
    folder.mkdir()
    steps = [999_000, 1_000_000, 1_001_000]
    for step in steps:
        image_grids.grid(np.zeros((4, 8, 8, 1), np.float32), columns=2).save(
            folder / f"{step:06d}.png"
        )
    record = _Record(tmp_path, (8, 8, 1))
    assert [step for step, _ in run_reader.pictured(record)] == steps[::-1]  # type: ignore[arg-type]
    (folder / "favorite.png").touch()  # the user's own
    (folder / "real.png").touch()  # the training images
    assert [step for step, _ in run_reader.pictured(record)] == steps[::-1]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("role", "source"), [("a", "images"), ("caption", "captions"), ("text", "captions")]
)
def test_what_a_model_makes_images_of_is_named(role, source):
    record = types.SimpleNamespace(spec=DataSpec((8, 8, 1), inputs={role: (8,)}))
    question = types.SimpleNamespace(record=record, trained=None)
    part = checks.of_samples(question, {}, count=10)  # type: ignore[arg-type]
    assert part.unexamined == {"the samples": f"the model generates images from {source}"}


def test_too_few_held_out_images_are_said_to_be_too_few():
    plain = data.load("fashion")
    few = plain._replace(held_out=plain.held_out.subset(np.arange(checks.FEWEST - 1)))
    record = types.SimpleNamespace(spec=DataSpec((28, 28, 1)))
    question = types.SimpleNamespace(record=record, trained=None, splits=few)
    part = checks.of_samples(question, {}, count=100)  # type: ignore[arg-type]
    why = "there are 9 training or held-out examples; 10 of each are needed"
    assert part.unexamined == {"the samples": why}


def test_few_images_of_data_with_few_labels_are_compared_like_any():
    plain = data.load("fashion")
    some = plain._replace(train=few_labels.partly_labeled(plain.train, 100))
    known = run_reader.sides(some, 50).known
    assert known.shape == (50, 64)
    np.testing.assert_array_equal(known, run_reader.sides(plain, 50).known)


def test_a_model_told_its_class_is_asked_for_classes_as_the_data_have_them():
    """Of 95 dark and 5 bright images a perfect model loses no kind; asked in turn it would seem to
    draw ten times too many bright ones.
    """
    labels = np.repeat([0, 1], [285, 15])
    noise = np.random.default_rng(0).integers(0, 100, (300, 8, 8, 1))
    pixels = (noise + 150 * labels[:, None, None, None]).astype(np.uint8)
    uneven = data.Dataset("uneven", pixels, labels, ("dark", "bright"))
    asked = []

    def sample(seed, count, *, label=None):
        asked.extend(np.arange(count) % 2 if label is None else label)
        return uneven.float_images()[np.arange(count)]

    record = types.SimpleNamespace(spec=DataSpec((8, 8, 1), ("dark", "bright")), config=None)
    gan = types.SimpleNamespace(conditions=("label",))
    model = types.SimpleNamespace(sample=sample, gan=gan, step=1000)
    question = types.SimpleNamespace(
        record=record, trained=model, splits=data.Splits(uneven, uneven), first_step=None
    )
    part = checks.of_samples(question, {}, count=300)  # type: ignore[arg-type]
    assert np.bincount(asked).tolist() == [285, 15]
    assert part.remarks == (checks.LABELS,)
    gan.conditions = ()
    assert checks.of_samples(question, {}, count=300).remarks == ()  # type: ignore[arg-type]


def test_a_lock_that_nobody_holds_is_no_run(finished, tmp_path):
    path = shutil.copytree(finished, tmp_path / "copy")
    assert not run_reader.record(path).running
    with run_directory.claim(path):
        assert run_reader.record(path).running
        assert run_directory.is_claimed(path)  # asking has not released it
    assert not (path / files.RUN_LOCK).exists()
    (path / files.RUN_LOCK).write_text("left")  # by kill -9
    assert not run_reader.record(path).running
    assert (path / files.RUN_LOCK).read_text() == "left"


# --- verdicts where the players take turns --------------------------------------------------------


def taking_turns(schedule):
    """A model of points, at its first state, as `run_reader.said` takes it."""
    gan = built(
        two_player.build,
        vanilla.Generator((2,), (4,)),
        vanilla.Discriminator((4,), dropout=0.0),
        shape=(2,),
        loss=losses.non_saturating(),
        latents=functools.partial(random.latents, size=2),
        optimizers=dict.fromkeys(("discriminator", "generator"), optax.sgd(0.1)),
        schedule=schedule,
    )
    state = gan.init(jax.random.key(0))
    return trained_model.TrainedModel(gan, state, RunConfig(), DataSpec((2,)), 0)


def at_step(model, step):
    return dataclasses.replace(model, state=model.state.replace(step=jnp.int32(step)), step=step)


def test_a_discriminator_is_asked_when_its_turn_comes():
    model = taking_turns(lambda judge, generate: steps.rotate([judge, generate, generate]))
    sources = data.load("ring")[:2]
    for step in (3, 4, 5):
        known, unknown = run_reader.said(at_step(model, step), sources, rows=8, batches=4)
        assert known.keys() == unknown.keys() and run_reader.judges(known) == ["discriminator"]
        for values in (*known.values(), *unknown.values()):
            assert values.shape == (4,) and np.isfinite(values).all()


def test_a_discriminator_that_has_no_turn_is_not_examined():
    model = taking_turns(lambda judge, generate: steps.succession(generate, until=500, rest=judge))
    plan = [stages.Stage(0, 8, lambda: model.gan)]
    record = types.SimpleNamespace(plan=plan, saved=())

    def verdicts(step):
        question = checks.Question(record, at_step(model, step), None, data.load("ring"))  # type: ignore[arg-type]
        return checks.of_verdicts(question, batches=4)

    assert verdicts(200) == checks.Part(
        unexamined={
            "whether the discriminator overfits": "no discriminator is evaluated in the steps "
            "after 200"
        }
    )
    assert "discriminator/real_logit, unknown" in verdicts(500).numbers


class _Record:
    """As much of a record as pictures need."""

    def __init__(self, path: pathlib.Path, shape: tuple[int, ...]) -> None:
        self.path, self.spec = path, DataSpec(shape)
        self.config = RunConfig()
        self.experiment = type("Experiment", (), {"picture": None})
