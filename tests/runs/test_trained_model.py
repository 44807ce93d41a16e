"""The model that a run gives back."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

import jaxgan
from jaxgan.runs import run_directory, trained_model
from jaxgan.runs.config import DataSpec
from jaxgan.runs.errors import RunError
from jaxgan.tools import command, diagnose, evaluate
from jaxgan.tools.diagnosis import checks
from tests import toy_experiment, toy_runs


@pytest.fixture(scope="module")
def model(finished):
    return jaxgan.load(finished)


def test_a_model_knows_what_it_was_trained_with(model, finished, data):
    assert model.step == 24
    assert model.spec == DataSpec((4, 4, 1), ("0", "1", "2"))
    decided = {"convolutions": "auto"}  # when the run began, by its length
    begun = toy_experiment.Config(workdir=str(finished), data=data, cache=False, **decided)
    assert model.config == begun
    assert int(model.state.step) == 24


@pytest.mark.parametrize("n", [0, 1, 63, 64, 130])
def test_a_sample_depends_on_the_key_and_its_place_not_on_how_many(model, n):
    many = np.asarray(model.sample(jax.random.key(7), 200))
    some = np.asarray(model.sample(7, n))
    assert some.shape == (n, 4, 4, 1)
    np.testing.assert_array_equal(some, many[:n])
    assert len(np.unique(many.reshape(200, -1), axis=0)) == 200


def test_samples_are_drawn_by_the_average(model):
    params = {"generator": jax.tree.map(lambda x: 0 * x, model.state["generator"].params)}
    last = dataclasses.replace(model, state=model.state.with_params(params))
    np.testing.assert_array_equal(last.sample(0, 3), model.sample(0, 3))
    assert np.std(model.sample(0, 3)) > 0


def test_conditions_are_one_for_all_or_one_each(model):
    def sample(state, keys, label=None):
        size = len(keys)
        label = jax.numpy.arange(size) % 3 if label is None else label
        return jax.numpy.broadcast_to(label[:, None], (size, 2))

    labeled = dataclasses.replace(model, gan=model.gan._replace(sample=sample))
    n = 150
    assert (labeled.sample(0, n, label=2) == 2).all()
    each = np.arange(n)
    np.testing.assert_array_equal(labeled.sample(0, n, label=each)[:, 0], each)
    np.testing.assert_array_equal(labeled.sample(0, n)[:, 0], each % 3)
    assert labeled.sample(0, 0, label=[]).shape == (0, 2)
    with pytest.raises(ValueError, match="'label' has 3 entries for 150 samples"):
        labeled.sample(0, n, label=[1, 2, 3])
    with pytest.raises(ValueError, match="-1 samples"):
        labeled.sample(0, -1)


def conditional(model, classes):
    """The model, were it told labels of so many classes and drew them."""

    def sample(state, keys, label):
        return jax.numpy.broadcast_to(label[:, None], (len(keys), 2))

    gan = model.gan._replace(
        sample=sample,
        conditions=("label",),
        defaults=(("label", lambda count: jax.numpy.arange(count) % len(classes)),),
    )
    return dataclasses.replace(model, gan=gan, spec=model.spec._replace(classes=classes))


@pytest.mark.parametrize("count", [2, 3, 64, 65, 100, 130])
def test_the_default_label_of_a_sample_is_that_of_its_place_however_many_classes(model, count):
    told = conditional(model, tuple(f"class {number}" for number in range(count)))
    np.testing.assert_array_equal(told.sample(0, 300)[:, 0], np.arange(300) % count)


def test_a_label_is_a_class_of_the_data_by_number_or_by_name(model):
    told = conditional(model, ("T-shirt/top", "Shirt", "Ankle boot"))
    for label in (2, np.int64(2), "boot", "Ankle boot", jax.numpy.asarray(2)):
        assert (told.sample(0, 3, label=label) == 2).all()
    for each in (["boot", "top", "shirt"], [2, 0, 1], np.array([2, 0, 1], np.uint8)):
        np.testing.assert_array_equal(told.sample(0, 3, label=each)[:, 0], [2, 0, 1])
    assert told.sample(0, 0, label=[]).shape == (0, 2)
    known = "T-shirt/top, Shirt, Ankle boot"
    for wrong, said in ((7, "7"), (-1, "-1"), (0.5, "0.5"), (1.0, "1.0"), ([0, 3, 4], "3")):
        with pytest.raises(
            ValueError,
            match=f"the label {said} is not a class; .* from 0 to 2 or a name of {known}",
        ):
            told.sample(0, 3, label=wrong)
    for wrong in ("sandal", "T", ["boot", "sandal", "boot"]):
        with pytest.raises(ValueError, match=f"names none, or several, of {known}"):
            told.sample(0, 3, label=wrong)


def test_a_code_that_is_one_of_some_classes_is_no_other(model):
    def sample(state, keys, c1):
        return jax.numpy.broadcast_to(c1[:, None], (len(keys), 2))

    gan = model.gan._replace(sample=sample, conditions=("c1",), categories=(("c1", 10),))
    told = dataclasses.replace(model, gan=gan)
    np.testing.assert_array_equal(told.sample(0, 2, c1=[9, 0])[:, 0], [9, 0])
    for wrong in (10, -1, 0.5):
        with pytest.raises(ValueError, match=f"the c1 {wrong} is not a class; .* from 0 to 9 or"):
            told.sample(0, 2, c1=wrong)


def test_samples_of_a_label_that_is_only_traced_are_drawn(model):
    told = conditional(model, ("no", "yes"))
    drawn = jax.jit(lambda label: told.sample(0, 3, label=label))(1)
    assert (drawn == 1).all()


def test_a_long_list_of_classes_is_cut_short(model):
    told = conditional(model, tuple(f"class {number}" for number in range(1000)))
    with pytest.raises(
        ValueError, match=r"from 0 to 999 .* class 19, \.\.\., class 980, "
    ) as found:
        told.sample(0, 1, label=1000)
    assert len(str(found.value)) < 600


def test_the_checkpoint_can_be_chosen(finished):
    assert jaxgan.load(finished, checkpoint=8).step == 8
    with pytest.raises(RunError, match=r"no checkpoint 9; .* \[8, 16, 24\]"):
        jaxgan.load(finished, checkpoint=9)
    with pytest.raises(RunError, match="no metric was evaluated"):
        jaxgan.load(finished, checkpoint="best")
    with pytest.raises(RunError, match="no checkpoint 'newest'"):
        jaxgan.load(finished, checkpoint="newest")


def test_a_number_of_steps_may_be_a_word_of_a_command_line(finished):
    assert jaxgan.load(finished, checkpoint="8").step == 8
    with pytest.raises(RunError, match="no checkpoint 9;"):
        jaxgan.load(finished, checkpoint="9")


def test_of_several_models_one_must_be_named_in_the_words_of_the_caller(tmp_path):
    several = toy_runs.recorded(tmp_path / "run", seed=3, seeds=2)
    with pytest.raises(RunError, match=r"of the seeds 3, 4: say which, seed=3$"):
        jaxgan.load(several)
    with pytest.raises(RunError, match=r"of the seeds 3, 4: say which, --model-seed 3$"):
        command.OfRun(several).load()
    with pytest.raises(RunError, match="no model of seed 5; it has the seeds 3, 4"):
        command.OfRun(several, model_seed=5).load()
    with pytest.raises(RunError, match="has no checkpoint yet"):
        command.OfRun(several, model_seed=4).load()


def test_the_data_of_a_run_are_those_it_learned_from(tmp_path):
    archive = tmp_path / "images.npz"
    path = toy_runs.train(tmp_path / "run", data=toy_runs.images(archive), steps=8)
    model = jaxgan.load(path)
    assert (
        len(trained_model.data_of(path, model.config).train)
        + len(trained_model.data_of(path, model.config).held_out)
        == 44
    )
    toy_runs.images(archive, seed=1)
    with pytest.raises(RunError, match=r"run, npz:.*, have changed since it was trained; bring"):
        trained_model.data_of(path, model.config)
    archive.unlink()
    with pytest.raises(RunError, match="is not there: check the path"):
        trained_model.data_of(path, model.config)


def test_a_run_finds_its_data_from_anywhere_and_follows_them(tmp_path, monkeypatch):
    began, moved = tmp_path / "began", tmp_path / "moved"
    began.mkdir()
    moved.mkdir()
    monkeypatch.chdir(began)
    toy_runs.images(began / "images.npz")
    (began / "held").write_text("3\n7\n")
    asked = {"data": "npz:images.npz", "holdout": "held", "steps": 2}
    path = toy_runs.train(tmp_path / "run", **asked)
    config = jaxgan.load(path).config
    monkeypatch.chdir(tmp_path)
    assert len(trained_model.data_of(path, config).held_out) == 2
    # What lies here under the same name is not meant, and the digest would tell.
    toy_runs.images(tmp_path / "images.npz", seed=1)
    assert len(trained_model.data_of(path, config).held_out) == 2
    toy_runs.train(path, **{**asked, "steps": 4})
    recorded = jaxgan.load(path).config
    assert recorded.data == f"npz:{began / 'images.npz'}"
    assert recorded.holdout == str(began / "held")
    (began / "images.npz").rename(moved / "pictures.npz")
    with pytest.raises(RunError, match=r"not there: check the path; if the data have moved, name"):
        trained_model.data_of(path, recorded)
    there = dataclasses.replace(recorded, data=f"npz:{moved / 'pictures.npz'}")
    assert len(trained_model.data_of(path, there).train) == 42
    toy_runs.train(path, **{**asked, "data": there.data, "holdout": there.holdout, "steps": 6})
    assert jaxgan.load(path).config.data == there.data and jaxgan.load(path).step == 6
    here = dataclasses.replace(recorded, data="npz:images.npz")
    with pytest.raises(RunError, match="have changed since it was trained; bring them back"):
        trained_model.data_of(path, here)


def test_evaluate_and_diagnose_are_told_where_the_data_are(tmp_path, monkeypatch):
    archive = tmp_path / "images.npz"
    path = toy_runs.train(tmp_path / "run", data=toy_runs.images(archive), steps=2)
    archive.rename(tmp_path / "moved.npz")
    place, model = f"npz:{tmp_path / 'moved.npz'}", jaxgan.load(path)
    images = evaluate.images(evaluate.Config(path, data=place), model)
    assert images.digest == run_directory.required_record(path)["data"]["digest"]
    with pytest.raises(RunError, match="name their new place"):
        evaluate.images(evaluate.Config(path), model)
    told = []
    monkeypatch.setattr(
        checks, "of_log", lambda record, _: told.append(record.config.data) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        diagnose.diagnose(diagnose.Config(path, data=place))
    assert told == [place]


def test_what_is_no_run_is_not_loaded(tmp_path):
    with pytest.raises(RunError, match="is no run directory"):
        jaxgan.load(tmp_path)


@pytest.mark.slow
def test_a_model_that_a_script_trained_in_another_process_needs_the_script_but_no_data(tmp_path):
    data = toy_runs.images(tmp_path / "images.npz")
    script = tmp_path / "my_gan.py"
    script.write_text((toy_runs.ROOT / "tests" / "toy_experiment.py").read_text())
    workdir = tmp_path / "run"
    environment = {**os.environ, "PYTHONPATH": str(toy_runs.ROOT)}
    del environment["JAX_COMPILATION_CACHE_DIR"]  # the user's folder is tested
    subprocess.run(
        [sys.executable, script, "--workdir", workdir, "--data", data, "--steps", "1"],
        env={**environment, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        cwd=tmp_path,
        check=True,
        timeout=120,
        capture_output=True,
    )
    assert list((tmp_path / "cache" / "jaxgan" / "compiled").iterdir())
    (tmp_path / "images.npz").unlink()
    with pytest.raises(RunError, match=r"my_gan.py; its code is run only if you name it"):
        jaxgan.load(workdir)
    images = jaxgan.load(workdir, experiment=script).sample(0, 2)
    assert images.shape == (2, 4, 4, 1)
    assert images.dtype == np.float32
    assert np.abs(images).max() <= 1
    script.unlink()
    with pytest.raises(RunError, match=r"there is no experiment .*my_gan.py"):
        jaxgan.load(workdir, experiment=script)
