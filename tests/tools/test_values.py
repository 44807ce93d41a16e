"""Values of more than 8 bits, and many channels, from the data of a run to files of its tools."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import jaxgan
from jaxgan import data
from jaxgan.data import value_files
from jaxgan.data.readers import image_file, tiff
from jaxgan.runs import command_line
from jaxgan.runs.errors import RunError
from jaxgan.tools import data as show
from jaxgan.tools import sample, translate
from tests import toy_runs, toy_translation
from tests.data.conftest import png_of_16_bits

DEEP = data.ValueRange(0, 4095, "uint16", "found")


def images(channels: int, *, count: int = 44, most: int = 4095) -> np.ndarray:
    found = np.random.default_rng(channels).integers(0, most, (count, 4, 4, channels), np.uint16)
    found[:, 0] = most  # in every image, so that any training set has the range
    return found


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """A run on images of five channels of 12 bits, not to be written to."""
    root = tmp_path_factory.mktemp("deep")
    np.savez(root / "set.npz", images=images(5))
    return toy_runs.train(root / "run", data=f"npz:{root / 'set.npz'}", steps=2, show="5,2,1")


@pytest.fixture(scope="module")
def negatives(tmp_path_factory):
    """A function of channels, a highest value and a type: a run whose b is the negative of a."""
    root = tmp_path_factory.mktemp("negatives")

    def make(channels: int, most: int, dtype: str = "uint16"):
        path = root / f"{channels}-{most}-{dtype}"
        a = images(channels, most=most)
        a[:, 1] = 0
        np.savez(f"{path}.npz", a=a.astype(dtype), b=(most - a).astype(dtype))
        config = toy_translation.Config(workdir=str(path), data=f"npz:{path}.npz", cache=False)
        command_line.train(toy_translation, config)
        return path

    return make


def translated(run, out, *given):
    said: list[str] = []
    written = translate.translate(translate.Config(run, given, out), say=said.append)
    return written, said


def test_the_range_of_the_data_is_recorded_and_loaded(deep):
    record = json.loads((deep / "config.json").read_text())["data"]
    assert record["ranges"] == {"image": DEEP.record()}
    model = jaxgan.load(deep)
    assert model.spec.range_of("image") == DEEP and model.show == (4, 1, 0)
    assert toy_runs.train(deep, steps=2, data=model.config.data, show="3,2,1") == deep
    with pytest.raises(RunError, match="was made with --range None and cannot go on with 0,9"):
        toy_runs.train(deep, steps=2, data=model.config.data, range="0,9")


def test_samples_are_returned_in_the_values_of_the_data_where_asked(deep):
    model = jaxgan.load(deep)
    drawn, values = model.sample(3, 5), model.sample(3, 5, values=True)
    assert values.dtype == np.uint16 and values.shape == (5, 4, 4, 5)
    assert np.array_equal(values, np.rint((np.clip(drawn, -1, 1) + 1.0) * 2047.5))
    assert np.array_equal(model.sample_seeds([3], values=True)[0], values[0])


def test_sample_writes_values_to_arrays_and_the_named_channels_to_pictures(deep, tmp_path):
    said: list[str] = []
    out = tmp_path / "set.npz"
    sample.sample(sample.Config(deep, out=out, n=3, values=True), say=said.append)
    model = jaxgan.load(deep)
    with np.load(out) as arrays:
        assert np.array_equal(arrays["image"], model.sample_seeds([0, 1, 2], values=True))
    assert "their range is [0, 4095], found in the training images" in said
    with pytest.raises(RunError, match="--values does nothing to pictures, which have 8 bits"):
        sample.sample(sample.Config(deep, out=tmp_path / "it", values=True), say=said.append)
    sample.sample(sample.Config(deep, out=tmp_path / "it", n=2), say=said.append)
    picture = np.asarray(Image.open(tmp_path / "it" / "000000.png"))
    levels = data.to_uint8(np.asarray(model.sample_seeds([0])))[0]
    assert np.array_equal(picture, levels[..., [4, 1, 0]])
    assert "Pictures show channels 5, 2 and 1 of 5 as red, green and blue." in said


@pytest.mark.parametrize(
    ("channels", "most", "dtype"), [(1, 4095, "uint16"), (3, 65535, "uint16"), (5, 4095, "uint16")]
)
def test_a_translation_there_and_back_is_the_file_again(negatives, tmp_path, channels, most, dtype):
    run = negatives(channels, most, dtype)
    values = images(channels, most=most)[0].astype(dtype)
    kind = value_files.suffix(channels, dtype)
    path = tmp_path / f"x{kind}"
    path.write_bytes(value_files.encoded(values))
    (there,), _ = translated(run, tmp_path / "there", path)
    (back,), said = translated(run, tmp_path / "back", there)
    assert there.name == back.name == path.name
    assert read(there).dtype == values.dtype
    assert np.array_equal(read(there), most - values) and np.array_equal(read(back), values)
    assert said[0] == f"1 images are in {tmp_path / 'back'}"


@pytest.mark.parametrize("most", [65535, 255])
def test_transparency_of_16_bits_is_kept_around_the_model(negatives, tmp_path, most):
    run = negatives(1, most, "uint16" if most > 255 else "uint8")
    draws = np.random.default_rng(0).integers(0, 65535, (4, 4, 4), np.uint16)
    draws[..., 1:3] = draws[..., :1]  # gray, so that both are one image
    for name, values in {"la.png": draws[..., [0, 3]], "rgba.png": draws}.items():
        (tmp_path / name).write_bytes(png_of_16_bits(values))
    names = [tmp_path / "la.png", tmp_path / "rgba.png"]
    written, said = translated(run, tmp_path / "out", *names)
    gray, color = (_values_with_opacity(path) for path in written)
    opaque = draws[..., 3] / 65535
    expected = opaque * (65535 - draws[..., 0].astype(float)) * most / 65535
    np.testing.assert_allclose(gray[..., 0], expected, atol=1)
    np.testing.assert_allclose(gray[..., 3], opaque * most, atol=1)
    np.testing.assert_allclose(color.astype(int), gray, atol=1)
    assert "have transparency: placed on white for the model, and kept" in "\n".join(said)


def _values_with_opacity(path) -> np.ndarray:
    header = image_file.inspect(path)
    assert "transparent" in header.traits
    target = data.resizing.Target(header.size, "crop", 4, dtype=header.dtype)
    return image_file.decode(path, target)


def read(path) -> np.ndarray:
    """The values of a file that `value_files` wrote."""
    if path.suffix == ".tif":
        return tiff.read(path.read_bytes())
    header = image_file.inspect(path)
    channels = 1 if "grayscale" in header.traits else 3
    target = data.resizing.Target(header.size, "crop", channels, dtype=header.dtype)
    return image_file.decode(path, target)


def test_an_input_of_another_type_or_number_of_channels_is_left_out(negatives, tmp_path):
    run = negatives(1, 4095)
    given = {
        "a.png": np.zeros((4, 4, 1), np.uint8),
        "b.tif": np.zeros((4, 4, 5), np.uint16),
        "c.png": np.full((4, 4, 1), 9, np.uint16),
    }
    for name, values in given.items():
        (tmp_path / name).write_bytes(value_files.encoded(values))
    paths = [tmp_path / name for name in given]
    written, said = translated(run, tmp_path / "out", *paths)
    assert [path.name for path in written] == ["c.png"]
    assert said[:2] == [
        f"left out {paths[0]}: it holds values of uint8, and the model takes uint16 in [0, 4095]: "
        "save it in these",
        f"left out {paths[1]}: it has 5 bands, and the model takes images of 1 channels",
    ]


def test_data_show_says_what_the_values_are(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    values = images(5, count=12) - np.float32(95)
    np.savez("set.npz", images=values)
    arguments = ["show", "npz:set.npz", "--holdout", "0", "--range=-95,5000", "--show", "2"]
    assert show.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    least = f"{values.min():g}"
    assert lines[4].startswith(f"values     {least} to 4000 (float32, range -95 to 5000), ")
    said = "note       The values are float32; their range is [-95, 5000], given by --range."
    assert said in lines and "note       Pictures show channel 2 of 5." in lines
    assert Image.open("data.png").mode == "L"
