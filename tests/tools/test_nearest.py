"""The training images nearest to samples: copies are told from independent images."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

import jaxgan
from jaxgan import data
from jaxgan.__main__ import main
from jaxgan.metrics import memorization, streaming
from jaxgan.runs.errors import RunError
from jaxgan.tools import command, nearest, sample
from tests import toy_runs


@pytest.fixture(scope="module")
def garments():
    """Training images, held-out ones, and others that neither knows."""
    real = data.load("fashion").train
    return [real.subset(np.arange(start, 900, 3)) for start in range(3)]


def judged(config, samples, training, held_out):
    extractor = nearest.extractor_of(config, training, judge="lite0")
    rows = nearest.of_training(training, extractor, config, streaming.unseen)
    apart = [
        memorization.neighbors(
            nearest.of_real(images, extractor, config, streaming.unseen), rows, count=1
        )[1][:, 0]
        for images in (samples, held_out)
    ]
    return memorization.memorization(*apart)


@pytest.mark.parametrize("features", ["network", "pixels"])
def test_a_generator_that_copies_is_told_from_one_that_does_not(features, garments):
    config = nearest.Config("run", features=features, cache=False)
    training, held_out, others = garments
    noise = np.random.default_rng(0).integers(-8, 9, training.images.shape)
    noisy = np.clip(training.images + noise, 0, 255).astype(np.uint8)
    copies = dataclasses.replace(training, images=noisy)
    assert judged(config, copies, training, held_out).verdict == "memorizes"
    assert judged(config, others, training, held_out).verdict == "independent"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "memorized"),
    [(("--limit-images=50", "--steps=20000"), True), (("--steps=2000",), False)],
    ids=["50 images for long", "all images"],
)
def test_a_model_trained_long_on_few_images_is_told_from_one_that_was_not(
    flags, memorized, tmp_path
):
    run = ("vanilla", "--data=fashion", "--batch-size=32", "--steps-per-call=100", "--devices=1")
    quiet = ("--sample-every=0", "--no-cache", f"--workdir={tmp_path}")
    assert main(["train", *run, *flags, *quiet]) == 0
    for features in ("network", "pixels"):
        out = tmp_path / f"{features}.png"
        config = nearest.Config(tmp_path, features=features, out=out, cache=False)
        found = nearest.nearest(config, say=print)
        assert found is not None and (found.verdict == "memorizes") == memorized


def test_mirror_images_are_copies_too_if_training_showed_them(garments):
    config = nearest.Config("run", features="pixels")
    training, held_out, _ = garments
    mirrored = dataclasses.replace(training, images=training.images[:, :, ::-1])
    shown = training.augmented(flip=True)
    assert judged(config, mirrored, shown, held_out).copies == 1.0
    assert judged(config, mirrored, training, held_out).copies < 0.5


def test_pixels_are_compared_by_the_root_of_the_mean_square():
    images = np.stack([np.full((2, 3, 1), value, np.float32) for value in (-1, 1, 0)])
    rows = nearest.pixels(images)
    assert np.linalg.norm(rows[0] - rows[1]) == pytest.approx(1)
    assert np.linalg.norm(rows[0] - rows[2]) == pytest.approx(0.5)


def test_the_picture_has_the_nearest_samples_first(garments, tmp_path):
    training = garments[0]
    images = garments[1].float_images()[:3]
    apart = np.array([[3.0, 4.0], [1.0, 2.0], [2.0, 3.0]])
    indices = np.array([[0, 1], [2, len(training) + 3], [4, 5]])
    asked = sample.Asked(np.array([7, 8, 9]), np.array([0, 1, 2]))
    nearest.picture(
        tmp_path / "x.png", images, nearest.Found(indices, apart), training, asked, rows=1
    )
    with Image.open(tmp_path / "x.png") as picture:
        shown = np.asarray(picture.convert("L"))
    tiles = [shown[28 : 28 + 56, 12 + 60 * i : 12 + 60 * i + 56][::2, ::2] for i in range(3)]
    np.testing.assert_array_equal(tiles[0], garments[1].images[1, :, :, 0])
    np.testing.assert_array_equal(tiles[1], training.images[2, :, :, 0])
    np.testing.assert_array_equal(tiles[2], training.images[3, :, ::-1, 0])


def test_a_run_is_compared_with_its_own_data(finished, tmp_path):
    said: list[str] = []
    before = toy_runs.snapshot(finished)
    config = nearest.Config(finished, out=tmp_path / "n.png", samples=30, features="pixels")
    found = nearest.nearest(config, say=said.append)
    assert found is not None and found.verdict == "unknown"  # 4 photographs are held out
    assert f"30 samples of {finished}, compared by pixels" in said[0]
    assert any("of held-out photographs: " in line for line in said)
    assert "too few photographs were held out" in "\n".join(said)
    assert said[-1].endswith(f"jaxgan project {finished} PHOTO --out DIR")
    with Image.open(tmp_path / "n.png") as picture:
        assert picture.height > 10 * 64
    assert toy_runs.snapshot(finished) == before
    with pytest.raises(RunError, match=r"n.png exists; .*--overwrite"):
        nearest.nearest(config, say=said.append)


def test_what_cannot_be_compared_is_one_sentence(finished, tmp_path, capsys):
    toy_runs.assert_refuses_other_data(nearest, finished, tmp_path / "copy", capsys)
    for arguments, sentence in [
        ([tmp_path], "is no run directory"),
        ([finished, "--out", tmp_path / "x.jpg"], "expected a .png file"),
        ([finished, "--samples", "0"], "--samples is 0; expected 1 or more"),
    ]:
        assert nearest.main([str(argument) for argument in arguments]) == 2
        said = capsys.readouterr().err
        assert sentence in said
        assert said.count("\n") == 1


def test_without_photographs_held_out_there_is_no_verdict(finished, tmp_path, monkeypatch):
    found = command.data_of(finished, jaxgan.load(finished), None)
    monkeypatch.setattr(command, "data_of", lambda *_: found._replace(held_out=found.train))
    said: list[str] = []
    config = nearest.Config(finished, tmp_path / "x.png", samples=30, features="pixels")
    assert nearest.nearest(config, say=said.append) is None
    assert "the run held nothing out (--holdout 0)" in "\n".join(said)
    assert (tmp_path / "x.png").exists()


def test_data_that_are_no_images_are_not_compared(finished, tmp_path, monkeypatch):
    ring = data.mixtures.ring()
    monkeypatch.setattr(command, "data_of", lambda *_: data.Splits(ring, ring))
    with pytest.raises(RunError, match="are no images"):
        nearest.nearest(nearest.Config(finished, tmp_path / "x.png"), say=pytest.fail)


def test_color_images_without_a_network_are_sent_to_pixels(garments, monkeypatch):
    from jaxgan.metrics import features

    monkeypatch.setattr(features, "of_efficientnet", lambda *arguments, **options: None)
    training = garments[0]
    colors = dataclasses.replace(training, images=training.images.repeat(3, axis=3))
    with pytest.raises(RunError, match=r"of 3 channels: .*or give --features pixels"):
        nearest.extractor_of(nearest.Config("run"), colors, judge="lite0")
