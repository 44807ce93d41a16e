"""Exports: the generator alone, opened with and without this library, draws the same images."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shutil
import subprocess
import sys

import generators
import jax
import jax.numpy as jnp
import laws
import numpy as np
import pytest

import jaxgan
from jaxgan import random
from jaxgan.data import origins
from jaxgan.runs import exported, trained_model
from jaxgan.runs.config import DataSpec, RunConfig
from jaxgan.runs.errors import RunError
from jaxgan.runs.trained_model import TrainedModel
from jaxgan.tools import export, model_card
from tests import toy_experiment, toy_runs

PROGRAM = export.Asked("stablehlo")
MADE_BY = {"module": "mine", "file": "/home/me/mine.py"}


def model_of(case: laws.Case) -> TrainedModel:
    """The case's model with weights that no training gave it: small noise, and its variances 1."""
    gan, draws = case.build(), np.random.default_rng(0)

    def filled(path, leaf):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.key(0)
        near = 1.0 if jax.tree_util.keystr(path[-1:]) in ("['var']", "['scale']") else 0.0
        noise = near + 0.1 * draws.normal(size=leaf.shape)
        return jnp.asarray(noise if leaf.dtype == np.float32 else np.zeros(leaf.shape), leaf.dtype)

    state = jax.tree_util.tree_map_with_path(filled, jax.eval_shape(gan.init, jax.random.key(0)))
    inputs = {name: case.images[name] for name in ("a", "caption") if name in case.images}
    classes = tuple(f"class {number}" for number in range(case.classes))
    spec = DataSpec(case.images.get("b", case.shape), classes, inputs)
    return TrainedModel(gan, state, RunConfig(), spec, 3)


QUICK = ("dcgan", "conditional", "pix2pix")
NAMES = [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in laws.BY_NAME
]


@pytest.mark.parametrize("name", NAMES)
def test_an_exported_program_draws_the_images_of_its_model(name, tmp_path):
    model = model_of(laws.BY_NAME[name])
    made = export.parts_of(model, MADE_BY, PROGRAM)
    export.write(tmp_path, made, overwrite=False)
    assert export.checked(tmp_path, model, made) <= 1e-5
    assert not [path for path in made.arrays if "discriminator" in path]
    platforms = jax.export.deserialize(bytearray(made.files[exported.PROGRAM])).platforms
    assert platforms == export.PLATFORMS


@pytest.mark.slow
def test_a_program_of_two_domains_translates_the_way_that_is_asked_for(tmp_path):
    model = model_of(laws.BY_NAME["cyclegan"])
    for source in ("a", "b"):
        made = export.parts_of(model, MADE_BY, export.Asked("stablehlo", source, "16x8"))
        (image,) = made.inputs
        assert (image.name, image.shape) == (source, (16, 8, 1))
        export.write(tmp_path / source, made, overwrite=False)
        assert export.checked(tmp_path / source, model, made) <= 1e-5


@pytest.mark.slow
def test_codes_are_conditions_of_an_exported_program_too(tmp_path):
    model = model_of(laws.BY_NAME["infogan"])
    export.write(tmp_path, export.parts_of(model, MADE_BY, PROGRAM), overwrite=False)
    opened = jaxgan.load(tmp_path)
    for given in ({}, {"c1": 2}, {"c2": 0.5, "c1": [0, 1, 2]}):
        np.testing.assert_allclose(
            opened.sample(0, 3, **given), model.sample(0, 3, **given), atol=1e-6
        )


# --- of a run -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exports(finished, tmp_path_factory):
    """The exports of a run of the toy, by their format."""
    root, said = tmp_path_factory.mktemp("exports"), []
    measured = {
        "step": 16,
        "evaluation/swd": 0.25,
        "measured": {
            "aim": {"metric": "swd", "number": "evaluation/swd", "best": "lowest"},
            "settings": {"split": "train", "metrics": {"swd": {"directions": 128}}},
            "warnings": [],
        },
    }
    run = shutil.copytree(finished, root / "run")
    with (run / "metrics.jsonl").open("a") as log:
        log.write(json.dumps(measured) + "\n")
    for form in exported.WEIGHTS:
        export.export(export.Config(run, out=root / form, format=form), say=said.append)
    assert len(said) == 2
    return {form: root / form for form in exported.WEIGHTS}


@pytest.fixture(scope="module")
def model(finished):
    return jaxgan.load(finished)


@pytest.mark.parametrize("form", exported.WEIGHTS)
def test_an_export_is_opened_as_the_run_is(form, exports, model):
    for path in (exports[form], exports[form] / exported.WEIGHTS[form]):
        opened = jaxgan.load(path, experiment=toy_experiment)
        assert (opened.step, opened.spec) == (24, model.spec)
        np.testing.assert_allclose(opened.sample(3, 70), model.sample(3, 70), atol=1e-6)
    assert sorted(opened.state.players) == ["generator"]
    with pytest.raises(RunError, match="an export, which holds one model: leave out seed=0"):
        jaxgan.load(exports[form], seed=0)


