"""Image files through a model: names, sizes and modes are kept or handled, and said so."""

from __future__ import annotations

import dataclasses
import importlib
import subprocess
import sys

import jax
import numpy as np
import optax
import pytest
from PIL import Image

import jaxgan
from jaxgan.data.readers import image_file as image_files
from jaxgan.games import domain_translation
from jaxgan.models import cyclegan, discogan, pix2pix
from jaxgan.runs import command_line, trained_model
from jaxgan.runs.config import DataSpec
from jaxgan.runs.errors import RunError
from jaxgan.tools import caption_to_image, tiling, translate
from tests import toy_runs, toy_translation
from tests.building import built


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A function of the toy's settings: a run of 8x12 pairs with them."""
    root = tmp_path_factory.mktemp("translations")
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 12, 1), np.uint8)
    np.savez(root / "pairs.npz", a=images, b=255 - images)

    def make(name: str, **fields):
        path = root / name
        if not path.exists():
            config = toy_translation.Config(
                workdir=str(path), data=f"npz:{root / 'pairs.npz'}", cache=False, **fields
            )
            command_line.train(toy_translation, config)
        return path

    return make


@pytest.fixture
def inputs(tmp_path):
    """Writes noise in an image file below `tmp_path`; gives the path and the pixels."""

    def write(name: str, height=8, width=12, mode="L", **options):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draws = np.random.default_rng(height * width)
        noise = draws.integers(0, 256, (height, width, 4), np.uint8)
        image = Image.fromarray(noise, "RGBA").convert(mode)
        image.save(path, **options)
        return path, np.asarray(image)

    return write


def translated(workdir, out, *given, **options):
    """What was written, by its name, and what was said."""
    said: list[str] = []
    config = translate.Config(workdir, given, out, **options)
    written = translate.translate(config, say=said.append)
    return {str(path.relative_to(out)): np.asarray(Image.open(path)) for path in written}, said


def test_names_and_the_sub_folders_of_a_folder_are_kept(runs, inputs, tmp_path):
    _, beside = inputs("set/one.bmp")
    _, below = inputs("set/deep/two.png")
    single, _ = inputs("three.tiny.jpg")
    outputs, said = translated(runs("plain"), tmp_path / "out", tmp_path / "in" / "set", single)
    assert sorted(outputs) == ["deep/two.png", "one.png", "three.tiny.png"]
    np.testing.assert_array_equal(outputs["one.png"], 255 - beside)
    np.testing.assert_array_equal(outputs["deep/two.png"], 255 - below)
    assert said[0] == f"3 images are in {tmp_path / 'out'}"
    assert said[1].startswith("take the generator along: ") and len(said) == 2


