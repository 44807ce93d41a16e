"""A run on arrays with conditions: what it records, and samples in the units of the data."""

from __future__ import annotations

import dataclasses
import json

import jax
import numpy as np
import pytest

import jaxgan
from jaxgan import __main__ as command
from jaxgan import data
from jaxgan.data import transforms
from jaxgan.runs import experiments, metric_log, run_directory, trained_model
from jaxgan.runs.config import DataSpec
from jaxgan.runs.errors import RunError
from jaxgan.tools import evaluate, sample

EXPERIMENT = '''"""Perceptrons that get the conditions."""

import dataclasses
from functools import partial

import flax.linen as linen
import jax.numpy as jnp

from jaxgan import losses, optimizers, random
from jaxgan.games import training, two_player
from jaxgan.runs.config import RunConfig


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """Perceptrons that get the conditions."""

    batch_size: int = 8
    sample_every: int = 0


class Network(linen.Module):
    features: int

    @linen.compact
    def __call__(self, x, mass, wind, *, keys=None, train=False):
        return linen.Dense(self.features)(jnp.concatenate([x, mass, wind], axis=-1))


def build(config, spec, *, axis_name=None):
    adams = {name: optimizers.adam(1e-3) for name in ("generator", "discriminator")}
    return two_player.build(
        Network(spec.shape[0]),
        Network(1),
        shape=spec.shape,
        loss=losses.hinge(),
        latents=partial(random.latents, size=2),
        training=training.Training(adams, axis_name=axis_name),
        **two_player.conditioned(spec.typical),
    )
'''
DRAWS = np.random.default_rng(0)
MASS = DRAWS.uniform(10, 30, 40).astype(np.float32)
ENTRIES = {
    "image": DRAWS.lognormal(3, 2, (40, 4)).astype(np.float32),
    "condition_mass": MASS,
    "condition_wind": DRAWS.normal(size=(40, 3)).astype(np.float32),
}
TRANSFORM = "image=log1p+standardize,condition_mass=minmax"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run of two steps, its experiment and its data."""
    folder = tmp_path_factory.mktemp("arrays")
    np.savez(folder / "halos.npz", **ENTRIES)
    (folder / "mine.py").write_text(EXPERIMENT)
    assert command.main(["train", *flags(folder), "--steps", "2"]) == 0
    return folder


def flags(folder, transform=TRANSFORM):
    return [
        *(str(folder / "mine.py"), "--data", f"arrays:{folder / 'halos.npz'}", "--no-cache"),
        *("--transform", transform, "--workdir", str(folder / "run")),
        *("--evaluate-every", "2", "--evaluate-samples", "8", "--holdout", "0.3"),
    ]


@pytest.fixture(scope="module")
def model(run):
    return jaxgan.load(run / "run", experiment=run / "mine.py")


@pytest.fixture
def drawn(tmp_path, model, monkeypatch):
    """Returns the arrays that `jaxgan sample` writes with these flags."""
    monkeypatch.setattr(sample.Config, "load", lambda config: model)  # compiled once

    def written(**options):
        out = tmp_path / "drawn.npz"
        sample.sample(sample.Config(tmp_path, out=out, **options), say=print)
        with np.load(out) as archive:
            return dict(archive)

    return written


def test_transforms_are_recorded_and_read_again(run, model):
    splits = trained_model.data_of(run / "run", model.config)
    assert isinstance(splits.train, data.Arrays)
    assert model.spec == DataSpec.of(splits.train)
    assert model.spec.transforms == splits.train.transforms
    recorded = json.loads((run / "run" / "config.json").read_text())["data"]
    assert recorded["inputs"] == {"condition_mass": [1], "condition_wind": [3]}
    assert [step["kind"] for step in recorded["transforms"]["image"]] == ["log1p", "standardize"]


def test_samples_are_written_in_the_units_of_the_data(drawn, model):
    written = drawn(n=20)
    assert set(written) == {"image", "condition_mass", "condition_wind", "seed"}
    assert set(written["condition_mass"].ravel()) <= set(MASS)
    conditions = {
        name: np.asarray(of, np.float32)[np.arange(20) % 16]
        for name, of in model.spec.typical.items()
    }
    images = model.sample_seeds(np.arange(20), **conditions)
    expected = transforms.invert(model.spec.transforms["image"], images)
    np.testing.assert_allclose(written["image"], expected, rtol=1e-6)
    assert written["image"].dtype == np.float32 and written["image"].min() > -1


def test_conditions_are_given_in_the_units_of_the_data(drawn, model):
    written = drawn(seeds="3", condition=("mass=20", "condition_wind=0.5,1,-2"))
    assert written["condition_mass"] == pytest.approx(20)
    assert written["condition_wind"] == pytest.approx(np.array([[0.5, 1, -2]]))
    mass = transforms.apply(model.spec.transforms["condition_mass"], np.array([20.0]))
    (given,) = model.sample(3, 1, condition_mass=mass, condition_wind=[0.5, 1, -2])
    own = transforms.invert(model.spec.transforms["image"], given)
    np.testing.assert_allclose(written["image"][0], own, rtol=1e-5)


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("speed=1", "continuous conditions are: condition_mass, condition_wind"),
        ("wind=1", "--condition has wind=1; expected NAME=NUMBERS with 3 numbers"),
        ("mass=heavy", "--condition has mass=heavy; expected NAME=NUMBERS with one number"),
    ],
)
def test_what_are_no_conditions_is_one_sentence(drawn, condition, said):
    with pytest.raises(RunError, match=said):
        drawn(condition=(condition,))


def test_one_condition_or_one_for_each_sample(model):
    both = {"condition_wind": np.zeros(3)}
    one = model.sample(0, 3, condition_mass=0.5, **both)
    assert np.array_equal(one, model.sample(0, 3, condition_mass=[0.5] * 3, **both))
    assert np.array_equal(one, model.sample(0, 3, condition_mass=[[0.5]] * 3, **both))
    with pytest.raises(ValueError, match=r"'condition_wind' has values of shape \(2,\); expected"):
        model.sample(0, 3, condition_wind=np.zeros((3, 2)))
    with pytest.raises(ValueError, match="'condition_mass' has 2 entries for 3 samples"):
        model.sample(0, 3, condition_mass=[0.5, 0.5])


def test_a_run_goes_on_with_its_own_transforms_only(run, capsys):
    assert command.main(["train", *flags(run, "image=symlog"), "--steps", "4"]) == 2
    assert "was made with --transform image=log1p+standardize" in capsys.readouterr().err
    assert command.main(["train", *flags(run), "--steps", "2"]) == 0


def test_numbers_of_any_units_are_no_pictures(model, tmp_path):
    images = dataclasses.replace(model, spec=model.spec._replace(shape=(2, 2, 1)))
    with pytest.raises(RunError, match="draws numbers in units of their own; give"):
        sample._require_picture(images, tmp_path)


def test_fine_tuning_takes_no_resolution_from_arrays():
    learned = {"shape": [8, 8, 1], "classes": [], "inputs": {}}
    dcgan = experiments.named("dcgan")

    def taken(**more):
        record = {"experiment": dcgan.record, "config": {}, "data": {**learned, **more}}
        return dcgan.with_networks_of(record, dcgan.preset(None)).resolution

    assert taken() == "8x8" and taken(transforms={"image": []}) is None


@pytest.mark.parametrize(
    "changes",
    [{"transforms": []}, {"transforms": {"image": [{"kind": "symlog"}]}}, {"typical": [1]}],
)
def test_a_damaged_record_is_one_sentence(run, changes, tmp_path):
    record = json.loads((run / "run" / "config.json").read_text())
    record["data"] |= changes
    (tmp_path / "config.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match=r"its data are|its typical conditions are"):
        run_directory.required_record(tmp_path)


def test_data_show_tells_entries_and_transforms(run, capsys):
    spec = f"arrays:{run / 'halos.npz'}"
    assert command.main(["data", "show", spec, "--transform", TRANSFORM, "--no-sheet"]) == 0
    said = capsys.readouterr().out
    assert "image          4 float32, " in said and "transform log1p+standardize" in said
    assert "condition_wind 3 float32" in said and "transform none" in said


def test_an_export_takes_the_conditions(run, model):
    from jaxgan.runs import exported
    from jaxgan.tools import export

    asked = export.Asked("safetensors")
    made = export.parts_of(model, {"module": None, "file": str(run / "mine.py")}, asked)
    assert [(one.name, one.kind, one.shape) for one in made.inputs] == [
        ("latents", "latents", (2,)),
        ("condition_mass", "condition", (1,)),
        ("condition_wind", "condition", (3,)),
    ]
    assert exported.Latents(2, "normal")._asdict() == {
        **made.description["latents"],
        "categories": (),
    }
    assert jax.tree.leaves(made.arrays)


def test_a_run_is_evaluated_while_it_trains(run):
    rows = metric_log.rows(run_directory.RunDirectory(run / "run").metrics)
    (row,) = [row for row in rows if "measured" in row]
    assert np.isfinite(row["evaluation/values_kernel"])
    assert row["measured"]["aim"]["number"] == "evaluation/values_kernel"


def test_a_run_is_evaluated_on_held_out_examples(run, model, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(evaluate.Config, "load", lambda config: model)  # compiled once
    held_out = trained_model.data_of(run / "run", model.config).held_out
    asked = [str(run / "run"), "--samples", "20"]
    capsys.readouterr()
    assert evaluate.main(asked) == 0
    said = capsys.readouterr().out
    assert f"against {len(held_out)} examples of arrays:" in said and "(held_out)" in said
    assert "\n  values kernel " in said and "\n  values coverage " in said
    assert "drawn from: latents and condition_mass and condition_wind" in said
    assert "both / transform: log1p+standardize" in said
    assert evaluate.main([*asked, "--split", "train", "--metrics", "prdc"]) == 0
    assert f"against {40 - len(held_out)} examples" in capsys.readouterr().out
    assert evaluate.main([*asked, "--metrics", "fid"]) == 2
    assert "the metrics kid and prdc work for them" in capsys.readouterr().err