def test_the_weights_are_the_average_by_the_paths_of_the_network(exports, model):
    import safetensors.numpy

    found = safetensors.numpy.load_file(exports["safetensors"] / "generator.safetensors")
    average = model.state.ema["generator"]
    kernel = found.pop("generator/params/Dense_0/kernel")
    np.testing.assert_array_equal(kernel, average["params"]["Dense_0"]["kernel"])
    assert {path.partition("/")[0] for path in found} == {"generator"}
    assert "generator/batch_stats/BatchNorm_0/mean" in found


def test_the_lines_of_the_card_run_a_program_without_this_library(exports, model, tmp_path):
    folder = exports["stablehlo"]
    lines = model_card.program([exported.Input("latents", "latents", (3,))], {"prior": "normal"})
    assert f"```python\n{lines}\n```" in (folder / "README.md").read_text()
    blocked = "import sys\nfor name in ('jaxgan', 'flax', 'optax'):\n    sys.modules[name] = None\n"
    saved = f"\nnumpy.save({str(tmp_path / 'images.npy')!r}, images)\n"
    program = [sys.executable, "-c", blocked + lines + saved]
    subprocess.run(program, cwd=folder, check=True, timeout=120)
    generator = model.state.averaged()["generator"]
    expected = generator(jax.random.normal(jax.random.key(0), (16, 3)))
    np.testing.assert_allclose(np.load(tmp_path / "images.npy"), expected, atol=1e-5)


def test_the_card_says_where_a_generator_comes_from(exports):
    card = (exports["stablehlo"] / "README.md").read_text()
    assert card.startswith("# A generator trained by `toy_experiment`\n")
    assert "The averaged weights of the generator, 208 numbers, after 24 train steps" in card
    assert "| `latents` | batch x 3 | float32 | 3 entries of N(0, 1) |" in card
    assert "| output | batch x 4 x 4 x 1 | float32 | values in [-1, 1] |" in card
    assert "`npz:images.npz`: whose origin and license this card does not know" in card
    assert "Evaluated at step 16:\n\n| metric | value |\n|---|---|\n| swd | 0.25 |" in card
    assert "- split: train\n- metrics / swd / directions: 128" in card
    assert "- n critic: 1" in card
    assert "![samples](samples.png)" in card
    assert (exports["stablehlo"] / "samples.png").read_bytes().startswith(b"\x89PNG")


def test_an_export_names_no_place_of_the_machine(exports, finished):
    for form, folder in exports.items():
        for text in ("model.json", "README.md"):
            assert str(finished.parent) not in (folder / text).read_text(), form
    described = json.loads((exports["stablehlo"] / "model.json").read_text())
    assert described["latents"] == {"size": 3, "prior": "normal", "categories": [], "continuous": 0}
    assert described["output"] == {"shape": [4, 4, 1], "dtype": "float32", "range": [-1, 1]}
    assert described["classes"] == ["0", "1", "2"]


def test_the_embedded_data_have_an_origin():
    assert "MIT" in (origins.origin("fashion") or "")
    assert "Creative Commons Attribution 2.0" in (origins.origin("flowers") or "")
    assert origins.origin("folder:photos") is None


# --- what is refused ------------------------------------------------------------------------------


def test_nothing_is_lost(exports, finished, tmp_path):
    def refused(sentence, out, **options):
        before = toy_runs.snapshot(out)
        with pytest.raises(RunError, match=sentence):
            export.export(export.Config(finished, out=out, **options), say=print)
        assert toy_runs.snapshot(out) == before

    refused("holds an export; choose another folder, or replace it with", exports["stablehlo"])
    refused("holds a run; choose another folder", finished, overwrite=True)
    (tmp_path / "README.md").write_text("mine")
    refused(r"holds README\.md, which is not of an export", tmp_path, overwrite=True)
    (tmp_path / "README.md").rename(tmp_path / "model.json")
    refused(r"model\.json cannot be read", tmp_path, overwrite=True)
    refused("--resolution does nothing without --format", tmp_path / "new", resolution="8")
    refused("--source does nothing: leave it out", tmp_path / "new", source="b")
    assert not (tmp_path / "new").exists()


def test_an_export_replaces_another_and_leaves_what_is_not_its_own(exports, finished, tmp_path):
    out = shutil.copytree(exports["stablehlo"], tmp_path / "out")
    (out / "notes.txt").write_text("mine")
    export.export(export.Config(finished, out=out, overwrite=True), say=print)
    assert sorted(path.name for path in out.iterdir()) == [
        "README.md",
        "generator.safetensors",
        "model.json",
        "notes.txt",
        "samples.png",
    ]
    assert jaxgan.load(out, experiment=toy_experiment).step == 24