@pytest.mark.parametrize("size", [(8, 12), (20, 4), (9, 13), (3, 2), (1, 1)])
def test_every_size_goes_through_and_comes_back_and_filling_up_is_said(
    size, runs, inputs, tmp_path
):
    path, pixels = inputs("x.png", *size)
    outputs, said = translated(runs("plain"), tmp_path / "out", path)
    np.testing.assert_array_equal(outputs["x.png"], 255 - pixels)
    filled = [note for note in said if "padded to" in note]
    up = tuple(-(-side // 4) * 4 for side in size)
    expected = f"1 images of {size[0]}x{size[1]} are padded to {up[0]}x{up[1]} and cropped back."
    assert filled == ([] if up == size else [expected])


def test_what_a_model_enlarges_is_cut_back_at_its_own_scale(runs, inputs, tmp_path):
    path, pixels = inputs("x.png", 9, 13)
    outputs, _ = translated(runs("larger", factor=3), tmp_path / "out", path)
    np.testing.assert_array_equal(outputs["x.png"], np.repeat(np.repeat(255 - pixels, 3, 0), 3, 1))


def test_photos_are_computed_in_tiles_where_the_model_says_how_far_it_sees(runs, inputs, tmp_path):
    path, pixels = inputs("x.png", 40, 28)
    tiled = runs("tiled", factor=3, margin=2)
    outputs, _ = translated(tiled, tmp_path / "out", path, tile=12)
    np.testing.assert_array_equal(outputs["x.png"], np.repeat(np.repeat(255 - pixels, 3, 0), 3, 1))
    with pytest.raises(ValueError, match="tiles of 4 pixels with margins of 2 leave nothing"):
        translated(tiled, tmp_path / "none", path, tile=4)


def test_other_modes_are_converted_and_that_is_said(runs, inputs, tmp_path):
    path, pixels = inputs("x.png", mode="RGB")
    outputs, said = translated(runs("plain"), tmp_path / "out", path)
    gray = np.asarray(Image.fromarray(pixels).convert("L"))
    np.testing.assert_array_equal(outputs["x.png"], 255 - gray)
    assert "1 of 1 images are in color: converted to grayscale." in said
    path, _ = inputs("y.png", mode="LA")
    _, said = translated(runs("plain"), tmp_path / "out", path)
    assert any("placed on white" in note for note in said)


def test_transparency_is_kept_around_a_model_without_it_and_enlarged_like_the_image(
    runs, inputs, tmp_path
):
    path, pixels = inputs("x.png", 9, 13, mode="RGBA")
    inputs("y.png", 9, 13)
    outputs, said = translated(runs("larger", factor=3), tmp_path / "out", path.parent)
    plain = Image.alpha_composite(Image.new("RGBA", (13, 9), "white"), Image.fromarray(pixels))
    gray = np.asarray(plain.convert("RGB").convert("L"))
    expected = np.repeat(np.repeat(255 - gray, 3, 0), 3, 1)
    np.testing.assert_array_equal(outputs["x.png"][..., :3], np.stack([expected] * 3, axis=2))
    opacity = Image.fromarray(pixels[..., 3]).resize((39, 27), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(outputs["x.png"][..., 3], opacity)
    assert outputs["y.png"].ndim == 2
    assert (
        "1 of 2 images have transparency: placed on white for the model, and kept around the "
        "model, in the translations."
    ) in said


def test_a_resolution_brings_all_to_one_size_first(runs, inputs, tmp_path):
    paths = [inputs("x.png", 30, 40)[0], inputs("y.png", 8, 8)[0]]
    outputs, _ = translated(runs("plain"), tmp_path / "out", *paths, resolution="8x12")
    assert {made.shape for made in outputs.values()} == {(8, 12)}


def test_what_cannot_be_read_is_left_out_and_named(runs, inputs, tmp_path):
    good, _ = inputs("good.png")
    cut, _ = inputs("cut.png", 40, 40)
    cut.write_bytes(cut.read_bytes()[:200])
    (tmp_path / "in" / "bad.png").write_bytes(b"no image")
    outputs, said = translated(runs("plain"), tmp_path / "out", tmp_path / "in")
    assert list(outputs) == ["good.png"]
    for name in ("cut.png", "bad.png"):
        assert any(note.startswith(f"left out {tmp_path / 'in' / name}: ") for note in said)
    good.unlink()
    with pytest.raises(RunError, match="none of the images can be read"):
        translated(runs("plain"), tmp_path / "none", tmp_path / "in")
    assert not (tmp_path / "none").exists()


def test_what_makes_no_sense_is_refused_in_a_sentence(runs, inputs, finished, tmp_path):
    path, _ = inputs("x.png")
    twin, _ = inputs("twin/x.jpg")
    here = path.parent
    plain, out = runs("plain"), tmp_path / "out"
    refused = {
        "there are no images to translate in nothing": (plain, out),
        f"there are no images to translate in {here / 'none.png'}": (plain, out, here / "none.png"),
        f"{path} and {twin} would both become {out / 'x.png'}": (plain, out, path, twin),
        f"{path} would be overwritten by its translation; choose another": (plain, here, path),
        "does not translate images of a: its model takes nothing": (finished, out, path),
    }
    for sentence, (workdir, to, *given) in refused.items():
        with pytest.raises((RunError, ValueError)) as caught:
            translated(workdir, to, *given)
        assert sentence in str(caught.value)
    assert not out.exists()


def test_the_command_line_says_one_sentence_and_knows_both_ways(runs, inputs, tmp_path, capsys):
    path, _ = inputs("x.png")
    flags = ["--out", str(tmp_path / "out"), "--source", "b"]
    assert translate.main([str(runs("plain")), str(path), *flags]) == 0
    assert (tmp_path / "out" / "x.png").is_file()
    assert translate.main([str(tmp_path), str(path), *flags]) == 2
    captured = capsys.readouterr()
    assert (
        captured.err == f"error: {tmp_path} is no run directory: it has no config.json of a run\n"
    )


def test_the_model_is_that_of_the_checkpoint_and_the_member_asked_for(runs, inputs, tmp_path):
    path, pixels = inputs("x.png")
    several = runs("several", seed=3, seeds=2)
    outputs, _ = translated(several, tmp_path / "out", path, model_seed=4, checkpoint="1")
    np.testing.assert_array_equal(outputs["x.png"], 255 - pixels)
    for options, sentence in (
        ({}, "say which, --model-seed 3"),
        ({"model_seed": 5}, "holds no model of seed 5"),
        ({"model_seed": 4, "checkpoint": "9"}, "has no checkpoint 9"),
    ):
        with pytest.raises(RunError, match=sentence):
            translated(several, tmp_path / "out", path, **options)


def test_help_imports_no_jax():
    command = [sys.executable, "-X", "importtime", "-m", "jaxgan.tools.translate", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=toy_runs.ROOT)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "--resolution" in done.stdout and "tyro" in imported
    assert not {"jax", "flax", "PIL", "numpy"} & imported


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"tile": 256},
            "--tile does nothing: the model of .*plain does not say how far its pixels",
        ),
        ({"each": 2}, "--each does nothing without --captions: leave it out"),
        ({"resize": "pad"}, "--resize does nothing without --resolution: leave it out"),
        ({"captions": ("a",), "tile": 9}, "--tile does nothing with --captions: leave it out"),
        ({"captions": ("a",), "source": "b"}, "--source does nothing with --captions"),
        ({"captions": ("a",), "resolution": "8"}, "--resolution does nothing with --captions"),
        ({"captions": ("a",), "each": 10**12}, "--each is 1000000000000; expected 1000 or less"),
        ({"seed": 2**63}, "--seed is 9223372036854775808; expected 9223372036854775807 or less"),
        ({"seed": -1}, "--seed is -1; expected 0 or more"),
    ],
)
def test_a_flag_that_does_nothing_is_refused(options, sentence, runs, inputs, tmp_path):
    path, _ = inputs("x.png")
    given = () if "captions" in options else (path,)
    with pytest.raises(RunError, match=sentence):
        translated(runs("plain"), tmp_path / "out", *given, **options)
    assert not (tmp_path / "out").exists()


