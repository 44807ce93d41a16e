"""Photographs are projected to latents: what the model drew is found again."""

from __future__ import annotations

import dataclasses
import types
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image

import jaxgan
from jaxgan import __main__ as command
from jaxgan import data, nn
from jaxgan.games.bidirectional import Encoding
from jaxgan.metrics import perceptual
from jaxgan.runs import invocation
from jaxgan.runs.config import DataSpec
from jaxgan.runs.errors import RunError
from jaxgan.tools import command as command_of_tools
from jaxgan.tools import inversion, latent_space, project
from tests import toy_runs


@pytest.fixture(scope="module")
def model(finished):
    return jaxgan.load(finished)


def photo(path, pixels):
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def pixels():
    """Only pixels are compared: without a network, descents are compiled in a moment."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(perceptual, "of_channels", lambda channels: perceptual.of_pixels())
        yield


def test_a_generated_image_is_found_again(model):
    measure = perceptual.of_pixels()
    targets = np.asarray(model.sample(77, 3))
    prior = inversion.drawn(model, targets, measure, count=100, seed=0)
    space = latent_space.space_of(model)
    np.testing.assert_array_equal(prior.latents, space.draw(0, 100))
    apart = np.abs(targets[:, None] - space.show(prior.latents)[None]).mean(axis=(2, 3, 4))
    np.testing.assert_allclose(prior.distances, apart, atol=1e-6)
    found = inversion.invert(model, targets, measure, prior, restarts=3, steps=150, seed=0)
    assert (found.distances < 0.2 * prior.distances.min(axis=1)).all()
    np.testing.assert_allclose(found.images, space.show(found.latents), atol=1e-6)
    np.testing.assert_allclose(
        np.abs(found.images - targets).mean(axis=(1, 2, 3)), found.distances, atol=1e-6
    )
    longest = np.linalg.norm(prior.latents, axis=1).max()
    assert (np.linalg.norm(found.latents, axis=1) <= longest * (1 + 1e-6)).all()


def test_descents_start_from_the_encoder_the_nearest_draws_and_others(model):
    prior = inversion.Prior(
        np.arange(10, dtype=np.float32)[:, None],
        np.arange(10, dtype=np.int32) % 2,
        np.array([[5, 0, 4, 1, 9, 9, 9, 9, 9, 9], [9, 9, 9, 9, 9, 9, 9, 1, 2, 9]], np.float32),
    )
    targets = np.zeros((2, 4, 4, 1), np.float32)
    latents, labels = inversion.starts(model, targets, prior, restarts=4, seed=0)
    assert latents.shape == (2, 4, 1)
    assert latents[:, :2, 0].tolist() == [[1, 3], [7, 8]]
    np.testing.assert_array_equal(labels, latents[:, :, 0] % 2)

    def encode(variables, images, *, mutable):
        return Encoding(linen.avg_pool(images, (4, 4))[:, 0, 0], images), {}

    encoder = model.state["generator"].replace(apply_fn=encode)
    state = model.state.replace(players={**model.state.players, "encoder": encoder})
    gan = model.gan._replace(conditions=("image",))
    encoding = dataclasses.replace(model, gan=gan, state=state)
    latents, labels = inversion.starts(encoding, targets + 0.5, prior, restarts=4, seed=0)
    assert latents[:, :3, 0].tolist() == [[0.5, 1, 3], [0.5, 7, 8]]
    assert labels[:, 0].tolist() == [1, 1]
    latents, _ = inversion.starts(encoding, targets, prior, restarts=1, seed=0)
    assert latents.tolist() == [[[0.0]], [[0.0]]]


def test_the_files_hold_the_latents_and_the_report_what_compares(finished, model, pixels, tmp_path):
    drawn = data.to_uint8(np.asarray(model.sample(5, 1)))[0, :, :, 0]
    (tmp_path / "other").mkdir()
    photos = (
        photo(tmp_path / "cat.png", drawn),
        photo(tmp_path / "other" / "cat.png", np.zeros((9, 8, 3), np.uint8)),
    )
    said: list[str] = []
    config = project.Config(
        finished, photos, out=tmp_path / "out", steps=40, restarts=2, samples=64, compared=2
    )
    before = toy_runs.snapshot(finished)
    written = project.project(config, say=said.append)
    assert [path.name for path in written] == ["pairs.png", "cat.npz", "cat-2.npz"]
    assert toy_runs.snapshot(finished) == before
    with np.load(tmp_path / "out" / "cat.npz") as file:
        image = latent_space.space_of(model).show(file["latent"][None])[0]
        np.testing.assert_allclose(file["image"], image, atol=1e-6)
        assert f"{file['distance']:.4f}" in "\n".join(said)
    with Image.open(written[0]) as picture:
        assert picture.width > 3 * 64
    text = "\n".join(said)
    assert "1 of 2 images are in color: converted to grayscale." in text
    assert "the nearest of 64 samples" in text
    assert "  generated images" in text and "  held-out photographs" in text
    assert text.count("mean of 2") == 2
    with pytest.raises(RunError, match=r"pairs.png exists; .*--overwrite"):
        project.project(config, say=said.append)


def test_the_report_warns_where_generated_images_are_not_found_again():
    prior = inversion.Prior(np.zeros((5, 2)), None, np.array([[2.0, 1], [4, 8], [4, 6], [3, 3]]))
    kinds = {project.GENERATED: 2, project.HELD_OUT: 1}
    for left, warned in ((0.5, False), (1.5, True)):
        distances = np.array([0.25, left, left, 2.0])
        found = inversion.Inverted(np.zeros((4, 2)), None, np.zeros((4, 1)), distances)
        lines = project.text(["cat"], found, prior, kinds, measured="pixels")
        assert lines[0].endswith("in brackets those of the nearest of 5 samples")
        assert lines[1].split() == ["cat", "0.2500", "(1.0000)"]
        assert lines[2].split() == f"generated images {left:.4f} (4.0000) mean of 2".split()
        assert " ".join(lines[3].split()) == "held-out photographs 2.0000 (3.0000) mean of 1"
        assert [line[:8] for line in lines[4:]] == ["warning:"] * warned


def test_what_cannot_be_projected_is_one_sentence(finished, tmp_path, capsys):
    text = tmp_path / "text.png"
    text.write_text("no image")
    good = photo(tmp_path / "good.png", np.zeros((4, 4), np.uint8))
    out = ["--out", tmp_path / "out"]
    for arguments, sentence in [
        ([tmp_path, good], "is no run directory"),
        ([finished, text, *out], "text.png cannot be read: not an image"),
        ([finished, tmp_path / "none.png", *out], "none.png cannot be read: no such file"),
        ([finished, tmp_path, *out], "is a folder; name the images in it"),
        ([finished, good, "--steps", "0"], "--steps is 0; expected 1 or more"),
        ([finished, good, "--restarts", "0"], "--restarts is 0; expected 1 or more"),
        ([finished, good, *out, "--label", "boot"], "takes no class: leave --label out"),
    ]:
        assert project.main([str(argument) for argument in arguments]) == 2
        said = capsys.readouterr().err
        assert sentence in said
        assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_without_photographs_those_held_out_are_projected(finished, pixels, tmp_path, monkeypatch):
    few = {"steps": 2, "restarts": 1, "samples": 8, "compared": 1}
    config = project.Config(finished, out=tmp_path / "out", **few)
    splits = command_of_tools.data_of(finished, jaxgan.load(finished), None)
    count = len(splits.held_out)
    assert count < project.USUAL  # then all of them are
    said: list[str] = []
    written = project.project(config, say=said.append)
    assert [path.stem for path in written[1:]] == [f"held-out-{number}" for number in range(count)]
    with Image.open(written[0]) as picture:
        assert picture.height > count * 64
    text = "\n".join(said)
    assert "generated images" in text and project.HELD_OUT not in text
    export = invocation.called("export", finished, "--out", f"{finished}/export")
    assert said[-1] == f"take the generator along: {export}"
    nothing = splits._replace(held_out=splits.train)
    monkeypatch.setattr(command_of_tools, "data_of", lambda *_: nothing)
    with pytest.raises(RunError, match=r"held no such photograph out; name one of yours: .*PHOTO$"):
        project.project(dataclasses.replace(config, out=tmp_path / "none"), say=said.append)


def test_names_are_told_apart():
    assert inversion.unique(["cat", "dog", "cat", "cat"]) == ["cat", "dog", "cat-2", "cat-3"]


def test_photographs_of_more_bits_have_the_range_that_they_use(tmp_path):
    """As in training: 4,095 of 12 bits is white, and floats below 0 are in [-1, 1]."""
    deep = photo(tmp_path / "a.png", np.array([[0, 4095]], np.uint16))
    signed = photo(tmp_path / "b.tif", np.array([[-1.0, 1.0]], np.float32))
    model: Any = types.SimpleNamespace(spec=DataSpec((1, 2, 1)))
    said: list[str] = []
    config = project.Config(tmp_path, (deep, signed))
    images = project.photographs(config, model, said.append)
    np.testing.assert_array_equal(images[..., 0], [[[-1.0, 1.0]]] * 2)
    assert [note for note in said if "12 of them" in note or "read as [-1, 1]" in note] == said
    high = photo(tmp_path / "c.tif", np.array([[0.0, 9.0]], np.float32))
    with pytest.raises(RunError, match=r"c\.tif holds values of float32, and the model takes"):
        project.photographs(project.Config(tmp_path, (high,)), model, said.append)


@pytest.mark.slow
def test_of_20_held_out_garments_the_class_is_kept_and_every_sample_is_farther(tmp_path):
    flags = ["--width", "16", "--steps", "1000", "--sample-every", "0", "--workdir", str(tmp_path)]
    assert command.main(["train", "dcgan", *flags]) == 0
    model, splits = jaxgan.load(tmp_path), data.load("fashion")
    classify = classifier(splits.train)
    photos = splits.held_out.batch(seed=3, step=0, size=20)
    images, measure = np.asarray(photos["image"]), perceptual.of_channels(1)
    prior = inversion.drawn(model, images, measure, count=2000, seed=3)
    found = inversion.invert(model, images, measure, prior, restarts=4, steps=300, seed=3)
    assert np.mean(classify(found.images) == photos["label"]) >= 0.8
    assert np.mean(found.distances < prior.distances.min(axis=1)) >= 0.95


def classifier(train):
    """A classifier that neither the model nor the distance knows."""

    class Classifier(linen.Module):
        @linen.compact
        def __call__(self, x):
            for width in (32, 64):
                x = jax.nn.relu(nn.Conv(width, (4, 4), strides=(2, 2))(x))
            x = jax.nn.relu(linen.Dense(128)(x.reshape(x.shape[0], -1)))
            return linen.Dense(10)(x)

    network, adam = Classifier(), optax.adam(1e-3)
    params = network.init(jax.random.key(5), jnp.zeros((1, 28, 28, 1)))

    def loss(params, batch):
        logits = network.apply(params, batch["image"])
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()

    @jax.jit
    def step(params, state, batch):
        updates, state = adam.update(jax.grad(loss)(params, batch), state)
        return optax.apply_updates(params, updates), state

    state = adam.init(params)
    for t in range(1200):
        params, state = step(params, state, train.batch(seed=0, step=t, size=128))
    return lambda images: np.argmax(network.apply(params, images), axis=-1)