def changed(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_a_damaged_or_newer_export_is_refused_in_a_sentence(exports, tmp_path):
    def broken(form, sentence, damage):
        out = shutil.copytree(exports[form], tmp_path / str(len(list(tmp_path.iterdir()))))
        damage(out)
        with pytest.raises(RunError, match=sentence):
            jaxgan.load(out, experiment=toy_experiment)

    def flip(name):
        def damage(out):
            content = bytearray((out / name).read_bytes())
            content[len(content) // 2] ^= 1
            (out / name).write_bytes(content)

        return damage

    def described(change):
        return lambda out: changed(out / "model.json", change)

    broken("stablehlo", "is damaged: generator.stablehlo is not the file", flip(exported.PROGRAM))
    broken("stablehlo", "is damaged: weights.npz is not the file", flip("weights.npz"))
    broken("safetensors", "is not the file that was exported", flip("generator.safetensors"))
    broken("stablehlo", "is damaged: no such file", lambda out: (out / "weights.npz").unlink())
    broken("safetensors", "made by a newer jaxgan", described(lambda d: d.update(format=9)))
    broken("safetensors", "does not describe an export", described(lambda d: d.update(format="1")))
    broken("safetensors", "is damaged: it lacks 'form'", described(lambda d: d.pop("form")))
    broken("stablehlo", "is damaged", described(lambda d: d.update(inputs=3)))
    broken("safetensors", "cannot be read", lambda out: (out / "model.json").write_text("{"))


def test_a_program_that_calls_something_else_is_refused():
    matrix = jax.ShapeDtypeStruct((2, 2), np.float32)
    harmless, calling = (
        jax.export.export(jax.jit(f))(matrix) for f in (jnp.sin, jnp.linalg.cholesky)
    )
    exported._require_closed(harmless)
    with pytest.raises(ValueError, match=r"its program calls lapack_spotrf\w*, which no generator"):
        exported._require_closed(calling)


def test_latents_of_their_own_kind_need_the_network(model):
    def sample(state, keys, **conditions):
        return state["generator"](2 * random.latents(keys, 3))

    own = TrainedModel(
        model.gan._replace(sample=sample), model.state, model.config, model.spec, model.step
    )
    with pytest.raises(RunError, match=r"drawn in a way of its own, .*use --format safetensors"):
        export.parts_of(own, MADE_BY, PROGRAM)
    assert export.parts_of(own, MADE_BY, export.Asked("safetensors")).description["latents"] is None


# --- conditions -----------------------------------------------------------------------------------


def test_a_condition_is_brought_to_the_shape_of_the_program():
    keys = random.row_keys(jax.random.key(0), 2)
    caption = exported.Input("caption", "caption", (8,), "int32")
    short = np.ones((2, 4), np.uint8)
    padded = exported._value(caption, short, keys)
    np.testing.assert_array_equal(padded, [[1, 1, 1, 1, 0, 0, 0, 0]] * 2)
    assert padded.dtype == np.int32
    with pytest.raises(ValueError, match=r"the shape \(16,\); this export takes \(8,\)"):
        exported._value(caption, np.ones((2, 16), np.uint8), keys)
    assert exported._value(caption, None, keys).shape == (2, 8)
    with pytest.raises(ValueError, match="give label="):
        exported._value(exported.Input("label", "label", (), "int32"), None, keys)


def test_a_model_of_arrays_is_exported_with_its_condition_and_units():
    model = dataclasses.replace(generators.of_arrays(), config=RunConfig())
    made = export.parts_of(model, {"module": None, "file": "/home/me/my.fields.py"}, PROGRAM)
    assert [one.name for one in made.inputs] == ["latents", "condition_mass"]
    assert made.description["output"]["range"] is None
    text = model_card.card(pathlib.Path("nowhere"), model, made, difference=0, shown=False)
    assert text.startswith("# A generator trained by `fields`")
    assert "| `condition_mass` | batch x 1 | float32 | a condition in the units of the net" in text
    assert "| output | batch x 4 x 4 x 1 | float32 | values in the units of the network" in text


def test_what_a_sampler_reads_is_found_in_its_program():
    def program(used, unused, through):
        del unused
        return jnp.sin(used) + jax.jit(jnp.cos)(through)

    numbers = (1.0, 2.0, 3.0)
    assert export._live(jax.make_jaxpr(program)(*numbers).jaxpr) == [True, False, True]


def test_the_command_exports_and_says_one_sentence(finished, tmp_path, capsys):
    from jaxgan import __main__

    assert __main__.main(["export", str(finished), "--out", str(finished)]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith(f"error: --out {finished} holds a run; choose another folder")
    assert trained_model.load(finished).step == 24


def test_without_its_package_a_program_is_refused_with_the_extra(finished, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "flatbuffers", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RunError, match=r"pip install 'jaxgan\[export\]'"):
        export.export(
            export.Config(finished, format="stablehlo", out=tmp_path / "out"), say=lambda text: None
        )
    assert not (tmp_path / "out").exists()