def test_what_was_written_into_the_inputs_is_not_translated_again(runs, inputs, tmp_path):
    _, pixels = inputs("x.png")
    inputs("deep/y.jpg")
    folder = tmp_path / "in"
    out = folder / "deep" / "out"
    once, said = translated(runs("plain"), out, folder)
    assert list(once) == ["deep/y.png", "x.png"] and len(said) == 2
    again, said = translated(runs("plain"), out, folder)
    assert list(again) == list(once)
    np.testing.assert_array_equal(again["x.png"], 255 - pixels)
    assert said[0] == f"left out 2 images of {out}, the output folder"
    _, said = translated(runs("plain"), tmp_path / "other", folder)
    assert said[0].startswith("left out 2 images that jaxgan wrote before: deep/out/deep/y.png, ")
    twice, _ = translated(runs("plain"), tmp_path / "twice", out)
    np.testing.assert_array_equal(twice["x.png"], pixels)
    inner, _ = translated(runs("plain"), tmp_path, folder / "deep", folder / "x.png")
    assert {"x.png", "y.png"} <= inner.keys()  # what lies below the inputs' own parent is no output


def test_names_that_are_no_utf_8_are_translated_and_printed(runs, inputs, tmp_path, capsys):
    path, pixels = inputs("x.png")
    odd, damaged = path.with_name("a\udcff.png"), path.with_name("b\udcfe.png")
    try:
        path.rename(odd)
    except OSError:
        pytest.skip("the file system refuses such names")
    damaged.write_bytes(b"no image")
    out = tmp_path / "out"
    assert translate.main([str(runs("plain")), str(path.parent), "--out", str(out)]) == 0
    np.testing.assert_array_equal(np.asarray(Image.open(out / odd.name)), 255 - pixels)
    said = capsys.readouterr().out
    assert f"left out {path.parent}/b\\xfe.png: not an image\n" in said
    with pytest.raises(ValueError, match=r"a\\xff.png would be overwritten"):
        translated(runs("plain"), path.parent, odd)


# --- memory ---------------------------------------------------------------------------------------


def test_files_appear_as_they_are_done_and_a_batch_is_all_that_is_held(
    runs, inputs, tmp_path, monkeypatch
):
    paths = [inputs(f"{number:02d}.png")[0] for number in range(21)]
    out, held, decode = tmp_path / "out", [], image_files.decode
    paths[3].write_bytes(paths[3].read_bytes()[:60])

    def counted(source, target):
        written = len(list(out.glob("*.png")))
        held.append(paths.index(source) - (paths[3] < source) - written)
        return decode(source, target)

    monkeypatch.setattr(image_files, "decode", counted)
    outputs, _ = translated(runs("plain"), out, *paths)
    assert len(outputs) == 20 and len(held) == 21
    assert max(held) == 7  # of batches of 8, before the last of each is read


def test_what_is_given_one_by_one_is_translated_as_all_at_once(runs):
    model = jaxgan.load(runs("of-batch", of_batch=True))
    images = np.random.default_rng(1).uniform(-1, 1, (11, 8, 12, 1)).astype(np.float32)
    taken = []

    def coming():
        for number, image in enumerate(images):
            taken.append(number)
            yield image

    options = {"key": jax.random.key(0), "batch_size": 4}
    made = domain_translation.one_by_one(model.gan, model.state, coming(), **options)
    first = next(made)
    assert taken == [0, 1, 2, 3]
    together = domain_translation.translated(model.gan, model.state, images, **options)
    np.testing.assert_array_equal(np.stack([first, *made]), together)


