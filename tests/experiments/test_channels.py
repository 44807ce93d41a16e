"""Experiments on images of many channels: they train, draw, load, and refuse what needs colors."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import jaxgan
from experiments import cyclegan, dcgan
from experiments.flags import augmentation_flags
from jaxgan.runs import command_line


def noise(channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (24, 16, 16, channels), np.uint8)


def trained(experiment, path, *arguments: str):
    flags = ["--preset", "smoke", "--steps", "2", "--workdir", str(path), "--no-cache"]
    assert command_line.command(experiment, [*flags, *arguments]) == 0
    with Image.open(path / "samples" / "000002.png") as picture:
        assert picture.mode == "RGB"
    with Image.open(path / "samples" / "real.png") as picture:
        assert picture.mode == "RGB"
    return jaxgan.load(path)


@pytest.mark.slow
def test_dcgan_draws_images_of_five_channels(tmp_path):
    np.savez(tmp_path / "set.npz", images=noise(5))
    given = f"npz:{tmp_path / 'set.npz'}"
    model = trained(dcgan, tmp_path / "run", "--data", given, "--show", "5,3,1")
    assert model.sample(0, 3).shape == (3, 16, 16, 5)


@pytest.mark.slow
def test_cyclegan_translates_images_of_thirteen_channels(tmp_path):
    np.savez(tmp_path / "set.npz", a=noise(13), b=255 - noise(13))
    model = trained(cyclegan, tmp_path / "run", "--data", f"npz:{tmp_path / 'set.npz'}")
    images = np.zeros((2, 16, 16, 13), np.float32)
    assert model.sample(0, 2, a=images).shape == images.shape


@pytest.mark.parametrize(
    ("augment", "policy", "says"),
    [
        (
            "diff",
            (),
            "--augment diff changes colors, and images of 5 channels have no colors: give",
        ),
        ("ada", ("blit", "hue"), "changes hue, .* give --augment-policy blit geometry"),
        ("scheduled", ("color",), "changes color, "),
    ],
)
def test_colors_of_images_without_colors_are_not_changed(augment, policy, says):
    config = dcgan.Config(augment=augment, augment_policy=policy)
    with pytest.raises(ValueError, match=says):
        augmentation_flags.require_colors(config, 5)
    for channels in (1, 3, 4):
        augmentation_flags.require_colors(config, channels)
    augmentation_flags.require_colors(dcgan.Config(augment="diff", augment_policy=("cutout",)), 5)
