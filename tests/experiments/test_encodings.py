"""The report on an encoder, and the picture of what the generator makes of its encodings."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgan
from experiments import bigan
from experiments.evaluation import encodings
from jaxgan import data, random
from jaxgan.plotting import image_grids
from jaxgan.runs import command_line
from tests import toy_runs


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A run of one step of perceptrons, which compile soonest."""
    path = tmp_path_factory.mktemp("runs") / "run"
    flags = ["--preset", "smoke", "--workdir", str(path), "--no-cache", "--steps", "1"]
    flags += ["--architecture", "perceptron"]
    assert command_line.command(bigan, flags) == 0
    return path


@pytest.fixture(scope="module")
def splits():
    return data.load("fashion")


class Making:
    """What gives, for each image, what the function makes of all of them."""

    def __init__(self, function):
        self.function = function

    def sample(self, seed, count, *, image):
        return self.function(image)


def kept(splits, function):
    """The report where `function` is the trained generator and encoder in one."""
    untrained = Making(np.zeros_like)
    return encodings.kept(Making(function), untrained, splits.held_out, encodings.Config("", 1))


@pytest.mark.slow
def test_images_that_come_back_keep_their_class_and_their_diversity(splits):
    lines = kept(splits, lambda images: images)
    assert lines[0].startswith("G(E(x)) keeps the class of x for 100.0% (untrained: ")
    for line in lines[2:]:
        assert line.split()[-2:] == ["100.0%", "1.00"]


@pytest.mark.slow
def test_one_image_for_all_keeps_one_class_and_no_diversity(splits):
    lines = kept(splits, lambda images: np.repeat(images[:1], len(images), axis=0))
    shares = [float(line.split()[-2].rstrip("%")) for line in lines[2:]]
    assert sum(share > 50 for share in shares) == 1
    assert all(line.endswith("0.00") for line in lines[2:])


@pytest.mark.slow
def test_the_report_sets_a_run_beside_its_controls(directory):
    lines = encodings.report(encodings.Config(directory, examples=200)).splitlines()
    assert lines[0] == f"2000 held-out images and {directory} after 1 steps"
    at = lines.index(f"{'of 200 labels':20s}{'linear probe':>14s}{'nearest':>11s}")
    rows = {" ".join(line.split()[:-2]): line.split()[-2:] for line in lines[at + 1 :]}
    kinds = [
        f"{name} {what}" for name in ("untrained", "trained") for what in ("features", "latents")
    ]
    assert list(rows) == ["pixels", *kinds]
    linear, nearest = (float(share.rstrip("%")) for share in rows["pixels"])
    assert 60 < linear < 90 and 60 < nearest < 90


@pytest.mark.slow
def test_a_run_without_an_encoder_is_refused(directory, monkeypatch):
    model = jaxgan.load(directory)
    changed = model.gan._replace(conditions=())
    monkeypatch.setattr(
        encodings.Config, "load", lambda config: type(model)(changed, None, None, None, 0)
    )
    with pytest.raises(ValueError, match="has no encoder; give a run of bigan"):
        encodings.report(encodings.Config(directory))


@pytest.mark.slow
def test_data_that_have_changed_are_refused(directory, tmp_path, capsys):
    toy_runs.assert_refuses_other_data(encodings, directory, tmp_path / "copy", capsys)


@pytest.mark.slow
def test_the_picture_has_images_above_what_becomes_of_them_and_samples_below(directory, splits):
    model = jaxgan.load(directory)
    # An untrained generator draws gray on gray: with larger weights, each image is another.
    large = jax.tree.map(lambda leaf: 30 * leaf, model.state["generator"].params)
    players = model.state.averaged().replace(ema={}).with_params({"generator": large})
    held_out = splits.held_out.take(bigan.RECONSTRUCTED).float_images()
    keys = random.row_keys(jax.random.key(0), bigan.RECONSTRUCTED)
    again = np.asarray(model.gan.sample(players, keys, image=jnp.asarray(held_out)))
    shown = np.asarray(bigan.picture(model.gan, splits)(players))
    stride = 2 * (28 + 2)
    assert shown.shape == (8 * stride + 4, 10 * stride + 4)
    for offset, images in enumerate((held_out, again)):
        expected = np.asarray(image_grids.grid(images, columns=bigan.COLUMNS)).astype(np.int32)
        for at in range(3):
            row = shown[(2 * at + offset) * stride :][:stride]
            assert np.abs(row - expected[at * stride :][:stride]).max() <= 1
    samples = [shown[at * stride :][:stride].tobytes() for at in (5, 6, 7)]
    assert len(set(samples)) == 3