def test_of_large_images_a_batch_has_fewer(runs, tmp_path):
    model = jaxgan.load(runs("plain"))
    config = translate.Config(tmp_path, (), tmp_path)
    sizes = {(8, 12): 8, (300, 400): 8, (512, 512): 4, (1000, 700): 1, (3000, 4000): 1}
    assert {size: translate.batch_size(model, config, size) for size in sizes} == sizes
    large = dataclasses.replace(model, spec=DataSpec((1024, 1024, 1), (), {}))
    assert translate.batch_size(large, config, (1024, 1024)) == 8  # as in training


def test_tiles_are_put_together_in_the_type_that_they_have():
    image = np.random.default_rng(0).integers(0, 256, (23, 31, 3), np.uint8)
    pieces = []

    def enlarge(tile):
        pieces.append(tile.shape)
        return tile.repeat(2, axis=1).repeat(2, axis=2)

    made = tiling.enlarged(enlarge, image, margin=2, tile=10)
    assert made.dtype == np.uint8 and set(pieces) == {(1, 10, 10, 3)}
    np.testing.assert_array_equal(made, image.repeat(2, axis=0).repeat(2, axis=1))


def test_captions_that_are_alike_are_numbered_however_many():
    names = caption_to_image.names_of(["A dog!", "a dog 2", "a dog", "a dog", "!"])
    assert names == ["a-dog", "a-dog-2", "a-dog-3", "a-dog-4", "caption"]
    many = caption_to_image.names_of(["a dog"] * 20_000)
    assert len(set(many)) == 20_000 and many[-1] == "a-dog-20000"


# --- batches --------------------------------------------------------------------------------------


def test_images_meet_batches_as_in_training_and_noise_of_their_own(runs):
    model = jaxgan.load(runs("of-batch", of_batch=True))
    images = np.random.default_rng(1).uniform(-1, 1, (10, 8, 12, 1)).astype(np.float32)

    def made(part, size):
        return domain_translation.translated(
            model.gan, model.state, part, key=jax.random.key(0), batch_size=size
        )

    outputs = made(images, 4)
    # Ten in batches of four: the last batch takes in two of those before it.
    batches = [images[0:4], images[4:8], images[6:10]]
    means = np.repeat([batch.mean() for batch in batches], [4, 4, 2])
    noise = (outputs + images + means[:, None, None, None])[:, 0, 0, 0]
    assert noise.min() >= -1e-6 and noise.max() <= 0.01 and len(np.unique(noise.round(6))) > 8
    # Image i has the same noise in whatever batch; fewer images than a batch are one.
    alone = made(images, 1) + images + images.mean(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(alone[:, 0, 0, 0], noise, atol=1e-6)
    few = made(images[:3], 4) + images[:3] + images[:3].mean()
    np.testing.assert_allclose(few[:, 0, 0, 0], noise[:3], atol=1e-6)
    with pytest.raises(ValueError, match="no images to translate"):
        made(images[:0], 4)


# --- real networks --------------------------------------------------------------------------------

_COMMON = {"width": 2, "discriminator_width": 2}
MODELS = {
    "pix2pix": (pix2pix, {"patch_size": 16}),
    "cyclegan": (cyclegan, {"patch_size": 16, "blocks": 1}),
    "discogan": (discogan, {}),
}
PASSING = [
    ("pix2pix", (30, 41), (30, 41)),
    ("pix2pix", (5, 3), (5, 3)),
    ("cyclegan", (30, 41), (30, 41)),
    ("discogan", (20, 24), (20, 24)),
    ("discogan", (10, 10), (16, 16)),
    ("discogan", (30, 30), None),
]


@pytest.mark.parametrize(("name", "size", "passing"), PASSING)
def test_the_size_that_passes_is_the_nearest_that_the_network_takes(name, size, passing, tmp_path):
    module, options = MODELS[name]
    shape = (28, 28, 1)
    optimizers = {side: optax.sgd(0.1) for side in ("generator", "discriminator")}
    gan = built(
        module.build, shape_a=shape, shape_b=shape, optimizers=optimizers, **_COMMON, **options
    )
    state = jax.eval_shape(gan.init, jax.random.key(0))
    spec = DataSpec(shape, (), {"a": shape})
    model = trained_model.TrainedModel(gan, state, toy_translation.Config(), spec, 0)
    config = translate.Config(tmp_path, (), tmp_path)
    if passing is None:
        with pytest.raises(RunError, match="trained on 28x28: give --resolution 28x28"):
            translate.nearest_size(model, config, size, 1)
    else:
        assert translate.nearest_size(model, config, size, 1) == passing


def test_every_experiment_between_domains_names_its_module():
    for name in MODELS:
        module = importlib.import_module(f"experiments.{name}")
        assert module.Config().data_options["kind"] in ("pairs", "domains")
